package stockxds

import (
	"context"
	"net"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Server is a SnapshotCache behind go-control-plane's server: SotW and delta,
// one stream for all types and a stream per type. Every client is sent the same.
type Server struct {
	log
	t      testing.TB
	cache  cache.SnapshotCache
	addr   string
	server *grpc.Server
	ended  chan struct{}
}

// everybody is the one key of the cache.
const everybody = "everybody"

type sameForAll struct{}

// ID puts every node under the one key.
func (sameForAll) ID(*corev3.Node) string { return everybody }

// StartServer listens on a loopback port of its own until the test ends. ads is
// SnapshotCache's: answers are held back until a request names every resource
// that the snapshot has, and come in the order of make before break.
func StartServer(t testing.TB, ads bool) *Server {
	t.Helper()
	s := &Server{t: t, cache: cache.NewSnapshotCache(ads, sameForAll{}, nil), addr: "127.0.0.1:0"}
	s.Start()
	t.Cleanup(s.Stop)
	t.Cleanup(func() { s.show(t) })
	return s
}

// Addr is where it listens, "127.0.0.1:port", before and after a restart.
func (s *Server) Addr() string { return s.addr }

// Set makes the snapshot of a version, from resources as Parse gives them. Any
// goroutine.
func (s *Server) Set(version string, resources map[resource.Type][]types.Resource) {
	s.t.Helper()
	snapshot, err := cache.NewSnapshot(version, resources)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cache.SetSnapshot(context.Background(), everybody, snapshot); err != nil {
		s.t.Fatal(err)
	}
}

// Start serves again after Stop, on the same port.
func (s *Server) Start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.server, s.ended = grpc.NewServer(grpc.MaxConcurrentStreams(1000)), make(chan struct{})
	register(s.server, xdsserver.NewServer(context.Background(), s.cache, s.log.callbacks()))
	go func(server *grpc.Server, ended chan struct{}) {
		_ = server.Serve(listener)
		close(ended)
	}(s.server, s.ended)
}

// Stop cuts every stream and closes the port.
func (s *Server) Stop() {
	s.server.Stop()
	<-s.ended
}

func register(g *grpc.Server, s xdsserver.Server) {
	discovery.RegisterAggregatedDiscoveryServiceServer(g, s)
	clusterservice.RegisterClusterDiscoveryServiceServer(g, s)
	endpointservice.RegisterEndpointDiscoveryServiceServer(g, s)
	listenerservice.RegisterListenerDiscoveryServiceServer(g, s)
	routeservice.RegisterRouteDiscoveryServiceServer(g, s)
	secretservice.RegisterSecretDiscoveryServiceServer(g, s)
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(g, s)
	extensionservice.RegisterExtensionConfigDiscoveryServiceServer(g, s)
}

// Event is one message on a stream, of either kind of protocol.
type Event struct {
	// Sent: from the server; otherwise from the client.
	Sent    bool
	TypeURL string
	// Version is what is sent or confirmed; delta's system version if Sent.
	Version string
	Nonce   string
	// Names are the resources that a client asks for; how many were sent is in
	// Resources.
	Names     []string
	Resources int
	// Refused is what a client had to say against the last response; "" is an ACK
	// or a new subscription.
	Refused string
}

// log is what was said on all streams, in order.
type log struct {
	mu     sync.Mutex
	events []Event
}

func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// Events is everything that was said so far. Any goroutine.
func (l *log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.events...)
}

// show says at the end of a failed test what was said on the streams.
func (l *log) show(t testing.TB) {
	if !t.Failed() {
		return
	}
	for n, e := range l.Events() {
		t.Logf("xDS message %d: %+v", n, e)
	}
}

func (l *log) callbacks() xdsserver.Callbacks {
	return xdsserver.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error { l.add(heard(r)); return nil },
		StreamResponseFunc: func(_ context.Context, _ int64, _ *discovery.DiscoveryRequest, r *discovery.DiscoveryResponse) {
			l.add(said(r))
		},
		StreamDeltaRequestFunc: func(_ int64, r *discovery.DeltaDiscoveryRequest) error { l.add(heardDelta(r)); return nil },
		StreamDeltaResponseFunc: func(_ int64, _ *discovery.DeltaDiscoveryRequest, r *discovery.DeltaDiscoveryResponse) {
			l.add(said(r))
		},
	}
}

// said is the event of a response of either protocol.
func said(response proto.Message) (e Event) {
	switch r := response.(type) {
	case *discovery.DiscoveryResponse:
		e = Event{TypeURL: r.GetTypeUrl(), Version: r.GetVersionInfo(), Nonce: r.GetNonce(), Resources: len(r.GetResources())}
	case *discovery.DeltaDiscoveryResponse:
		e = Event{TypeURL: r.GetTypeUrl(), Version: r.GetSystemVersionInfo(), Nonce: r.GetNonce(), Resources: len(r.GetResources())}
	}
	e.Sent = true
	return e
}

func heard(r *discovery.DiscoveryRequest) Event {
	return Event{
		TypeURL: r.GetTypeUrl(), Version: r.GetVersionInfo(), Nonce: r.GetResponseNonce(),
		Names: r.GetResourceNames(), Refused: r.GetErrorDetail().GetMessage(),
	}
}

func heardDelta(r *discovery.DeltaDiscoveryRequest) Event {
	return Event{
		TypeURL: r.GetTypeUrl(), Nonce: r.GetResponseNonce(),
		Names: r.GetResourceNamesSubscribe(), Refused: r.GetErrorDetail().GetMessage(),
	}
}
