package gateway

// What is known of the specs, for the documents.

import (
	"cmp"
	"reflect"
	"strings"
)

// Field is one of a route's spec.
type Field struct {
	Path string // spec.rules[].matches[].path
	Says string // what is to be known of it
	// Refused says that a rule with it is left out.
	Refused bool
}

// Fields are those of a kind, in the order of the API's text; none of a kind that
// is not known.
func Fields(kind Kind) (all []Field) {
	rule := map[Kind]reflect.Type{HTTPRoute: reflect.TypeFor[httpRule](), GRPCRoute: reflect.TypeFor[grpcRule]()}[kind]
	if rule == nil {
		return nil
	}
	list(reflect.TypeFor[spec](), "spec", &all)
	list(rule, "spec.rules[]", &all)
	if kind == GRPCRoute {
		all = withoutHTTP(all)
	}
	return all
}

// withoutHTTP leaves out the filters that a GRPCRoute does not have.
func withoutHTTP(all []Field) (kept []Field) {
	for _, f := range all {
		http := false
		for _, name := range []string{"requestRedirect", "urlRewrite", "cors", "externalAuth"} {
			http = http || strings.Contains(f.Path, "filters[]."+name)
		}
		if !http {
			kept = append(kept, f)
		}
	}
	return kept
}

func list(t reflect.Type, path string, all *[]Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := path + "." + f.Tag.Get("json")
		why := f.Tag.Get("refuse")
		*all = append(*all, Field{Path: at, Says: cmp.Or(why, f.Tag.Get("doc")), Refused: why != ""})
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice {
				at += "[]"
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			list(inner, at, all)
		}
	}
}

// Refused says that a field is refused as a whole.
func Refused(kind Kind, path string) bool {
	for _, f := range Fields(kind) {
		if f.Path == path {
			return f.Refused
		}
	}
	return false
}
