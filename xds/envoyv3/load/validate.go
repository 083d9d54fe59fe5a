package load

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// constraintError is what protoc-gen-validate generates for one violation.
type constraintError interface {
	error
	Field() string // Go name, with [index] or [key]
	Reason() string
	Cause() error
	Key() bool
}

// multiError is what ValidateAll returns.
type multiError interface {
	error
	AllErrors() []error
}

// validateRoots runs the generated validators. ValidateAll goes into
// sub-messages by itself, but not into an Any: those are roots of their own.
func (w *walker) validateRoots() {
	parsed := w.problems
	for _, r := range w.roots {
		v, ok := r.msg.(interface{ ValidateAll() error })
		if !ok {
			continue
		}
		if err := v.ValidateAll(); err != nil {
			c := constraints{walker: w, parsed: parsed}
			c.explain(err, r.msg.ProtoReflect().Descriptor(), place{r.path, deref(r.node)})
		}
	}
}

// place is a path and the node there, or the nearest node above.
type place struct {
	path *path
	node *yaml.Node
}

type constraints struct {
	*walker
	parsed []Problem // what the walk found
}

// explain turns the tree of errors about a message of type md into problems
// with proto paths.
func (c constraints) explain(err error, md protoreflect.MessageDescriptor, at place) {
	var violation constraintError
	if multi, ok := err.(multiError); ok { // not errors.As: the cause of a violation is no multiError of this message
		for _, e := range multi.AllErrors() {
			c.explain(e, md, at)
		}
		return
	}
	if !errors.As(err, &violation) {
		c.violated(at, err.Error())
		return
	}
	name, index, _ := strings.Cut(strings.TrimSuffix(violation.Field(), "]"), "[")
	if od := oneofGoNamed(md, name); od != nil {
		c.violated(at, "one of "+memberNames(od)+" is required ("+string(od.Name())+")")
		return
	}
	fd := fieldGoNamed(md, name)
	if fd == nil {
		c.violated(at, violation.Field()+": "+violation.Reason())
		return
	}
	at = at.field(fd)
	if index != "" || strings.HasSuffix(violation.Field(), "]") {
		at = at.element(fd, index)
	}
	if inner := element(fd).Message(); inner != nil && isConstraint(violation.Cause()) {
		c.explain(violation.Cause(), inner, at)
		return
	}
	c.violated(at, reason(violation, fd))
}

// violated reports a violation unless the walk has already said what is wrong
// there: a field that could not be read is missing for the validator.
func (c constraints) violated(at place, text string) {
	p := at.path.String()
	for _, known := range c.parsed {
		if !known.Warning && (known.Path == p || isChild(known.Path, p) || isBelow(p, known.Path)) {
			return
		}
	}
	c.refuse(at.path, at.node, "%s", text)
}

func reason(v constraintError, fd protoreflect.FieldDescriptor) string {
	text := v.Reason()
	if v.Key() {
		text = "key: " + text
	}
	if cause := v.Cause(); cause != nil {
		text += ": " + cause.Error()
	}
	if ed := element(fd).Enum(); ed != nil {
		text += ": want one of " + strings.Join(enumNames(ed), ", ")
	}
	return text
}

func isConstraint(err error) bool {
	switch err.(type) {
	case multiError, constraintError:
		return true
	}
	return false
}

// field steps down to fd; the node stays if the source does not mention it.
func (at place) field(fd protoreflect.FieldDescriptor) place {
	at.path = at.path.field(string(fd.Name()))
	if n := lookup(at.node, string(fd.Name()), fd.JSONName()); n != nil {
		at.node = n
	}
	return at
}

// element steps into a list or map.
func (at place) element(fd protoreflect.FieldDescriptor, index string) place {
	if fd.IsMap() {
		at.path = at.path.key(index)
		if n := lookup(at.node, index); n != nil {
			at.node = n
		}
		return at
	}
	i, err := strconv.Atoi(index)
	if err != nil {
		return at
	}
	at.path = at.path.at(i)
	if at.node.Kind == yaml.SequenceNode && i < len(at.node.Content) {
		at.node = deref(at.node.Content[i])
	}
	return at
}

// element is the descriptor of one value of fd.
func element(fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if fd.IsMap() {
		return fd.MapValue()
	}
	return fd
}

// fieldGoNamed finds a field by its name in Go. Generators differ in where they
// leave underscores, so these do not count.
func fieldGoNamed(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); sameGoName(name, string(fd.Name())) {
			return fd
		}
	}
	return nil
}

func oneofGoNamed(md protoreflect.MessageDescriptor, name string) protoreflect.OneofDescriptor {
	if fieldGoNamed(md, name) != nil {
		return nil
	}
	for i := range md.Oneofs().Len() {
		if od := md.Oneofs().Get(i); sameGoName(name, string(od.Name())) {
			return od
		}
	}
	return nil
}

func sameGoName(goName, protoName string) bool {
	return strings.EqualFold(strings.ReplaceAll(goName, "_", ""), strings.ReplaceAll(protoName, "_", ""))
}

// isBelow says that path p lies below path above.
func isBelow(p, above string) bool {
	rest, ok := strings.CutPrefix(p, above)
	return ok && above != "" && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// isChild says that path p is one step below path above.
func isChild(p, above string) bool {
	if above != "" && !isBelow(p, above) {
		return false
	}
	rest := p[len(above):]
	return rest != "" && !strings.ContainsAny(rest[1:], ".[")
}
