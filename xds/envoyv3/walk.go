package envoyv3

// The walk that keeps the promise that nothing is silently ignored: every
// populated field of a message must be in the table.

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// check reports each populated field of m and of the messages below it that
// the table does not honour. An Any is not opened: whoever decodes it checks
// what is inside.
func (d *decoder) check(p path, m proto.Message) { d.checkMessage(p, m.ProtoReflect()) }

func (d *decoder) checkMessage(p path, m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		d.unsupported(p, "fields of a newer API than this program knows")
	}
	fields := m.Descriptor().Fields()
	table := d.table(m.Descriptor().FullName())
	for i := range fields.Len() {
		f := fields.Get(i)
		if m.Has(f) {
			d.checkField(p.dot(string(f.Name())), f, m.Get(f), table.field(string(f.Name())))
		}
	}
}

// table is what is honoured of messages of one type, here.
func (d *decoder) table(of protoreflect.FullName) fields {
	if t, own := controlPlaneTable()[of]; own && d.dialled {
		return t
	}
	if d.opts.everything {
		return everythingTable()[of]
	}
	return supportTable()[of]
}

func (d *decoder) checkField(p path, f protoreflect.FieldDescriptor, v protoreflect.Value, s support) {
	switch s.level {
	case refused:
		d.unsupported(p, s.note)
	case never:
		d.never(p, s.note)
	case unbuilt:
		d.notBuilt(p, s.note, typesIn(f, v)...)
	case honoured, partly:
		d.checkBelow(p, f, v)
	}
}

// checkBelow goes down into the messages of an honoured field.
func (d *decoder) checkBelow(p path, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsMap():
		if opened(f.MapValue().Message()) {
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				d.checkMessage(p.key(k.String()), v.Message())
				return true
			})
		}
	case !opened(f.Message()):
	case f.IsList():
		for i := range v.List().Len() {
			d.checkMessage(p.at(i), v.List().Get(i).Message())
		}
	default:
		d.checkMessage(p, v.Message())
	}
}

// opened reports whether the walk goes into messages of this type. Listeners
// and clusters are walked by themselves; Google's own types are values.
func opened(m protoreflect.MessageDescriptor) bool {
	if m == nil || m.ParentFile().Package() == "google.protobuf" {
		return false
	}
	switch m.FullName() {
	case "envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster":
		return false
	}
	return true
}
