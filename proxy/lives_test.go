package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Whole lives of the server: a whole configuration in a world that a seed decides,
// inside a bubble, where the server's goroutines (names, hosts that come and go) have
// the same virtual time as its worker.
//
// In all of them: what is answered is the answer to what was asked, what is cut never
// looks whole, and at the end every connection, coroutine, timer and host is gone.

type lives struct {
	*loop.Sim
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	mild    bool // nothing fails: every answer must be 200
	server  *Server
	proxy   *loop.Worker
	backend *loop.Worker
	client  *loop.Worker
	woken   chan struct{}
	began   time.Time
	closing []func()
	busy    int // clients at work
	seen    map[string]int
	ended   map[string]int // ends that hosts of bytes have said too early, by host
	last    func()         // looks at what is left when all clients have gone; nil: nobody does
}

// front is where the proxy listens.
var front = ipAt("10.0.0.1:80")

func ipAt(s string) config.Address { return config.Address{IP: netip.MustParseAddrPort(s)} }

// live runs a scenario in a world of a seed, to its end: f has clients begin.
func live(t *testing.T, seed uint64, names *nameServer, f func(w *lives)) (seen map[string]int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &lives{
			Sim: loop.NewSim(seed, nil), t: t, seed: seed, woken: make(chan struct{}, 1), began: time.Now(), mild: seed%4 == 0, seen: map[string]int{}, ended: map[string]int{},
		}
		w.rng = w.Rand()
		w.OnWake(func() {
			select {
			case w.woken <- struct{}{}:
			default:
			}
		})
		w.proxy, w.backend, w.client = w.Worker("proxy"), w.Worker("backend"), w.Worker("client")
		var err error
		o := Options{Workers: []*loop.Worker{w.proxy}, Log: slog.New(slog.DiscardHandler), Wall: time.Now}
		if names != nil {
			o.Resolver = names
		}
		w.server, err = New(o)
		w.must(err)
		f(w)
		w.turn(func() bool { return w.busy == 0 }, time.Hour)
		w.pass(30 * time.Second) // what was under trouble comes to its end
		w.SetLink(config.Address{}, loop.Link{})
		if w.last != nil {
			w.last()
		}
		w.end()
		seen = w.seen
	})
	return seen
}

func (w *lives) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// turn turns the world, and lets the bubble's goroutines run, until a condition holds.
func (w *lives) turn(until func() bool, limit time.Duration) {
	w.t.Helper()
	end := w.Now() + limit
	for turns := 0; ; turns++ {
		synctest.Wait()
		switch {
		case until():
			return
		case w.Now() >= end:
			w.t.Fatalf("not done within %v: %v", limit, w.Leaks())
		case turns > 500_000:
			w.t.Fatal("a worker turns without end")
		case w.Step():
			continue
		}
		turns = 0
		next, ok := w.Next()
		if !ok || next > end {
			next = end
		}
		if d := next - w.Now(); d > 0 {
			select {
			case <-time.After(d):
			case <-w.woken:
			}
			synctest.Wait()
		}
		w.Advance(min(time.Since(w.began), next))
	}
}

// pass lets d pass.
func (w *lives) pass(d time.Duration) {
	w.t.Helper()
	end := w.Now() + d
	w.turn(func() bool { return w.Now() >= end }, d+time.Second)
}

// apply makes a configuration live beside the worker, which it waits for.
func (w *lives) apply(r config.Resources) {
	w.t.Helper()
	snap, _, problems := config.Assemble(w.server.Snapshot(), r)
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	done := false
	go func() {
		w.must(w.server.Apply(snap))
		w.proxy.Post(func() { done = true })
	}()
	w.turn(func() bool { return done }, time.Minute)
}

// applyAt makes a configuration live at some moment, while all goes on.
func (w *lives) applyAt(d time.Duration, r func() config.Resources) {
	w.busy++
	w.At(d, func() {
		snap, _, problems := config.Assemble(w.server.Snapshot(), r())
		if len(problems) > 0 {
			w.t.Error(problems)
		}
		go func() {
			if err := w.server.Apply(snap); err != nil {
				w.t.Error(err)
			}
			w.client.Post(func() { w.busy-- })
		}()
	})
}

