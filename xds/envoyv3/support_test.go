package envoyv3

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Every name in a table is a field of its message, and stands there once.
func TestTablesNameFields(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	for _, table := range tables() {
		d := table.of.ProtoReflect().Descriptor()
		if seen[d.FullName()] {
			t.Errorf("%s has two tables", d.FullName())
		}
		seen[d.FullName()] = true
		names := strings.Fields(table.honoured)
		for _, n := range []notes{table.partly, table.noEffect, table.refused, table.never} {
			names = append(names, sortedKeys(n)...)
		}
		slices.Sort(names)
		if once := slices.Compact(slices.Clone(names)); len(once) != len(names) {
			t.Errorf("%s: a name stands twice in %v", d.FullName(), names)
		}
		for _, name := range names {
			if d.Fields().ByName(protoreflect.Name(name)) == nil {
				t.Errorf("%s has no field %s", d.FullName(), name)
			}
		}
		for _, n := range []notes{table.partly, table.noEffect} {
			for name, why := range n {
				if why == "" {
					t.Errorf("%s.%s: no reason", d.FullName(), name)
				}
			}
		}
	}
}

// Whatever can be reached through honoured fields has a table, and so has every
// extension; a message without one would be refused field by field.
func TestTablesCoverWhatIsReached(t *testing.T) {
	for _, table := range tables() {
		d := table.of.ProtoReflect().Descriptor()
		fields := table.fields()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			level := fields.field(string(f.Name())).level
			if level != honoured && level != partly {
				continue
			}
			below := f.Message()
			if f.IsMap() {
				below = f.MapValue().Message()
			}
			if opened(below) && supportTable()[below.FullName()].byName == nil {
				t.Errorf("%s.%s is honoured, and %s has no table", d.FullName(), f.Name(), below.FullName())
			}
		}
	}
	for _, e := range extensions() {
		d := &decoder{dialled: e.kind == xdsSocket}
		if name := e.new().ProtoReflect().Descriptor().FullName(); d.table(name).byName == nil {
			t.Errorf("%s has no table", name)
		}
	}
}

// A field that is set is refused unless the table says otherwise: each field of
// each message, one by one.
func TestEveryFieldIsAnswered(t *testing.T) {
	count := map[level]int{}
	for _, table := range tables() {
		d := table.of.ProtoReflect().Descriptor()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			m := table.of.ProtoReflect().New()
			populate(m, f)
			s := table.fields().field(string(f.Name()))
			count[s.level]++
			for _, allow := range []bool{false, true} {
				dec := &decoder{opts: Options{AllowUnsupported: allow}}
				dec.check("x", m.Interface())
				got := load.Refused(dec.problems)
				want := s.level == never || s.level == refused && !allow
				if got != want {
					t.Errorf("%s.%s (%s), allow-unsupported %t: refused %t, want %t", d.FullName(), f.Name(), s.level, allow, got, want)
				}
				if len(dec.problems) > 0 && dec.problems[0].Path != "x."+string(f.Name()) {
					t.Errorf("%s.%s: path %s", d.FullName(), f.Name(), dec.problems[0].Path)
				}
			}
		}
	}
	for _, l := range []level{honoured, partly, noEffect, refused, never} {
		t.Logf("%4d fields %s", count[l], l)
	}
}

// populate sets f to something that is not its default.
func populate(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		v := m.Mutable(f).Map()
		v.Set(protoreflect.ValueOfString("k").MapKey(), v.NewValue())
	case f.IsList():
		v := m.Mutable(f).List()
		v.Append(v.NewElement())
	case f.Message() != nil:
		m.Mutable(f)
	case f.Kind() == protoreflect.EnumKind:
		m.Set(f, protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len()-1).Number()))
	default:
		m.Set(f, scalar(f))
	}
}

func scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("s")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("s"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	}
	return protoreflect.ValueOfFloat64(1)
}

// A field that this program's copy of the API does not have is refused too.
func TestUnknownWireFieldIsRefused(t *testing.T) {
	m := tables()[0].of.ProtoReflect().New().Interface()
	if err := proto.Unmarshal([]byte{0xfa, 0xff, 0x0f, 0x01, 'x'}, m); err != nil {
		t.Fatal(err)
	}
	d := &decoder{}
	d.check("", m)
	if !load.Refused(d.problems) {
		t.Errorf("an unknown field was taken")
	}
}
