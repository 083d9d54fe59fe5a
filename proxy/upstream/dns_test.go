package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// zone answers by name: addresses, TTL or an error; it counts questions.
type zone struct {
	mu    sync.Mutex
	names map[string]record
	asked map[string]int
}

type record struct {
	addrs []string
	ttl   time.Duration
	err   error
	delay time.Duration
}

func (z *zone) set(name string, r record) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.names == nil {
		z.names, z.asked = map[string]record{}, map[string]int{}
	}
	z.names[name] = r
}

func (z *zone) Lookup(ctx context.Context, name string, _ config.DNSFamily) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	r := z.names[name]
	z.asked[name]++
	z.mu.Unlock()
	if r.delay > 0 {
		select {
		case <-time.After(r.delay):
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	var addrs []netip.Addr
	for _, a := range r.addrs {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, r.ttl, r.err
}

func (z *zone) count(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[name]
}

func named(d config.Discovery, names ...string) *config.Cluster {
	c := static(config.RoundRobin)
	c.Discovery = d
	l := &c.Endpoints.Localities[0]
	for _, n := range names {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: config.Address{Host: n, Port: 80}})
	}
	return c
}

// resolving runs f in a bubble of virtual time with a cluster that is open.
func resolving(t *testing.T, z *zone, asked *config.Cluster, f func(l *Local)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := loop.NewSim(1, nil)
		w := s.Worker("proxy")
		c, err := Open(asked, []*loop.Worker{w}, slog.New(slog.DiscardHandler), z)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(c.On(w))
		c.Close() // the bubble ends only if the goroutine does
		s.Close()
	})
}

// after lets time pass and checks the addresses then.
func after(t *testing.T, l *Local, d time.Duration, want string) {
	t.Helper()
	time.Sleep(d) // virtual: the bubble's clock
	synctest.Wait()
	if got := addresses4(l.Cluster); got != want {
		t.Errorf("after %v: hosts %q, want %q", d, got, want)
	}
}

