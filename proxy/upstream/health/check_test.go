package health

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
)

var at = config.Address{IP: netip.MustParseAddrPort("10.0.0.1:80")}

// town is a check and the host that is checked.
type town struct {
	t *testing.T
	*loop.Sim
	w, server *loop.Worker
	count     Counters
	results   []Result
	excluded  bool
	accepted  int
}

func newTown(t *testing.T) *town {
	s := loop.NewSim(1, nil)
	t.Cleanup(s.Close)
	return &town{t: t, Sim: s, w: s.Worker("proxy"), server: s.Worker("server")}
}

// serve answers every connection with f, in a coroutine.
func (g *town) serve(f func(c *loop.Conn)) {
	g.t.Helper()
	_, err := g.server.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) {
		g.accepted++
		g.server.Go(func() { f(c) })
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// script answers reads one after the other with texts; "" is silence.
func script(c *loop.Conn, answers ...string) {
	for _, a := range answers {
		if c.Pending() == 0 && c.Wait() != nil {
			return
		}
		if n, err := c.Fill(); n == 0 && c.Pending() == 0 && err != nil {
			return
		}
		c.Discard(c.Pending())
		if a != "" {
			_, _ = c.Write([]byte(a))
		}
	}
	_ = c.Wait()
}

func check(kind config.HealthCheckKind) *config.HealthCheck {
	return &config.HealthCheck{
		Kind: kind, Timeout: time.Second, Interval: 10 * time.Second, UnhealthyInterval: 10 * time.Second,
		HealthyEdge: 10 * time.Second, UnhealthyEdge: 10 * time.Second, Healthy: 2, Unhealthy: 2, Reuse: true,
		HTTP: config.HTTPCheck{Method: "GET", Path: "/healthz", Expected: []config.StatusRange{{From: 200, To: 201}}, MaxBody: 1024},
	}
}

// run checks for a while and gives the results.
func (g *town) run(asked *config.HealthCheck, d time.Duration) []Result {
	g.t.Helper()
	h := Host{Target: &pool.Target{Address: at, ConnectTimeout: asked.Timeout, MaxConnecting: 1, Preconnect: 1}, Cluster: "web"}
	k := New(g.w, asked, h, State{New: true, Failed: true}, func() bool { return true }, &g.count, func(_ State, _ Change, r Result, exclude bool) {
		g.results = append(g.results, r)
		g.excluded = g.excluded || exclude
	})
	g.w.Post(k.Start)
	if err := g.RunFor(d); err != nil {
		g.t.Fatal(err)
	}
	g.w.Post(k.End)
	if err := g.RunFor(20 * time.Second); err != nil {
		g.t.Fatal(err)
	}
	if n := g.w.Timers(); n > 0 {
		g.t.Errorf("%d timers are left", n)
	}
	return g.results
}

func (g *town) want(got []Result, want ...Result) {
	g.t.Helper()
	if len(got) != len(want) {
		g.t.Fatalf("results %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			g.t.Fatalf("results %v, want %v", got, want)
		}
	}
}

func TestTCP(t *testing.T) {
	ping := check(config.CheckTCP)
	ping.Send, ping.Receive = []byte("ping"), [][]byte{[]byte("po"), []byte("g")}
	for name, x := range map[string]struct {
		asked    *config.HealthCheck
		answers  []string
		want     []Result
		accepted int
	}{
		"to connect is enough": {check(config.CheckTCP), []string{"", ""}, []Result{Passed, Passed}, 2},
		"payload":              {ping, []string{"pong", "xxpong!"}, []Result{Passed, Passed}, 1},
		"wrong":                {ping, []string{"gop"}, []Result{TimedOut, TimedOut}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTown(t)
			g.serve(func(c *loop.Conn) { script(c, x.answers...) })
			g.want(g.run(x.asked, 15*time.Second), x.want...)
			if g.accepted != x.accepted {
				t.Errorf("%d connections", g.accepted)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	for _, kind := range []config.HealthCheckKind{config.CheckTCP, config.CheckHTTP, config.CheckGRPC, config.CheckRedis} {
		g := newTown(t)
		g.Refuse(at, true)
		g.want(g.run(check(kind), 5*time.Second), Broken)
		g = newTown(t)
		g.Blackhole(at, true)
		g.want(g.run(check(kind), 5*time.Second), TimedOut)
		if n := g.count.Network.Load(); n != 1 {
			t.Errorf("network failures: %d", n)
		}
	}
}

func TestLines(t *testing.T) {
	key := check(config.CheckRedis)
	key.Key = "foo"
	for name, x := range map[string]struct {
		asked  *config.HealthCheck
		answer string
		want   Result
	}{
		"redis":           {check(config.CheckRedis), "+PONG\r\n", Passed},
		"redis, loading":  {check(config.CheckRedis), "-LOADING\r\n", Refused},
		"redis, moved":    {check(config.CheckRedis), "-MOVED 1 1.2.3.4:5\r\n", Passed},
		"redis, no key":   {key, ":0\r\n", Passed},
		"redis, the key":  {key, ":1\r\n", Refused},
		"memcached":       {check(config.CheckMemcached), "VERSION 1.6.0\r\n", Passed},
		"not memcached":   {check(config.CheckMemcached), "ERROR\r\n", Refused},
		"too long a line": {check(config.CheckMemcached), strings.Repeat("VERSION ", 1000), Refused},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTown(t)
			g.serve(func(c *loop.Conn) { script(c, x.answer, x.answer) })
			g.want(g.run(x.asked, 15*time.Second), x.want, x.want)
		})
	}
}

func TestHTTP1(t *testing.T) {
	asked := func(change func(*config.HTTPCheck)) *config.HealthCheck {
		k := check(config.CheckHTTP)
		change(&k.HTTP)
		return k
	}
	same := func(*config.HTTPCheck) {}
	body := func(h *config.HTTPCheck) { h.Receive = [][]byte{[]byte("all"), []byte("well")} }
	ok := "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall well"
	for name, x := range map[string]struct {
		change   func(*config.HTTPCheck)
		answer   string
		want     Result
		accepted int
	}{
		"200":               {same, ok, Passed, 1},
		"chunks":            {body, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nall \r\n4\r\nwell\r\n0\r\n\r\n", Passed, 1},
		"body":              {body, ok, Passed, 1},
		"wrong body":        {body, "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nwell all", Refused, 1},
		"body too far":      {func(h *config.HTTPCheck) { body(h); h.MaxBody = 7 }, ok, Refused, 1},
		"503":               {same, "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", Refused, 1},
		"retriable":         {func(h *config.HTTPCheck) { h.Retriable = []config.StatusRange{{From: 500, To: 600}} }, "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", Retriable, 1},
		"expected":          {func(h *config.HTTPCheck) { h.Expected = []config.StatusRange{{From: 300, To: 400}} }, "HTTP/1.1 399 Yes\r\ncontent-length: 0\r\n\r\n", Passed, 1},
		"the end is not in": {func(h *config.HTTPCheck) { h.Expected = []config.StatusRange{{From: 300, To: 399}} }, "HTTP/1.1 399 Yes\r\ncontent-length: 0\r\n\r\n", Refused, 1},
		"degraded":          {same, "HTTP/1.1 200 OK\r\nx-envoy-degraded: 1\r\ncontent-length: 0\r\n\r\n", Degraded, 1},
		"closes":            {same, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", Passed, 2},
		"garbage":           {same, "hello\r\n\r\n", Broken, 2},
		"silence":           {same, "", TimedOut, 2},
		"another service":   {func(h *config.HTTPCheck) { h.Service = &config.StringMatch{Value: "web"} }, ok, Refused, 1},
		"its service": {func(h *config.HTTPCheck) {
			h.Service = &config.StringMatch{Kind: config.StringPrefix, Value: "WE", IgnoreCase: true}
		}, "HTTP/1.1 200 OK\r\nx-envoy-upstream-healthchecked-cluster: web\r\ncontent-length: 0\r\n\r\n", Passed, 1},
		"an interim answer": {same, "HTTP/1.1 103 Early Hints\r\n\r\n" + ok, Passed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTown(t)
			g.serve(func(c *loop.Conn) { script(c, x.answer, x.answer) })
			g.want(g.run(asked(x.change), 15*time.Second), x.want, x.want)
			if g.accepted != x.accepted {
				t.Errorf("%d connections, want %d", g.accepted, x.accepted)
			}
		})
	}
}

func TestHTTP1Request(t *testing.T) {
	k := check(config.CheckHTTP)
	k.Reuse = false
	k.HTTP.Method, k.HTTP.Host, k.HTTP.Body = "POST", "here", []byte("hi")
	k.HTTP.Headers = []config.HeaderValue{{Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"}, {Name: "user-agent", Value: "me", Append: config.OverwriteOrAdd}, {Name: "x-b", Value: "3"}}
	k.HTTP.Remove = []string{"x-b"}
	g, seen := newTown(t), ""
	g.serve(func(c *loop.Conn) {
		for !strings.HasSuffix(string(c.Buffered()), "hi") {
			if n, err := c.Fill(); n > 0 || err == nil && c.Wait() == nil {
				continue
			}
			return
		}
		seen = string(c.Buffered())
		c.Discard(c.Pending())
		_, _ = c.Write([]byte("HTTP/1.1 500 No\r\nx-envoy-immediate-health-check-fail: true\r\ncontent-length: 0\r\n\r\n"))
		_ = c.Wait()
	})
	g.want(g.run(k, 15*time.Second), Refused, Refused)
	if want := "POST /healthz HTTP/1.1\r\nhost: here\r\nx-a: 1\r\nx-a: 2\r\nuser-agent: me\r\ncontent-length: 2\r\n\r\nhi"; seen != want {
		t.Errorf("the host saw\n%s\nwant\n%s", seen, want)
	}
	if g.accepted != 2 || !g.excluded {
		t.Errorf("%d connections, excluded: %v", g.accepted, g.excluded)
	}
}

// streams answers on HTTP/2 streams.
type streams struct {
	w *loop.Worker
	f func(s *h2.Stream)
}

func (x streams) Opened(s *h2.Stream, _ error) { x.w.Go(func() { x.f(s) }) }
func (streams) Changed(*h2.Conn)               {}
func (streams) Expired(h *h2.Conn)             {}
func (streams) Lost(*h2.Conn)                  {}

func (g *town) serve2(f func(s *h2.Stream)) {
	var n h2.Counters
	var spare h2.Spare
	settings := config.H2Defaults()
	o := h2.NewOptions(&settings, http1.DefaultLimits(), 1<<20, time.Second, time.Minute)
	g.serve(func(c *loop.Conn) { h2.Serve(c, o, streams{g.server, f}, &n, &spare) })
}

func status(s *h2.Stream, code int, lines ...string) {
	s.Head()
	s.Status(code)
	for i := 0; i < len(lines); i += 2 {
		s.Field([]byte(lines[i]), []byte(lines[i+1]), 0)
	}
}

func TestHTTP2(t *testing.T) {
	k := check(config.CheckHTTP)
	k.HTTP.HTTP2, k.HTTP.Receive = true, [][]byte{[]byte("well")}
	g, n := newTown(t), 0
	g.serve2(func(s *h2.Stream) {
		n++
		status(s, 200)
		s.SendHead(false)
		s.Send([]byte([]string{"all is well", "no"}[n-1]), true)
		s.Close()
	})
	g.want(g.run(k, 15*time.Second), Passed, Refused)
	if g.accepted != 1 {
		t.Errorf("%d connections", g.accepted)
	}
}

func TestGRPC(t *testing.T) {
	frame := func(m string) []byte { return append([]byte{0, 0, 0, 0, byte(len(m))}, m...) }
	for name, x := range map[string]struct {
		message string
		code    string
		want    Result
	}{
		"serving":       {"\x08\x01", "0", Passed},
		"not serving":   {"\x08\x02", "0", Refused},
		"unknown":       {"", "0", Refused},
		"an error":      {"\x08\x01", "14", Refused},
		"other fields":  {"\x12\x01x\x08\x01", "0", Passed},
		"broken fields": {"\x12\x7fx\x08\x01", "0", Refused},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTown(t)
			g.serve2(func(s *h2.Stream) {
				status(s, 200, "content-type", "application/grpc")
				s.SendHead(false)
				s.Send(frame(x.message), false)
				s.SendTrailers([]http1.Header{field("grpc-status", x.code)})
				s.Close()
			})
			g.want(g.run(check(config.CheckGRPC), 15*time.Second), x.want, x.want)
			if g.accepted != 1 {
				t.Errorf("%d connections", g.accepted)
			}
		})
	}
	g := newTown(t)
	g.serve2(func(s *h2.Stream) {
		status(s, 200, "content-type", "application/grpc", "grpc-status", "12")
		s.SendHead(true)
		s.Close()
	})
	g.want(g.run(check(config.CheckGRPC), 5*time.Second), Refused)
}

func FuzzServing(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x05\x12\x01x\x08\x01"))
	f.Fuzz(func(t *testing.T, b []byte) { isServing(b) })
}
