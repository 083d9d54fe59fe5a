package behaviour

// What a script proves of a field: it is taken out of the script's configuration,
// wherever it stands, and the script is run. If it sees what it saw with it, it only
// contains the field.

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

var mutate = flag.String("mutate", `filters\.http\.basic_auth\.`, "the fields, a regular expression, that TestFieldsMatter takes out of scripts")

var varied = flag.String("vary", `filters\.http\.fault\.v3\.HTTPFault\.max_active_faults`, "the fields, a regular expression, whose values TestValuesMatter changes")

var differences = flag.Bool("differences", false, "show what a script sees in place of what it expects, without a field")

// idleFile lists the fields that no script depends on, each with the reason.
const idleFile = "testdata/idle.txt"

// scriptsPerField bounds how many scripts are tried for a field, the smallest first.
const scriptsPerField = 40

// TestFieldsMatter: for every field that docs/support.md calls honoured there is a
// script that sees something else without it. Ordinarily a few are tried; all of them
// by
//
//	make mutate
func TestFieldsMatter(t *testing.T) {
	wanted := regexp.MustCompile(*mutate)
	idle := readIdle(t)
	scripts := readScripts(t)
	tried, shown := 0, 0
	for _, field := range honoured(t) {
		if !wanted.MatchString(field) {
			continue
		}
		with := slices.DeleteFunc(slices.Clone(scripts), func(s *subject) bool { return !s.sets(t, field) })
		if len(with) == 0 {
			continue // a Go test stands in: xds/envoyv3 says which
		}
		slices.SortStableFunc(with, func(a, b *subject) int { return cmp.Compare(len(a.fields), len(b.fields)) })
		tried++
		by := ""
		for _, s := range with[:min(len(with), scriptsPerField)] {
			if s.without(t, field) {
				by = s.name
				break
			}
		}
		switch {
		case by != "":
			shown++
			t.Logf("%s: %s", field, by)
			if idle[field] {
				t.Errorf("%s matters in %s: take it out of %s", field, by, idleFile)
			}
		case !idle[field]:
			t.Errorf("%s: nothing is seen without it in %s", field, with[0].name)
		}
	}
	t.Logf("%d of %d fields matter in a script", shown, tried)
}

// TestValuesMatter changes what fields say, in place of taking them out: numbers and
// durations are doubled and halved, enumerations say something else, switches the
// opposite. It only reports: a value may be one of many that mean the same.
//
//	go test ./conformance/behaviour -v -run TestValuesMatter -vary .
func TestValuesMatter(t *testing.T) {
	wanted := regexp.MustCompile(*varied)
	scripts := readScripts(t)
	tried, shown := 0, 0
	for _, field := range honoured(t) {
		if !wanted.MatchString(field) || variants(field) == 0 {
			continue
		}
		with := slices.DeleteFunc(slices.Clone(scripts), func(s *subject) bool { return !s.sets(t, field) })
		if len(with) == 0 {
			continue
		}
		slices.SortStableFunc(with, func(a, b *subject) int { return cmp.Compare(len(a.fields), len(b.fields)) })
		tried++
		if by := whoCares(t, with[:min(len(with), scriptsPerField)], field); by != "" {
			shown++
		} else {
			t.Logf("%s: nothing is seen of another value in %s", field, with[0].name)
		}
	}
	t.Logf("the values of %d of %d fields matter in a script", shown, tried)
}

// whoCares is a script that sees something else with another value of a field.
func whoCares(t *testing.T, with []*subject, field string) string {
	for _, s := range with {
		for n := range variants(field) {
			if s.changed(t, func(m protoreflect.Message) { vary(m, protoreflect.FullName(field), n) }) {
				return s.name
			}
		}
	}
	return ""
}

// subject is a script with the fields that its configurations set.
type subject struct {
	name   string
	text   string
	read   bool
	fields map[string]bool
}

// sets reports whether the script sets a field, from a run that changes nothing: one
// that then shows something else proves nothing, and sets none.
func (s *subject) sets(t *testing.T, field string) bool {
	if !strings.Contains(s.text, field[strings.LastIndexByte(field, '.')+1:]) {
		return false
	}
	if !s.read {
		s.read = true
		if s.changed(t, func(m protoreflect.Message) { note(m, s.fields) }) {
			t.Logf("%s is left out: written anew it shows something else", s.name)
			clear(s.fields)
		}
	}
	return s.fields[field]
}

