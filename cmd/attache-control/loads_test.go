package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// TestLoads: reports add up by cluster and locality, within bounds whatever
// clients say.
func TestLoads(t *testing.T) {
	l := newLoads()
	report := func(cluster, zone string, issued, dropped uint64) []*endpointv3.ClusterStats {
		return []*endpointv3.ClusterStats{{
			ClusterName: cluster, TotalDroppedRequests: dropped,
			UpstreamLocalityStats: []*endpointv3.UpstreamLocalityStats{{
				Locality: &corev3.Locality{Zone: zone}, TotalIssuedRequests: issued, TotalSuccessfulRequests: issued,
			}},
		}}
	}
	now := time.Now()
	l.add("web", report("cart", "a", 3, 0), now)
	l.add("web", report("cart", "a", 4, 1), now)
	l.add("web", report("cart", "b", math.MaxUint64, 0), now)
	l.add("web", report("cart", "b", 1, 0), now)
	all, reports := l.status()
	got := ""
	for _, r := range all {
		got += fmt.Sprintf("%s %q %d %d %d\n", r.Cluster, r.Zone, r.Issued, r.Success, r.Dropped)
	}
	want := "cart \"\" 0 0 1\ncart \"a\" 7 7 0\ncart \"b\" 18446744073709551615 18446744073709551615 0\n"
	if got != want || reports != 4 {
		t.Errorf("%d reports:\n%swant\n%s", reports, got, want)
	}
	for i := range 3 * maxLoads {
		l.add("web", report(fmt.Sprint(i, strings.Repeat("x", 1000)), "\xff", 1, 0), now)
	}
	all, _ = l.status()
	if len(all) != maxLoads+1 || all[0].Ambassador != otherLoad || all[0].Issued == 0 {
		t.Errorf("%d rows, the first %+v", len(all), all[0])
	}
	for _, r := range all {
		if len(r.Cluster) > maxLoadName {
			t.Fatalf("a name of %d bytes", len(r.Cluster))
		}
	}
}
