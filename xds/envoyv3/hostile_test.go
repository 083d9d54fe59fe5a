package envoyv3

import (
	"fmt"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// What comes over the wire has been seen by no validator, and may be meant
// badly: each of these is refused by the path of what is wrong, and few words
// are made of it.
func TestHostileResourcesAreRefused(t *testing.T) {
	cluster := func(change func(*clusterv3.Cluster)) []Problem {
		m := &clusterv3.Cluster{Name: "c"}
		change(m)
		_, problems := Cluster("r", m, Options{})
		return problems
	}
	table := func(hosts ...*routev3.VirtualHost) []Problem {
		_, problems := RouteTable("r", &routev3.RouteConfiguration{Name: "t", VirtualHosts: hosts}, Options{})
		return problems
	}
	regex := func(pattern string, n int) []Problem {
		v := &routev3.VirtualHost{Name: "v", Domains: []string{"*"}}
		for range n {
			v.Routes = append(v.Routes, &routev3.Route{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}},
				Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 200}},
			})
		}
		return table(v)
	}
	domains := func(n int) *routev3.VirtualHost {
		v := &routev3.VirtualHost{Name: "v"}
		for i := range n {
			v.Domains = append(v.Domains, fmt.Sprint("d", i))
		}
		return v
	}
	for name, test := range map[string]struct {
		problems []Problem
		want     string
	}{
		"ring of 2^40": {cluster(func(m *clusterv3.Cluster) {
			m.LbPolicy = clusterv3.Cluster_RING_HASH
			m.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(1 << 40)}}
		}), "r.ring_hash_lb_config.minimum_ring_size: value must be less than or equal to 8388608"},
		"maglev of 2^40": {cluster(func(m *clusterv3.Cluster) {
			m.LbPolicy = clusterv3.Cluster_MAGLEV
			m.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(1 << 40)}}
		}), "r.maglev_lb_config.table_size: value must be less than or equal to 5000011"},
		"time before time": {cluster(func(m *clusterv3.Cluster) { m.ConnectTimeout = durationpb.New(-1) }), "r.connect_timeout: value must be greater than 0s"},
		"odd duration":     {cluster(func(m *clusterv3.Cluster) { m.ConnectTimeout = &durationpb.Duration{Seconds: 1 << 62} }), "r.connect_timeout: "},
		"no such type":     {cluster(func(m *clusterv3.Cluster) { m.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: 99} }), "r.type: value must be one of the defined enum values"},
		"extension that is not what it says": {cluster(func(m *clusterv3.Cluster) {
			m.TypedExtensionProtocolOptions = map[string]*anypb.Any{"x": {TypeUrl: "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", Value: []byte{0xff, 0xff}}}
		}), `r.typed_extension_protocol_options["x"]: not a envoy.extensions.upstreams.http.v3.HttpProtocolOptions`},
		"a million domains":     {table(domains(1_000_000)), "r.virtual_hosts: 1000000 domains: at most 100000 are allowed"},
		"domains that repeat":   {table(domains(2), &routev3.VirtualHost{Name: "w", Domains: []string{"D1"}}), "r.virtual_hosts[1].domains[0]: Only unique values"},
		"a program of a regex":  {regex("((a{30}){30}){30}", 1), "r.virtual_hosts[0].routes[0].match.safe_regex.regex: "},
		"many regexes":          {regex("(.{30}){30}", 2000), "at most 1000000 are allowed"},
		"a regex of a megabyte": {regex(strings.Repeat("a", 1<<20), 1), "regex of 1048576 bytes: at most 1024 are allowed"},
	} {
		if !load.Refused(test.problems) || len(test.problems) > 2*maxProblems+2 {
			t.Errorf("%s: %d problems, refused: %t", name, len(test.problems), load.Refused(test.problems))
		}
		found := false
		for _, p := range test.problems {
			found = found || strings.Contains(p.String(), test.want)
		}
		if !found {
			t.Errorf("%s: want %q among %.300q", name, test.want, fmt.Sprint(test.problems))
		}
	}
}

func TestHostileEndpointsAreRefused(t *testing.T) {
	host := func(change func(*endpointv3.LbEndpoint)) *endpointv3.LbEndpoint {
		e := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{
			Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: "10.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 80}}},
		}}}}
		if change != nil {
			change(e)
		}
		return e
	}
	heavy := func(e *endpointv3.LbEndpoint) { e.LoadBalancingWeight = wrapperspb.UInt32(1<<32 - 1) }
	for name, test := range map[string]struct {
		m    *endpointv3.ClusterLoadAssignment
		want string
	}{
		"no name":  {&endpointv3.ClusterLoadAssignment{}, "e.cluster_name: value length must be at least 1"},
		"too many": {&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: make([]*endpointv3.LbEndpoint, 200_000)}}}, "e.endpoints: 200001 localities and endpoints"},
		"weights": {
			&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{host(heavy), host(heavy)}}}},
			"e.endpoints[0]: The sum of weights of all upstream hosts in a locality exceeds 4294967295",
		},
		"weight 0": {
			&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{host(func(e *endpointv3.LbEndpoint) { e.LoadBalancingWeight = wrapperspb.UInt32(0) })}}}},
			"e.endpoints[0].lb_endpoints[0].load_balancing_weight: value must be greater than or equal to 1",
		},
		"priority": {&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{Priority: 1 << 31}}}, "e.endpoints[0].priority: value must be less than or equal to 128"},
		"a name": {&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{host(func(e *endpointv3.LbEndpoint) {
			e.GetEndpoint().GetAddress().GetSocketAddress().Address = "host.example"
		})}}}}, "malformed IP address: host.example"},
		"nothing in it": {&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{nil, {}}}, nil}}, "Address must be set"},
	} {
		_, problems := Endpoints("e", test.m, Options{})
		if !load.Refused(problems) || !strings.Contains(fmt.Sprint(problems), test.want) {
			t.Errorf("%s: want %q in %v", name, test.want, problems)
		}
	}
}

// A table with very many faults is refused in few words.
func TestManyProblemsAreCounted(t *testing.T) {
	m := &routev3.RouteConfiguration{Name: "t"}
	for range 50_000 {
		m.VirtualHosts = append(m.VirtualHosts, &routev3.VirtualHost{Name: "v", Domains: []string{"same"}, RetryPolicy: &routev3.RetryPolicy{}})
	}
	for _, allow := range []bool{false, true} {
		_, problems := RouteTable("r", m, Options{AllowUnsupported: allow})
		if !load.Refused(problems) || len(problems) > 2*maxProblems+1 || !strings.Contains(fmt.Sprint(problems[len(problems)-1]), "more problems") {
			t.Errorf("%d problems, the last %v", len(problems), problems[len(problems)-1])
		}
	}
}

// The rules of the API count for what is packed in a listener, too.
func TestPackedMessagesAreValidated(t *testing.T) {
	h, err := anypb.New(&hcmv3.HttpConnectionManager{StatPrefix: "s", MaxRequestHeadersKb: wrapperspb.UInt32(1 << 30)})
	if err != nil {
		t.Fatal(err)
	}
	_, problems := Listener("l", &listenerv3.Listener{Name: "l", FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
		Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: h},
	}}}}}, Options{})
	if all := fmt.Sprint(problems); !strings.Contains(all, "l.filter_chains[0].filters[0].typed_config.max_request_headers_kb: value must be inside range (0, 8192]") {
		t.Error(all)
	}
}
