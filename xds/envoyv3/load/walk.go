package load

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const tooDeep = "nested deeper than 100 levels"

// walker goes through the tree and the descriptors together.
type walker struct {
	types    Resolver
	opts     Options
	problems []Problem
	roots    []root // every message that PGV must see by itself

	nodes, text, depth int
	warnings           int  // given so far; those beyond maxProblems are only counted
	halted             bool // a limit was exceeded: nothing more is read
}

// root is a message that no other message validates: the document's own, or
// one packed in an Any.
type root struct {
	msg  proto.Message
	node *yaml.Node
	path *path
}

func newWalker(types Resolver, opts Options) *walker { return &walker{types: types, opts: opts} }

func (w *walker) report(p Problem) {
	if w.halted {
		return
	}
	if p.Warning {
		if w.warnings++; w.warnings > maxProblems {
			return
		}
	} else if len(w.problems)-min(w.warnings, maxProblems) == maxProblems {
		w.halted = true
		p = Problem{Line: p.Line, Column: p.Column, Text: "too many problems; the rest is not looked at", Ends: true}
	}
	w.problems = append(w.problems, p)
}

func (w *walker) refuse(p *path, n *yaml.Node, format string, args ...any) {
	w.report(Problem{Path: p.String(), Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
}

func (w *walker) warn(p *path, n *yaml.Node, format string, args ...any) {
	w.report(Problem{Path: p.String(), Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...), Warning: true})
}

func (w *walker) halt(p *path, n *yaml.Node, format string, args ...any) {
	w.report(Problem{Path: p.String(), Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...), Ends: true})
	w.halted = true
}

// visit counts a node against the limits and reports whether to go on.
func (w *walker) visit(p *path, n *yaml.Node) bool {
	n = deref(n)
	w.nodes++
	w.text += len(n.Value)
	if w.nodes > maxNodes {
		w.halt(p, n, "more than %d values, aliases followed", maxNodes)
	} else if w.text > maxText {
		w.halt(p, n, "more than %d bytes of text, aliases followed", maxText)
	}
	return !w.halted
}

// enter goes one level down; leave must follow if it says true.
func (w *walker) enter(p *path, n *yaml.Node) bool {
	if w.depth == MaxDepth {
		w.halt(p, n, tooDeep)
	}
	if w.halted {
		return false
	}
	w.depth++
	return true
}

func (w *walker) leave() { w.depth-- }

// message sets the fields of m from the entries of a mapping. typeKey is
// "@type" for a message inside an Any, whose mapping has that key beside the
// fields.
func (w *walker) message(m protoreflect.Message, entries []entry, p *path, typeKey string) {
	set := map[protoreflect.Name]string{} // field or oneof -> the key that set it
	for _, e := range entries {
		if e.key == typeKey && typeKey != "" {
			continue
		}
		fd := fieldNamed(m.Descriptor(), e.key)
		if fd == nil {
			w.unknownField(m.Descriptor(), e, p)
			continue
		}
		value := deref(e.value)
		if isNull(value) && !takesNull(fd) {
			continue
		}
		at := p.field(string(fd.Name()))
		if w.setTwice(set, fd, e, at) {
			continue
		}
		w.deprecatedField(fd, e.at, at)
		w.field(m, fd, value, at)
	}
}

// setTwice reports a field given under both its names and a second member of a
// oneof.
func (w *walker) setTwice(set map[protoreflect.Name]string, fd protoreflect.FieldDescriptor, e entry, p *path) bool {
	slot := fd.Name()
	oneof := fd.ContainingOneof()
	if oneof != nil && !oneof.IsSynthetic() {
		slot = oneof.Name()
	}
	before, twice := set[slot]
	set[slot] = e.key
	switch {
	case !twice:
		return false
	case slot == fd.Name():
		w.refuse(p, e.at, "set twice, as %q and as %q", before, e.key)
	default:
		w.refuse(p, e.at, "cannot be set together with %s: at most one of %s (%s)", before, memberNames(oneof), oneof.Name())
	}
	return true
}

// field sets fd of m from a node that is no alias.
func (w *walker) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) {
	switch {
	case fd.IsMap():
		w.mapField(m, fd, n, p)
	case fd.IsList():
		w.list(m.Mutable(fd).List(), fd, n, p)
	case fd.Message() != nil:
		w.embedded(m.Mutable(fd).Message(), n, p)
	default:
		if v, ok := w.scalar(fd, n, p); ok {
			m.Set(fd, v)
		}
	}
}

// list appends the items of a sequence. As in C++ protobuf's legacy JSON mode,
// a value that is no sequence is its only item, and a sequence within a
// sequence is spliced in.
func (w *walker) list(l protoreflect.List, fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) {
	if n.Kind != yaml.SequenceNode {
		w.item(l, fd, n, p.at(l.Len()))
		return
	}
	if !w.enter(p, n) {
		return
	}
	defer w.leave()
	for _, item := range n.Content {
		item = deref(item)
		if item.Kind == yaml.SequenceNode && !takesList(fd) {
			w.list(l, fd, item, p)
		} else {
			w.item(l, fd, item, p.at(l.Len()))
		}
		if w.halted {
			return
		}
	}
}

// item appends one item, an empty one if it is null or bad, so that the indices
// of later problems are right.
func (w *walker) item(l protoreflect.List, fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) {
	v := l.NewElement()
	switch {
	case !w.visit(p, n):
		return
	case isNull(n) && !takesNull(fd):
	case fd.Message() != nil:
		w.embedded(v.Message(), n, p)
	default:
		if got, ok := w.scalar(fd, n, p); ok {
			v = got
		}
	}
	l.Append(v)
}

// mapField sets the entries of a map. A null value is an empty one.
func (w *walker) mapField(m protoreflect.Message, fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) {
	if n.Kind != yaml.MappingNode {
		w.refuse(p, n, "want a mapping, got %s", describe(n))
		return
	}
	dst := m.Mutable(fd).Map()
	for _, e := range w.entries(p, n) {
		at := p.key(e.key)
		key, ok := w.scalar(fd.MapKey(), e.at, at)
		if !ok {
			continue
		}
		value, item := dst.NewValue(), deref(e.value)
		switch {
		case isNull(item) && !takesNull(fd.MapValue()):
		case fd.MapValue().Message() != nil:
			w.embedded(value.Message(), item, at)
		default:
			if got, ok := w.scalar(fd.MapValue(), item, at); ok {
				value = got
			}
		}
		dst.Set(key.MapKey(), value)
	}
}

// fieldNamed finds a field by its proto name or its JSON name.
func fieldNamed(md protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(key)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(key)
}

// takesNull says that null is a value of the field rather than its absence.
func takesNull(fd protoreflect.FieldDescriptor) bool {
	switch {
	case fd.Message() != nil:
		return fd.Message().FullName() == "google.protobuf.Value" && !fd.IsMap()
	case fd.Enum() != nil:
		return fd.Enum().FullName() == "google.protobuf.NullValue"
	}
	return false
}

// takesList says that an item of the field can itself be a list.
func takesList(fd protoreflect.FieldDescriptor) bool {
	if fd.Message() == nil {
		return false
	}
	name := fd.Message().FullName()
	return name == "google.protobuf.Value" || name == "google.protobuf.ListValue"
}

// sorted ranges over a map by key.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