func TestStrictDNS(t *testing.T) {
	z := &zone{}
	z.set("a", record{addrs: []string{"10.0.0.1", "10.0.0.2"}})
	z.set("b", record{addrs: []string{"10.0.0.3"}})
	resolving(t, z, named(config.DiscoveryStrictDNS, "a", "b"), func(l *Local) {
		after(t, l, 0, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		one := hostAt(t, l.Cluster, address(1))
		if one.Hostname() != "a" {
			t.Errorf("host name %q", one.Hostname())
		}

		// Rotated answers change nothing, not even the view.
		view := l.view.Load()
		z.set("a", record{addrs: []string{"10.0.0.2", "10.0.0.1"}})
		after(t, l, 5*time.Second, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		if l.view.Load() != view || l.DNS.Unchanged.Load() != 2 {
			t.Errorf("a new view; %d unchanged", l.DNS.Unchanged.Load())
		}

		z.set("a", record{addrs: []string{"10.0.0.4", "10.0.0.1"}})
		after(t, l, 5*time.Second, "10.0.0.1:80 10.0.0.4:80 10.0.0.3:80")
		if hostAt(t, l.Cluster, address(1)) != one {
			t.Error("the host that stays is another one")
		}

		z.set("a", record{err: fmt.Errorf("x: %w", ErrServerFailure)})
		z.set("b", record{err: context.DeadlineExceeded})
		after(t, l, 5*time.Second, "10.0.0.1:80 10.0.0.4:80 10.0.0.3:80")

		z.set("a", record{})
		z.set("b", record{err: ErrNotFound})
		after(t, l, 5*time.Second, "")
		n := &l.DNS
		if n.Attempts.Load() != 10 || n.ServerFailure.Load() != 1 || n.Timeout.Load() != 1 || n.NotFound.Load() != 1 || n.Empty.Load() != 2 {
			t.Errorf("%d attempts, %d server failures, %d time-outs, %d not found, %d empty", n.Attempts.Load(), n.ServerFailure.Load(), n.Timeout.Load(), n.NotFound.Load(), n.Empty.Load())
		}
		if !one.Removed() {
			t.Error("the host was not retired")
		}
	})
}

func TestLogicalDNSKeepsItsHost(t *testing.T) {
	z := &zone{}
	z.set("a", record{addrs: []string{"10.0.0.1", "10.0.0.2"}})
	resolving(t, z, named(config.DiscoveryLogicalDNS, "a"), func(l *Local) {
		after(t, l, 0, "10.0.0.1:80")
		h, _ := l.Pick(&Pick{})
		z.set("a", record{addrs: []string{"10.0.0.3", "10.0.0.1"}})
		after(t, l, 5*time.Second, "10.0.0.3:80")
		if now, _ := l.Pick(&Pick{}); now != h || h.Removed() || h.Target().Address != address(3) {
			t.Errorf("host %v, target %v", now, h.Target().Address)
		}
		if o := h.Target().Others; o == nil || fmt.Sprint(o.All) != "[10.0.0.3:80 10.0.0.1:80]" {
			t.Errorf("addresses %v", o)
		}
		z.set("a", record{})
		after(t, l, 5*time.Second, "10.0.0.3:80")
	})
}

func TestDNSRefresh(t *testing.T) {
	for _, x := range []struct {
		name  string
		conf  config.DNS
		r     record
		after time.Duration
		want  [2]int // questions, least and most
	}{
		{"default", config.DNS{}, record{addrs: []string{"10.0.0.1"}, ttl: time.Second}, time.Minute, [2]int{13, 13}},
		{"rate", config.DNS{Refresh: time.Second}, record{}, time.Minute, [2]int{61, 61}},
		{"ttl", config.DNS{RespectTTL: true}, record{addrs: []string{"10.0.0.1"}, ttl: 30 * time.Second}, time.Minute, [2]int{3, 3}},
		{"ttl below a second", config.DNS{RespectTTL: true}, record{addrs: []string{"10.0.0.1"}, ttl: time.Millisecond}, time.Minute, [2]int{61, 61}},
		{"no ttl", config.DNS{RespectTTL: true}, record{addrs: []string{"10.0.0.1"}}, time.Minute, [2]int{13, 13}},
		{"jitter", config.DNS{RefreshJitter: 5 * time.Second}, record{}, 10 * time.Minute, [2]int{70, 95}},
		{"failure", config.DNS{}, record{err: ErrServerFailure}, time.Minute, [2]int{13, 13}},
		{"failure rate", config.DNS{FailureBase: 20 * time.Millisecond, FailureMax: 100 * time.Millisecond}, record{err: ErrServerFailure}, 10 * time.Second, [2]int{150, 300}},
	} {
		t.Run(x.name, func(t *testing.T) {
			z := &zone{}
			z.set("a", x.r)
			asked := named(config.DiscoveryStrictDNS, "a")
			asked.DNS = x.conf
			resolving(t, z, asked, func(*Local) {
				time.Sleep(x.after) // virtual
				synctest.Wait()
				if n := z.count("a"); n < x.want[0] || n > x.want[1] {
					t.Errorf("%d questions in %v, want %v", n, x.after, x.want)
				}
			})
		})
	}
}

// Settings that change begin a new round at once; what is known stays until
// then. The old round's late answer counts for nothing.
func TestUpdateChangesDNS(t *testing.T) {
	z := &zone{}
	z.set("a", record{addrs: []string{"10.0.0.1"}})
	z.set("b", record{addrs: []string{"10.0.0.2"}, delay: 2 * time.Second})
	resolving(t, z, named(config.DiscoveryStrictDNS, "a"), func(l *Local) {
		after(t, l, 0, "10.0.0.1:80")
		limits := named(config.DiscoveryStrictDNS, "a")
		limits.Breakers[0].MaxRequests = 3
		if err := l.Cluster.Update(limits); err != nil {
			t.Fatal(err)
		}
		after(t, l, time.Second, "10.0.0.1:80")
		if z.count("a") != 1 {
			t.Errorf("other limits: %d questions", z.count("a"))
		}
		if err := l.Cluster.Update(named(config.DiscoveryStrictDNS, "a", "b")); err != nil {
			t.Fatal(err)
		}
		after(t, l, time.Second, "10.0.0.1:80")
		after(t, l, time.Second, "10.0.0.1:80 10.0.0.2:80")
		if err := l.Cluster.Update(static(config.RoundRobin, 1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		after(t, l, time.Minute, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		if n := z.count("a"); n != 2 {
			t.Errorf("a STATIC cluster asked: %d questions", n)
		}
	})
}

func TestReady(t *testing.T) {
	is := func(l *Local) bool {
		select {
		case <-l.Ready():
			return true
		default:
			return false
		}
	}
	z := &zone{}
	z.set("a", record{err: ErrServerFailure, delay: time.Second})
	resolving(t, z, named(config.DiscoveryStrictDNS, "a"), func(l *Local) {
		if is(l) {
			t.Error("ready before the first answer")
		}
		after(t, l, time.Second, "")
		if !is(l) {
			t.Error("not ready after a failure")
		}
	})
	resolving(t, z, static(config.RoundRobin, 1), func(l *Local) {
		if !is(l) {
			t.Error("a STATIC cluster is not ready")
		}
	})
}

// A cluster that gets its hosts from DNS from now on keeps those that it has
// until there is an answer; a failure is none.
func TestHostsStayUntilDNSAnswers(t *testing.T) {
	z := &zone{}
	z.set("a", record{err: ErrServerFailure})
	resolving(t, z, static(config.RoundRobin, 1, 1), func(l *Local) {
		next := named(config.DiscoveryStrictDNS, "a")
		if err := l.Cluster.Update(next); err != nil {
			t.Fatal(err)
		}
		after(t, l, 0, "10.0.0.1:80 10.0.0.2:80")
		if z.count("a") == 0 {
			t.Error("nobody asked")
		}
		z.set("a", record{addrs: []string{"10.9.9.9"}})
		after(t, l, time.Minute, "10.9.9.9:80")
		if l.Config() != next {
			t.Error("not what was asked")
		}
	})
}
