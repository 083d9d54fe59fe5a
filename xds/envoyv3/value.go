package envoyv3

// Metadata: free-form values as config has them.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// filterMetadata reads the namespaces of m that hold plain values; nil if there
// are none.
func filterMetadata(m *corev3.Metadata) config.FilterMetadata {
	if len(m.GetFilterMetadata()) == 0 {
		return nil
	}
	all := config.FilterMetadata{}
	for namespace, s := range m.GetFilterMetadata() {
		all[namespace] = fieldsOf(s)
	}
	return all
}

// typedMetadata reads the namespaces of m that hold messages; nil if there are none.
func typedMetadata(m *corev3.Metadata) config.TypedMetadata {
	if len(m.GetTypedFilterMetadata()) == 0 {
		return nil
	}
	all := config.TypedMetadata{}
	for namespace, a := range m.GetTypedFilterMetadata() {
		all[namespace] = messageOf(a)
	}
	return all
}

func messageOf(a *anypb.Any) config.Message {
	return config.Message{URL: a.GetTypeUrl(), Bytes: string(a.GetValue())}
}

func fieldsOf(s *structpb.Struct) map[string]config.Value {
	fields := make(map[string]config.Value, len(s.GetFields()))
	for key, v := range s.GetFields() {
		fields[key] = valueOf(v)
	}
	return fields
}

// valueOf reads one value; how deep they nest was bounded when they were read.
func valueOf(v *structpb.Value) config.Value {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return config.Value{Kind: config.ValueText, Text: k.StringValue}
	case *structpb.Value_NumberValue:
		return config.Value{Kind: config.ValueNumber, Number: k.NumberValue}
	case *structpb.Value_BoolValue:
		return config.Value{Kind: config.ValueBool, Bool: k.BoolValue}
	case *structpb.Value_ListValue:
		list := make([]config.Value, len(k.ListValue.GetValues()))
		for i, item := range k.ListValue.GetValues() {
			list[i] = valueOf(item)
		}
		return config.Value{Kind: config.ValueList, List: list}
	case *structpb.Value_StructValue:
		return config.Value{Kind: config.ValueStruct, Fields: fieldsOf(k.StructValue)}
	}
	return config.Value{}
}
