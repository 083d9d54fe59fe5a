package load

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// any packs the message that "@type" names. The empty mapping is the empty Any,
// as in Envoy.
func (w *walker) any(dst *anypb.Any, n *yaml.Node, p *path) {
	if n.Kind != yaml.MappingNode {
		w.refuse(p, n, `want a mapping with "@type", got %s`, describe(n))
		return
	}
	entries := w.entries(p, n)
	if len(entries) == 0 || !w.enter(p, n) {
		return
	}
	defer w.leave()
	mt, url := w.anyType(entries, n, p)
	dst.TypeUrl = url
	if mt == nil {
		return
	}
	m := mt.New()
	if hasOwnForm(m.Descriptor()) || isEmptyValue(m.Descriptor(), entries) {
		w.underValue(m, entries, p)
	} else {
		w.message(m, entries, p, "@type")
	}
	packed, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
	if err != nil {
		w.refuse(p, n, "%v", err)
		return
	}
	dst.Value = packed
	w.roots = append(w.roots, root{msg: m.Interface(), node: n, path: p})
}

// anyType resolves "@type"; the type is nil if that was refused.
func (w *walker) anyType(entries []entry, n *yaml.Node, p *path) (protoreflect.MessageType, string) {
	var at *yaml.Node
	for _, e := range entries {
		if e.key == "@type" {
			at = deref(e.value)
		}
	}
	if at == nil {
		w.refuse(p, n, `"@type" is missing: an extension is found by its type, never by its name`)
		return nil, ""
	}
	url := at.Value
	slash := strings.LastIndexByte(url, '/')
	if at.Kind != yaml.ScalarNode || slash < 1 {
		w.refuse(p, at, `"@type" must be type.googleapis.com/<type>, got %s`, describe(at))
		return nil, ""
	}
	name := protoreflect.FullName(url[slash+1:])
	if mt, err := w.types.FindMessageByName(name); err == nil {
		return mt, url
	}
	problem := unknownType(string(name), w.opts)
	problem.Path, problem.Line, problem.Column = p.String(), at.Line, at.Column
	w.report(problem)
	return nil, url
}

// underValue fills a type that has a form of its own from the key "value".
func (w *walker) underValue(m protoreflect.Message, entries []entry, p *path) {
	for _, e := range entries {
		switch value := deref(e.value); {
		case e.key == "@type":
		case e.key != "value":
			w.refuse(p.field(cut(e.key)), e.at, `an Any of %s holds it under "value" and has no other field`, m.Descriptor().FullName())
		case !isNull(value):
			w.embedded(m, value, p.field("value"))
		}
	}
}

// isEmptyValue recognises {"@type": …Empty, value: {}}, as Go's protojson writes
// it.
func isEmptyValue(md protoreflect.MessageDescriptor, entries []entry) bool {
	return md.FullName() == "google.protobuf.Empty" && len(entries) == 2 &&
		slices.ContainsFunc(entries, func(e entry) bool { return e.key == "value" })
}

// unknownType tells an extension that Envoy has from a type that nobody has.
func unknownType(name string, opts Options) Problem {
	switch {
	case envoyHas(name):
		return Problem{
			Text:        fmt.Sprintf("%s: Envoy has this type; it is not supported here", cut(name)),
			Unsupported: true,
			Warning:     opts.AllowUnsupported,
		}
	case isV2(name):
		return Problem{Text: fmt.Sprintf("unknown type %s: Envoy's v2 API is gone, use the v3 type", quoted(name))}
	default:
		return Problem{Text: fmt.Sprintf("unknown type %s: neither Envoy v3 nor this program has it", quoted(name))}
	}
}

// envoyHas looks a message type, or the type that it is nested in, up in the
// table of Envoy's types.
func envoyHas(name string) bool {
	if len(name) > 256 || strings.Contains(name, "\n") {
		return false
	}
	for name != "" {
		if strings.Contains(envoyTypes, "\n"+name+"\n") {
			return true
		}
		name = name[:max(strings.LastIndexByte(name, '.'), 0)]
	}
	return false
}

// isV2 recognises names of Envoy's removed v2 packages.
func isV2(name string) bool {
	if !strings.HasPrefix(name, "envoy.") {
		return false
	}
	return strings.Contains(name, ".v2.") || strings.Contains(name, ".v2alpha") || strings.HasPrefix(name, "envoy.api.v2")
}
