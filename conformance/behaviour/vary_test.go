package behaviour

// What else a field may say.

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// variants is how many other values of a field are tried; 0: it has no such value.
func variants(field string) int {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(field))
	f, ok := d.(protoreflect.FieldDescriptor)
	switch {
	case err != nil || !ok || f.IsList() || f.IsMap():
		return 0
	case f.Message() != nil && !wraps(f.Message()):
		return 0
	case f.Kind() == protoreflect.EnumKind:
		return f.Enum().Values().Len() - 1
	case f.Kind() == protoreflect.BoolKind:
		return 1
	case f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
		return 0
	}
	return 2
}

// wraps reports whether a message is one value: a duration, or a number of its own.
func wraps(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.Duration", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value", "google.protobuf.DoubleValue", "google.protobuf.BoolValue":
		return true
	}
	return false
}

// vary gives a field its n-th other value wherever it stands.
func vary(m protoreflect.Message, field protoreflect.FullName, n int) {
	each(m, func(m protoreflect.Message) {
		d := m.Descriptor().Fields().ByName(field.Name())
		if d == nil || d.FullName() != field || d.HasPresence() && !m.Has(d) {
			return
		}
		if d.Message() == nil {
			m.Set(d, other(d, m.Get(d), n))
			return
		}
		in := m.Mutable(d).Message() // a number of its own; a duration loses its fraction
		for i := range in.Descriptor().Fields().Len() {
			if f := in.Descriptor().Fields().Get(i); f.Number() == 1 {
				in.Set(f, other(f, in.Get(f), n))
			} else {
				in.Clear(f)
			}
		}
	})
}

func other(d protoreflect.FieldDescriptor, v protoreflect.Value, n int) protoreflect.Value {
	switch d.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(!v.Bool())
	case protoreflect.EnumKind:
		all := d.Enum().Values()
		at := all.ByNumber(v.Enum())
		if at == nil {
			return v
		}
		return protoreflect.ValueOfEnum(all.Get((at.Index() + 1 + n) % all.Len()).Number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(scaled(v.Float(), n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(scaled(v.Float(), n)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(scaled(float64(v.Int()), n)))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(scaled(float64(v.Int()), n)))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(scaled(float64(v.Uint()), n)))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(scaled(float64(v.Uint()), n)))
	}
	return v
}

// scaled is twice a number and one more, or half of it.
func scaled(v float64, n int) float64 {
	if n == 0 {
		return 2*v + 1
	}
	return v / 2
}
