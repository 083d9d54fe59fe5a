package httpproxy

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// swaps change the configuration of a scenario at random moments: endpoints
// come and go, the route table names now this cluster and now that one,
// clusters are taken away and put back, all through config.Assemble, and made
// live in the order of proxy.Server.Apply.
type swaps struct {
	*scenario
	names  []string
	hosts  []config.Address
	now    map[string]*config.Cluster // what CDS says; a name may be missing
	ends   map[string]*config.Endpoints
	table  *config.RouteTable
	before *config.Snapshot
	gone   []*upstream.Cluster
	done   int
}

func newSwaps(s *scenario, hosts []config.Address) *swaps {
	w := &swaps{
		scenario: s, names: []string{"c", "d"}, hosts: hosts,
		now: map[string]*config.Cluster{}, ends: map[string]*config.Endpoints{},
	}
	for _, name := range w.names {
		w.now[name], w.ends[name] = asEDS(name), w.someHosts(name)
	}
	w.table = tableOf(w.rng, "c")
	w.apply()
	return w
}

func asEDS(name string) *config.Cluster {
	c := testCluster(name)
	c.Discovery, c.EDSName = config.DiscoveryEDS, name
	return c
}

// someHosts are any of the hosts, at least one, in any order.
func (w *swaps) someHosts(cluster string) *config.Endpoints {
	some := slices.Clone(w.hosts)
	w.rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	e := testCluster(cluster, some[:1+w.rng.IntN(len(some))]...).Endpoints
	return &e
}

// tableOf routes to clusters; sometimes to all by weight.
func tableOf(rng *rand.Rand, names ...string) *config.RouteTable {
	f := toCluster(names[0])
	if len(names) > 1 {
		f.Cluster = ""
		for _, name := range names {
			f.Weighted = append(f.Weighted, config.WeightedRoute{Cluster: name, Weight: uint32(1 + rng.IntN(9))})
		}
	}
	t := testHTTP(prefix("/", f)).Routes
	t.Name = "t"
	return t
}

// step changes one thing. A table is only pointed to clusters that there are.
func (w *swaps) step() {
	name := w.names[w.rng.IntN(len(w.names))]
	there := slices.DeleteFunc(slices.Clone(w.names), func(n string) bool { return w.now[n] == nil })
	switch n := w.rng.IntN(5); {
	case w.now[name] == nil:
		w.now[name], w.ends[name] = asEDS(name), w.someHosts(name)
	case n < 2:
		w.ends[name] = w.someHosts(name)
	case n == 2:
		w.table = tableOf(w.rng, name)
	case n == 3:
		w.table = tableOf(w.rng, there...)
	default:
		delete(w.now, name)
		delete(w.ends, name)
	}
	w.done++
	w.apply()
}

// apply makes what is said live.
func (w *swaps) apply() {
	now := config.Resources{RouteTables: []*config.RouteTable{w.table}}
	for _, name := range w.names {
		if c := w.now[name]; c != nil {
			now.Clusters, now.Endpoints = append(now.Clusters, c), append(now.Endpoints, w.ends[name])
		}
	}
	h := testHTTP()
	h.Routes, h.RouteTableName = nil, "t"
	now.Listeners = []*config.Listener{{Name: "l", Address: w.addr, Chains: []config.FilterChain{{Handler: h}}}}
	snap, _, problems := config.Assemble(w.before, now)
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	w.before = snap
	for _, c := range snap.Clusters {
		w.open(c)
	}
	var gone []*upstream.Cluster
	for name, k := range w.clusters {
		if snap.Cluster(name) == nil {
			gone = append(gone, k)
			delete(w.clusters, name)
		}
	}
	t, err := Compile(snap.RouteTable("t"), w.cluster)
	must(w.t, err)
	w.room.Use(t)
	for _, k := range gone {
		w.gone = append(w.gone, k)
		w.close(k, 30)
	}
}

// close ends a cluster when nothing is asked of it any more, or after so many
// seconds.
func (w *swaps) close(k *upstream.Cluster, seconds int) {
	if k.On(w.proxy).Count.RqActive == 0 || seconds == 0 {
		k.Close()
		return
	}
	w.After(time.Second, func() { w.close(k, seconds-1) })
}

func (w *swaps) open(c *config.Cluster) {
	k := w.clusters[c.Name]
	var err error
	switch {
	case k == nil:
		w.clusters[c.Name], err = upstream.Open(c, []*loop.Worker{w.proxy}, slog.New(slog.DiscardHandler), nil)
	case k.Config() != c:
		err = k.Update(c)
	}
	must(w.t, err)
}

// When the configuration changes under traffic, nobody notices: where hosts do
// no harm every request is answered with 200, and where they do the engine's
// invariants hold as ever.
func TestSimConfigSwaps(t *testing.T) {
	answered, swapped := 0, 0
	for seed := range loop.Seeds(t, 300) {
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80"), at("10.0.0.4:80")}
		g := newStage(t, seed, testHTTP(prefix("/", toCluster("none"))), testCluster("none"))
		s := &scenario{stage: g, rng: g.Rand(), runs: map[string]int{}}
		s.mild = seed%2 == 0
		s.sizes = 6
		if l := g.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
			s.sizes = 4 // a byte at a time takes its time
		}
		for _, a := range hosts {
			g.serve(a, s.host)
		}
		w := newSwaps(s, hosts)
		for range 1 + s.rng.IntN(40) {
			g.At(time.Duration(s.rng.IntN(1000))*time.Millisecond, w.step)
		}
		s.remaining = 1 + s.rng.IntN(5)
		for i := range s.remaining {
			g.client.Go(func() {
				defer func() { s.remaining-- }()
				s.visit("c"+strconv.Itoa(i), 1+s.rng.IntN(20))
			})
		}
		must(t, g.Run(func() bool { return s.remaining == 0 }, time.Hour))
		for what, n := range s.runs {
			if n > 1 && strings.HasPrefix(what, "POST ") {
				t.Errorf("%s was carried out %d times", what, n)
			}
		}
		must(t, g.RunFor(30*time.Second))
		for i, k := range w.gone {
			g.clusters[fmt.Sprint("gone ", i)] = k
		}
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
		answered, swapped = answered+s.answered, swapped+w.done
	}
	t.Logf("%d answered over %d changes", answered, swapped)
	if answered == 0 || swapped == 0 {
		t.Error("the scenario shows nothing")
	}
}
