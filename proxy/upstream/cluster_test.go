package upstream

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
)

func addresses4(c *Cluster) string {
	var all []string
	for e := range c.Entries {
		all = append(all, e.Address.String())
	}
	return strings.Join(all, " ")
}

func hostAt(t testing.TB, c *Cluster, a config.Address) *Host {
	t.Helper()
	for e := range c.Entries {
		if e.Address == a {
			return e.Host
		}
	}
	t.Fatalf("no host %s among %s", a, addresses4(c))
	return nil
}

// Whatever else changes, a host that stays is the same one.
func TestUpdateKeepsHosts(t *testing.T) {
	_, l := opened(t, static(config.RoundRobin, 1, 1, 1))
	c := l.Cluster
	one, three := hostAt(t, c, address(1)), hostAt(t, c, address(3))

	next := static(config.LeastRequest, 5, 1, 7, 1)
	next.Endpoints.Localities[0].Endpoints = slices.Delete(next.Endpoints.Localities[0].Endpoints, 1, 2)
	next.Endpoints.Localities[0].Endpoints[1].Health = config.HealthDegraded
	next.Breakers[1].MaxRetries = 9
	next.ConnectTimeout = 7 * time.Second
	if err := c.Update(next); err != nil {
		t.Fatal(err)
	}
	if got := addresses4(c); got != "10.0.0.1:80 10.0.0.3:80 10.0.0.4:80" {
		t.Errorf("hosts: %s", got)
	}
	if hostAt(t, c, address(1)) != one || hostAt(t, c, address(3)) != three {
		t.Error("a host that stays is another one")
	}
	if three.Endpoint().Weight != 7 || three.Target().ConnectTimeout != 7*time.Second || c.Breaker(true).Retries.Limit() != 9 || c.Config() != next {
		t.Error("the change has not come through")
	}
}

