package conformance

// A control plane that is broken or hostile: what cannot be is refused by name
// and changes nothing, and the next good response counts.

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// hostile is one bad response, sent while "web" is served by blue.
type hostile struct {
	name string
	// response is what is sent; good are the resources that it began with.
	response func(t *testing.T, good map[resource.Type][]types.Resource) *discovery.DiscoveryResponse
	// refused are pieces of what the NACK must say; none: the connection is what
	// suffers, and a new one is made.
	refused []string
}

var hostiles = [...]hostile{
	{
		"an unknown type of resource",
		func(*testing.T, map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, &anypb.Any{TypeUrl: "type.googleapis.com/example.Unknown"})
		},
		[]string{"example.Unknown"},
	},
	{
		"a resource of another type than the response",
		func(t *testing.T, good map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, stockxds.Any(t, good[resource.ListenerType][0]))
		},
		[]string{resource.ListenerType},
	},
	{
		"bytes that are no message",
		func(*testing.T, map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, &anypb.Any{TypeUrl: resource.ClusterType, Value: []byte{0x0a, 0xff, 0xff}})
		},
		[]string{"not a message"},
	},
	{
		"a name twice",
		func(t *testing.T, good map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, append(anys(t, good[resource.ClusterType]), anys(t, good[resource.ClusterType])...)...)
		},
		[]string{"app"},
	},
	{
		"no name",
		func(t *testing.T, good map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, append(anys(t, good[resource.ClusterType]), yamlAny(t, `
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  type: STATIC
`)...)...)
		},
		[]string{"name"},
	},
	{
		"a ring of 2^40 points",
		func(t *testing.T, good map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, append(anys(t, good[resource.ClusterType]), yamlAny(t, `
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: ring
  type: STATIC
  lb_policy: RING_HASH
  ring_hash_lb_config: {minimum_ring_size: 1099511627776, maximum_ring_size: 1099511627776}
  load_assignment: {cluster_name: ring}
`)...)...)
		},
		[]string{"ring", "ring_size"},
	},
	{
		"a regular expression that grows beyond all bounds",
		func(t *testing.T, _ map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.RouteType, yamlAny(t, `
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts:
  - name: all
    domains: ["*"]
    routes: [{match: {safe_regex: {regex: "((((x{0,99}){0,99}){0,99}){0,99}){0,99}"}}, route: {cluster: app}}]
`)...)
		},
		[]string{"routes", "regex"},
	},
	{
		"an address that is none",
		func(t *testing.T, _ map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.EndpointType, yamlAny(t, `
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: app
  endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: nowhere.example, port_value: 70000}}}}]}]
`)...)
		},
		[]string{"app", "address"},
	},
	{
		"64 MiB at once",
		func(*testing.T, map[resource.Type][]types.Resource) *discovery.DiscoveryResponse {
			return response(resource.ClusterType, &anypb.Any{TypeUrl: resource.ClusterType, Value: make([]byte, 64<<20)})
		},
		nil,
	},
}

func response(typeURL string, bodies ...*anypb.Any) *discovery.DiscoveryResponse {
	return &discovery.DiscoveryResponse{
		VersionInfo: "hostile", TypeUrl: typeURL, Resources: bodies,
		ControlPlane: &corev3.ControlPlane{Identifier: "hostile"},
	}
}

func anys(t *testing.T, list []types.Resource) (all []*anypb.Any) {
	for _, m := range list {
		all = append(all, stockxds.Any(t, m))
	}
	return all
}

func yamlAny(t *testing.T, text string) (all []*anypb.Any) {
	for _, list := range stockxds.Parse(t, text) {
		all = append(all, anys(t, list)...)
	}
	return all
}

func TestHostileControlPlane(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.name, func(t *testing.T) {
			suffer(t, ways[0], h.refused, func(good map[resource.Type][]types.Resource) proto.Message { return h.response(t, good) })
		})
	}
}

// suffer sends the sidecar one bad response. It must say the pieces in its
// refusal, or connect anew if there are none; go on as before; and take the next
// good one.
func suffer(t *testing.T, way way, refused []string, bad func(good map[resource.Type][]types.Resource) proto.Message) {
	t.Helper()
	control := stockxds.StartRaw(t)
	blue, green := named(t, "blue"), named(t, "green")
	addr, admin := freeAddr(t), freeAddr(t)
	good := stockxds.Parse(t, way.web(addr, blue))
	control.Has("1", good)
	sidecar := launch(t, program(t, "./cmd/attache"), "-c", write(t, way.bootstrap(admin, control.Addr())))
	sidecar.serving("tcp", addr)
	until(t, "blue answers", func() bool { return asked("http://"+addr+"/") == "blue" })
	before := settled(t, admin)

	nonce, streams := control.Send(bad(good))
	if streams != 1 {
		t.Fatalf("%d streams, want 1", streams)
	}
	if refused == nil {
		until(t, "a new stream", func() bool { return control.Opened() > 1 })
	} else {
		until(t, "the response is refused by name", func() bool { return refusedBy(control.Events(), nonce, refused) })
	}
	if got := asked("http://" + addr + "/"); got != "blue" {
		t.Errorf("after it: %q, want blue", got)
	}
	if diff := cmp.Diff(settings(before), settings(settled(t, admin))); diff != "" {
		t.Errorf("config_dump changed:\n%s", diff)
	}

	control.Push("2", stockxds.Parse(t, way.web(addr, green)))
	until(t, "green answers", func() bool { return asked("http://"+addr+"/") == "green" })
}

// refusedBy: the NACK of that response says all pieces.
func refusedBy(events []stockxds.Event, nonce string, pieces []string) bool {
	for _, e := range events {
		if e.Sent || e.Nonce != nonce || e.Refused == "" {
			continue
		}
		all := true
		for _, p := range pieces {
			all = all && strings.Contains(e.Refused, p)
		}
		return all
	}
	return false
}

// settings are the lines of a dump that say what is in use: not when it came,
// nor what was refused since.
func settings(dump string) (kept []string) {
	var of any
	if json.Unmarshal([]byte(dump), &of) != nil {
		return []string{dump}
	}
	text, _ := json.MarshalIndent(inUse(of), "", " ")
	return strings.Split(string(text), "\n")
}

// inUse leaves out what was only said, and what is empty then: a resource that
// was refused and never in use has an entry with the refusal alone.
func inUse(of any) any {
	switch of := of.(type) {
	case []any:
		for i := range of {
			of[i] = inUse(of[i])
		}
		return slices.DeleteFunc(of, empty)
	case map[string]any:
		refused := of["error_state"] != nil
		for _, said := range []string{"last_updated", "error_state", "client_status"} {
			delete(of, said)
		}
		if refused && len(of) == 1 { // a listener's entry has its name besides
			delete(of, "name")
		}
		for k := range of {
			of[k] = inUse(of[k])
		}
		maps.DeleteFunc(of, func(_ string, v any) bool { return empty(v) })
	}
	return of
}

func empty(v any) bool {
	list, isList := v.([]any)
	fields, isMap := v.(map[string]any)
	return isList && len(list) == 0 || isMap && len(fields) == 0
}

// settled is the dump once nothing is on its way.
func settled(t *testing.T, admin string) (dump string) {
	t.Helper()
	until(t, "nothing is on its way", func() bool {
		dump = asked("http://" + admin + "/config_dump")
		return dump != "" && !strings.Contains(dump, "warming_state")
	})
	return dump
}
