package envoyv3

// Which behaviour script shows which field: the configuration of each script of
// conformance/behaviour is read, and every field that is set in it counts. Nothing
// of it is written by hand.

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

const (
	behaviourScripts = "../../conformance/behaviour/testdata"
	unscripted       = "testdata/unscripted.txt"
)

// A field that is honoured has a script that sets it. testdata/unscripted.txt lists
// those from before there were scripts; it only ever gets shorter (-update takes out
// what has a script now).
func TestFieldsHaveScripts(t *testing.T) {
	data, err := os.ReadFile(unscripted)
	if err != nil {
		t.Fatal(err)
	}
	excused := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		excused[strings.TrimSpace(line)] = true
	}
	scripts := scriptsByField()
	for _, field := range honouredFields() {
		switch shown := len(scripts[field]) > 0; {
		case shown && excused[field] && *update:
			delete(excused, field)
		case shown && excused[field]:
			t.Errorf("%s is shown by %s: take it out of %s (-update)", field, scripts[field][0], unscripted)
		case !shown && !excused[field]:
			t.Errorf("%s is honoured and no script of conformance/behaviour sets it: write one", field)
		}
	}
	for field := range excused {
		if !slices.Contains(honouredFields(), field) {
			if *update {
				delete(excused, field)
				continue
			}
			t.Errorf("%s stands in %s and is not honoured (-update)", field, unscripted)
		}
	}
	if *update {
		text := strings.Join(slices.Sorted(maps.Keys(excused)), "\n") + "\n"
		if err := os.WriteFile(unscripted, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// honouredFields are those of the tables, as message.field, sorted.
func honouredFields() (all []string) {
	for _, t := range tables() {
		d := t.of.ProtoReflect().Descriptor()
		fields := t.fields()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if l := fields.field(string(f.Name())).level; l == honoured || l == partly {
				all = append(all, string(f.FullName()))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// scriptCell is what the support table says of a field.
func scriptCell(field string) string {
	scripts := scriptsByField()[field]
	switch {
	case len(scripts) == 0:
		return ""
	case len(scripts) > 4:
		return "many"
	default:
		return "`" + scripts[0] + "`"
	}
}

// scriptsByField gives for each field, by its full name, the scripts that set it:
// the one that sets the fewest others first.
var scriptsByField = sync.OnceValue(func() map[string][]string {
	files, _ := filepath.Glob(behaviourScripts + "/*/*.txt")
	sets := map[string]map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		name, _ := filepath.Rel(behaviourScripts, strings.TrimSuffix(file, ".txt"))
		sets[name] = map[string]bool{}
		for i, doc := range configsOf(string(data)) {
			m := &bootstrapv3.Bootstrap{}
			problems := load.Into([]byte(doc), name+"#"+strconv.Itoa(i), m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
			if load.Refused(problems) {
				panic(name + ": " + problems[0].String())
			}
			setFields(m.ProtoReflect(), sets[name])
		}
	}
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		for field := range sets[name] {
			by[field] = append(by[field], name)
		}
	}
	for _, scripts := range by {
		slices.SortStableFunc(scripts, func(a, b string) int { return len(sets[a]) - len(sets[b]) })
	}
	return by
})

var symbol = regexp.MustCompile(`\$[a-z][a-z0-9_]*`)

// configsOf are the parts "config" and "config NAME" of a script.
func configsOf(script string) (docs []string) {
	inside := false
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --\n") {
			if inside = strings.HasPrefix(line, "-- config"); inside {
				docs = append(docs, "")
			}
			continue
		}
		if inside {
			line = strings.ReplaceAll(line, "$module", "AAAA") // base64
			docs[len(docs)-1] += symbol.ReplaceAllString(line, "10.1.0.1")
		}
	}
	return docs
}

// setFields notes every field that is set in m, in what m has, and in what is
// packed there.
func setFields(m protoreflect.Message, into map[string]bool) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		if inner := insideOf(a); inner != nil {
			setFields(inner.ProtoReflect(), into)
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		into[string(f.FullName())] = true
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				setFields(v.Message(), into)
				return true
			})
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				setFields(v.List().Get(i).Message(), into)
			}
		default:
			setFields(v.Message(), into)
		}
		return true
	})
}

// insideOf is what an Any holds, that of a TypedStruct included; nil if its type
// is not known here.
func insideOf(a *anypb.Any) proto.Message {
	name, value, bad := unwrap(a)
	mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if bad != "" || err != nil {
		return nil
	}
	m := mt.New().Interface()
	if value != nil {
		load.FromStruct(value, "", m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})
		return m
	}
	if proto.Unmarshal(a.GetValue(), m) != nil {
		return nil
	}
	return m
}
