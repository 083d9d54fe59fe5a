package client

// A control plane as others write them: go-control-plane's server on its
// snapshot cache, in this process.

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

const nodeID = "sidecar"

// stock is the control plane.
type stock struct {
	cache   cachev3.SnapshotCache
	address netip.AddrPort
	version int
	grpc    *grpc.Server

	mu    sync.Mutex
	nacks []string // error_detail of each
	sent  map[string]int
}

// newStock listens; address is ":0", or where one was before.
func newStock(t *testing.T, address string) *stock {
	t.Helper()
	return stockOf(t, address, true)
}

// stockOf is newStock; ads: a stream is answered only if it asks for all that
// there is of a kind.
func stockOf(t *testing.T, address string, ads bool) *stock {
	t.Helper()
	s := &stock{cache: cachev3.NewSnapshotCache(ads, cachev3.IDHash{}, nil), sent: map[string]int{}}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = netip.MustParseAddrPort(l.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	x := serverv3.NewServer(ctx, s.cache, serverv3.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discoveryv3.DiscoveryRequest) error {
			s.note(r.GetErrorDetail().GetMessage())
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, r *discoveryv3.DeltaDiscoveryRequest) error {
			s.note(r.GetErrorDetail().GetMessage())
			return nil
		},
		StreamResponseFunc: func(_ context.Context, _ int64, _ *discoveryv3.DiscoveryRequest, r *discoveryv3.DiscoveryResponse) {
			s.count(r.GetTypeUrl())
		},
		StreamDeltaResponseFunc: func(_ int64, _ *discoveryv3.DeltaDiscoveryRequest, r *discoveryv3.DeltaDiscoveryResponse) {
			s.count(r.GetTypeUrl())
		},
	})
	s.grpc = grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, x)
	clusterservice.RegisterClusterDiscoveryServiceServer(s.grpc, x)
	endpointservice.RegisterEndpointDiscoveryServiceServer(s.grpc, x)
	listenerservice.RegisterListenerDiscoveryServiceServer(s.grpc, x)
	routeservice.RegisterRouteDiscoveryServiceServer(s.grpc, x)
	routeservice.RegisterScopedRoutesDiscoveryServiceServer(s.grpc, x)
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(s.grpc, x)
	secretservice.RegisterSecretDiscoveryServiceServer(s.grpc, x)
	extensionservice.RegisterExtensionConfigDiscoveryServiceServer(s.grpc, x)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.grpc.Serve(l)
	}()
	t.Cleanup(func() {
		cancel()
		s.grpc.Stop()
		<-served
	})
	return s
}

func (s *stock) note(nack string) {
	if nack != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.nacks = append(s.nacks, nack)
	}
}

func (s *stock) count(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[url]++
}

func (s *stock) refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.nacks...)
}

func (s *stock) responses(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[url]
}

// set publishes a snapshot.
func (s *stock) set(t *testing.T, resources ...types.Resource) {
	t.Helper()
	byType := map[resource.Type][]types.Resource{}
	for _, r := range resources {
		url := "type.googleapis.com/" + string(proto.MessageName(r))
		byType[url] = append(byType[url], r)
	}
	s.version++
	snap, err := cachev3.NewSnapshot(fmt.Sprint(s.version), byType)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cache.SetSnapshot(t.Context(), nodeID, snap); err != nil {
		t.Fatal(err)
	}
}

// How a client may be connected.
type mode struct {
	name     string
	delta    bool
	separate bool
	polls    bool // a gateway, see poll_test.go
}

var modes = []mode{{"delta ADS", true, false, false}, {"state of the world ADS", false, false, false}, {"delta, a stream each", true, true, false}, {"state of the world, a stream each", false, true, false}}

func plane(at netip.AddrPort) map[string]config.ControlPlane {
	return map[string]config.ControlPlane{"control": {Name: "control", Addresses: []config.Address{{IP: at}}, ConnectTimeout: time.Second}}
}

// options connect a client to the control plane.
func (m mode) options(at netip.AddrPort, applied *recorder) Options {
	api := &config.APISource{Delta: m.delta, Servers: []config.XDSServer{{Cluster: "control"}}}
	o := Options{
		Node:   &corev3.Node{Id: nodeID, Cluster: "test"},
		Planes: plane(at),
		Static: func(envoyv3.Runtime) config.Resources { return config.Resources{} },
		Apply:  applied.apply,
		Log:    slog.New(slog.DiscardHandler),
	}
	source := config.Source{Kind: config.SourceADS, InitialFetchTimeout: 15 * time.Second}
	if m.separate {
		source.Kind, source.API = config.SourceAPI, api
	} else {
		o.ADS = api
	}
	o.CDS, o.LDS = source, source
	return o
}

// configSource is the same as a message, for resources that name others.
func (m mode) configSource() *corev3.ConfigSource {
	s := &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, InitialFetchTimeout: durationpb.New(15 * time.Second)}
	if !m.separate {
		s.ConfigSourceSpecifier = &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}
		return s
	}
	api := &corev3.ApiConfigSource{
		ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
		GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: "control"}}}},
	}
	if m.delta {
		api.ApiType = corev3.ApiConfigSource_DELTA_GRPC
	}
	if m.polls {
		api = &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_REST, TransportApiVersion: corev3.ApiVersion_V3, ClusterNames: []string{"control"},
			RefreshDelay: durationpb.New(often.Delay), RequestTimeout: durationpb.New(often.Timeout),
		}
	}
	s.ConfigSourceSpecifier = &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: api}
	return s
}

// recorder is what a server would be: it keeps the last snapshot.
type recorder struct {
	mu   sync.Mutex
	snap *config.Snapshot
	n    int
	err  error
	wake chan struct{}
}

func newRecorder() *recorder { return &recorder{wake: make(chan struct{}, 1)} }

func (r *recorder) apply(s *config.Snapshot) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snap, r.n = s, r.n+1
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return r.err
}

func (r *recorder) last() *config.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.snap == nil {
		return &config.Snapshot{}
	}
	return r.snap
}

// until waits for a snapshot of which ok holds.
func (r *recorder) until(t *testing.T, what string, ok func(*config.Snapshot) bool) {
	t.Helper()
	eventually(t, what, func() bool { return ok(r.last()) })
}

// eventually waits, at most a few seconds, until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); <-look.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// run starts a client that ends with the test.
func run(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

func readySoon(t *testing.T, c *Client) {
	t.Helper()
	select {
	case <-c.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("not ready in time")
	}
}

// Resources.

func (m mode) cluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: m.configSource()},
	}
}

func endpoints(cluster string, ports ...uint32) *endpointv3.ClusterLoadAssignment {
	a := &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{{}}}
	for _, p := range ports {
		a.Endpoints[0].LbEndpoints = append(a.Endpoints[0].LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(p)}},
		})
	}
	return a
}

func address(port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// listener serves the route table called routes.
func (m mode) listener(name string, port uint32, routes string) *listenerv3.Listener {
	h := &hcmv3.HttpConnectionManager{
		StatPrefix:     name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: m.configSource(), RouteConfigName: routes}},
		HttpFilters:    []*hcmv3.HttpFilter{{Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})}}},
	}
	return &listenerv3.Listener{Name: name, Address: address(port), FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(h)}}},
	}}}
}

func table(name, cluster string) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name: "all", Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
		}},
	}}}
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}
