package upstream

import (
	"math/rand/v2"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// placed is a view whose hosts are in places: zone a, b, c …, so many in each.
func placed(t *testing.T, z *config.ZoneAware, counts ...int) *view {
	t.Helper()
	asked := &config.Cluster{Name: "x", PanicThreshold: 50, Zone: z}
	var members []member
	for i, n := range counts {
		l := &config.Locality{Zone: string(rune('a' + i))}
		for range n {
			members = append(members, member{endpoint: &config.Endpoint{Weight: 1}, locality: l, host: &Host{}})
		}
	}
	v, err := newView(asked, members, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Envoy's own example (load_balancer_impl.cc): of 40, 40 and 20 percent of the programs
// and 25, 50 and 25 of the hosts, those in the first place keep 62.5 % here, and send
// the rest two to one to the others.
func TestZonesShareAsEnvoysExample(t *testing.T) {
	z := &config.ZoneAware{Local: "me", Here: config.Place{Zone: "a"}, MinHosts: 6, Percent: 100}
	v, local := placed(t, z, 5, 10, 5), placed(t, nil, 4, 4, 2)
	p := &picker{local: &Cluster{}}
	p.local.view.Store(local)
	r := rand.New(rand.NewPCG(1, 2))
	p.remake(v, r)
	const n = 100_000
	var at [3]int
	for range n {
		s, ok := p.pickZone(v, false, r)
		if !ok {
			t.Fatal("places do not count")
		}
		for i := range p.zones.healthy {
			if s == &p.zones.healthy[i] {
				at[i]++
			}
		}
	}
	for i, want := range []float64{0.625, 0.25, 0.125} {
		if got := float64(at[i]) / n; got < want-0.01 || got > want+0.01 {
			t.Errorf("place %d gets %.3f, want %.3f", i, got, want)
		}
	}
}

func TestZonesDoNotCount(t *testing.T) {
	for name, x := range map[string]struct {
		z             config.ZoneAware
		hosts, locals []int
		count         func(*zoneCounters) uint64
	}{
		"too few hosts":             {config.ZoneAware{Here: config.Place{Zone: "a"}, MinHosts: 6, Percent: 100}, []int{2, 2}, []int{1, 1}, func(n *zoneCounters) uint64 { return n.tooSmall }},
		"none like us where we are": {config.ZoneAware{Here: config.Place{Zone: "z"}, MinHosts: 2, Percent: 100}, []int{2, 2}, []int{1, 1}, func(n *zoneCounters) uint64 { return n.localNotOK }},
		"all like us in one place":  {config.ZoneAware{Here: config.Place{Zone: "a"}, MinHosts: 2, Percent: 100}, []int{2, 2}, []int{2}, func(n *zoneCounters) uint64 { return n.recalculated }},
	} {
		t.Run(name, func(t *testing.T) {
			v := placed(t, &x.z, x.hosts...)
			p := &picker{local: &Cluster{}}
			p.local.view.Store(placed(t, nil, x.locals...))
			r := rand.New(rand.NewPCG(1, 2))
			p.remake(v, r)
			if _, ok := p.pickZone(v, false, r); ok || x.count(&p.zone) != 1 {
				t.Errorf("places count: %v, %+v", ok, p.zone)
			}
		})
	}
}
