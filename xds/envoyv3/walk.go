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
func (d *decoder) check(p path, m proto.Message) {
	t := trail{decoder: d, top: p}
	t.message(m.ProtoReflect())
}

// trail is where the walk is. Its path is only put together for a problem: tables
// have tens of thousands of fields.
type trail struct {
	*decoder
	top   path
	steps []step
}

// step goes to a field, to an item of a list, or to an entry of a map.
type step struct {
	field string
	index int
	key   *string
}

func (t *trail) path() path {
	p := t.top
	for _, s := range t.steps {
		switch {
		case s.key != nil:
			p = p.key(*s.key)
		case s.field != "":
			p = p.dot(s.field)
		default:
			p = p.at(s.index)
		}
	}
	return p
}

func (t *trail) enter(s step) { t.steps = append(t.steps, s) }
func (t *trail) leave()       { t.steps = t.steps[:len(t.steps)-1] }

func (t *trail) message(m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		t.unsupported(t.path(), "fields of a newer API than this program knows")
	}
	fields := m.Descriptor().Fields()
	table := t.table(m.Descriptor().FullName())
	for i := range fields.Len() {
		f := fields.Get(i)
		if m.Has(f) {
			t.enter(step{field: string(f.Name())})
			t.found(f, m.Get(f), table.field(string(f.Name())))
			t.leave()
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

func (t *trail) found(f protoreflect.FieldDescriptor, v protoreflect.Value, s support) {
	switch s.level {
	case refused:
		t.unsupported(t.path(), s.note)
	case never:
		t.never(t.path(), s.note)
	case unbuilt:
		t.notBuilt(t.path(), s.note, typesIn(f, v)...)
	case honoured, partly:
		t.below(f, v)
	}
}

// below goes down into the messages of an honoured field.
func (t *trail) below(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsMap():
		if opened(f.MapValue().Message()) {
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				name := k.String()
				t.enter(step{key: &name})
				t.message(v.Message())
				t.leave()
				return true
			})
		}
	case !opened(f.Message()):
	case f.IsList():
		for i := range v.List().Len() {
			t.enter(step{index: i})
			t.message(v.List().Get(i).Message())
			t.leave()
		}
	default:
		t.message(v.Message())
	}
}

// opened reports whether the walk goes into messages of this type. Listeners
// and clusters are walked by themselves; Google's own types are values.
func opened(m protoreflect.MessageDescriptor) bool {
	if m == nil {
		return false
	}
	switch m.ParentFile().Package() {
	case "google.protobuf", "google.api.expr.v1alpha1", "cel.expr": // values, and expressions, which are read whole
		return false
	case "envoy.config.common.matcher.v3": // the same as xDS's, and read as that
		return false
	}
	switch m.FullName() {
	case "envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster":
		return false
	}
	return true
}
