package upstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// checkedHosts is static with TCP checks every 10 s.
func checkedHosts(weights ...uint32) *config.Cluster {
	c := static(config.RoundRobin, weights...)
	c.Discovery = config.DiscoveryEDS
	c.HealthCheck = &config.HealthCheck{
		Timeout: time.Second, Interval: 10 * time.Second, HealthyEdge: 10 * time.Second, UnhealthyInterval: 10 * time.Second, UnhealthyEdge: 10 * time.Second,
		NoTraffic: 10 * time.Second, NoTrafficHealthy: 10 * time.Second, Healthy: 2, Unhealthy: 2, Reuse: true,
	}
	return c
}

// ward is a cluster whose hosts listen.
type ward struct {
	*testing.T
	*loop.Sim
	*Local
}

func newWard(t *testing.T, asked *config.Cluster) *ward {
	s, l := opened(t, asked)
	server := s.Worker("server")
	for i := range 6 {
		if _, err := server.Listen(address(i+1), loop.ListenOptions{}, func(*loop.Conn) {}); err != nil {
			t.Fatal(err)
		}
	}
	return &ward{t, s, l}
}

func (g *ward) run(d time.Duration) {
	g.Helper()
	if err := g.RunFor(d); err != nil {
		g.Fatal(err)
	}
}

// picks wants these hosts to be picked, and no others.
func (g *ward) picks(want ...int) {
	g.Helper()
	var got []int
	for i := range count(g.Local, 120, Pick{}) {
		got = append(got, i)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		g.Fatalf("at %s: picks go to %v, want %v", g.Now(), got, want)
	}
}

func (g *ward) ready() bool {
	select {
	case <-g.Ready():
		return true
	default:
		return false
	}
}

func TestChecksDecide(t *testing.T) {
	g := newWard(t, checkedHosts(1, 1, 1, 1))
	if g.ready() {
		t.Error("ready before a check")
	}
	g.Refuse(address(2), true)
	g.run(100 * time.Millisecond)
	if !g.ready() {
		t.Error("not ready")
	}
	g.picks(1, 3, 4)
	g.Refuse(address(3), true)
	g.run(15 * time.Second)
	g.picks(1, 3, 4) // once is not enough
	g.run(10 * time.Second)
	g.picks(1, 4)
	g.Refuse(address(2), false)
	g.run(10 * time.Second)
	g.picks(1, 4)
	g.run(10 * time.Second)
	g.picks(1, 2, 4)
	h := hostAt(t, g.Cluster, address(3))
	if f := h.Flags(); !f.Unfit || f.Late || f.Pending {
		t.Errorf("flags %+v", f)
	}
}