// figures are statistics, by name.
func (w *lives) figures(names ...string) map[string]uint64 {
	w.t.Helper()
	all, done := map[string]uint64{}, false
	go func() {
		for _, r := range w.server.Figures().Rows() {
			if slices.Contains(names, r.Name) {
				all[r.Name] = uint64(r.Value)
			}
		}
		w.proxy.Post(func() { done = true })
	}()
	w.turn(func() bool { return done }, time.Minute)
	if len(all) != len(names) {
		w.t.Errorf("figures: %v, asked for %v", all, names)
	}
	return all
}

// visit runs f as a client.
func (w *lives) visit(f func()) {
	w.busy++
	w.client.Go(func() {
		defer func() { w.busy-- }()
		f()
	})
}

// nap waits for up to d.
func (w *lives) nap(by *loop.Worker, d time.Duration) {
	by.Sleep(time.Duration(w.rng.Int64N(int64(d) + 1)))
}

// serve lets f serve each connection to a, in a coroutine that lasts as long as it.
func (w *lives) serve(a config.Address, f func(c *loop.Conn)) {
	l, err := w.backend.Listen(a, loop.ListenOptions{}, func(c *loop.Conn) { c.Serve(serves(f), false) })
	w.must(err)
	w.closing = append(w.closing, l.Close)
}

type serves func(c *loop.Conn)

func (f serves) Ready(c *loop.Conn)   { f(c) }
func (f serves) Expired(c *loop.Conn) { c.Close() }
func (f serves) Closed(*loop.Conn)    {}

// trouble does things to hosts, for a while.
func (w *lives) trouble(hosts ...config.Address) {
	for range w.rng.IntN(5) {
		a := hosts[w.rng.IntN(len(hosts))]
		begin := time.Duration(w.rng.IntN(3000)) * time.Millisecond
		end := begin + time.Duration(w.rng.IntN(8000))*time.Millisecond
		switch w.rng.IntN(4) {
		case 0:
			w.At(begin, func() { w.ResetAll(a) })
		case 1:
			w.At(begin, func() { w.Blackhole(a, true) })
			w.At(end, func() { w.Blackhole(a, false) })
		case 2:
			w.At(begin, func() { w.Refuse(a, true); w.ResetAll(a) })
			w.At(end, func() { w.Refuse(a, false) })
		case 3:
			w.At(begin, func() { w.Stall(a, true) })
			w.At(end, func() { w.Stall(a, false) })
		}
	}
}

// foul makes the network's weather what the seed says. With segments of a few bytes
// much takes its time: it says how much a scenario should send at a time.
func (w *lives) foul() (size int) {
	if l := w.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
		return 300
	}
	return 20_000
}

// end takes the configuration away, and says what was not given back.
func (w *lives) end() {
	w.t.Helper()
	active := 0
	for _, c := range *w.server.clusters.Load() {
		b := &c.Breakers[0]
		active += int(c.On(w.proxy).Count.RqActive) + int(b.Requests.Used()) + int(b.Pending.Used())
	}
	if active != 0 {
		w.t.Errorf("%d requests are still counted", active)
	}
	for _, c := range *w.server.clusters.Load() {
		defer func() {
			if n := c.Breakers[0].Connections.Used(); n != 0 {
				w.t.Errorf("cluster %s: %d connections are still counted", c.Name, n)
			}
		}()
	}
	w.apply(config.Resources{})
	w.pass(2 * time.Minute)
	for _, f := range w.closing {
		f()
	}
	w.pass(10 * time.Second)
	if err := w.Leaks(); err != nil {
		w.t.Error(err)
	}
	for _, k := range []*loop.Worker{w.proxy, w.backend, w.client} {
		if n := k.Counters().Panics; n != 0 {
			w.t.Errorf("%d panics", n)
		}
	}
	w.server.Stop()
	w.backend.Stop()
	w.client.Stop()
	w.pass(time.Second)
	w.Sim.Close()
	synctest.Wait()
}

// shape of a cluster with Envoy's defaults.
func shape(name string, hosts ...config.Address) *config.Cluster {
	c := &config.Cluster{
		Name: name, ConnectTimeout: time.Second, BufferLimit: 1 << 20, PanicThreshold: 50,
		HTTP:    config.UpstreamHTTP{IdleTimeout: 30 * time.Second, MaxHeaders: 100, MaxHeadersKB: 60, HTTP2: config.H2Defaults()},
		Backoff: config.Backoff{Base: 25 * time.Millisecond, Cap: 10 * time.Second},
		Pool:    config.Pool{Connections: 1, MaxConnecting: 8},
	}
	for i := range c.Breakers {
		c.Breakers[i] = config.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	}
	l := config.Locality{}
	for _, h := range hosts {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: h, Weight: 1})
	}
	c.Endpoints = config.Endpoints{Cluster: name, Localities: []config.Locality{l}, OverprovisioningFactor: 140}
	return c
}

