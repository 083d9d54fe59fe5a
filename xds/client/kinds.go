package client

// The types of resource: one literal table.

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/secretfile"
)

// kind is a type of resource. The order is that of make before break: what is
// named comes before what names it.
type kind uint8

const (
	rtds kind = iota
	sds
	cds
	eds
	leds
	lds
	srds
	rds
	vhds
	ecds
	kindCount
)

const typePrefix = "type.googleapis.com/"

// kinds says what a kind is called and how one resource of it is read.
var kinds = [kindCount]struct {
	name   string // as in statistics
	word   string // what one resource is called in messages
	url    string
	stream string // gRPC methods of its own service
	delta  string
	rest   string // path of its REST method
	whole  bool   // a state-of-the-world response holds every resource
	read   func(*reading) (name string, value any)
}{
	rtds: {
		name: "rtds", word: "runtime layer", url: typePrefix + "envoy.service.runtime.v3.Runtime",
		stream: "/envoy.service.runtime.v3.RuntimeDiscoveryService/StreamRuntime",
		delta:  "/envoy.service.runtime.v3.RuntimeDiscoveryService/DeltaRuntime",
		rest:   "/v3/discovery:runtime",
		read:   readRuntime,
	},
	cds: {
		name: "cds", word: "cluster", url: typePrefix + "envoy.config.cluster.v3.Cluster", whole: true,
		stream: "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
		delta:  "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
		rest:   "/v3/discovery:clusters",
		read:   readCluster,
	},
	eds: {
		name: "eds", word: "endpoints", url: typePrefix + "envoy.config.endpoint.v3.ClusterLoadAssignment",
		stream: "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
		delta:  "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
		rest:   "/v3/discovery:endpoints",
		read:   readEndpoints,
	},
	leds: { // delta only
		name: "leds", word: "collection", url: typePrefix + "envoy.config.endpoint.v3.LbEndpoint",
		delta: "/envoy.service.endpoint.v3.LocalityEndpointDiscoveryService/DeltaLocalityEndpoints",
		read:  readMember,
	},
	lds: {
		name: "lds", word: "listener", url: typePrefix + "envoy.config.listener.v3.Listener", whole: true,
		stream: "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
		delta:  "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners",
		rest:   "/v3/discovery:listeners",
		read:   readListener,
	},
	srds: {
		name: "srds", word: "scope", url: typePrefix + "envoy.config.route.v3.ScopedRouteConfiguration", whole: true,
		stream: "/envoy.service.route.v3.ScopedRoutesDiscoveryService/StreamScopedRoutes",
		delta:  "/envoy.service.route.v3.ScopedRoutesDiscoveryService/DeltaScopedRoutes",
		rest:   "/v3/discovery:scoped-routes",
		read:   readScope,
	},
	rds: {
		name: "rds", word: "route table", url: typePrefix + "envoy.config.route.v3.RouteConfiguration",
		stream: "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
		delta:  "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes",
		rest:   "/v3/discovery:routes",
		read:   readRoutes,
	},
	vhds: { // delta only
		name: "vhds", word: "virtual host", url: typePrefix + "envoy.config.route.v3.VirtualHost",
		delta: "/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts",
		read:  readHost,
	},
	sds: {
		name: "sds", word: "secret", url: typePrefix + "envoy.extensions.transport_sockets.tls.v3.Secret",
		stream: "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
		delta:  "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
		rest:   "/v3/discovery:secrets",
		read:   readSecret,
	},
	ecds: {
		name: "ecds", word: "extension", url: typePrefix + "envoy.config.core.v3.TypedExtensionConfig",
		stream: "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
		delta:  "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
		rest:   "/v3/discovery:extension_configs",
		read:   readExtension,
	},
}

// Methods of the aggregated service.
const (
	aggregated      = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	aggregatedDelta = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// kindOf finds the kind of a type URL.
func kindOf(url string) (kind, bool) {
	for k := range kinds {
		if kinds[k].url == url {
			return kind(k), true
		}
	}
	return kindCount, false
}

// wholeType says of which types a state-of-the-world response holds everything.
func wholeType(url string) bool {
	k, known := kindOf(url)
	return known && kinds[k].whole
}

// reading is one resource being read.
type reading struct {
	name     string // as the envelope says it; "" if there is none
	body     []byte
	before   *version // the version that is known by the name; nil if none is
	options  envoyv3.Options
	problems []envoyv3.Problem
}

// parse reads the body into m.
func (r *reading) parse(m proto.Message) {
	if err := proto.Unmarshal(r.body, m); err != nil {
		r.problems = append(r.problems, envoyv3.Problem{Text: "not a message of its type: " + err.Error()})
	}
}

func readCluster(r *reading) (string, any) {
	m := &clusterv3.Cluster{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	o := r.options
	o.ReadFile = secretfile.Read
	c, problems := envoyv3.Cluster("", m, o)
	r.problems = problems
	return m.GetName(), c
}

func readListener(r *reading) (string, any) {
	m := &listenerv3.Listener{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	o := r.options
	o.ReadFile = secretfile.Read
	l, problems := envoyv3.Listener("", m, o)
	r.problems = problems
	return m.GetName(), l
}

func readScope(r *reading) (string, any) {
	m := &routev3.ScopedRouteConfiguration{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	s, problems := envoyv3.Scope("", m, r.options)
	r.problems = problems
	return m.GetName(), s
}

func readRoutes(r *reading) (string, any) {
	if r.before != nil {
		if t := patchRoutes(r.before.body.GetValue(), r.body, r.before.value.(*config.RouteTable), r.options); t != nil {
			return t.Name, t
		}
	}
	m := &routev3.RouteConfiguration{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	t, problems := envoyv3.RouteTable("", m, r.options)
	r.problems = problems
	return m.GetName(), t
}

// readHost reads a virtual host as if it were all that its table has. What it is called
// by is its envelope.
func readHost(r *reading) (string, any) {
	m := &routev3.VirtualHost{}
	if r.parse(m); r.problems != nil {
		return r.name, nil
	}
	t, problems := envoyv3.RouteTable("", &routev3.RouteConfiguration{Name: r.name, VirtualHosts: []*routev3.VirtualHost{m}}, r.options)
	r.problems = problems
	if len(t.VirtualHosts) == 0 {
		return r.name, nil
	}
	return r.name, t.VirtualHosts[0]
}

func readEndpoints(r *reading) (string, any) {
	if r.before != nil {
		if e := patch(r.before.body.GetValue(), r.body, r.before.value.(*config.Endpoints), r.options); e != nil {
			return e.Cluster, e
		}
	}
	m := &endpointv3.ClusterLoadAssignment{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	e, problems := envoyv3.Endpoints("", m, r.options)
	r.problems = problems
	return m.GetClusterName(), e
}

// readSecret reads a secret and the files that it is in.
func readSecret(r *reading) (string, any) {
	m := &tlsv3.Secret{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	o := r.options
	o.ReadFile, o.Now = secretfile.Read, time.Now()
	s, problems := envoyv3.Secret("", m, o)
	r.problems = problems
	return keyLike(r.name, m.GetName()), s
}

// readExtension reads the configuration of a filter.
func readExtension(r *reading) (string, any) {
	m := &corev3.TypedExtensionConfig{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	o := r.options
	o.ReadFile = secretfile.Read
	e, problems := envoyv3.Extension("", m, o)
	r.problems = problems
	return m.GetName(), e
}
