package conformance

// The broken and hostile control plane once more, in delta xDS, where each
// resource has an envelope with its name and version.

import (
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// delta is one way of delta xDS: all types on one stream.
var delta = ways[1]

// enveloped is a resource of a hostile response.
func enveloped(name string, body *anypb.Any) *discovery.Resource {
	return &discovery.Resource{Name: name, Version: "hostile", Resource: body}
}

// one is a resource of YAML in an envelope.
func one(t *testing.T, name, text string) *discovery.Resource {
	t.Helper()
	return enveloped(name, yamlAny(t, text)[0])
}

const plainCluster = `
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: plain
  type: STATIC
`

// hostileDeltas are bad responses while "web" is served by blue, and what the
// NACK must say; nothing: the connection is what suffers.
var hostileDeltas = [...]struct {
	name      string
	typeURL   string
	resources func(t *testing.T) []*discovery.Resource
	removed   []string
	refused   []string
}{
	{
		"a type that was not asked for", resource.SecretType,
		func(*testing.T) []*discovery.Resource { return nil },
		nil,
		[]string{resource.SecretType, "not subscribed"},
	},
	{
		"a type that does not exist", "type.googleapis.com/example.Unknown",
		func(*testing.T) []*discovery.Resource {
			return []*discovery.Resource{enveloped("x", &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown"})}
		},
		nil,
		[]string{"example.Unknown", "not subscribed"},
	},
	{
		"an unknown type of resource", resource.ClusterType,
		func(*testing.T) []*discovery.Resource {
			return []*discovery.Resource{enveloped("app", &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown"})}
		},
		nil,
		[]string{"cluster 'app'", "example.Unknown"},
	},
	{
		"a resource of another type than the response", resource.ListenerType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "web", plainCluster)}
		},
		nil,
		[]string{"listener 'web'", resource.ClusterType},
	},
	{
		"an envelope with nothing in it", resource.ClusterType,
		func(*testing.T) []*discovery.Resource { return []*discovery.Resource{enveloped("app", nil)} },
		nil,
		[]string{"cluster 'app'", "type_url"},
	},
	{
		"bytes that are no message", resource.ClusterType,
		func(*testing.T) []*discovery.Resource {
			return []*discovery.Resource{enveloped("app", &anypb.Any{TypeUrl: resource.ClusterType, Value: []byte{0x0a, 0xff, 0xff}})}
		},
		nil,
		[]string{"cluster 'app'", "not a message"},
	},
	{
		"a name twice", resource.ClusterType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "plain", plainCluster), one(t, "plain", plainCluster)}
		},
		nil,
		[]string{`"plain"`, "twice"},
	},
	{
		"a name that comes and goes", resource.ClusterType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "plain", plainCluster)}
		},
		[]string{"app", "plain"},
		[]string{`"plain"`, "also among the resources"},
	},
	{
		"a name in the envelope that is not the resource's", resource.ClusterType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "app", plainCluster)}
		},
		nil,
		[]string{"cluster 'app'", `"plain"`},
	},
	{
		"no name in the envelope", resource.ClusterType,
		func(t *testing.T) []*discovery.Resource { return []*discovery.Resource{one(t, "", plainCluster)} },
		nil,
		[]string{"resources[0].name"},
	},
	{
		"a listener to a cluster that there is not", resource.ListenerType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "lost", `
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: lost
  address: {socket_address: {address: 127.0.0.1, port_value: 1}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.tcp_proxy
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
        stat_prefix: lost
        cluster: nowhere
`)}
		},
		nil,
		[]string{"listener 'lost'", "'nowhere'"},
	},
	{
		"a ring of 2^40 points", resource.ClusterType,
		func(t *testing.T) []*discovery.Resource {
			return []*discovery.Resource{one(t, "ring", `
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: ring
  type: STATIC
  lb_policy: RING_HASH
  ring_hash_lb_config: {minimum_ring_size: 1099511627776, maximum_ring_size: 1099511627776}
`)}
		},
		nil,
		[]string{"cluster 'ring'", "ring_size"},
	},
	{
		"64 MiB at once", resource.ClusterType,
		func(*testing.T) []*discovery.Resource {
			return []*discovery.Resource{enveloped("app", &anypb.Any{TypeUrl: resource.ClusterType, Value: make([]byte, 64<<20)})}
		},
		nil,
		nil,
	},
}

func TestHostileDelta(t *testing.T) {
	for _, h := range hostileDeltas {
		t.Run(h.name, func(t *testing.T) {
			suffer(t, delta, h.refused, func(map[resource.Type][]types.Resource) proto.Message {
				return &discovery.DeltaDiscoveryResponse{
					SystemVersionInfo: "hostile", TypeUrl: h.typeURL, Resources: h.resources(t), RemovedResources: h.removed,
				}
			})
		})
	}
}

// TestHostileDeltaPending: a listener that names a route table that does not
// come is good by itself. It waits, what it was before goes on, and it is in use
// once the table is there.
func TestHostileDeltaPending(t *testing.T) {
	control := stockxds.StartRaw(t)
	blue := named(t, "blue")
	addr, admin := freeAddr(t), freeAddr(t)
	control.Has("1", stockxds.Parse(t, delta.web(addr, blue)))
	launch(t, program(t, "./cmd/attache"), "-c", write(t, delta.bootstrap(admin, control.Addr()))).serving("tcp", addr)
	until(t, "blue answers", func() bool { return asked("http://"+addr+"/") == "blue" })

	next := stockxds.Parse(t, strings.Replace(delta.web(addr, blue), "route_config_name: routes", "route_config_name: later", 1))
	nonce, _ := control.Send(&discovery.DeltaDiscoveryResponse{
		SystemVersionInfo: "2", TypeUrl: resource.ListenerType,
		Resources: []*discovery.Resource{enveloped("web", stockxds.Any(t, next[resource.ListenerType][0]))},
	})
	until(t, "the listener is taken and its table asked for", func() bool {
		taken, wanted := false, false
		for _, e := range control.Events() {
			taken = taken || !e.Sent && e.Nonce == nonce && e.Refused == ""
			wanted = wanted || e.TypeURL == resource.RouteType && strings.Contains(strings.Join(e.Names, " "), "later")
		}
		return taken && wanted
	})
	mustHave(t, asked("http://"+admin+"/config_dump"), "warming_state")
	if got := asked("http://" + addr + "/"); got != "blue" {
		t.Errorf("while it waits: %q, want blue", got)
	}

	control.Push("3", stockxds.Parse(t, `
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: later
  virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: later}}}]}]
`))
	until(t, "the new table answers", func() bool { return asked("http://"+addr+"/") == "later" })
}
