package stockxds

import (
	"net"
	"strconv"
	"sync"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Raw is an ADS server, SotW, that answers the first request for a type with
// what it has of it, and sends besides whatever it is told: nothing is checked.
type Raw struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	log
	t    testing.TB
	addr string

	mu      sync.Mutex
	has     map[resource.Type]*discovery.DiscoveryResponse
	streams map[chan *discovery.DiscoveryResponse]bool
	opened  int
	nonce   int
}

// queued is how many responses may wait for a stream.
const queued = 64

// StartRaw listens on a loopback port of its own until the test ends.
func StartRaw(t testing.TB) *Raw {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Raw{
		t: t, addr: listener.Addr().String(),
		has: map[resource.Type]*discovery.DiscoveryResponse{}, streams: map[chan *discovery.DiscoveryResponse]bool{},
	}
	server, ended := grpc.NewServer(), make(chan struct{})
	discovery.RegisterAggregatedDiscoveryServiceServer(server, r)
	go func() {
		_ = server.Serve(listener)
		close(ended)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
		r.show(t)
	})
	return r
}

// Addr is where it listens, "127.0.0.1:port".
func (r *Raw) Addr() string { return r.addr }

// Has makes resources what first requests are answered with from now on. Any
// goroutine.
func (r *Raw) Has(version string, resources map[resource.Type][]types.Resource) {
	for typeURL, list := range resources {
		response := &discovery.DiscoveryResponse{VersionInfo: version, TypeUrl: typeURL}
		for _, m := range list {
			response.Resources = append(response.Resources, Any(r.t, m))
		}
		r.mu.Lock()
		r.has[typeURL] = response
		r.mu.Unlock()
	}
}

// Any encodes a message under its own type.
func Any(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	body, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Send puts a response on every open stream, with a nonce of its own, which it
// returns, and reports how many streams there are. Any goroutine.
func (r *Raw) Send(response *discovery.DiscoveryResponse) (nonce string, streams int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	response = r.stamped(response)
	for s := range r.streams {
		s <- response
	}
	return response.GetNonce(), len(r.streams)
}

// Opened is how many streams were ever opened. Any goroutine.
func (r *Raw) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

func (r *Raw) stamped(response *discovery.DiscoveryResponse) *discovery.DiscoveryResponse {
	r.nonce++
	response = proto.CloneOf(response)
	response.Nonce = strconv.Itoa(r.nonce)
	return response
}

// StreamAggregatedResources serves one stream; gRPC calls it.
func (r *Raw) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	out := make(chan *discovery.DiscoveryResponse, queued)
	r.mu.Lock()
	r.streams[out] = true
	r.opened++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.streams, out)
		r.mu.Unlock()
	}()
	failed := make(chan error, 1)
	go func() { failed <- r.listen(stream, out) }()
	for {
		select {
		case err := <-failed:
			return err
		case response := <-out:
			if err := stream.Send(response); err != nil {
				return err
			}
			r.add(Event{
				Sent: true, TypeURL: response.GetTypeUrl(), Version: response.GetVersionInfo(), Nonce: response.GetNonce(),
				Resources: len(response.GetResources()),
			})
		}
	}
}

func (r *Raw) listen(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer, out chan<- *discovery.DiscoveryResponse) error {
	answered := map[string]bool{}
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		r.add(heard(request))
		r.mu.Lock()
		if has := r.has[request.GetTypeUrl()]; has != nil && !answered[request.GetTypeUrl()] {
			answered[request.GetTypeUrl()] = true
			out <- r.stamped(has)
		}
		r.mu.Unlock()
	}
}
