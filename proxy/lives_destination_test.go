package proxy

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Connections that were redirected go on to where they were going, by HTTP and as
// bytes, while hosts break, nobody asks for them for a while, and the configuration
// changes. None comes to another's destination.
func TestSimDestinations(t *testing.T) {
	seen, ran := map[string]int{}, 0
	for seed := range loop.Seeds(t, 200) {
		for what, n := range live(t, seed, nil, destinationLives) {
			seen[what] += n
		}
		ran++
	}
	t.Logf("%v", seen)
	if ran > 20 && (seen["200"] == 0 || seen["503"] == 0 || seen["echoed"] == 0 || seen["broken"] == 0) {
		t.Error("the scenario shows nothing")
	}
}

// destinations are of HTTP at 80, and of bytes at 7.
const destinations = 5

func destinationLives(w *lives) {
	cleanup := time.Duration(1+w.rng.IntN(5)) * time.Second
	web, bytes := webFront("web"), frontOf(&config.TCP{
		StatPrefix: "t", Clusters: []config.WeightedCluster{{Name: "bytes"}}, IdleTimeout: time.Minute, MaxConnectAttempts: 1 + w.rng.IntN(2),
	})
	bytes.Name, bytes.Address = "bytes", ipAt("10.0.0.1:7")
	web.OriginalDst, bytes.OriginalDst = true, true
	resources := func() config.Resources {
		r := config.Resources{Listeners: []*config.Listener{web, bytes}}
		for _, name := range []string{"web", "bytes"} {
			c := shape(name)
			c.Discovery, c.OriginalDst.Cleanup = config.DiscoveryOriginalDst, cleanup
			r.Clusters = append(r.Clusters, c)
		}
		return r
	}
	w.apply(resources())
	size := w.foul()
	var hosts []config.Address
	for i := range destinations {
		for _, port := range []int{80, 7} {
			a := ipAt(fmt.Sprintf("10.2.0.%d:%d", i+1, port))
			hosts = append(hosts, a)
			w.Redirect(w.client, a.IP, ipAt(fmt.Sprintf("10.0.0.1:%d", port)).IP)
			if port == 7 {
				w.serve(a, w.echo(a.String()))
				continue
			}
			w.serve(a, w.webHost(func(r *http.Request) {
				if r.Host != a.String() {
					w.t.Errorf("%s got a request for %s", a, r.Host)
				}
			}))
		}
	}
	if !w.mild {
		w.trouble(hosts...)
		for range w.rng.IntN(3) {
			w.applyAt(time.Duration(w.rng.IntN(6000))*time.Millisecond, func() config.Resources {
				cleanup += time.Millisecond // the hosts stay
				return resources()
			})
		}
	}
	for i := range 2 + w.rng.IntN(3) {
		w.visit(func() { w.travel(fmt.Sprint("c", i), size) })
	}
	w.last = func() {
		w.pass(2 * time.Minute) // idle connections end, and hosts are of no use then
		for _, name := range []string{"web", "bytes"} {
			if n := w.server.Cluster(name).Hosts(); n != 0 {
				w.t.Errorf("%s: %d hosts are left that nobody asks for", name, n)
			}
		}
	}
}

// travel goes to one destination after the other.
func (w *lives) travel(id string, size int) {
	for i := range 5 {
		own := fmt.Sprint(id, "-", i)
		host := 1 + w.rng.IntN(destinations)
		if w.rng.IntN(2) == 0 {
			w.chat(ipAt(fmt.Sprintf("10.2.0.%d:7", host)), fmt.Sprintf("10.2.0.%d:7", host), own, 1+w.rng.IntN(size))
			continue
		}
		at := ipAt(fmt.Sprintf("10.2.0.%d:80", host))
		c, err := w.client.Dial(at, 0, config.Keepalive{})
		if err != nil {
			w.t.Errorf("%s: %v", own, err)
			return
		}
		in := bufio.NewReader(c)
		for ok := true; ok && w.rng.IntN(3) > 0; {
			ok = w.request(c, in, at.String(), own, w.rng.IntN(size), 502, 503, 504)
			w.nap(w.client, time.Second)
		}
		c.Close()
	}
}
