package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/config"
)

const crowd = 10_000

// crowded is a town with one cluster of ten thousand hosts.
func crowded(t testing.TB, kind config.BalanceKind) *town {
	s, err := New(Options{Concurrency: 2, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	w := &town{t: t, s: s}
	c := edsCluster("a")
	c.Balance = config.Balance{Kind: kind, MinRing: 1024, MaxRing: 8 << 20, MaglevTable: 65537}
	l := config.Locality{}
	for i := range crowd {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: crowdAddress(i), Hostname: fmt.Sprint("host-", i), Weight: 1})
	}
	w.now = config.Resources{
		Clusters:    []*config.Cluster{c},
		Endpoints:   []*config.Endpoints{{Cluster: "a", Localities: []config.Locality{l}, OverprovisioningFactor: 140}},
		RouteTables: []*config.RouteTable{tableTo("t", "a")},
		Listeners:   []*config.Listener{webListener("in", "127.0.0.1:0", "t")},
	}
	w.apply()
	return w
}

func crowdAddress(i int) config.Address {
	return config.Address{IP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)}), 80)}
}

// change gives one host another address, as a new value.
func (w *town) change(i int) {
	old := w.now.Endpoints[0]
	e := *old
	e.Localities = slices.Clone(old.Localities)
	l := &e.Localities[0]
	l.Endpoints = slices.Clone(l.Endpoints)
	other := *l.Endpoints[i%crowd]
	other.Address = crowdAddress(crowd + i)
	l.Endpoints[i%crowd] = &other
	w.now.Endpoints = []*config.Endpoints{&e}
	w.apply()
}

// One endpoint of ten thousand costs what one costs: at most 5 ms of processor
// for the config values, the snapshot and the view; a ring is built anew. The
// best of some rounds counts: others use the processor, too.
func TestOneEndpointOfTenThousand(t *testing.T) {
	const rounds, changes = 8, 10
	for kind, limit := range map[config.BalanceKind]time.Duration{config.RoundRobin: 5 * time.Millisecond, config.RingHashLB: 20 * time.Millisecond} {
		w := crowded(t, kind)
		best := time.Hour
		for round := range rounds {
			before := cpu(t)
			for i := range changes {
				w.change(round*changes + i)
			}
			best = min(best, (cpu(t)-before)/changes)
		}
		t.Logf("balance %d: %v", kind, best)
		if best > limit*slower {
			t.Errorf("balance %d: %v of processor for one change", kind, best)
		}
		if n := w.s.Cluster("a").Hosts(); n != crowd {
			t.Errorf("%d hosts", n)
		}
	}
}

func BenchmarkOneEndpointOfTenThousand(b *testing.B) {
	for _, k := range []struct {
		name string
		kind config.BalanceKind
	}{
		{"RoundRobin", config.RoundRobin},
		{"LeastRequest", config.LeastRequest},
		{"RingHash", config.RingHashLB},
		{"Maglev", config.MaglevLB},
		{"Rendezvous", config.Rendezvous},
		{"Ketama", config.Ketama},
	} {
		b.Run(k.name, func(b *testing.B) {
			w := crowded(b, k.kind)
			b.ReportAllocs()
			i, before := 0, cpu(b)
			for b.Loop() {
				w.change(i)
				i++
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(i), "cpu-µs/op")
		})
	}
}

// cpu is what the process has used so far, collector and workers included.
func cpu(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
