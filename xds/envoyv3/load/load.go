// Package load turns the Envoy v3 YAML or JSON that people write into protobuf
// messages, and says everything that is wrong with it, each with its place.
//
//	bytes ── limits, JSON or YAML ──> yaml.Node tree            parse.go, json.go
//	tree + descriptor ── walk ──> message, problems by line     walk.go, scalar.go, wellknown.go, any.go
//	message and every message inside an Any ── PGV ──> problems  validate.go
//
// What is taken is what Envoy takes (source/common/protobuf/yaml_utility.cc and
// the legacy mode of C++ protobuf's JSON parser): enums in any case, one value
// where a list is due, {seconds: 5} for a Duration, "false" for a bool, an Any
// of Struct without value, anchors, the !ignore tag, snake_case and camelCase.
// Go's protojson refuses most of these.
//
// The package keeps no state; any goroutine may call it.
package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// Limits of one document. They are checked before memory is taken for what
// exceeds them.
const (
	// MaxSize is the longest document read, in bytes.
	MaxSize = 4 << 20
	// MaxDepth is how deep mappings and lists may nest (aliases followed): the
	// recursion limit of C++ protobuf's JSON parser.
	MaxDepth = 100
	// maxNodes and maxText bound what aliases may expand to: nodes visited and
	// bytes of scalar text visited.
	maxNodes = 500_000
	maxText  = 16 << 20
	// maxProblems ends the walk of a hopeless document; as many warnings are
	// given, and more counted.
	maxProblems = 500
)

// Problem is one thing wrong with a document.
type Problem struct {
	// Path is the proto path with list indices and map keys, such as
	// static_resources.listeners[0].filter_chains[0].filters[1].typed_config.route_config;
	// empty for the document itself.
	Path string
	// Line and Column are 1-based places in the source; 0 when not known.
	Line, Column int
	// Text says what is wrong and what is allowed.
	Text string
	// Warning marks what does not hinder loading.
	Warning bool
	// Unsupported marks an extension that Envoy has and this program has not
	// linked; see Options.AllowUnsupported.
	Unsupported bool
	// Unbuilt marks, with Warning, what is taken and does nothing here, because it
	// cannot change how a request is answered: a stat sink, a tracer.
	Unbuilt bool
	// Ends marks the limit at which reading ended: what follows was not looked at.
	Ends bool
}

// String is "12:3: path: text", leaving out what is not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Refused reports whether any of the problems is more than a warning.
func Refused(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// Resolver finds the message type that an Any names. Its google.protobuf types
// must be the generated ones. protoregistry.GlobalTypes is one, and holds what
// types.go imports.
type Resolver interface {
	FindMessageByName(protoreflect.FullName) (protoreflect.MessageType, error)
}

// Options choose how strict loading is. The zero value is Envoy's default for
// static configuration.
type Options struct {
	// AllowUnknownStatic turns unknown fields into warnings
	// (Envoy's --allow-unknown-static-fields).
	AllowUnknownStatic bool
	// RejectDeprecated turns deprecated fields and enum values from warnings
	// into refusals.
	RejectDeprecated bool
	// AllowUnsupported turns Any types that Envoy has and this program has not
	// into warnings; such an Any keeps its type_url and has no value.
	AllowUnsupported bool
	// AllowDuplicateKeys turns a key that a mapping has twice into a warning; the
	// last one counts, as in Envoy, whose own front_proxy example has some.
	AllowDuplicateKeys bool
}

// Into reads doc (the content of the file called name; a name ending in .json
// is read as JSON if it is JSON) into msg, which should be empty. It returns
// every problem found, by line; msg is filled as far as it could be and is to
// be used only if Refused says no.
func Into(doc []byte, name string, msg proto.Message, types Resolver, opts Options) []Problem {
	root, problem := parse(doc, name)
	if problem != nil {
		return []Problem{*problem}
	}
	return newWalker(types, opts).run(msg, root, nil)
}

// Named is Into for a message type given by its full name, such as
// envoy.config.route.v3.RouteConfiguration.
func Named(doc []byte, name, typeName string, types Resolver, opts Options) (proto.Message, []Problem) {
	mt, err := types.FindMessageByName(protoreflect.FullName(typeName))
	if err != nil {
		return nil, []Problem{unknownType(typeName, opts)}
	}
	msg := mt.New().Interface()
	return msg, Into(doc, name, msg, types, opts)
}

// FromStruct reads s, the value of a TypedStruct found at path, into msg.
// Problems have paths below path and no lines.
func FromStruct(s *structpb.Struct, path string, msg proto.Message, types Resolver, opts Options) []Problem {
	return newWalker(types, opts).run(msg, structNode(s), rootPath(path))
}

// Validate reports what the rules that Envoy's API gives for each field find
// wrong with msg, which did not come from a document and stands at path. It does
// not look into an Any.
func Validate(path string, msg proto.Message) []Problem {
	w := newWalker(nil, Options{})
	w.roots = []root{{msg: msg, node: &yaml.Node{}, path: rootPath(path)}}
	w.validateRoots()
	return w.problems
}

// run fills msg from n, validates it and returns the problems in source order.
func (w *walker) run(msg proto.Message, n *yaml.Node, p *path) []Problem {
	w.embedded(msg.ProtoReflect(), deref(n), p)
	w.roots = append(w.roots, root{msg: msg, node: n, path: p})
	if !w.halted && deref(n).Kind == yaml.MappingNode {
		w.validateRoots()
	}
	slices.SortStableFunc(w.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := w.warnings - maxProblems; more > 0 {
		w.problems = append(w.problems, Problem{Warning: true, Text: fmt.Sprintf("%d more warnings", more)})
	}
	return w.problems
}
