package ambassador

// The grammar of the file as JSON schema, for editors and CI.

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/attache-mesh/attache/discovery"
)

//go:embed schema.json
var shipped []byte

// Schema is the JSON schema (draft 2020-12) of the configuration file. It says
// what each field may be; what concerns several fields together only Load
// knows. The caller must not change it.
func Schema() []byte { return shipped }

// schema prints the types by their tags; schema.json is what it printed.
func schema() []byte {
	s := typeSchema(reflect.TypeFor[Config](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "attache-control"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("ambassador: " + err.Error())
	}
	return append(text, '\n')
}

type object = map[string]any

func typeSchema(of reflect.Type, t reflect.StructTag) object {
	var s object
	switch of {
	case reflect.TypeFor[discovery.Service]():
		s = object{"type": "string", "pattern": "^[a-z][a-z0-9-]*://."}
	case reflect.TypeFor[Key]():
		s = object{"type": "string", "pattern": "^((header|cookie|query):.+|source_ip)$"}
	case reflect.TypeFor[Client]():
		s = object{"type": "string", "enum": clientNames[:]}
	case reflect.TypeFor[Source]():
		s = sourceSchema()
	case reflect.TypeFor[Raw]():
		s = rawSchema()
	case durationType:
		s = object{"type": "string", "pattern": `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$`}
	case addrType:
		s = object{"type": "string", "minLength": 2}
	default:
		s = kindSchema(of, t)
	}
	if text := t.Get("doc"); text != "" {
		s["description"] = text
	}
	if text, ok := t.Lookup("default"); ok {
		s["default"] = defaultValue(of, text)
	}
	return s
}

func kindSchema(of reflect.Type, t reflect.StructTag) object {
	switch of.Kind() {
	case reflect.Pointer:
		return typeSchema(of.Elem(), t)
	case reflect.Struct:
		return structSchema(of, t)
	case reflect.Slice:
		return object{"type": "array", "items": typeSchema(of.Elem(), justEnum(t))}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": typeSchema(of.Elem(), "")}
	case reflect.String:
		s := object{"type": "string", "minLength": 1}
		if values := strings.Fields(t.Get("enum")); len(values) > 0 {
			s = object{"type": "string", "enum": values}
		}
		return s
	case reflect.Bool:
		return object{"type": "boolean"}
	}
	s := object{"type": "integer", "minimum": 0.0}
	if of.Kind() == reflect.Float64 {
		s["type"] = "number"
	}
	if low, high, bounded := bounds(t); bounded {
		s["minimum"], s["maximum"] = low, high
	}
	return s
}

// justEnum is what a list's tags say of its items.
func justEnum(t reflect.StructTag) reflect.StructTag {
	if values := t.Get("enum"); values != "" {
		return reflect.StructTag(`enum:"` + values + `"`)
	}
	return ""
}

func structSchema(of reflect.Type, t reflect.StructTag) object {
	properties := object{}
	var required []string
	for i := range of.NumField() {
		f := of.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		properties[name] = typeSchema(f.Type, f.Tag)
		if _, need := f.Tag.Lookup("need"); need {
			required = append(required, name)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	if short := t.Get("short"); short != "" {
		return object{"oneOf": []any{properties[short], s}}
	}
	return s
}

// sourceSchema is one schema for each kind.
func sourceSchema() object {
	var all []any
	for _, k := range sourceKinds() {
		s := structSchema(reflect.TypeOf(k.Settings).Elem(), "")
		s["properties"].(object)["kind"] = object{"const": k.Kind}
		required, _ := s["required"].([]string)
		s["required"] = append([]string{"kind"}, required...)
		all = append(all, s)
	}
	return object{"oneOf": all}
}

// rawSchema leaves Envoy's own messages to Envoy's schema.
func rawSchema() object {
	properties := object{}
	for field, m := range rawKinds() {
		properties[field] = object{
			"type": "array", "items": object{"type": "object"},
			"description": string(m.ProtoReflect().Descriptor().FullName()),
		}
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// defaultValue is a default as JSON writes it.
func defaultValue(of reflect.Type, text string) any {
	if of != durationType && (of.Kind() == reflect.Bool || of.Kind() != reflect.String && of.Kind() != reflect.Struct) {
		return json.RawMessage(text)
	}
	return text
}
