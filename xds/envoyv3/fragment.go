package envoyv3

// Messages that stand alone: what control planes and people keep in files, and
// what is pasted out of documentation.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// Fragment says what is wrong with m, a message of any type that stands at path.
// One that nothing here reads is refused.
func Fragment(path string, m proto.Message, o Options) (problems []Problem) {
	switch m := m.(type) {
	case *listenerv3.Listener:
		_, problems = Listener(path, m, o)
	case *clusterv3.Cluster:
		_, problems = Cluster(path, m, o)
	case *routev3.RouteConfiguration:
		_, problems = RouteTable(path, m, o)
	case *routev3.VirtualHost:
		// It is a table of its own but for the paths of its problems.
		_, problems = RouteTable("", &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{m}}, o)
		for i := range problems {
			problems[i].Path = underPath(path, problems[i].Path, "virtual_hosts[0]")
		}
	case *endpointv3.ClusterLoadAssignment:
		_, problems = Endpoints(path, m, o)
	case *tlsv3.Secret:
		_, problems = Secret(path, m, o)
	default:
		d := &decoder{opts: o}
		name := m.ProtoReflect().Descriptor().FullName()
		if _, known := supportTable()[name]; !known {
			d.unsupported(root(path), "nothing here reads a "+string(name))
			return d.end()
		}
		d.begin(root(path), m)
		problems = d.end()
	}
	return problems
}

// underPath gives what stands below a prefix its place below path.
func underPath(path, p, prefix string) string {
	if len(p) < len(prefix) || p[:len(prefix)] != prefix {
		return path
	}
	p = p[len(prefix):]
	if path == "" && p != "" {
		return p[1:]
	}
	return path + p
}