// A host that cannot stand leaves everything as it was.
func TestUpdateRefusesWhole(t *testing.T) {
	_, l := opened(t, static(config.MaglevLB, 1, 1))
	before := l.view.Load()
	for name, spoil := range map[string]func(*config.Cluster){
		"\"a\" is a name, and only DNS clusters look names up": func(c *config.Cluster) {
			c.Endpoints.Localities[0].Endpoints[0].Address = config.Address{Host: "a", Port: 1}
		},
		"table_size":          func(c *config.Cluster) { c.Balance.MaglevTable = 10 },
		"weights":             func(c *config.Cluster) { c.Endpoints.Localities[0].Endpoints[0].Weight = 1<<32 - 1 },
		"hash_balance_factor": func(c *config.Cluster) { c.Balance.BalanceFactor = 99 },
	} {
		next := static(config.MaglevLB, 1, 1, 1)
		spoil(next)
		if err := l.Cluster.Update(next); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.view.Load() != before {
		t.Error("the view has changed")
	}
}

func TestUpdateUsesTablesAgain(t *testing.T) {
	for kind := config.RingHashLB; kind <= config.Libmemcached; kind++ {
		_, l := opened(t, static(kind, 1, 2, 3))
		before := *l.view.Load().levels[0].table
		same := static(kind, 1, 2, 3)
		same.Breakers[0].MaxConnections = 5
		if err := l.Cluster.Update(same); err != nil {
			t.Fatal(err)
		}
		after := *l.view.Load().levels[0].table
		if after.ring != before.ring || after.maglev != before.maglev || after.rendezvous != before.rendezvous || after.ketama != before.ketama {
			t.Errorf("balance %d: the table was built again", kind)
		}
		if err := l.Cluster.Update(static(kind, 1, 2, 4)); err != nil {
			t.Fatal(err)
		}
		if t2 := l.view.Load().levels[0].table; t2.ring == before.ring && t2.maglev == before.maglev && t2.rendezvous == before.rendezvous && t2.ketama == before.ketama {
			t.Errorf("balance %d: other weights, the same table", kind)
		}
	}
}

type closer struct{ closed int }

func (c *closer) Close() { c.closed++ }

// The idle connections of a host that leaves close at once, a leased one when
// it is given back; those of the hosts that stay live on.
func TestRemovedHostsConnectionsClose(t *testing.T) {
	s, l := opened(t, static(config.RoundRobin, 1, 1))
	l.Cluster.Breakers[0].Connections.SetLimit(9)
	l.Cluster.Breakers[0].Pending.SetLimit(9)
	server := s.Worker("server")
	for i := range 2 {
		if _, err := server.Listen(address(i+1), loop.ListenOptions{}, func(c *loop.Conn) {}); err != nil {
			t.Fatal(err)
		}
	}
	stays, goes := hostAt(t, l.Cluster, address(1)).On(l.Worker), hostAt(t, l.Cluster, address(2)).On(l.Worker)
	session := &closer{}
	goes.Session = session
	var leased *pool.Lease
	l.Worker.Go(func() {
		for _, h := range []*HostLocal{stays, goes} {
			a, _ := h.Exclusive.Get(&l.Breakers[0], false)
			b, err := h.Exclusive.Get(&l.Breakers[0], false)
			if err != nil {
				t.Error(err)
				return
			}
			a.Put()
			leased = b
		}
	})
	if err := s.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	if err := l.Cluster.Update(static(config.RoundRobin, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	if stays.Exclusive.Idle() != 1 || goes.Exclusive.Idle() != 0 || goes.Exclusive.InUse() != 1 || session.closed != 1 || !goes.Removed() || stays.Removed() {
		t.Errorf("idle %d and %d, in use %d, session closed %d times", stays.Exclusive.Idle(), goes.Exclusive.Idle(), goes.Exclusive.InUse(), session.closed)
	}
	if leased.Conn.Closed() {
		t.Error("the request in progress was cut")
	}
	leased.Put()
	if !leased.Conn.Closed() || l.Breakers[0].Connections.Used() != 2 {
		t.Errorf("closed %v, %d connections counted", leased.Conn.Closed(), l.Breakers[0].Connections.Used())
	}
}

func TestCloseEndsEverything(t *testing.T) {
	_, l := opened(t, static(config.RingHashLB, 1, 1))
	l.Cluster.Close()
	l.Cluster.Close()
	if got := count(l, 10, Pick{}); got[0] != 10 || l.Count.CxNoneHealthy != 10 {
		t.Errorf("picks after Close: %v", got)
	}
	if err := l.Cluster.Update(static(config.RingHashLB, 1)); err == nil {
		t.Error("a closed cluster was updated")
	}
}

// Of equal identities the first counts; another host name is another host.
func TestHostIdentity(t *testing.T) {
	asked := static(config.RoundRobin, 1, 1, 1)
	es := asked.Endpoints.Localities[0].Endpoints
	es[1].Address, es[2].Address, es[2].Hostname = es[0].Address, es[0].Address, "other"
	es[1].Weight = 9
	_, l := opened(t, asked)
	if l.Hosts() != 2 || l.view.Load().levels[0].all.weights[0] != 1 {
		t.Errorf("%d hosts", l.Hosts())
	}
}

// levels is a cluster with a locality for each line of healths: h, d or u. Its
// hosts are numbered through.
func levels(kind config.BalanceKind, healths ...string) *config.Cluster {
	c := static(kind)
	c.Endpoints.Localities = nil
	n := 0
	for i, line := range healths {
		l := config.Locality{Priority: uint32(i)}
		for _, x := range line {
			n++
			health := map[rune]config.Health{'h': config.HealthUnknown, 'd': config.HealthDegraded, 'u': config.HealthDraining}[x]
			l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: address(n), Health: health})
		}
		c.Endpoints.Localities = append(c.Endpoints.Localities, l)
	}
	return c
}

func TestPickByHealthAndPriority(t *testing.T) {
	const n = 20000
	for _, x := range []struct {
		name    string
		healths []string
		panic   float64
		fail    bool
		want    map[int]float64
	}{
		{"unhealthy ones are left out", []string{"huh"}, 50, false, map[int]float64{1: .5, 3: .5}},
		{"the second priority waits", []string{"hh", "h"}, 50, false, map[int]float64{1: .5, 2: .5}},
		{"half of the first is gone", []string{"hu", "h"}, 50, false, map[int]float64{1: .7, 3: .3}},
		{"degraded ones help out", []string{"hd"}, 50, false, map[int]float64{1: .7, 2: .3}},
		{"panic", []string{"huuu"}, 50, false, map[int]float64{1: .25, 2: .25, 3: .25, 4: .25}},
		{"panic is off", []string{"huuu"}, 0, false, map[int]float64{1: 1}},
		{"panic fails", []string{"huuu"}, 50, true, map[int]float64{0: 1}},
		{"nobody, panic off", []string{"uu"}, 0, false, map[int]float64{0: 1}},
		{"no hosts", []string{""}, 50, false, map[int]float64{0: 1}},
		{"only a lower priority has hosts", []string{"", "h"}, 50, false, map[int]float64{1: 1}},
	} {
		for _, kind := range []config.BalanceKind{config.RoundRobin, config.LeastRequest, config.Random} {
			t.Run(x.name, func(t *testing.T) {
				asked := levels(kind, x.healths...)
				asked.PanicThreshold, asked.FailTrafficOnPanic = x.panic, x.fail
				_, l := opened(t, asked)
				near(t, count(l, n, Pick{}), x.want, n, 0.015)
			})
		}
	}
}

// Tables are over healthy hosts, all in panic; degraded ones are in none, and
// the hash also picks the priority (Envoy thread_aware_lb_impl.cc).
func TestHashTablesByHealthAndPriority(t *testing.T) {
	const n = 20000
	for _, x := range []struct {
		healths []string
		want    map[int]float64
	}{
		{[]string{"huh"}, map[int]float64{1: .5, 3: .5}},
		{[]string{"huuu"}, map[int]float64{1: .25, 2: .25, 3: .25, 4: .25}},
		{[]string{"hu", "h"}, map[int]float64{1: .7, 3: .3}},
		{[]string{"hd"}, map[int]float64{1: 1}},
		{[]string{""}, map[int]float64{0: 1}},
	} {
		_, l := opened(t, levels(config.MaglevLB, x.healths...))
		near(t, count(l, n, Pick{}), x.want, n, 0.015)
	}
}

func TestLocalityWeights(t *testing.T) {
	const n = 20000
	asked := levels(config.RoundRobin, "hh", "h", "uuuh")
	for i, w := range []uint32{1, 3, 0} {
		asked.Endpoints.Localities[i].Priority = 0
		asked.Endpoints.Localities[i].Weight = w
	}
	_, flat := opened(t, asked)
	near(t, count(flat, n, Pick{}), map[int]float64{1: .25, 2: .25, 3: .25, 7: .25}, n, 0.015)
	for _, kind := range []config.BalanceKind{config.RoundRobin, config.LeastRequest, config.MaglevLB} {
		weighted := *asked
		weighted.Balance.Kind, weighted.Balance.LocalityWeighted = kind, true
		_, l := opened(t, &weighted)
		near(t, count(l, n, Pick{}), map[int]float64{1: .125, 2: .125, 3: .75}, n, 0.015)
	}
}

// Least request goes where less is going on, weights or not.
func TestLeastRequestLooksAtRequests(t *testing.T) {
	const n = 20000
	_, l := opened(t, static(config.LeastRequest, 1, 1))
	busy := hostAt(t, l.Cluster, address(1)).On(l.Worker)
	busy.Begin()
	near(t, count(l, n, Pick{}), map[int]float64{1: .25, 2: .75}, n, 0.015) // twice the busy one
	busy.End()
	_, l = opened(t, static(config.LeastRequest, 1, 2))
	busy = hostAt(t, l.Cluster, address(2)).On(l.Worker)
	for range 3 {
		busy.Begin()
	}
	near(t, count(l, n, Pick{}), map[int]float64{1: 2. / 3, 2: 1. / 3}, n, 0.015) // 1 against 2/4
}

func TestAvoidTakesAnotherHost(t *testing.T) {
	for kind := config.RoundRobin; kind <= config.Libmemcached; kind++ {
		_, l := opened(t, static(kind, 1, 1, 1))
		for h := range uint64(200) {
			p := Pick{Hash: h * 0x9e3779b97f4a7c15, HasHash: true}
			first, _ := l.Pick(&p)
			p.Attempt, p.Avoid = 1, first
			if second, _ := l.Pick(&p); second == first || second == nil {
				t.Fatalf("balance %d: %v again", kind, second)
			}
			if p.Avoid = nil; !kind.IsHash() {
				continue
			}
			if second, _ := l.Pick(&p); second == first || second == nil {
				t.Fatalf("balance %d: the second attempt is at %v again", kind, second)
			}
		}
		_, alone := opened(t, static(kind, 1))
		only, _ := alone.Pick(&Pick{})
		if again, _ := alone.Pick(&Pick{Attempt: 1, Avoid: only}); again != only {
			t.Errorf("balance %d: the only host is %v", kind, again)
		}
	}
}

// A full host's keys go elsewhere and come back.
func TestBoundedLoad(t *testing.T) {
	asked := static(config.RingHashLB, 1, 1, 1, 1)
	asked.Balance.BalanceFactor = 150
	_, l := opened(t, asked)
	p := Pick{Hash: 7, HasHash: true}
	owner, _ := l.Pick(&p)
	for range 40 {
		h, _ := l.Pick(&p)
		h.On(l.Worker).Begin()
	}
	for e := range l.Cluster.Entries {
		if e.Active > 17 { // a fourth of ceil(40·1.5), rounded up, and the one that fills it
			t.Errorf("%s has %d of 40 requests", e.Address, e.Active)
		}
	}
	if n := owner.active.Load(); n < 15 {
		t.Errorf("the owner has %d of 40 requests", n)
	}
	for range owner.active.Load() {
		owner.On(l.Worker).End()
	}
	if h, _ := l.Pick(&p); h != owner {
		t.Error("the keys have not come back")
	}
}

func TestHashKeys(t *testing.T) {
	at := config.Address{IP: address(1).IP}
	usual := config.Address{IP: address(1).IP}
	usual.IP = mustPort("10.0.0.1:11211")
	for _, x := range []struct {
		kind     config.BalanceKind
		hostname bool
		e        config.Endpoint
		want     string
	}{
		{config.RingHashLB, false, config.Endpoint{Address: at, Hostname: "a"}, "10.0.0.1:80"},
		{config.RingHashLB, true, config.Endpoint{Address: at, Hostname: "a"}, "a"},
		{config.RingHashLB, true, config.Endpoint{Address: at}, "10.0.0.1:80"},
		{config.MaglevLB, true, config.Endpoint{Address: at, Hostname: "a", HashKey: "k"}, "k"},
		{config.RingHashLB, false, config.Endpoint{Address: usual}, "10.0.0.1:11211"},
		{config.Ketama, false, config.Endpoint{Address: at}, "10.0.0.1:80"},
		{config.Ketama, false, config.Endpoint{Address: usual}, "10.0.0.1"},
		{config.Libmemcached, true, config.Endpoint{Address: usual, Hostname: "a"}, "a"},
		{config.Ketama, true, config.Endpoint{Address: at, Hostname: "a"}, "a:80"},
		{config.Ketama, true, config.Endpoint{Address: at, Hostname: "a:1"}, "a:1"},
		{config.Ketama, false, config.Endpoint{Address: usual, HashKey: "k"}, "k"},
		{config.Ketama, false, config.Endpoint{Address: config.Address{Path: "/s"}}, "/s:"},
		{config.Rendezvous, false, config.Endpoint{Address: config.Address{Path: "/s"}}, "/s"},
	} {
		if got := hashKey(&config.Balance{Kind: x.kind, UseHostname: x.hostname}, &member{endpoint: &x.e, host: &Host{name: x.e.Address.String()}}); got != x.want {
			t.Errorf("balance %d, use hostname %v, %+v: %q, want %q", x.kind, x.hostname, x.e, got, x.want)
		}
	}
}

// Explain says what Pick does.
func TestExplainAgreesWithPick(t *testing.T) {
	_, l := opened(t, levels(config.RingHashLB, "huh", "hh"))
	for h := range uint64(300) {
		h *= 0x9e3779b97f4a7c15
		x := l.Explain(h)
		for attempt := range 3 {
			if got, _ := l.Pick(&Pick{Hash: h, HasHash: true, Attempt: attempt}); got != x.Attempts[attempt] {
				t.Fatalf("%x, attempt %d: picked %v, explained %+v", h, attempt, got.Address, x)
			}
		}
		if x.Host != x.Attempts[0] || x.Key != x.Host.Address.String() || x.Load[0]+x.Load[1] != 100 || !slices.Contains(x.Candidates, x.Host) {
			t.Fatalf("%x: %+v", h, x)
		}
	}
	_, turns := opened(t, levels(config.RoundRobin, "hu"))
	if x := turns.Explain(1); x.Host != nil || len(x.Candidates) != 1 {
		t.Errorf("without a table: %+v", x)
	}
}

func TestStats(t *testing.T) {
	_, l := opened(t, levels(config.RoundRobin, "hdu"))
	l.Cluster.view.Load().asked.Breakers[0].TrackRemaining = true
	l.Cluster.Breakers[0].Connections.SetLimit(3)
	l.Cluster.Breakers[0].Pending.SetLimit(9)
	l.Cluster.Breakers[0].Connections.Force()
	l.Count.RqTotal = 5
	l.Pool.ConnectFail = 2
	got := map[string]uint64{}
	put := func(name string, value uint64) {
		if _, is := got[name]; is {
			t.Errorf("%s twice", name)
		}
		got[name] = value
	}
	l.Stats(put)
	l.Cluster.Stats(put)
	for name, want := range map[string]uint64{
		"upstream_rq_total": 5, "upstream_cx_connect_fail": 2, "membership_total": 3, "membership_healthy": 1,
		"membership_degraded": 1, "membership_change": 1, "circuit_breakers.default.remaining_cx": 2,
		"circuit_breakers.default.cx_open": 0, "circuit_breakers.high.cx_open": 1,
	} {
		if value, is := got[name]; !is || value != want {
			t.Errorf("%s is %d, want %d", name, value, want)
		}
	}
}

// Workers may pick while another goroutine updates.
func TestUpdateWhilePicking(t *testing.T) {
	s := loop.NewSim(1, nil)
	defer s.Close()
	w := s.Worker("proxy")
	c, err := Open(static(config.RingHashLB, 1, 1), []*loop.Worker{w}, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		var err error
		for i := range 200 {
			kind := config.BalanceKind(i % int(config.Libmemcached+1))
			err = c.Update(static(kind, 1, 2, 3))
			if err == nil {
				err = c.Update(static(kind, 3))
			}
		}
		done <- err
	}()
	l := c.On(w)
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			c.Close()
			return
		default:
			if got := count(l, 1, Pick{Hash: 5, HasHash: true}); got[0] != 0 {
				t.Fatal("a pick found no host")
			}
		}
	}
}
