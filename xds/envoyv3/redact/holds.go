package redact

// Whether there is anything to hide.

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// Holds reports whether Redact would hide something of m: a sensitive value that
// is set, or what cannot be looked into. m is not changed.
func Holds(m proto.Message) bool { return holds(m.ProtoReflect(), false) }

func holds(m protoreflect.Message, sensitive bool) bool {
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner := open(a)
		if inner == nil {
			return false
		}
		return nameOnly(inner) || holds(inner.ProtoReflect(), sensitive)
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		found = holdsField(f, v, sensitive || isSensitive(f))
		return !found
	})
	return found
}

func holdsField(f protoreflect.FieldDescriptor, v protoreflect.Value, sensitive bool) (found bool) {
	switch {
	case f.IsMap():
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			found = f.MapValue().Message() == nil && sensitive || f.MapValue().Message() != nil && holds(v.Message(), sensitive)
			return !found
		})
		return found
	case f.IsList():
		for i := range v.List().Len() {
			if f.Message() == nil && sensitive || f.Message() != nil && holds(v.List().Get(i).Message(), sensitive) {
				return true
			}
		}
		return false
	case f.Message() != nil:
		return holds(v.Message(), sensitive)
	}
	return sensitive
}

// nameOnly reports whether m is what open gives for a type that is not known.
func nameOnly(m proto.Message) bool {
	t, ok := m.(interface {
		GetTypeUrl() string
		proto.Message
	})
	return ok && m.ProtoReflect().Descriptor().FullName() == "xds.type.v3.TypedStruct" && t.GetTypeUrl() != ""
}