func readScripts(t *testing.T) (all []*subject) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txt")
		all = append(all, &subject{name: name, text: string(data), fields: map[string]bool{}})
	}
	return all
}

// without reports whether a script sees something else without a field.
func (s *subject) without(t *testing.T, field string) bool {
	return s.changed(t, func(m protoreflect.Message) { drop(m, protoreflect.FullName(field)) })
}

// changed reports whether a script sees something else if its messages are changed.
func (s *subject) changed(t *testing.T, change func(protoreflect.Message)) (differs bool) {
	script, err := Parse(s.text)
	if err != nil {
		t.Fatal(err)
	}
	script.change = func(name, yaml string) string { return rewritten(name, yaml, change) }
	t.Run(s.name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := &quiet{TB: t}
			defer func() {
				if r := recover(); r != nil {
					differs = true
				}
			}()
			seen, err := script.play(q)
			got := fill(s.text, seen)
			differs = err != nil || q.failed || got != s.text
			if *differences && differs {
				t.Logf("%v\n%s", err, sideBySide(steps(s.text), steps(got)))
			}
		})
	})
	return differs
}

// quiet is a test whose failures are an outcome.
type quiet struct {
	testing.TB
	failed bool
}

func (q *quiet) Errorf(string, ...any) { q.failed = true }
func (q *quiet) Error(...any)          { q.failed = true }
func (q *quiet) Fatal(args ...any)     { panic(fmt.Sprint(args...)) }
func (q *quiet) Fatalf(f string, args ...any) {
	panic(fmt.Sprintf(f, args...))
}

// rewritten is a configuration, or a file of resources, with its message changed, as
// JSON. What cannot be read is the script's point, and stays.
func rewritten(name, yaml string, change func(protoreflect.Message)) string {
	var m proto.Message = &bootstrapv3.Bootstrap{}
	if name != "config" {
		m = &discoveryv3.DiscoveryResponse{}
	}
	problems := load.Into([]byte(yaml), name, m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
	if load.Refused(problems) {
		return yaml
	}
	change(m.ProtoReflect())
	text, err := protojson.MarshalOptions{UseProtoNames: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		return yaml
	}
	return string(text)
}

// each calls f for m and every message in it, and in what is packed there, which is
// packed again.
func each(m protoreflect.Message, f func(protoreflect.Message)) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			return
		}
		each(inner.ProtoReflect(), f)
		_ = a.MarshalFrom(inner)
		return
	}
	f(m)
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case d.IsMap() && d.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				each(v.Message(), f)
				return true
			})
		case d.IsMap() || d.Message() == nil:
		case d.IsList():
			for i := range v.List().Len() {
				each(v.List().Get(i).Message(), f)
			}
		default:
			each(v.Message(), f)
		}
		return true
	})
}

func note(m protoreflect.Message, fields map[string]bool) {
	each(m, func(m protoreflect.Message) {
		m.Range(func(d protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			fields[string(d.FullName())] = true
			return true
		})
	})
}

func drop(m protoreflect.Message, field protoreflect.FullName) {
	each(m, func(m protoreflect.Message) {
		if d := m.Descriptor().Fields().ByName(field.Name()); d != nil && d.FullName() == field {
			m.Clear(d)
		}
	})
}

// honoured are the fields that docs/support.md calls so, by full name.
func honoured(t *testing.T) (all []string) {
	f, err := os.Open("../../docs/support.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row, message := regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| honoured"), ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "## The cluster of a control plane") {
			break
		}
		if name, is := strings.CutPrefix(line, "### "); is {
			message = name
		}
		if m := row.FindStringSubmatch(line); m != nil {
			all = append(all, message+"."+m[1])
		}
	}
	return all
}

// readIdle reads the list of fields that do not matter; a line may say why behind a #.
func readIdle(t *testing.T) map[string]bool {
	data, err := os.ReadFile(idleFile)
	if err != nil {
		t.Fatal(err)
	}
	idle := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, "#")
		if name = strings.TrimSpace(name); name != "" {
			idle[name] = true
		}
	}
	return idle
}
