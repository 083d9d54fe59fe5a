package gateway

// JSON values into the types of spec.go. No value is passed over.

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxItems = 64   // of a list, if its tag does not say
	maxText  = 4096 // bytes: the longest that the Gateway API has, a header's value
	maxSpec  = 1 << 20
)

// problem is what is wrong with a field.
type problem struct {
	path, text string
	reason     string // of the condition; UnsupportedValue if empty
}

func (p problem) String() string {
	if p.path == "" {
		return p.text
	}
	return p.path + ": " + p.text
}

// reader reads one route, or one rule of it, and keeps every problem.
type reader struct{ problems []problem }

func (r *reader) refuse(path, format string, args ...any) {
	r.problems = append(r.problems, problem{path: path, text: fmt.Sprintf(format, args...)})
}

func (r *reader) refuseAs(reason, path, format string, args ...any) {
	r.problems = append(r.problems, problem{path, fmt.Sprintf(format, args...), reason})
}

// value reads v into into.
func (r *reader) value(v any, path string, into reflect.Value, t reflect.StructTag) {
	switch into.Kind() {
	case reflect.Pointer:
		inner := reflect.New(into.Type().Elem())
		r.value(v, path, inner.Elem(), t)
		into.Set(inner)
	case reflect.Struct:
		r.record(v, path, into)
	case reflect.Slice:
		r.list(v, path, into, t)
	case reflect.Interface:
		into.Set(reflect.ValueOf(&v).Elem())
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			r.refuse(path, "want true or false")
		}
		into.SetBool(b)
	case reflect.Int64:
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			r.refuse(path, "want a whole number")
			return
		}
		into.SetInt(int64(n))
	case reflect.String:
		r.text(v, path, into, t)
	default:
		panic("gateway: no value of kind " + into.Kind().String())
	}
}

func (r *reader) text(v any, path string, into reflect.Value, t reflect.StructTag) {
	text, ok := v.(string)
	switch enum := strings.Fields(t.Get("enum")); {
	case !ok:
		r.refuse(path, "want text")
	case len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		r.refuse(path, "at most %d bytes without control characters", maxText)
	case len(enum) > 0 && !slices.Contains(enum, text):
		r.refuse(path, "%.100q is not supported: want %s", text, oneOf(enum))
	}
	into.SetString(text)
}

func oneOf(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func (r *reader) list(v any, path string, into reflect.Value, t reflect.StructTag) {
	list, ok := v.([]any)
	most := maxItems
	if n, err := strconv.Atoi(t.Get("most")); err == nil {
		most = n
	}
	switch {
	case !ok:
		r.refuse(path, "want a list")
		return
	case len(list) > most:
		r.refuse(path, "%d items: want at most %d", len(list), most)
		return
	}
	all := reflect.MakeSlice(into.Type(), len(list), len(list))
	for i, item := range list {
		r.value(item, at(path, i), all.Index(i), "")
	}
	into.Set(all)
}

func (r *reader) record(v any, path string, into reflect.Value) {
	given, ok := v.(map[string]any)
	if !ok {
		r.refuse(path, "want a mapping")
		return
	}
	known := map[string]bool{}
	for i := range into.NumField() {
		f := into.Type().Field(i)
		name := f.Tag.Get("json")
		known[name] = true
		value, there := given[name]
		there = there && value != nil
		_, need := f.Tag.Lookup("need")
		switch why := f.Tag.Get("refuse"); {
		case there && why != "":
			r.refuse(dot(path, name), "%s", why)
		case there:
			r.value(value, dot(path, name), into.Field(i), f.Tag)
		case need:
			r.refuse(dot(path, name), "is required")
		default:
			if text, ok := f.Tag.Lookup("default"); ok {
				into.Field(i).SetString(text)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !known[name] {
			r.refuse(dot(path, cutText(name, 100)), "not supported")
		}
	}
}

func dot(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// decode is JSON as Go values; nil if it is none, or too much.
func decode(doc []byte) any {
	var v any
	if len(doc) > maxSpec || json.Unmarshal(doc, &v) != nil {
		return nil
	}
	return v
}
