package server

import (
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A client that reads nothing costs one response, and holds up nobody.
func TestAClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	s, conn := serve(t, Options{Select: everyone})
	large := func(version int) *Bundle {
		return bundle(t, "listener:"+strings.Repeat("x", 1000)+"="+strings.Repeat(decimal(uint32(version)%10), 1<<20))
	}
	s.Publish("shop", large(0))
	open := func(id string) discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
		ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := ads.Send(&discovery.DeltaDiscoveryRequest{Node: node(id), TypeUrl: resource.ListenerType}); err != nil {
			t.Fatal(err)
		}
		return ads
	}
	_ = open("deaf")
	busy := open("busy")
	start := time.Now()
	for i := 1; i <= 50; i++ {
		got, err := busy.Recv()
		if err != nil {
			t.Fatal(err)
		}
		s.Publish("shop", large(i))
		if err := busy.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.ListenerType, ResponseNonce: got.GetNonce()}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Error("fifty publishes took", took)
	}
	for _, c := range s.Clients() {
		if c.Node == "deaf" && c.Types[0].Responses != 1 {
			t.Error("it was sent", c.Types[0].Responses, "responses")
		}
	}
}

// A client that changes its mind all the time and answers nothing gets no more
// than a few responses.
func TestAClientThatNeverAnswersGetsAFew(t *testing.T) {
	s, conn := serve(t, Options{Select: everyone})
	s.Publish("shop", bundle(t, "endpoint:a=1", "endpoint:b=1"))
	ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		req := &discovery.DeltaDiscoveryRequest{Node: node("one"), TypeUrl: resource.EndpointType}
		if i%2 == 0 {
			req.ResourceNamesSubscribe = []string{"a", "b"}
		} else {
			req.ResourceNamesUnsubscribe = []string{"a", "b"}
		}
		if err := ads.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	// The last request of another type is answered after all the others.
	if err := ads.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.RuntimeType, ResourceNamesSubscribe: []string{"r"}}); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		got, err := ads.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got.GetTypeUrl() == resource.RuntimeType {
			break
		}
		if n >= maxFlight {
			t.Fatal(n, got)
		}
	}
}
