package stockxds

import (
	"net"
	"strconv"
	"sync"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Raw is an ADS server, SotW and delta, that answers the first request for a
// type with what it has of it, and sends besides whatever it is told: nothing is
// checked.
type Raw struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	log
	t    testing.TB
	addr string

	mu      sync.Mutex
	has     map[resource.Type]content
	streams map[chan proto.Message]form
	opened  int
	nonce   int
}

// content is all there is of a type.
type content struct {
	version string
	list    []types.Resource
}

// form makes the response of one of the two protocols with all of a type.
type form func(t testing.TB, typeURL string, c content) proto.Message

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
		has: map[resource.Type]content{}, streams: map[chan proto.Message]form{},
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
	r.mu.Lock()
	defer r.mu.Unlock()
	for typeURL, list := range resources {
		r.has[typeURL] = content{version, list}
	}
}

// Push is Has, and all of it goes out on every open stream besides. Any
// goroutine.
func (r *Raw) Push(version string, resources map[resource.Type][]types.Resource) {
	r.Has(version, resources)
	r.mu.Lock()
	defer r.mu.Unlock()
	for typeURL, list := range resources {
		for out, whole := range r.streams {
			out <- r.stamped(whole(r.t, typeURL, content{version, list}))
		}
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

// Send puts a response, of the protocol that the streams are of, on every open
// one, with a nonce of its own, which it returns, and reports how many streams
// there are. Any goroutine.
func (r *Raw) Send(response proto.Message) (nonce string, streams int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	response = r.stamped(response)
	for out := range r.streams {
		out <- response
	}
	return strconv.Itoa(r.nonce), len(r.streams)
}

// Opened is how many streams were ever opened. Any goroutine.
func (r *Raw) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

func (r *Raw) stamped(response proto.Message) proto.Message {
	r.nonce++
	response = proto.Clone(response)
	switch response := response.(type) {
	case *discovery.DiscoveryResponse:
		response.Nonce = strconv.Itoa(r.nonce)
	case *discovery.DeltaDiscoveryResponse:
		response.Nonce = strconv.Itoa(r.nonce)
	}
	return response
}

// StreamAggregatedResources serves one SotW stream; gRPC calls it.
func (r *Raw) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return r.serve(stream, wholeWorld, func() (Event, error) {
		request, err := stream.Recv()
		return heard(request), err
	})
}

// DeltaAggregatedResources serves one delta stream; gRPC calls it.
func (r *Raw) DeltaAggregatedResources(stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return r.serve(stream, wholeDelta, func() (Event, error) {
		request, err := stream.Recv()
		return heardDelta(request), err
	})
}

func wholeWorld(t testing.TB, typeURL string, c content) proto.Message {
	response := &discovery.DiscoveryResponse{VersionInfo: c.version, TypeUrl: typeURL}
	for _, m := range c.list {
		response.Resources = append(response.Resources, Any(t, m))
	}
	return response
}

func wholeDelta(t testing.TB, typeURL string, c content) proto.Message {
	response := &discovery.DeltaDiscoveryResponse{SystemVersionInfo: c.version, TypeUrl: typeURL}
	for _, m := range c.list {
		response.Resources = append(response.Resources, &discovery.Resource{Name: cache.GetResourceName(m), Version: c.version, Resource: Any(t, m)})
	}
	return response
}

func (r *Raw) serve(stream grpc.ServerStream, whole form, next func() (Event, error)) error {
	out := make(chan proto.Message, queued)
	r.mu.Lock()
	r.streams[out] = whole
	r.opened++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.streams, out)
		r.mu.Unlock()
	}()
	failed := make(chan error, 1)
	go func() { failed <- r.listen(next, whole, out) }()
	for {
		select {
		case err := <-failed:
			return err
		case response := <-out:
			if err := stream.SendMsg(response); err != nil {
				return err
			}
			r.add(said(response))
		}
	}
}

func (r *Raw) listen(next func() (Event, error), whole form, out chan<- proto.Message) error {
	answered := map[string]bool{}
	for {
		request, err := next()
		if err != nil {
			return err
		}
		r.add(request)
		r.mu.Lock()
		if has, is := r.has[request.TypeURL]; is && !answered[request.TypeURL] {
			answered[request.TypeURL] = true
			out <- r.stamped(whole(r.t, request.TypeURL, has))
		}
		r.mu.Unlock()
	}
}
