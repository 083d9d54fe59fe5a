// Package envoyv3 turns Envoy v3 messages into config values. No protobuf gets
// past it: what it hands on is checked, has its defaults filled in, and says
// everything that the message said; a field that it cannot honour is refused by
// its path (support.go is the list).
//
// A message goes through three steps:
//
//	check     walk every populated field of the message against the table
//	decode    read the fields that the table calls honoured
//	problems  everything found on the way, not just the first
//
// All functions are pure and safe for any goroutine.
package envoyv3

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Options say how messages are read.
type Options struct {
	// AllowUnsupported turns the refusal of an unsupported field into a warning,
	// where leaving the field out cannot weaken security or send a request
	// elsewhere.
	AllowUnsupported bool
	// AllowUnknown turns unknown fields of a TypedStruct into warnings, as Envoy does
	// in what comes over xDS.
	AllowUnknown bool
	// Runtime holds the values of runtime keys; nil has none.
	Runtime Runtime
	// Validated says that the rules that Envoy's API gives for each field have
	// been applied already, as package load does with a document.
	Validated bool
	// ReadFile reads the file of a secret, so that what is wrong with it is found;
	// nil leaves files alone.
	ReadFile config.Reader
	// Now, if not zero, is when roots that have expired are refused.
	Now time.Time

	// ServiceCluster is the cluster that this program says it belongs to (node.cluster):
	// the source of rate limits, and what hosts are told of clients. ServiceNode is its
	// own name (node.id).
	ServiceCluster, ServiceNode string
	// NodeMetadata is node.metadata of the bootstrap.
	NodeMetadata *structpb.Struct
	// Clusters is what the bootstrap says of every cluster, see ReadAllClusters.
	Clusters AllClusters

	// everything decodes what is not served yet too: for tests of that.
	everything bool
}

// Problem is one thing that is wrong with a message: a path such as
// static_resources.listeners[0].name, a text that says what is allowed, and
// whether the message stands all the same.
type Problem = load.Problem

// Listener decodes m, which stands at path. The value is only meant for use if
// no problem is more than a warning.
func Listener(path string, m *listenerv3.Listener, o Options) (*config.Listener, []Problem) {
	d := &decoder{opts: o}
	if !d.chainsFit(root(path), m) {
		return &config.Listener{Name: m.GetName()}, d.end()
	}
	d.begin(root(path), m)
	l := d.listener(root(path), m)
	return l, d.end()
}

// Cluster decodes m, which stands at path. The value is only meant for use if
// no problem is more than a warning.
func Cluster(path string, m *clusterv3.Cluster, o Options) (*config.Cluster, []Problem) {
	d := &decoder{opts: o}
	if !d.endpointsFit(root(path).dot("load_assignment"), m.GetLoadAssignment()) {
		return &config.Cluster{Name: m.GetName()}, d.end()
	}
	d.begin(root(path), m)
	c := d.cluster(root(path), m)
	return c, d.end()
}

// RouteTable decodes m, a table of RDS that stands at path: it has to name known
// clusters only if it asks for that. The value is only meant for use
// if no problem is more than a warning.
func RouteTable(path string, m *routev3.RouteConfiguration, o Options) (*config.RouteTable, []Problem) {
	d := &decoder{opts: o}
	if !d.tableFits(root(path), m) {
		return &config.RouteTable{Name: m.GetName()}, d.end()
	}
	d.begin(root(path), m)
	t := d.routeTable(root(path), m, false)
	t.Programs = d.programs
	return t, d.end()
}

// Endpoints decodes m, the endpoints of an EDS cluster, which stands at path. The
// value is only meant for use if no problem is more than a warning.
func Endpoints(path string, m *endpointv3.ClusterLoadAssignment, o Options) (*config.Endpoints, []Problem) {
	d := &decoder{opts: o}
	if !d.endpointsFit(root(path), m) {
		return &config.Endpoints{Cluster: m.GetClusterName()}, d.end()
	}
	d.begin(root(path), m)
	e := d.endpoints(root(path), m, config.DiscoveryEDS)
	d.required(root(path).dot("cluster_name"), e.Cluster)
	return &e, d.end()
}

// Endpoint decodes m, one endpoint of a collection, which stands at path. The
// value is only meant for use if no problem is more than a warning.
func Endpoint(path string, m *endpointv3.LbEndpoint, o Options) (*config.Endpoint, []Problem) {
	d := &decoder{opts: o}
	d.begin(root(path), m)
	e := d.endpoint(root(path), m, config.DiscoveryEDS)
	return &e, d.end()
}

// Source decodes m, which stands at path: where a resource comes from. The value
// is only meant for use if no problem is more than a warning.
func Source(path string, m *corev3.ConfigSource, o Options) (config.Source, []Problem) {
	d := &decoder{opts: o}
	d.begin(root(path), m)
	s := d.source(root(path), m)
	return s, d.end()
}

// APISource decodes m, which stands at path: a stream to a control plane, and no
// polls. The value is only meant for use if no problem is more than a warning.
func APISource(path string, m *corev3.ApiConfigSource, o Options) (*config.APISource, []Problem) {
	d := &decoder{opts: o}
	d.begin(root(path), m)
	s := d.streamSource(root(path), m)
	return s, d.end()
}

// ControlPlane decodes m, a static cluster that stands at path, as what
// envoy_grpc dials and REST polls. The value is only meant for use if no problem is more than a
// warning.
func ControlPlane(path string, m *clusterv3.Cluster, o Options) (*config.ControlPlane, []Problem) {
	d := &decoder{opts: o, dialled: true}
	d.begin(root(path), m)
	c := d.controlPlane(root(path), m)
	return c, d.end()
}

// ListenAddress decodes the address of something that listens and is not a
// listener, such as the admin server.
func ListenAddress(path string, m *corev3.Address, o Options) (config.Address, []Problem) {
	d := &decoder{opts: o}
	a := d.ipOrPipe(root(path), m)
	return a, d.problems
}