func TestChecksComeAndGo(t *testing.T) {
	g := newWard(t, static(config.RoundRobin, 1, 1, 1))
	g.Refuse(address(1), true)
	g.run(time.Second)
	g.picks(1, 2, 3)
	if err := g.Update(checkedHosts(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	g.picks(1, 2, 3) // nobody is left out for not having been asked yet
	g.run(time.Second)
	g.picks(2, 3)
	more := checkedHosts(1, 1, 1, 1)
	if err := g.Update(more); err != nil {
		t.Fatal(err)
	}
	g.picks(2, 3) // but a new one is
	g.run(time.Second)
	g.picks(2, 3, 4)
	off := checkedHosts(1, 1, 1, 1)
	off.Endpoints.Localities[0].Endpoints[0].Check = &config.EndpointCheck{Disabled: true}
	if err := g.Update(off); err != nil {
		t.Fatal(err)
	}
	g.picks(1, 2, 3, 4)
	if err := g.Update(static(config.RoundRobin, 1, 1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	g.picks(1, 2, 3, 4)
	g.run(time.Minute)
	if n := g.Local.Worker.Timers(); n > 0 {
		t.Errorf("%d timers are left", n)
	}
}

// A host that is not listed any more stays until it fails, unless it is to go at
// once.
func TestHostsLinger(t *testing.T) {
	asked := checkedHosts(1, 1, 1)
	g := newWard(t, asked)
	g.run(time.Second)
	fewer := checkedHosts(1, 1, 1)
	fewer.Endpoints.Localities[0].Endpoints = fewer.Endpoints.Localities[0].Endpoints[:1]
	if err := g.Update(fewer); err != nil {
		t.Fatal(err)
	}
	g.picks(1, 2, 3)
	if f := hostAt(t, g.Cluster, address(2)).Flags(); !f.Leaving {
		t.Errorf("flags %+v", f)
	}
	g.Refuse(address(2), true)
	g.run(25 * time.Second)
	g.picks(1, 3)
	if g.Hosts() != 2 {
		t.Errorf("%d hosts", g.Hosts())
	}
	if err := g.Update(asked); err != nil {
		t.Fatal(err)
	}
	if f := hostAt(t, g.Cluster, address(3)).Flags(); f.Leaving {
		t.Error("it is listed again, and leaving")
	}
	fewer = checkedHosts(1, 1, 1)
	fewer.RemoveAtOnce = true
	fewer.Endpoints.Localities[0].Endpoints = fewer.Endpoints.Localities[0].Endpoints[:1]
	if err := g.Update(fewer); err != nil {
		t.Fatal(err)
	}
	g.picks(1)
}

func TestNewHostsAreExcluded(t *testing.T) {
	asked := checkedHosts(1, 1)
	asked.ExcludeNewHosts = true
	g := newWard(t, asked)
	g.run(time.Second)
	more := checkedHosts(1, 1, 1, 1, 1, 1)
	more.ExcludeNewHosts = true
	for i := 3; i <= 6; i++ {
		g.Refuse(address(i), true)
	}
	if err := g.Update(more); err != nil {
		t.Fatal(err)
	}
	g.picks(1, 2) // and no panic, though they are a third
	g.run(time.Second)
	g.picks(1, 2, 3, 4, 5, 6) // panic: they have been asked
}

func TestFailNow(t *testing.T) {
	g := newWard(t, checkedHosts(1, 1, 1))
	g.run(time.Second)
	h := hostAt(t, g.Cluster, address(2)).On(g.Local.Worker)
	h.FailNow()
	g.run(time.Millisecond)
	g.picks(1, 3)
	if f := h.Flags(); !f.Excluded || !f.Unfit {
		t.Errorf("flags %+v", f)
	}
	g.run(25 * time.Second)
	g.picks(1, 2, 3)
	if f := h.Flags(); f != (Flags{}) {
		t.Errorf("flags %+v", f)
	}
}

// A check that passes ends an ejection at once.
func TestCheckEndsEjection(t *testing.T) {
	asked := checkedHosts(1, 1, 1)
	asked.Outlier = watched().Outlier
	asked.Outlier.UnejectOnCheck = true
	g := newWard(t, asked)
	g.run(time.Second)
	h := hostAt(t, g.Cluster, address(2)).On(g.Local.Worker)
	for range 5 {
		h.Report(outlier.Answered, 500)
	}
	g.run(time.Millisecond)
	g.picks(1, 3)
	g.run(11 * time.Second)
	g.picks(1, 2, 3)
}

func TestUnfitHostsConnectionsEnd(t *testing.T) {
	asked := checkedHosts(1, 1)
	g := newWard(t, asked)
	g.Breakers[0].Connections.SetLimit(9)
	g.Breakers[0].Pending.SetLimit(9)
	g.run(time.Second)
	h := hostAt(t, g.Cluster, address(2)).On(g.Local.Worker)
	g.Local.Worker.Go(func() {
		if l, err := h.Exclusive.Get(&g.Breakers[0], false); err == nil {
			l.Put()
		}
	})
	g.run(time.Second)
	if h.Exclusive.Idle() != 1 {
		t.Fatal("no connection")
	}
	g.Refuse(address(2), true)
	g.run(30 * time.Second)
	if h.Exclusive.Idle() != 0 {
		t.Error("its connection stays")
	}
}

// Whatever hosts do, the picks go where the checks say, panic or not.
func TestSimChecksAndPriorities(t *testing.T) {
	for seed := range loop.Seeds(t, 40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			asked := checkedHosts()
			asked.Endpoints = levels(config.RoundRobin, "hhh", "hhh").Endpoints
			g := newWard(t, asked)
			up, r := [7]bool{}, rand.New(rand.NewPCG(seed, 1))
			for range 6 {
				down := 0
				for i := 1; i <= 6; i++ {
					up[i] = r.IntN(3) > 0
					g.Refuse(address(i), !up[i])
					if !up[i] {
						down++
					}
				}
				g.run(45 * time.Second)
				for i := range count(g.Local, 60, Pick{}) {
					if down < 3 && !up[i] {
						t.Fatalf("a pick went to host %d, which is down; up: %v", i, up)
					}
				}
			}
		})
	}
}
