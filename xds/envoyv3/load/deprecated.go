package load

import (
	"github.com/envoyproxy/go-control-plane/envoy/annotations"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// deprecatedField warns of a field that Envoy has deprecated and refuses one
// that Envoy refuses by default (envoy/annotations/deprecation.proto).
func (w *walker) deprecatedField(fd protoreflect.FieldDescriptor, n *yaml.Node, p *path) {
	opts, ok := fd.Options().(*descriptorpb.FieldOptions)
	if !ok || !opts.GetDeprecated() {
		return
	}
	disallowed, _ := proto.GetExtension(opts, annotations.E_DisallowedByDefault).(bool)
	w.deprecated(disallowed, p, n, "deprecated field")
}

func (w *walker) deprecatedEnumValue(ed protoreflect.EnumDescriptor, number protoreflect.EnumNumber, n *yaml.Node, p *path) {
	vd := ed.Values().ByNumber(number)
	if vd == nil {
		return
	}
	opts, ok := vd.Options().(*descriptorpb.EnumValueOptions)
	if !ok || !opts.GetDeprecated() {
		return
	}
	disallowed, _ := proto.GetExtension(opts, annotations.E_DisallowedByDefaultEnum).(bool)
	w.deprecated(disallowed, p, n, "deprecated value "+string(vd.Name()))
}

func (w *walker) deprecated(disallowed bool, p *path, n *yaml.Node, what string) {
	switch {
	case disallowed:
		w.refuse(p, n, "%s: Envoy refuses it unless told otherwise by runtime", what)
	case w.opts.RejectDeprecated:
		w.refuse(p, n, "%s", what)
	default:
		w.warn(p, n, "%s", what)
	}
}
