// Package transcoding makes JSON of protobuf messages and back, as google.api.http says of the methods of a set of
// descriptors (github.com/grpc-ecosystem/grpc-httpjson-transcoding, which Envoy's filter uses). It alone knows protobuf
// in the data plane (docs/decisions/0015): its values are text and bytes. Any goroutine.
//
//	descriptors, services ──Compile──▶ Table ──Find(GET /shelves/7?x=1)──▶ Call ──┬─ Request: JSON ─▶ message
//	                                                                              └─ Answer: message ─▶ JSON
package transcoding

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Codes of failures, as gRPC numbers them.
const (
	InvalidArgument = 3
	NotFound        = 5
)

// Failure is why something cannot be made.
type Failure struct {
	Code int // InvalidArgument or NotFound
	Text string
}

func invalid(format string, args ...any) *Failure {
	return &Failure{InvalidArgument, fmt.Sprintf(format, args...)}
}

// Name is how details have the code.
func (f *Failure) Name() string {
	if f.Code == NotFound {
		return "NOT_FOUND"
	}
	return "INVALID_ARGUMENT"
}

// Table is what the methods of a filter's services are bound to. Immutable.
type Table struct {
	cfg   *config.Transcoder
	root  node
	verbs map[string]bool
	types *dynamicpb.Types
	print protojson.MarshalOptions
	read  protojson.UnmarshalOptions
}

// method is one method of a service with one of its bindings' body.
type method struct {
	desc        protoreflect.MethodDescriptor
	in, out     []protoreflect.FieldDescriptor // where the bodies are; empty: all of the message
	inIs, outIs bool                           // the bodies are google.api.HttpBody
	enums       bool                           // the request has, or may have, values of enums
	path        string
}

// Compile compiles a filter's configuration; the errors are Envoy's. Without services it
// gives nil.
func Compile(cfg *config.Transcoder) (*Table, error) {
	if len(cfg.Services) == 0 {
		return nil, nil
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal([]byte(cfg.Descriptors), set); err != nil {
		return nil, fmt.Errorf("transcoding_filter: Unable to parse proto descriptor")
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("transcoding_filter: Unable to build proto descriptor pool: %w", err)
	}
	t := &Table{cfg: cfg, verbs: map[string]bool{}, types: dynamicpb.NewTypes(files)}
	t.print = protojson.MarshalOptions{
		UseEnumNumbers: cfg.Print.EnumNumbers, UseProtoNames: cfg.Print.ProtoNames,
		EmitDefaultValues: cfg.Print.Defaults, Resolver: t.types,
	}
	t.read = protojson.UnmarshalOptions{DiscardUnknown: true, Resolver: t.types, AllowPartial: true}
	for _, name := range cfg.Services {
		d, err := files.FindDescriptorByName(protoreflect.FullName(name))
		service, is := d.(protoreflect.ServiceDescriptor)
		if err != nil || !is {
			return nil, fmt.Errorf("transcoding_filter: Could not find '%s' in the proto descriptor", name)
		}
		for i := range service.Methods().Len() {
			if err := t.add(service.Methods().Get(i)); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// add binds one method.
func (t *Table) add(d protoreflect.MethodDescriptor) error {
	rule, _ := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
	path := "/" + string(d.Parent().FullName()) + "/" + string(d.Name())
	if rule == nil {
		if !t.cfg.AutoMapping {
			return nil
		}
		rule = &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}
	}
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		m := &method{desc: d, path: path, enums: namesEnums(d.Input(), map[protoreflect.FullName]bool{})}
		if err := m.bodies(r); err != nil {
			return fmt.Errorf("transcoding_filter: Cannot register '%s': %w", d.FullName(), err)
		}
		verb, pattern := patternOf(r)
		if !t.insert(verb, pattern, m) {
			return fmt.Errorf("transcoding_filter: Cannot register '%s' to path matcher", d.FullName())
		}
	}
	return nil
}

func patternOf(r *annotations.HttpRule) (verb, pattern string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}

const httpBody = "google.api.HttpBody"

// bodies finds where the bodies are (JsonTranscoderConfig::createMethodInfo).
func (m *method) bodies(r *annotations.HttpRule) error {
	var fail *Failure
	if body := r.GetBody(); body != "" && body != "*" {
		if m.in, fail = fieldPath(m.desc.Input(), strings.Split(body, ".")); fail != nil {
			return fmt.Errorf("%s", fail.Text)
		}
	}
	if body := r.GetResponseBody(); body != "" && body != "*" {
		if m.out, fail = fieldPath(m.desc.Output(), strings.Split(body, ".")); fail != nil {
			return fmt.Errorf("%s", fail.Text)
		}
	}
	m.inIs, m.outIs = isHTTPBody(m.desc.Input(), m.in), isHTTPBody(m.desc.Output(), m.out)
	if len(m.out) > 0 && !m.outIs {
		return fmt.Errorf(`setting "response_body" is not supported yet for non-HttpBody fields: %s`, m.desc.FullName())
	}
	return nil
}

func isHTTPBody(m protoreflect.MessageDescriptor, at []protoreflect.FieldDescriptor) bool {
	if len(at) > 0 {
		m = at[len(at)-1].Message()
	}
	return m != nil && m.FullName() == httpBody
}

// fieldPath finds the fields that names lead to (TypeHelper::ResolveFieldPath).
func fieldPath(m protoreflect.MessageDescriptor, names []string) (at []protoreflect.FieldDescriptor, fail *Failure) {
	for i, name := range names {
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			f = m.Fields().ByJSONName(name)
		}
		if f == nil {
			return nil, invalid("Could not find field \"%s\" in the type \"%s\".", name, m.FullName())
		}
		at = append(at, f)
		if i == len(names)-1 {
			return at, nil
		}
		if m = f.Message(); m == nil || f.IsList() || f.IsMap() {
			return nil, invalid("Encountered a non-leaf field \"%s\" that is not a message while parsing a field path", name)
		}
	}
	return at, nil
}
