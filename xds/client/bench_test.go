package client

import (
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
)

// One of 10,000 endpoints changes: what reading and assembling cost.
func BenchmarkOneOfTenThousand(b *testing.B) {
	m := modes[0]
	o := m.options(address0, newRecorder())
	o.Apply = func(*config.Snapshot) error { return nil }
	c, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	many := make([]uint32, 10_000)
	for i := range many {
		many[i] = uint32(10_000 + i)
	}
	versions := make([]*endpointv3.ClusterLoadAssignment, 2)
	for i := range versions {
		many[5000] = uint32(1 + i)
		versions[i] = endpoints("a", many...)
	}
	f := &feed{c: c}
	take := func(k kind, name string, body protocol.Resource) {
		now := time.Now()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.take(f, k, &protocol.Update{TypeURL: kinds[k].url, Resources: []protocol.Resource{body}}, now)
		c.world[eds].entry("a").wanted = true
		c.assemble(now)
	}
	take(cds, "a", protocol.Resource{Name: "a", Body: packed(m.cluster("a"))})
	bodies := []protocol.Resource{{Name: "a", Body: packed(versions[0])}, {Name: "a", Body: packed(versions[1])}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		take(eds, "a", bodies[i%2])
	}
	if len(ports(c.snapshot, "a")) != len(many) {
		b.Fatal("not assembled")
	}
}
