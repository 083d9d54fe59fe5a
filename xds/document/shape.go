package document

// What a mapping without a type is likely to be, and other looks at trees of YAML.

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const bootstrapType = "envoy.config.bootstrap.v3.Bootstrap"

// listenerCollection is the one collection with many entries; clusters stand in one, too
// (ClusterCollection has one entry, and Envoy refuses it).
const listenerCollection = "envoy.config.listener.v3.ListenerCollection"

// likelyTypes are what people keep in files without saying its type; of two that
// fit alike the first counts.
func likelyTypes() []protoreflect.FullName {
	return []protoreflect.FullName{
		bootstrapType,
		"envoy.config.listener.v3.Listener",
		"envoy.config.cluster.v3.Cluster",
		"envoy.config.route.v3.RouteConfiguration",
		"envoy.config.endpoint.v3.ClusterLoadAssignment",
		"envoy.config.route.v3.VirtualHost",
		"envoy.extensions.transport_sockets.tls.v3.Secret",
		"envoy.service.runtime.v3.Runtime",
		"envoy.config.route.v3.ScopedRouteConfiguration",
	}
}

// likely is the type of whose fields the mapping has the most; "" if it has none of
// any.
func likely(n *yaml.Node) string {
	best, most := "", 0
	for _, name := range likelyTypes() {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			continue
		}
		fits := 0
		for i := 0; i < len(n.Content); i += 2 {
			if mt.Descriptor().Fields().ByName(protoreflect.Name(snake(n.Content[i].Value))) != nil {
				fits++
			}
		}
		if fits > most {
			best, most = string(name), fits
		}
	}
	return best
}

// snake is a field's name, of which the JSON name may be given.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func join(path, field string) string {
	if path == "" || field == "" || field[0] == '[' {
		return path + field
	}
	return path + "." + field
}

func deref(n *yaml.Node) *yaml.Node {
	for {
		switch {
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		default:
			return n
		}
	}
}

// child is the value of a field, or nil.
func child(n *yaml.Node, field string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if snake(n.Content[i].Value) == field {
			return deref(n.Content[i+1])
		}
	}
	return nil
}

// typeOf is the name in "@type"; "" if there is none.
func typeOf(n *yaml.Node) string {
	t := child(n, "@type")
	if t == nil || t.Kind != yaml.ScalarNode {
		return ""
	}
	return t.Value[strings.LastIndexByte(t.Value, '/')+1:]
}

// untyped is n without its "@type".
func untyped(n *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "@type" {
			bare := *n
			bare.Content = append(append([]*yaml.Node{}, n.Content[:i]...), n.Content[i+2:]...)
			return &bare
		}
	}
	return n
}
