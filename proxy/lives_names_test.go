package proxy

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// nameServer is DNS: what it answers, and when, is the seed's choice for each name and
// each time that it is asked, whichever goroutine comes first.
type nameServer struct {
	seed uint64
	mild bool // it answers, soon
	mu   sync.Mutex
	n    map[string]uint64
}

func (s *nameServer) Lookup(ctx context.Context, name string, _ config.DNSFamily) ([]netip.Addr, time.Duration, error) {
	s.mu.Lock()
	s.n[name]++
	n := s.n[name]
	s.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(s.seed, h.Sum64()+n))
	late := time.Duration(rng.IntN(50)) * time.Millisecond
	fault := rng.IntN(10)
	if s.mild {
		fault = 9
	}
	if fault == 0 {
		late = time.Duration(1+rng.IntN(8)) * time.Second
	}
	select {
	case <-time.After(late):
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	switch fault {
	case 1:
		return nil, 0, upstream.ErrServerFailure
	case 2:
		return nil, 0, upstream.ErrNotFound
	case 3:
		return nil, 0, nil
	}
	var i int
	_, _ = fmt.Sscanf(name, "n%d.", &i)
	return []netip.Addr{nameIP(i, rng.IntN(nameHosts))}, time.Duration(rng.IntN(10)) * time.Second, nil
}

const (
	nameCount = 8 // names, each with its own hosts
	nameHosts = 3 // that a name stands for, now one and now another
)

func nameIP(name, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(name), byte(host + 1)})
}

// Requests wait for names that come late, fail, and stand for other hosts from one
// moment to the next, while their cluster is told to look them up otherwise, and
// clients leave. No request comes to another name's host.
func TestSimNames(t *testing.T) {
	seen, ran := map[string]int{}, 0
	for seed := range loop.Seeds(t, 200) {
		dns := &nameServer{seed: seed, mild: seed%4 == 0, n: map[string]uint64{}}
		for what, n := range live(t, seed, dns, nameLives) {
			seen[what] += n
		}
		ran++
	}
	t.Logf("%v", seen)
	if ran > 20 && (seen["200"] == 0 || seen["503"] == 0 || seen["left"] == 0) {
		t.Error("the scenario shows nothing")
	}
}

func nameLives(w *lives) {
	cache := config.NameCache{
		Name: "names", Refresh: 2 * time.Second, MinRefresh: time.Second, TTL: 20 * time.Second, Timeout: 3 * time.Second,
		MaxNames: 1024, MaxPending: 1024,
	}
	if !w.mild {
		cache.MaxNames = []uint32{3, nameCount, 1024}[w.rng.IntN(3)]
		cache.MaxPending = []uint32{1, 3, 1024}[w.rng.IntN(3)]
		cache.Once = w.rng.IntN(3) == 0
	}
	l := webFront("any", config.HTTPFilter{Name: "dfp", Config: &config.DynamicForward{}})
	resources := func() config.Resources {
		c := shape("any")
		c.Discovery, c.Names = config.DiscoveryDynamic, cache
		return config.Resources{Clusters: []*config.Cluster{c}, Listeners: []*config.Listener{l}}
	}
	w.apply(resources())
	size := w.foul()
	var hosts []config.Address
	for i := range nameCount {
		for k := range nameHosts {
			a := config.Address{IP: netip.AddrPortFrom(nameIP(i, k), 80)}
			hosts = append(hosts, a)
			w.serve(a, w.webHost(func(r *http.Request) {
				if !strings.HasPrefix(r.Host, fmt.Sprintf("n%d.", i)) {
					w.t.Errorf("a host of name %d got a request for %s", i, r.Host)
				}
			}))
		}
	}
	if !w.mild {
		w.trouble(hosts...)
		for range w.rng.IntN(3) {
			w.applyAt(time.Duration(w.rng.IntN(6000))*time.Millisecond, func() config.Resources {
				cache.Timeout += time.Millisecond // all names anew
				return resources()
			})
		}
	}
	for i := range 2 + w.rng.IntN(4) {
		w.visit(func() { w.surf(fmt.Sprint("c", i), size) })
	}
	w.last = func() {
		w.pass(2*cache.TTL + 10*time.Second)
		w.server.Cluster("any").NameStats(func(name string, v uint64) {
			if strings.HasSuffix(name, ".num_hosts") && v != 0 {
				w.t.Errorf("%d names are left that nobody asks for", v)
			}
		})
		if n := w.server.Cluster("any").Hosts(); n != 0 {
			w.t.Errorf("%d hosts are left that nobody asks for", n)
		}
	}
}

// surf asks for one name after the other, over as many connections as it takes; it
// leaves now and then.
func (w *lives) surf(id string, size int) {
	for i := 0; i < 6; {
		c, err := w.client.Dial(front, 0, config.Keepalive{})
		if err != nil {
			w.t.Errorf("%s: %v", id, err)
			return
		}
		if !w.mild && w.rng.IntN(4) == 0 { // gone while it waits
			fmt.Fprintf(c, "GET /%s/10 HTTP/1.1\r\nHost: n%d.test\r\n\r\n", id, w.rng.IntN(nameCount))
			w.nap(w.client, 4*time.Second)
			w.seen["left"]++
			c.Close()
			i++
			continue
		}
		in := bufio.NewReader(c)
		for ok := true; ok && i < 6; i++ {
			host := fmt.Sprintf("n%d.test", w.rng.IntN(nameCount))
			ok = w.request(c, in, host, fmt.Sprint(id, "-", i), w.rng.IntN(size), 502, 503, 504)
			if w.rng.IntN(3) == 0 {
				w.nap(w.client, 3*time.Second)
			}
		}
		c.Close()
	}
}
