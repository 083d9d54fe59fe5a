package protocol

import (
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A request is due, says the version accepted last, and waits for the verdict on the
// answer before it.
func TestPolled(t *testing.T) {
	const url = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	node := &corev3.Node{Id: "me"}
	p := NewPolled(Identity{Node: node, FirstOnly: true}, url)
	asks := func(want *discoveryv3.DiscoveryRequest) {
		t.Helper()
		all := p.Requests()
		if want == nil && len(all) > 0 || want != nil && (len(all) != 1 || !proto.Equal(all[0], want)) {
			t.Fatalf("asks %v, want %v", all, want)
		}
	}
	request := func(version string) *discoveryv3.DiscoveryRequest {
		return &discoveryv3.DiscoveryRequest{Node: node, TypeUrl: url, VersionInfo: version, ResourceNames: []string{"a"}}
	}
	receive := func(m *discoveryv3.DiscoveryResponse) *Update {
		t.Helper()
		u, err := p.Receive(m)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	p.Opened()
	asks(nil) // nothing is wanted
	p.Want("type.googleapis.com/other", Want{All: true})
	asks(nil)
	p.Want(url, Want{Names: []string{"a"}})
	asks(request(""))
	asks(nil) // not due again

	u := receive(&discoveryv3.DiscoveryResponse{VersionInfo: "1", Resources: []*anypb.Any{{TypeUrl: url}}})
	if u.TypeURL != url || u.Version != "1" || len(u.Resources) != 1 || u.Resources[0].Version != "1" {
		t.Errorf("%+v", u)
	}
	p.Opened()
	asks(nil) // not decided
	p.Decide(u, Verdict{})
	asks(request("1"))

	p.Opened()
	p.Decide(receive(&discoveryv3.DiscoveryResponse{VersionInfo: "2", TypeUrl: url}), Verdict{Error: "no good"})
	asks(request("1")) // the refusal is not told

	for _, m := range []proto.Message{
		&discoveryv3.DiscoveryResponse{TypeUrl: "type.googleapis.com/other"},
		&discoveryv3.DeltaDiscoveryResponse{},
		&discoveryv3.DiscoveryResponse{VersionInfo: strings.Repeat("v", maxVersion+1)},
	} {
		if _, err := p.Receive(m); err == nil {
			t.Errorf("taken: %v", m)
		}
	}
	p.Opened()
	asks(request("1"))
}
