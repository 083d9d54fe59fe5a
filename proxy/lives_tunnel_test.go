package proxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Tunnels, both ends of them, and proxies between, in every version of HTTP:
//
//	client ─▶ tcp_proxy, tunneling_config ─▶ [CONNECT is passed on] ─▶ CONNECT ends ─▶ host
//
// What one end says comes out at the other, whole and in order, or the tunnel breaks
// for both; an end that was passed on is one that somebody has said.
//
// Seeds that have shown something. 32: a tunnel whose client had ended its half was cut
// when the host was silent for 250 ms. 1091: what a slow reader had not taken a second
// after the end was dropped, and an end was said in order.
func TestSimTunnels(t *testing.T) {
	seen, ran := map[string]int{}, 0
	for seed := range loop.Seeds(t, 200) {
		for what, n := range live(t, seed, nil, tunnelLives) {
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

var (
	between = ipAt("10.0.0.1:81") // passes CONNECT on
	far     = ipAt("10.0.0.1:82") // ends it
)

func tunnelLives(w *lives) {
	to, passed := "far", w.seed&1 == 1
	if passed {
		to = "between"
	}
	post := w.seed&2 == 2 && !passed
	host, err := config.ParseFormat("host.test:7")
	w.must(err)
	listeners := []*config.Listener{
		frontOf(&config.TCP{
			StatPrefix: "t", Clusters: []config.WeightedCluster{{Name: to}}, IdleTimeout: time.Minute, MaxConnectAttempts: 1 + w.rng.IntN(2),
			Tunnel: &config.Tunnel{Host: host, Post: post, Path: "/"},
		}),
		connectEnd("far", far, &config.Forward{Cluster: "hosts", NotFoundStatus: 503, Ends: &config.ConnectEnd{Post: post}}),
		connectEnd("between", between, &config.Forward{Cluster: "far", NotFoundStatus: 503}),
	}
	hosts := []config.Address{ipAt("10.3.0.1:7"), ipAt("10.3.0.2:7")}
	asked := hosts
	version := func(c *config.Cluster, two bool) *config.Cluster {
		if two {
			c.HTTP.Protocol, c.HTTP.HTTP2.AllowConnect = config.UpstreamHTTP2, true
		}
		return c
	}
	one, two := post || w.rng.IntN(2) == 0, w.rng.IntN(2) == 0
	if post {
		two = true
	}
	resources := func() config.Resources {
		return config.Resources{Listeners: listeners, Clusters: []*config.Cluster{
			version(shape("between", between), one), version(shape("far", far), two), shape("hosts", asked...),
		}}
	}
	w.apply(resources())
	size := w.foul()
	for _, a := range hosts {
		w.serve(a, w.echo("host"))
	}
	if !w.mild {
		w.trouble(append(hosts, between, far)...)
		for range w.rng.IntN(3) {
			w.applyAt(time.Duration(w.rng.IntN(3000))*time.Millisecond, func() config.Resources {
				asked = hosts[w.rng.IntN(2):][:1]
				return resources()
			})
		}
	}
	for i := range 1 + w.rng.IntN(5) {
		w.visit(func() {
			for k := range 3 {
				w.chat(front, "host", fmt.Sprint("c", i, "-", k), 1+w.rng.IntN(size))
				w.nap(w.client, time.Second)
			}
		})
	}
}

// connectEnd is a connection manager for CONNECT.
func connectEnd(name string, at config.Address, to *config.Forward) *config.Listener {
	l := webFront(to.Cluster)
	l.Name, l.Address = name, at
	h := l.Chains[0].Handler.(*config.HTTP)
	h.StatPrefix, h.HTTP2.AllowConnect, h.Upgrades = name, true, []string{"connect"}
	kind := config.PathMatch{Kind: config.PathConnect}
	if to.Ends != nil && to.Ends.Post {
		kind = config.PathMatch{Kind: config.PathPrefix, Value: "/"}
	}
	h.Routes.VirtualHosts[0].Routes = []*config.Route{{Match: config.RouteMatch{Path: kind}, Action: to}}
	return l
}
