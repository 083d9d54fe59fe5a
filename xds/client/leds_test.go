package client

import (
	"fmt"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

const list = "xdstp://x/envoy.config.endpoint.v3.LbEndpoint/a/"

func member(name string, port uint32) *discoveryv3.Resource {
	return &discoveryv3.Resource{Name: list + name, Version: fmt.Sprint(port), Resource: packed(endpoints("", port).Endpoints[0].LbEndpoints[0])}
}

func deltaOf(k kind, nonce string, resources ...*discoveryv3.Resource) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: kinds[k].url, Nonce: nonce, Resources: resources}
}

func named(name string, m proto.Message) *discoveryv3.Resource {
	return &discoveryv3.Resource{Name: name, Version: "1", Resource: packed(m)}
}

// Endpoints that are resources of their own: asked for as a collection, one
// changed without the others, one more at the end, one gone, and what is held
// is told after a reconnect.
func TestCollections(t *testing.T) {
	m := modes[0]
	h, at := newHostile(t)
	r := newRecorder()
	c := run(t, m.options(at, r))
	say := func(d *discoveryv3.DeltaDiscoveryResponse) {
		t.Helper()
		h.say <- d
		if e := h.answer(t, d.GetNonce()); e != "" {
			t.Fatal(e)
		}
	}
	h.asked(t, cds)
	say(deltaOf(cds, "c", named("a", m.cluster("a"))))
	assignment := &endpointv3.ClusterLoadAssignment{ClusterName: "a", Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbConfig: &endpointv3.LocalityLbEndpoints_LedsClusterLocalityConfig{LedsClusterLocalityConfig: &endpointv3.LedsClusterLocalityConfig{
			LedsCollectionName: list + "*",
			LedsConfig:         &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}},
		}},
	}}}
	say(deltaOf(eds, "e", named("a", assignment)))
	h.asked(t, leds)
	say(deltaOf(leds, "1", member("p", 1), member("q", 2), member("r", 3)))
	h.asked(t, lds)
	say(deltaOf(lds, "l"))
	readySoon(t, c)
	if !is(ports(r.last(), "a"), 1, 2, 3) {
		t.Fatalf("ready with %v", ports(r.last(), "a"))
	}
	stays := r.last().Cluster("a").Endpoints.Localities[0].Endpoints[0]

	say(deltaOf(leds, "2", member("q", 22)))
	r.until(t, "the one changed", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1, 22, 3) })
	if r.last().Cluster("a").Endpoints.Localities[0].Endpoints[0] != stays {
		t.Error("an endpoint that stays is another value")
	}
	say(deltaOf(leds, "3", member("a", 4)))
	r.until(t, "one more", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1, 22, 3, 4) })
	say(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: kinds[leds].url, Nonce: "4", RemovedResources: []string{list + "p"}})
	r.until(t, "one gone", func(s *config.Snapshot) bool { return is(ports(s, "a"), 22, 3, 4) })

	bad := member("r", 5)
	bad.Resource.Value = []byte{0xff}
	h.say <- deltaOf(leds, "5", bad, member("q", 6))
	if e := h.answer(t, "5"); e == "" {
		t.Error("a broken member is accepted")
	}
	r.until(t, "the good one beside a bad one", func(s *config.Snapshot) bool { return is(ports(s, "a"), 6, 3, 4) })

	say(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: kinds[leds].url, Nonce: "6", RemovedResources: []string{list + "*"}})
	r.until(t, "all gone", func(s *config.Snapshot) bool { return s.Cluster("a") != nil && is(ports(s, "a")) })
}
