package server

import (
	"fmt"
	"strconv"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	runtime "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shorts are the types that scripts use.
func shorts() map[string]string {
	return map[string]string{
		"cluster": resource.ClusterType, "endpoint": resource.EndpointType, "listener": resource.ListenerType,
		"route": resource.RouteType, "runtime": resource.RuntimeType, "lbendpoint": lbEndpointType,
	}
}

func longType(short string) string { return shorts()[short] }

func shortType(long string) string {
	for short, url := range shorts() {
		if url == long {
			return short
		}
	}
	return long
}

// message makes a resource whose content is a number.
func message(short, name, content string) (proto.Message, error) {
	switch short {
	case "cluster":
		return &cluster.Cluster{Name: name, AltStatName: content}, nil
	case "endpoint":
		return &endpoint.ClusterLoadAssignment{ClusterName: name, NamedEndpoints: map[string]*endpoint.Endpoint{content: {}}}, nil
	case "listener":
		return &listener.Listener{Name: name, StatPrefix: content}, nil
	case "route":
		return &route.RouteConfiguration{Name: name, InternalOnlyHeaders: []string{content}}, nil
	case "runtime":
		return &runtime.Runtime{Name: name, Layer: &structpb.Struct{Fields: map[string]*structpb.Value{content: structpb.NewNullValue()}}}, nil
	case "lbendpoint":
		n, err := strconv.ParseUint(content, 10, 32)
		return &endpoint.LbEndpoint{LoadBalancingWeight: wrapperspb.UInt32(uint32(n))}, err
	}
	return nil, fmt.Errorf("no type %q", short)
}

// nameAndContent reads what message made.
func nameAndContent(body *anypb.Any) (name, content string) {
	m, err := body.UnmarshalNew()
	if err != nil {
		return "?", err.Error()
	}
	switch m := m.(type) {
	case *cluster.Cluster:
		return m.GetName(), m.GetAltStatName()
	case *endpoint.ClusterLoadAssignment:
		for content := range m.GetNamedEndpoints() {
			return m.GetClusterName(), content
		}
	case *listener.Listener:
		return m.GetName(), m.GetStatPrefix()
	case *route.RouteConfiguration:
		return m.GetName(), strings.Join(m.GetInternalOnlyHeaders(), "+")
	case *runtime.Runtime:
		for content := range m.GetLayer().GetFields() {
			return m.GetName(), content
		}
	case *endpoint.LbEndpoint:
		return "", decimal(m.GetLoadBalancingWeight().GetValue())
	}
	return "?", "?"
}

// parseBundle reads type:name=content words.
func parseBundle(words []string) (*Bundle, error) {
	byType := map[string]map[string]*Resource{}
	for _, word := range words {
		short, rest, _ := strings.Cut(word, ":")
		name, content, _ := cutLast(rest, "=")
		m, err := message(short, name, content)
		if err != nil {
			return nil, err
		}
		r, err := NewResource(name, m)
		if err != nil {
			return nil, err
		}
		typeURL := longType(short)
		if byType[typeURL] == nil {
			byType[typeURL] = map[string]*Resource{}
		}
		byType[typeURL][name] = r
	}
	return NewBundle(byType), nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
