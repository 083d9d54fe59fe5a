package bootstrap

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// show prints a config value: fields that are not zero, a line each, indented;
// the type beside an interface's value. Equal values print alike.
func show(name string, v any) string {
	var b strings.Builder
	showValue(&b, "", name, reflect.ValueOf(v))
	return b.String()
}

func showValue(b *strings.Builder, indent, name string, v reflect.Value) {
	if !v.IsValid() || v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
		return
	}
	if h, ok := v.Interface().(config.H2Options); ok && reflect.DeepEqual(h, config.H2Defaults()) {
		return
	}
	if text, ok := leaf(v); ok {
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, text)
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		showValue(b, indent, name+" ("+strings.TrimPrefix(v.Elem().Type().String(), "*config.")+")", v.Elem())
	case reflect.Pointer:
		showValue(b, indent, name, v.Elem())
	case reflect.Struct:
		fmt.Fprintf(b, "%s%s\n", indent, name)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				showValue(b, indent+"  ", v.Type().Field(i).Name, v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			showValue(b, indent, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	case reflect.Map:
		fmt.Fprintf(b, "%s%s\n", indent, name)
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			showValue(b, indent+"  ", k.String(), v.MapIndex(k))
		}
	default:
		fmt.Fprintf(b, "%s%s: %v\n", indent, name, v)
	}
}

// leaf prints what has a text of its own.
func leaf(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String || v.Kind() == reflect.String {
		return fmt.Sprintf("%q", v.Interface()), true
	}
	switch x := v.Interface().(type) {
	case *structpb.Value:
		text, err := protojson.Marshal(x)
		return strings.ReplaceAll(string(text), " ", ""), err == nil
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return string(text), err == nil
	case fmt.Stringer:
		return x.String(), true
	}
	return "", false
}

func TestShowPrintsNestedValues(t *testing.T) {
	got := show("v", struct {
		A []string
		B map[string]int
		C any
		D *struct{ E int }
	}{[]string{"x"}, map[string]int{"b": 2, "a": 1}, 3, &struct{ E int }{4}})
	want := "v\n  A: [\"x\"]\n  B\n    a: 1\n    b: 2\n  C (int): 3\n  D\n    E: 4\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