// webFront is a connection manager whose requests all go to a cluster.
func webFront(cluster string, filters ...config.HTTPFilter) *config.Listener {
	h := &config.HTTP{
		HTTP2: config.H2Defaults(), StatPrefix: "in", AllowAbsoluteURL: true, IdleTimeout: time.Hour, StreamIdleTimeout: 5 * time.Minute,
		StreamFlushTimeout: new(time.Minute), DrainTimeout: time.Second, DelayedCloseTimeout: time.Second, MaxRequestHeadersKB: 60, MaxHeaders: 100,
		Filters: filters,
		Routes: &config.RouteTable{Name: "routes", MaxDirectBody: 4096, VirtualHosts: []*config.VirtualHost{{
			Name: "all", Domains: []string{"*"},
			Routes: []*config.Route{{
				Match:  config.RouteMatch{Path: config.PathMatch{Kind: config.PathPrefix, Value: "/"}},
				Action: &config.Forward{Cluster: cluster, Timeout: 15 * time.Second, NotFoundStatus: 503},
			}},
		}}},
	}
	return frontOf(h)
}

func frontOf(h config.Handler, filters ...config.NetworkFilter) *config.Listener {
	return &config.Listener{
		Name: "in", Address: front, BindToPort: true, BufferLimit: 64 << 10,
		Chains: []config.FilterChain{{Handler: h, Filters: filters}},
	}
}

// said is an id again and again: a body that tells whose it is.
func said(id string, size int) string { return strings.Repeat(id+".", size/(len(id)+1)+1)[:size] }

// webHost serves HTTP/1.1: the path says the id and the size of the answer; check
// looks whether the request belongs here.
func (w *lives) webHost(check func(r *http.Request)) func(c *loop.Conn) {
	return func(c *loop.Conn) {
		defer c.Close()
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			check(r)
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			part := strings.Split(r.URL.Path, "/")
			size, _ := strconv.Atoi(part[2])
			text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, said(part[1], size))
			switch fault := w.rng.IntN(16); {
			case fault == 0 && !w.mild:
				_, _ = c.Write([]byte(text[:w.rng.IntN(len(text))]))
				_ = c.Drain(0)
				return
			case fault == 1 && !w.mild:
				c.Reset()
				return
			case fault == 2 && !w.mild:
				w.nap(w.backend, 20*time.Second)
			case fault < 6:
				w.nap(w.backend, 50*time.Millisecond)
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
			_ = c.Drain(0)
		}
	}
}

// request asks for an id over c and checks the answer; false when the connection is
// over. allowed are the statuses that an explicit failure may have.
func (w *lives) request(c *loop.Conn, in *bufio.Reader, host, id string, size int, allowed ...int) bool {
	if _, err := fmt.Fprintf(c, "GET /%s/%d HTTP/1.1\r\nHost: %s\r\n\r\n", id, size, host); err != nil {
		return false
	}
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		w.seen["cut"]++
		if w.mild {
			w.t.Errorf("%s: %v though nothing failed", id, err)
		}
		return false
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case r.StatusCode == 200 && err != nil:
		w.seen["cut"]++
		if !strings.HasPrefix(said(id, size), string(body)) {
			w.t.Errorf("%s: what was cut is not its own", id)
		}
		if w.mild {
			w.t.Errorf("%s: cut though nothing failed", id)
		}
	case r.StatusCode == 200:
		w.seen["200"]++
		if string(body) != said(id, size) {
			w.t.Errorf("%s: got %d bytes %.40q…, want %d of its own", id, len(body), body, size)
		}
	default:
		w.seen[strconv.Itoa(r.StatusCode)]++
		ok := false
		for _, s := range allowed {
			ok = ok || s == r.StatusCode
		}
		if !ok || w.mild {
			w.t.Errorf("%s: got %d %q", id, r.StatusCode, body)
		}
	}
	return err == nil && !r.Close
}
