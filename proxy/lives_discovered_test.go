package proxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/netfilter"
)

// Network filters whose configurations come and go while connections are open: whoever was let
// in keeps what it has, whole and to its end, and what was counted of it goes on counting.
func TestSimDiscovered(t *testing.T) {
	seen, ran := map[string]int{}, 0
	for seed := range loop.Seeds(t, 200) {
		for what, n := range live(t, seed, nil, discoveredLives) {
			seen[what] += n
		}
		ran++
	}
	t.Logf("%v", seen)
	for _, what := range []string{"echoed", "broken", "left"} {
		if seen[what] == 0 && ran > 20 {
			t.Errorf("none %s: the scenario shows too little", what)
		}
	}
}

func discoveredLives(w *lives) {
	hosts := []config.Address{ipAt("10.3.0.1:7"), ipAt("10.3.0.2:7")}
	clusters := []*config.Cluster{shape("a", hosts[0]), shape("b", hosts[1])}
	fixed := config.NetworkFilter{Name: "fixed", Config: &config.ConnectionLimit{StatPrefix: "f", Max: 1000}}
	l := frontOf(nil, fixed, config.NetworkFilter{Name: "guard", Discovery: &config.FilterDiscovery{
		Name: "guard", Of: config.NetworkFilters, Types: []string{"guard"},
	}})
	c := l.Chains[0]
	c.Discovery = &config.FilterDiscovery{Name: "served", Of: config.NetworkFilters, Last: true, Types: []string{"served"}}
	l.Chains = []config.FilterChain{c}
	guard := &config.Extension{Name: "guard", Type: "guard"}
	served := &config.Extension{Name: "served", Type: "served"}
	again := func() config.Resources {
		if guard.Config == nil || w.rng.IntN(2) == 0 {
			guard = &config.Extension{Name: "guard", Type: "guard", Config: &config.ConnectionLimit{StatPrefix: "g", Max: 1000 + uint64(w.rng.IntN(3))}}
		}
		if served.Config == nil || w.rng.IntN(2) == 0 {
			served = &config.Extension{Name: "served", Type: "served", Config: &config.TCP{
				StatPrefix: "t", Clusters: []config.WeightedCluster{{Name: []string{"a", "b"}[w.rng.IntN(2)]}},
				IdleTimeout: time.Hour + time.Duration(w.rng.IntN(2)), MaxConnectAttempts: 3,
			}}
		}
		extensions := []*config.Extension{guard, served}
		if !w.mild && w.rng.IntN(5) == 0 {
			extensions[w.rng.IntN(2)] = &config.Extension{Name: []string{"guard", "served"}[w.rng.IntN(2)], Missing: true}
		}
		if extensions[0].Name == extensions[1].Name {
			extensions = []*config.Extension{guard, served}
		}
		return config.Resources{Listeners: []*config.Listener{l}, Clusters: clusters, Extensions: extensions}
	}
	w.apply(again())
	counts := func() netfilter.Filter { return w.server.listeners["in"].rooms[0].filters.Load().At(0) }
	first := counts()
	size := w.foul()
	for _, a := range hosts {
		w.serve(a, w.echo("host"))
	}
	if !w.mild {
		w.trouble(hosts...)
	}
	for range 1 + w.rng.IntN(6) {
		w.applyAt(time.Duration(w.rng.IntN(4000))*time.Millisecond, again)
	}
	chats := 0
	for i := range 1 + w.rng.IntN(6) {
		w.visit(func() {
			for j := range 1 + w.rng.IntN(6) {
				w.nap(w.client, time.Second)
				chats++
				w.chat(front, "host", fmt.Sprintf("%d.%d.%d", w.seed, i, j), size)
			}
		})
	}
	w.last = func() {
		if counts() != first {
			w.t.Errorf("seed %d: the filter that did not come by discovery is another one", w.seed)
		}
		w.pass(10 * time.Second)
		if n := len(w.server.retired); n != 0 {
			w.t.Errorf("seed %d: %d rooms are kept, and nobody is in them", w.seed, n)
		}
		if !w.mild {
			return // there may never have been anything that serves, and counts
		}
		if n := w.figures("tcp.t.downstream_cx_total"); n["tcp.t.downstream_cx_total"] != uint64(chats) {
			w.t.Errorf("seed %d: %v were counted of %d", w.seed, n, chats)
		}
	}
}
