package ambassador

// From a YAML tree to the types of config.go: strict, and with everything that
// is wrong, not just the first.

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Problem is one thing that is wrong with a file: its path, line and column, and
// what is allowed.
type Problem = load.Problem

// Bounds of one document beyond those of load: what aliases may make of it.
const (
	maxVisits   = 500_000
	maxProblems = 200
)

// reader is the state of reading one file.
type reader struct {
	problems []Problem
	places   map[string]location // of every value that was read
	visits   int

	references []reference
}

type location struct{ line, column int }

// refuse reports a problem with the value at path, which may be a field that was
// not given: then the place is that of the nearest value around it.
func (r *reader) refuse(path, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		return
	}
	at := r.placeOf(path)
	r.problems = append(r.problems, Problem{Path: path, Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)})
}

// warn is refuse of what may stay as it is.
func (r *reader) warn(path, text string) {
	n := len(r.problems)
	r.refuse(path, "%s", text)
	if len(r.problems) > n {
		r.problems[n].Warning = true
	}
}

func (r *reader) placeOf(path string) location {
	for {
		if at, ok := r.places[path]; ok || path == "" {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

func dot(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// fromNode is a type that reads itself.
type fromNode interface {
	fromNode(r *reader, n *yaml.Node, path string)
}

// value reads n into v, whose field has the tags t. What cannot be read leaves v
// as it is.
func (r *reader) value(n *yaml.Node, path string, v reflect.Value, t reflect.StructTag) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.visits++; r.visits > maxVisits {
		if r.visits == maxVisits+1 {
			r.refuse("", "more than %d values, aliases followed", maxVisits)
		}
		return
	}
	r.places[path] = location{n.Line, n.Column}
	if self, ok := v.Addr().Interface().(fromNode); ok {
		self.fromNode(r, n, path)
		return
	}
	if service, ok := v.Addr().Interface().(*discovery.Service); ok {
		*service = r.service(n, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		into := reflect.New(v.Type().Elem())
		r.value(n, path, into.Elem(), t)
		v.Set(into)
	case reflect.Struct:
		if v.Type() == addrType {
			r.scalar(n, path, v, t)
			return
		}
		r.record(n, path, v, t)
	case reflect.Slice:
		r.list(n, path, v, t)
	case reflect.Map:
		r.dictionary(n, path, v)
	default:
		r.scalar(n, path, v, t)
	}
}

// record reads a mapping into a struct, and defaults into what is not given.
func (r *reader) record(n *yaml.Node, path string, v reflect.Value, t reflect.StructTag) {
	if short := t.Get("short"); short != "" && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		place := *n
		n = &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: short, Line: n.Line, Column: n.Column}, &place,
		}}
	}
	given := r.entries(n, path, fieldNames(v.Type()))
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		node, ok := given[name]
		switch _, need := f.Tag.Lookup("need"); {
		case ok:
			r.value(node, dot(path, name), v.Field(i), f.Tag)
		case need && n.Kind == yaml.MappingNode:
			r.refuse(path, "%s is required", name)
		default:
			r.defaults(v.Field(i), f.Tag)
		}
	}
}

// defaults fills in what is not given.
func (r *reader) defaults(v reflect.Value, t reflect.StructTag) {
	if text, ok := t.Lookup("default"); ok {
		quiet := &reader{places: map[string]location{}}
		quiet.value(&yaml.Node{Kind: yaml.ScalarNode, Value: text}, "", v, t)
		return
	}
	if _, self := v.Addr().Interface().(fromNode); self || v.Kind() != reflect.Struct || v.Type() == addrType {
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("yaml") != "" {
			r.defaults(v.Field(i), f.Tag)
		}
	}
}

func fieldNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// entries are the values of a mapping by key. Keys other than names are refused,
// unless names is nil.
func (r *reader) entries(n *yaml.Node, path string, names []string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		want := "a mapping"
		if names != nil {
			want += " with " + strings.Join(names, ", ")
		}
		r.refuse(path, "want %s", want)
		return nil
	}
	given := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		under := dot(path, key.Value)
		if names == nil {
			under = path + "[" + strconv.Quote(key.Value) + "]"
		}
		_, twice := given[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.wrongKey(key, path, "a key must be a plain value")
		case twice:
			r.wrongKey(key, under, "given twice")
		case names != nil && !slices.Contains(names, key.Value):
			r.wrongKey(key, under, "%s", unknown(key.Value, names))
		default:
			given[key.Value] = n.Content[i+1]
		}
	}
	return given
}

func (r *reader) wrongKey(key *yaml.Node, path, format string, args ...any) {
	r.places[path] = location{key.Line, key.Column}
	r.refuse(path, format, args...)
}

// unknown says that there is no such name, and which are.
func unknown(got string, names []string) string {
	if near := load.Nearest(got, names); near != "" {
		return "unknown; did you mean " + near + "?"
	}
	return "unknown: want " + oneOf(names)
}

func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// list reads a list; a single value is not one.
func (r *reader) list(n *yaml.Node, path string, v reflect.Value, t reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(path, "want a list")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.value(item, at(path, i), all.Index(i), t)
	}
	v.Set(all)
}

// dictionary reads a mapping whose keys are the file's to choose.
func (r *reader) dictionary(n *yaml.Node, path string, v reflect.Value) {
	given := r.entries(n, path, nil)
	all := reflect.MakeMapWithSize(v.Type(), len(given))
	for _, key := range slices.Sorted(maps.Keys(given)) {
		into := reflect.New(v.Type().Elem())
		r.value(given[key], path+"["+strconv.Quote(key)+"]", into.Elem(), "")
		all.SetMapIndex(reflect.ValueOf(key), into.Elem())
	}
	v.Set(all)
}
