package transcoding

// Requests: JSON, and what path and query give, become messages (request_message_translator.cc, request_weaver.cc).

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Request makes the message of a body of JSON; a body of nothing but blanks is an empty message's.
func (c *Call) Request(body []byte) ([]byte, *Failure) {
	m := dynamicpb.NewMessage(c.m.desc.Input())
	if body = bytes.TrimSpace(body); len(body) > 0 {
		if !json.Valid(body) {
			return nil, invalid("Unexpected token.\n%s", body[:min(len(body), 1)])
		}
		body = c.wrapped(body)
		if c.m.enums {
			var fail *Failure
			if body, fail = c.t.numbered(body, c.m.desc.Input()); fail != nil {
				return nil, fail
			}
		}
		if err := c.t.read.Unmarshal(body, m); err != nil {
			return nil, invalid("%s", err)
		}
	}
	for i := range c.bindings {
		b := &c.bindings[i]
		if there, fail := c.inBody(body, b); fail != nil {
			return nil, fail
		} else if there {
			continue
		}
		if fail := c.t.set(m, b); fail != nil {
			return nil, fail
		}
	}
	return c.marshal(m)
}

func (c *Call) marshal(m proto.Message) ([]byte, *Failure) {
	out, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return out, nil
}

// wrapped puts a body where the rule says that it is.
func (c *Call) wrapped(body []byte) []byte {
	for i := len(c.m.in) - 1; i >= 0; i-- {
		body = append(append(strconv.AppendQuote([]byte{'{'}, c.m.in[i].JSONName()), ':'), append(body, '}')...)
	}
	return body
}

// inBody says whether the body has a value for the field too, which goes before the
// binding's.
func (c *Call) inBody(body []byte, b *binding) (bool, *Failure) {
	last := b.at[len(b.at)-1]
	if len(body) == 0 || last.IsList() {
		return false, nil
	}
	for _, f := range b.at {
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil {
			return false, nil
		}
		value, there := object[f.JSONName()]
		if !there {
			if value, there = object[string(f.Name())]; !there {
				return false, nil
			}
		}
		body = value
	}
	if c.t.cfg.RejectCollisions && textOf(body) != b.value {
		return true, invalid("The binding value %s of the field %s is conflicting with the value %s in the body.", b.value, last.Name(), body)
	}
	return true, nil
}

func textOf(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}

// set gives a field its value.
func (t *Table) set(m protoreflect.Message, b *binding) *Failure {
	for _, f := range b.at[:len(b.at)-1] {
		m = m.Mutable(f).Message()
	}
	f := b.at[len(b.at)-1]
	if f.IsMap() {
		return b.wrong()
	}
	if f.IsList() {
		list := m.Mutable(f).List()
		v, ok := t.scalar(f, b.value, list.NewElement)
		if ok {
			list.Append(v)
			return nil
		}
		return b.wrong()
	}
	v, ok := t.scalar(f, b.value, func() protoreflect.Value { return m.NewField(f) })
	if !ok {
		return b.wrong()
	}
	m.Set(f, v)
	return nil
}

func (b *binding) wrong() *Failure {
	var names []string
	for _, f := range b.at {
		names = append(names, string(f.Name()))
	}
	return notOf(b.at[len(b.at)-1], strings.Join(names, "."), b.value)
}

// scalar reads a value of the field's kind; empty makes one for messages.
func (t *Table) scalar(f protoreflect.FieldDescriptor, s string, empty func() protoreflect.Value) (v protoreflect.Value, ok bool) {
	var err error
	switch f.Kind() {
	case protoreflect.StringKind:
		v = protoreflect.ValueOfString(s)
	case protoreflect.BoolKind:
		v, ok = protoreflect.ValueOfBool(s == "true"), s == "true" || s == "false"
		return v, ok
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(s, 10, 32)
		v = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var n int64
		n, err = strconv.ParseInt(s, 10, 64)
		v = protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(s, 10, 32)
		v = protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var n uint64
		n, err = strconv.ParseUint(s, 10, 64)
		v = protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		var n float64
		n, err = strconv.ParseFloat(s, 32)
		v = protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		var n float64
		n, err = strconv.ParseFloat(s, 64)
		v = protoreflect.ValueOfFloat64(n)
	case protoreflect.BytesKind:
		var data []byte
		if data, err = base64.StdEncoding.DecodeString(s); err != nil {
			data, err = base64.RawURLEncoding.DecodeString(s)
		}
		v = protoreflect.ValueOfBytes(data)
	case protoreflect.EnumKind:
		n, ok := t.enum(f, s)
		return protoreflect.ValueOfEnum(n), ok
	default:
		return message(s, empty())
	}
	return v, err == nil
}

// message reads one that is a text or a number in JSON: a timestamp, a wrapped value.
func message(s string, v protoreflect.Value) (protoreflect.Value, bool) {
	m := v.Message().Interface()
	quoted, err := json.Marshal(s)
	if err != nil {
		return v, false
	}
	return v, protojson.Unmarshal(quoted, m) == nil || protojson.Unmarshal([]byte(s), m) == nil
}

// Raw makes the message whose google.api.HttpBody is a body as it came. first says that it is
// the request's first message, which alone has the type and what the path gives.
func (c *Call) Raw(kind string, body []byte, first bool) ([]byte, *Failure) {
	m := dynamicpb.NewMessage(c.m.desc.Input())
	var inner []byte
	if first {
		for i := range c.bindings {
			if fail := c.t.set(m, &c.bindings[i]); fail != nil {
				return nil, fail
			}
		}
		if kind != "" {
			inner = protowire.AppendString(protowire.AppendTag(inner, 1, protowire.BytesType), kind)
		}
		inner = c.appendUnknown(inner)
	}
	inner = protowire.AppendBytes(protowire.AppendTag(inner, 2, protowire.BytesType), body)
	out, fail := c.marshal(m)
	for i := len(c.m.in) - 1; i >= 0; i-- {
		inner = protowire.AppendBytes(protowire.AppendTag(nil, c.m.in[i].Number(), protowire.BytesType), inner)
	}
	return append(out, inner...), fail
}

// unknownType is the type of the extension that has parameters that are no field.
const unknownType = "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.UnknownQueryParams"

// appendUnknown appends those parameters as an extension of the HttpBody.
func (c *Call) appendUnknown(b []byte) []byte {
	if len(c.unknown) == 0 {
		return b
	}
	text := func(b []byte, n protowire.Number, s []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), s)
	}
	var order []string
	values := map[string][]byte{}
	for _, p := range c.unknown {
		if values[p.name] == nil {
			order = append(order, p.name)
		}
		values[p.name] = text(values[p.name], 1, []byte(p.value))
	}
	var params []byte
	for _, name := range order {
		params = text(params, 1, text(text(nil, 1, []byte(name)), 2, values[name]))
	}
	return text(b, 3, text(text(nil, 1, []byte(unknownType)), 2, params))
}
