package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Value is one value of metadata, as JSON has them (google.protobuf.Value). It
// is immutable; the zero value is null.
type Value struct {
	Kind   ValueKind
	Text   string           // ValueText
	Number float64          // ValueNumber
	Bool   bool             // ValueBool
	List   []Value          // ValueList
	Fields map[string]Value // ValueStruct
}

// ValueKind is the kind of a Value.
type ValueKind uint8

// The kinds of value.
const (
	ValueNull ValueKind = iota
	ValueText
	ValueNumber
	ValueBool
	ValueList
	ValueStruct
)

// FilterMetadata is metadata by the name of who it is for and then by key
// (Envoy core.v3.Metadata.filter_metadata). Immutable.
type FilterMetadata map[string]map[string]Value

// Message is a protobuf message that goes on as it came: its type's URL, and its bytes.
type Message struct{ URL, Bytes string }

// TypedMetadata are messages by namespace (Metadata.typed_filter_metadata).
type TypedMetadata map[string]Message

// At finds the value that a path of keys leads to in a namespace
// (Envoy config/metadata.cc, structValue).
func (m FilterMetadata) At(namespace string, path ...string) (Value, bool) {
	v := Value{Kind: ValueStruct, Fields: m[namespace]}
	for _, key := range path {
		next, ok := v.Fields[key]
		if !ok {
			return Value{}, false
		}
		v = next
	}
	return v, v.Kind != ValueStruct || v.Fields != nil
}

// Equal reports whether both are the same value; numbers as float64.
func (v Value) Equal(o Value) bool {
	if v.Kind != o.Kind {
		return false
	}
	switch v.Kind {
	case ValueText:
		return v.Text == o.Text
	case ValueNumber:
		return v.Number == o.Number
	case ValueBool:
		return v.Bool == o.Bool
	case ValueList:
		return slices.EqualFunc(v.List, o.List, Value.Equal)
	case ValueStruct:
		return maps.EqualFunc(v.Fields, o.Fields, Value.Equal)
	case ValueNull:
	}
	return true
}

// String is a text as it is, and anything else as JSON.
func (v Value) String() string {
	if v.Kind == ValueText {
		return v.Text
	}
	return string(v.AppendJSON(nil))
}

// AppendJSON appends the value as JSON, keys in order.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case ValueText:
		text, _ := json.Marshal(v.Text) // a string can be marshalled
		return append(dst, text...)
	case ValueNumber:
		if n, err := json.Marshal(v.Number); err == nil { // not a NaN
			return append(dst, n...)
		}
	case ValueBool:
		return strconv.AppendBool(dst, v.Bool)
	case ValueList:
		dst = append(dst, '[')
		for i := range v.List {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.List[i].AppendJSON(dst)
		}
		return append(dst, ']')
	case ValueStruct:
		dst = append(dst, '{')
		for i, key := range slices.Sorted(maps.Keys(v.Fields)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(Value{Kind: ValueText, Text: key}.AppendJSON(dst), ':')
			dst = v.Fields[key].AppendJSON(dst)
		}
		return append(dst, '}')
	case ValueNull:
	}
	return append(dst, "null"...)
}
