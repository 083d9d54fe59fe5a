package ambassador

// Envoy resources that the file gives as they are.

import (
	"maps"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server"
)

// Raw is Envoy resources that are sent as they are.
type Raw struct {
	resources []rawResource
}

type rawResource struct {
	path, name string
	message    proto.Message
	sent       *server.Resource
}

// rawKinds are the fields of envoy and the resources in them.
func rawKinds() map[string]proto.Message {
	return map[string]proto.Message{
		"listeners":  &listenerv3.Listener{},
		"clusters":   &clusterv3.Cluster{},
		"routes":     &routev3.RouteConfiguration{},
		"endpoints":  &endpointv3.ClusterLoadAssignment{},
		"secrets":    &tlsv3.Secret{},
		"extensions": &corev3.TypedExtensionConfig{},
		"runtimes":   &runtimev3.Runtime{},
	}
}

func (raw *Raw) fromNode(r *reader, n *yaml.Node, path string) {
	kinds := rawKinds()
	names := slices.Sorted(maps.Keys(kinds))
	given := r.entries(n, path, names)
	for _, field := range names {
		list, ok := given[field]
		if !ok {
			continue
		}
		for list.Kind == yaml.AliasNode {
			list = list.Alias
		}
		if list.Kind != yaml.SequenceNode {
			r.refuse(dot(path, field), "want a list")
			continue
		}
		for i, item := range list.Content {
			raw.add(r, item, at(dot(path, field), i), proto.Clone(kinds[field]))
		}
	}
}

func (raw *Raw) add(r *reader, n *yaml.Node, path string, m proto.Message) {
	r.places[path] = location{n.Line, n.Column}
	r.problems = append(r.problems, load.FromNode(n, path, m, protoregistry.GlobalTypes, load.Options{})...)
	name := resourceName(m)
	if name == "" && !load.Refused(r.problems) {
		r.refuse(path, "a resource needs a name")
	}
	raw.resources = append(raw.resources, rawResource{path: path, name: name, message: m})
}

// resourceName is by what a client asks for m.
func resourceName(m proto.Message) string {
	switch m := m.(type) {
	case *endpointv3.ClusterLoadAssignment:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

// raw checks the ambassador's raw resources: names that no port has taken, and
// for attache that it can do what they say.
func (r *reader) raw(a *Ambassador, path string, ports map[string]string) {
	seen := map[string]string{}
	for i := range a.Envoy.resources {
		x := &a.Envoy.resources[i]
		key := string(x.message.ProtoReflect().Descriptor().Name()) + " " + x.name
		if first, twice := seen[key]; twice {
			r.refuse(x.path, "%q is also the name of %s", x.name, first)
		}
		seen[key] = x.path
		port, _, _ := strings.Cut(x.name, "/")
		if first, twice := ports[port]; twice && !isService(x.name) {
			r.refuse(x.path, "%q is also the name of %s", x.name, first)
		}
		if a.rawClients().has(Attache) {
			r.forAttache(x)
		}
		var err error
		if x.sent, err = server.NewResource(x.name, x.message); err != nil {
			r.refuse(x.path, "%v", err)
		}
	}
}

// rawClients are who gets raw resources.
func (a *Ambassador) rawClients() clientSet {
	if len(a.Clients) == 0 {
		return setOf(Attache, Envoy)
	}
	return setOf(a.Clients...)
}

// forAttache refuses by path what attache cannot do.
func (r *reader) forAttache(x *rawResource) {
	problems := attacheProblems(x.path, x.message)
	for _, p := range problems {
		if !p.Warning {
			p.Text = "not for attache: " + p.Text + " (clients: [envoy] sends it to Envoy alone)"
		}
		at := r.placeOf(p.Path)
		p.Line, p.Column = at.line, at.column
		r.problems = append(r.problems, p)
	}
}

// attacheProblems are what attache cannot do of a resource.
func attacheProblems(path string, m proto.Message) (problems []Problem) {
	o := envoyv3.Options{}
	switch m := m.(type) {
	case *listenerv3.Listener:
		_, problems = envoyv3.Listener(path, m, o)
	case *clusterv3.Cluster:
		_, problems = envoyv3.Cluster(path, m, o)
	case *routev3.RouteConfiguration:
		_, problems = envoyv3.RouteTable(path, m, o)
	case *endpointv3.LbEndpoint:
		_, problems = envoyv3.Endpoint(path, m, o)
	case *endpointv3.ClusterLoadAssignment:
		_, problems = envoyv3.Endpoints(path, m, o)
	}
	return problems
}

// isService says that a name is a reference to a service.
func isService(name string) bool { return strings.Contains(name, "://") }

// services are those that raw clusters of type EDS name in place of a resource.
func (raw *Raw) services() (all []discovery.Service) {
	for _, x := range raw.resources {
		c, ok := x.message.(*clusterv3.Cluster)
		if !ok || c.GetType() != clusterv3.Cluster_EDS {
			continue
		}
		if s, err := discovery.ParseService(c.GetEdsClusterConfig().GetServiceName()); err == nil {
			all = append(all, s)
		}
	}
	return all
}
