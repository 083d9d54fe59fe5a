package transcoding

// Values of enums that a body has as texts: which are names, which are numbers, and which are neither
// (DataPiece::ToEnum of protobuf's JSON converter). protojson, which reads the body afterwards, knows names as they
// are spelt, and leaves out what is none.

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// enum finds the value that a text means: its name, its number, or, if the case of letters is nothing, its name in
// capitals with "_" for "-".
func (t *Table) enum(f protoreflect.FieldDescriptor, s string) (protoreflect.EnumNumber, bool) {
	values := f.Enum().Values()
	if e := values.ByName(protoreflect.Name(s)); e != nil {
		return e.Number(), true
	}
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		if e := values.ByNumber(protoreflect.EnumNumber(n)); e != nil {
			return e.Number(), true
		}
	}
	if t.cfg.FoldEnums {
		if e := values.ByName(protoreflect.Name(strings.ReplaceAll(asciiUpper(s), "-", "_"))); e != nil {
			return e.Number(), true
		}
	}
	return 0, false
}

func asciiUpper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// numbered puts numbers in the place of texts that are values of enums. The body is JSON.
func (t *Table) numbered(body []byte, d protoreflect.MessageDescriptor) ([]byte, *Failure) {
	e := &enums{t: t, body: body, tokens: json.NewDecoder(bytes.NewReader(body))}
	if e.next() == json.Delim('{') {
		if fail := e.message(d, ""); fail != nil {
			return nil, fail
		}
	}
	return append(e.out, body[e.copied:]...), nil
}

// enums walks over a body once, whatever is in what.
type enums struct {
	t      *Table
	body   []byte
	tokens *json.Decoder
	begins int // where the last token does
	copied int // of body, to out
	out    []byte
}

// next is the next token; nil at the end.
func (e *enums) next() json.Token {
	before := int(e.tokens.InputOffset())
	token, err := e.tokens.Token()
	if err != nil {
		return nil
	}
	e.begins = before + len(e.body[before:]) - len(bytes.TrimLeft(e.body[before:], " \t\r\n,:"))
	return token
}

// skip goes to the end of the value whose first token was given.
func (e *enums) skip(token json.Token) {
	for depth := 0; token != nil; token = e.next() {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return
		}
	}
}

// message reads the members of an object.
func (e *enums) message(d protoreflect.MessageDescriptor, at string) *Failure {
	if special(d) {
		if d = e.wrapped(d); d == nil {
			return nil
		}
		at = ""
	}
	for e.tokens.More() {
		name, _ := e.next().(string)
		f := d.Fields().ByJSONName(name)
		if f == nil {
			f = d.Fields().ByTextName(name)
		}
		if f == nil {
			e.skip(e.next())
			continue
		}
		where := string(f.Name())
		if at != "" {
			where = at + "." + where
		}
		if fail := e.field(f, where); fail != nil {
			return fail
		}
	}
	e.next()
	return nil
}

// wrapped is the type of what a google.protobuf.Any has, if that is said first; else the object is skipped, as are
// those of the other types whose JSON is not their fields'.
func (e *enums) wrapped(d protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	if d.FullName() == "google.protobuf.Any" && e.tokens.More() && e.next() == json.Token("@type") {
		url, is := e.next().(string)
		if m, err := e.t.types.FindMessageByURL(url); is && err == nil && !special(m.Descriptor()) {
			return m.Descriptor()
		}
	}
	for depth := 1; depth > 0; {
		switch e.next() {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		case nil:
			return nil
		}
	}
	return nil
}

// special says whether the JSON of a type is something else than its fields.
func special(d protoreflect.MessageDescriptor) bool {
	if d.ParentFile().Package() != "google.protobuf" {
		return false
	}
	switch d.Name() {
	case "Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "BoolValue", "StringValue", "BytesValue",
		"Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue":
		return true
	}
	return false
}

// field reads the value of a member.
func (e *enums) field(f protoreflect.FieldDescriptor, at string) *Failure {
	token := e.next()
	var of protoreflect.FieldDescriptor
	var in string // behind the index
	switch {
	case f.IsMap() && token == json.Delim('{'):
		of, in = f.MapValue(), ".value"
	case f.IsList() && token == json.Delim('['):
		of = f
	case f.IsMap() || f.IsList():
		e.skip(token)
		return nil
	default:
		return e.value(f, token, at)
	}
	for i := 0; e.tokens.More(); i++ {
		if f.IsMap() {
			e.next() // the key
		}
		if fail := e.value(of, e.next(), at+"["+strconv.Itoa(i)+"]"+in); fail != nil {
			return fail
		}
	}
	e.next()
	return nil
}

// value reads one, whose first token was given.
func (e *enums) value(f protoreflect.FieldDescriptor, token json.Token, at string) *Failure {
	text, is := token.(string)
	switch {
	case is && f.Enum() != nil:
		n, ok := e.t.enum(f, text)
		if !ok {
			return notOf(f, at, text)
		}
		e.out = append(e.out, e.body[e.copied:e.begins]...)
		e.out = strconv.AppendInt(e.out, int64(n), 10)
		e.copied = int(e.tokens.InputOffset())
	case f.Message() != nil && token == json.Delim('{'):
		return e.message(f.Message(), at)
	default:
		e.skip(token)
	}
	return nil
}

// notOf says that a field's type has no such value.
func notOf(f protoreflect.FieldDescriptor, at, value string) *Failure {
	kind := "TYPE_" + strings.ToUpper(f.Kind().String())
	if f.Enum() != nil {
		kind = "type.googleapis.com/" + string(f.Enum().FullName())
	}
	return invalid("%s: invalid value %q for type %s", at, value, kind)
}

// namesEnums says whether a message, or one within it, has a field of an enum, or may have.
func namesEnums(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[d.FullName()] {
		return false
	}
	seen[d.FullName()] = true
	if d.FullName() == "google.protobuf.Any" {
		return true
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Enum() != nil || f.Message() != nil && namesEnums(f.Message(), seen) {
			return true
		}
	}
	return false
}
