package upstream

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"testing"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

func address(i int) config.Address {
	return config.Address{IP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)}
}

// static is a cluster of hosts 10.0.0.1:80, 10.0.0.2:80 … with these weights.
func static(kind config.BalanceKind, weights ...uint32) *config.Cluster {
	l := config.Locality{}
	for i, w := range weights {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: address(i + 1), Weight: w})
	}
	return &config.Cluster{
		Name: "c", PanicThreshold: 50,
		Balance:   config.Balance{Kind: kind, ActiveBias: 1},
		Endpoints: config.Endpoints{Localities: []config.Locality{l}},
	}
}

// opened is a cluster on one worker of a simulation.
func opened(t testing.TB, asked *config.Cluster) (*loop.Sim, *Local) {
	t.Helper()
	s := loop.NewSim(1, nil)
	t.Cleanup(s.Close)
	w := s.Worker("proxy")
	c, err := Open(asked, []*loop.Worker{w}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c.On(w)
}

// count makes n picks and counts them by the last byte of the host's address;
// 0 counts those that found none.
func count(l *Local, n int, p Pick) map[int]int {
	got := map[int]int{}
	for range n {
		h, o := l.Pick(&p)
		if o != outcome.OK {
			got[0]++
			continue
		}
		b := h.Address.IP.Addr().As4()
		got[int(b[3])]++
	}
	return got
}

// near checks shares of n picks to within d of n.
func near(t *testing.T, got map[int]int, want map[int]float64, n int, d float64) {
	t.Helper()
	for i, part := range want {
		if share := float64(got[i]) / float64(n); math.Abs(share-part) > d {
			t.Errorf("host %d has %.4f of the picks, want %.4f ± %.4f (all: %v)", i, share, part, d, got)
		}
		delete(got, i)
	}
	if len(got) > 0 {
		t.Errorf("picks that nobody expects: %v", got)
	}
}

func TestPickSpreadsByWeight(t *testing.T) {
	const n = 20000
	equal := map[int]float64{1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}
	weighted := map[int]float64{1: 0.1, 2: 0.2, 3: 0.7}
	for _, x := range []struct {
		name    string
		kind    config.BalanceKind
		weights []uint32
		want    map[int]float64
		within  float64
	}{
		{"round robin, equal", config.RoundRobin, []uint32{1, 1, 1, 1}, equal, 0.0001},
		{"round robin, weighted", config.RoundRobin, []uint32{1, 2, 7}, weighted, 0.0002},
		{"least request, equal", config.LeastRequest, []uint32{5, 5, 5, 5}, equal, 0.02},
		{"least request, weighted", config.LeastRequest, []uint32{1, 2, 7}, weighted, 0.0002},
		{"random", config.Random, []uint32{1, 2, 7, 9}, equal, 0.02},
		{"ring without a hash", config.RingHashLB, []uint32{1, 1, 1, 1}, equal, 0.06},
		{"maglev without a hash", config.MaglevLB, []uint32{1, 2, 7}, weighted, 0.02},
		{"rendezvous without a hash", config.Rendezvous, []uint32{1, 2, 7}, weighted, 0.02},
		{"ketama without a hash", config.Ketama, []uint32{1, 1, 1, 1}, equal, 0.08},
		{"libmemcached without a hash", config.Libmemcached, []uint32{1, 1, 1, 1}, equal, 0.08},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, l := opened(t, static(x.kind, x.weights...))
			near(t, count(l, n, Pick{}), x.want, n, x.within)
		})
	}
}

// Tables are those of package hashing over the hosts' names.
func TestPickByHashAgreesWithItsTable(t *testing.T) {
	hosts := []hashing.Host{{Key: "10.0.0.1:80", Weight: 1}, {Key: "10.0.0.2:80", Weight: 2}, {Key: "10.0.0.3:80", Weight: 1}}
	ring, _ := hashing.NewRing(hosts, hashing.RingConfig{})
	ketama, _ := hashing.NewKetama(hosts)
	_, r := opened(t, static(config.RingHashLB, 1, 2, 1))
	_, k := opened(t, static(config.Ketama, 1, 2, 1))
	for i := range 1000 {
		h := hashing.XXH64String(fmt.Sprint("key", i), 0)
		got, _ := r.Pick(&Pick{Hash: h, HasHash: true})
		if want := hosts[ring.Lookup(h)].Key; got.Address.String() != want {
			t.Fatalf("ring: %x is on %s, want %s", h, got.Address, want)
		}
		got, _ = k.Pick(&Pick{Hash: h, HasHash: true})
		if want := hosts[ketama.Lookup(uint32(h))].Key; got.Address.String() != want {
			t.Fatalf("ketama: %x is on %s, want %s", h, got.Address, want)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for kind := config.RoundRobin; kind <= config.Libmemcached; kind++ {
		for _, weights := range [][]uint32{{1, 1, 1, 1}, {1, 2, 3, 4}} {
			asked := static(kind, weights...)
			asked.Balance.BalanceFactor = 100
			_, l := opened(t, asked)
			first := &Pick{Hash: 42, HasHash: true}
			h, _ := l.Pick(first)
			for range 3 {
				h.On(l.Worker).Begin() // full: bounded loads go elsewhere
			}
			again := &Pick{Hash: 42, HasHash: true, Attempt: 1, Avoid: h}
			if n := testing.AllocsPerRun(100, func() { l.Pick(first); l.Pick(again) }); n != 0 {
				t.Errorf("balance %d, weights %v: %v allocations", kind, weights, n)
			}
		}
	}
}

func mustPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func BenchmarkPick(b *testing.B) {
	for name, kind := range map[string]config.BalanceKind{
		"round robin": config.RoundRobin, "least request": config.LeastRequest,
		"ring": config.RingHashLB, "maglev": config.MaglevLB, "ketama": config.Ketama,
	} {
		for _, weights := range [][]uint32{{1, 1, 1, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8}} {
			b.Run(fmt.Sprintf("%s, equal %v", name, weights[1] == 1), func(b *testing.B) {
				_, l := opened(b, static(kind, weights...))
				p := Pick{HasHash: true}
				b.ReportAllocs()
				for b.Loop() {
					p.Hash += 0x9e3779b97f4a7c15
					l.Pick(&p)
				}
			})
		}
	}
}
