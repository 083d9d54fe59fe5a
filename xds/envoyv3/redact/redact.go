// Package redact keeps secrets out of what is shown and written: fields that
// Envoy's API marks as sensitive (udpa/annotations/sensitive.proto), and whatever
// cannot be looked into.
package redact

import (
	"github.com/cncf/xds/go/udpa/annotations"
	typedstructv1 "github.com/cncf/xds/go/udpa/type/v1"
	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// redacted is Envoy's word (protobuf/utility.cc, redact).
const redacted = "[redacted]"

// Redact replaces the sensitive values of m, in place. A TypedStruct becomes the
// message that it stands for; an Any of a type that is not known, a TypedStruct
// that only names it.
func Redact(m proto.Message) { redactIn(m.ProtoReflect(), false) }

// redactIn treats every field as sensitive if the message is.
func redactIn(m protoreflect.Message, sensitive bool) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		redactAny(a, sensitive)
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		redactField(m, f, v, sensitive || isSensitive(f))
		return true
	})
}

func isSensitive(f protoreflect.FieldDescriptor) bool {
	s, _ := proto.GetExtension(f.Options(), annotations.E_Sensitive).(bool)
	return s
}

func redactField(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value, sensitive bool) {
	switch {
	case f.IsMap():
		redactMap(f, v.Map(), sensitive)
	case f.IsList():
		for i := range v.List().Len() {
			if f.Message() != nil {
				redactIn(v.List().Get(i).Message(), sensitive)
			} else if sensitive {
				v.List().Set(i, hidden(f, v.List().Get(i)))
			}
		}
	case f.Message() != nil:
		redactIn(v.Message(), sensitive)
	case sensitive:
		m.Set(f, hidden(f, v))
	}
}

func redactMap(f protoreflect.FieldDescriptor, values protoreflect.Map, sensitive bool) {
	values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if f.MapValue().Message() != nil {
			redactIn(v.Message(), sensitive)
		} else if sensitive {
			values.Set(k, hidden(f.MapValue(), v))
		}
		return true
	})
}

// hidden is what stands for a sensitive value: the word where text fits, else
// the type's zero.
func hidden(f protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(redacted)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(redacted))
	case protoreflect.EnumKind:
		return v
	}
	return f.Default()
}

// redactAny looks inside; what it cannot read it cuts down to the type.
func redactAny(a *anypb.Any, sensitive bool) {
	m := open(a)
	if m == nil {
		*a = anypb.Any{}
		return
	}
	redactIn(m.ProtoReflect(), sensitive)
	if packed := Pack(m); packed.GetTypeUrl() != "" {
		a.TypeUrl, a.Value = packed.GetTypeUrl(), packed.GetValue()
	}
}

// open reads an Any. The configuration in a TypedStruct comes as the message
// that it stands for; a type that is not known as a TypedStruct that only
// names it. Nil for an Any that says nothing.
func open(a *anypb.Any) proto.Message {
	if a.GetTypeUrl() == "" {
		return nil
	}
	m, err := a.UnmarshalNew()
	if err != nil {
		return &xdstypev3.TypedStruct{TypeUrl: a.GetTypeUrl()}
	}
	switch s := m.(type) {
	case *xdstypev3.TypedStruct:
		return fromTypedStruct(s.GetTypeUrl(), s.GetValue())
	case *typedstructv1.TypedStruct:
		return fromTypedStruct(s.GetTypeUrl(), s.GetValue())
	}
	return m
}

func fromTypedStruct(url string, value *structpb.Struct) proto.Message {
	nameOnly := &xdstypev3.TypedStruct{TypeUrl: url}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return nameOnly
	}
	m := mt.New().Interface()
	if load.Refused(load.FromStruct(value, "", m, protoregistry.GlobalTypes, load.Options{AllowUnsupported: true})) {
		return nameOnly
	}
	return m
}

// Pack makes an Any of m with deterministic bytes; an empty one in the case,
// impossible for a message that was read, that m cannot be written.
func Pack(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}) != nil {
		return &anypb.Any{}
	}
	return a
}
