package callout

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// stage is a world with a worker that makes calls, and hosts.
type stage struct {
	*loop.Sim
	t       *testing.T
	w       *loop.Worker
	host    *loop.Worker
	cluster *upstream.Cluster
	asked   *config.Cluster
	doing   int
	closing []func()
	count   h2.Counters
	spare   h2.Spare
}

var hostAddr = at("10.0.0.2:80")

func at(s string) config.Address { return config.Address{IP: netip.MustParseAddrPort(s)} }

// newStage makes a cluster of hosts that speak p.
func newStage(t *testing.T, seed uint64, p config.UpstreamProtocol, hosts ...config.Address) *stage {
	t.Helper()
	g := &stage{Sim: loop.NewSim(seed, nil), t: t}
	g.w, g.host = g.Worker("proxy"), g.Worker("host")
	g.asked = testCluster(p, hosts...)
	var err error
	g.cluster, err = upstream.Open(g.asked, []*loop.Worker{g.w}, slog.New(slog.DiscardHandler), nil)
	must(t, err)
	return g
}

func testCluster(p config.UpstreamProtocol, hosts ...config.Address) *config.Cluster {
	c := &config.Cluster{
		Name: "c", ConnectTimeout: time.Second, BufferLimit: 1 << 20, PanicThreshold: 50,
		HTTP:    config.UpstreamHTTP{IdleTimeout: time.Hour, MaxHeaders: 100, MaxHeadersKB: 60, HTTP2: config.H2Defaults(), Protocol: p},
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
	c.Endpoints = config.Endpoints{Cluster: c.Name, Localities: []config.Locality{l}, OverprovisioningFactor: 140}
	return c
}

// do runs f in a coroutine of the proxy's worker; wait turns the world until all
// are done.
func (g *stage) do(f func()) {
	g.doing++
	g.w.Go(func() { defer func() { g.doing-- }(); f() })
}

func (g *stage) wait() {
	g.t.Helper()
	must(g.t, g.Run(func() bool { return g.doing == 0 }, time.Hour))
}

// end closes everything and says what was not given back.
func (g *stage) end() {
	g.t.Helper()
	defer g.Close()
	must(g.t, g.RunFor(5*time.Second))
	l := g.cluster.On(g.w)
	b := &g.cluster.Breakers[0]
	if l.Count.RqActive != 0 || b.Requests.Used() != 0 || b.Pending.Used() != 0 || l.Pool.PendingActive != 0 {
		g.t.Errorf("%d requests active, %d pending, %d and %d places taken", l.Count.RqActive, l.Pool.PendingActive, b.Requests.Used(), b.Pending.Used())
	}
	g.cluster.Close()
	must(g.t, g.RunFor(2*time.Minute))
	if b.Connections.Used() != 0 || l.Pool.Active != 0 {
		g.t.Errorf("%d connections are still counted, %d active", b.Connections.Used(), l.Pool.Active)
	}
	for _, w := range []*loop.Worker{g.w, g.host} {
		if n := w.Counters().Panics; n != 0 {
			g.t.Errorf("%d panics", n)
		}
	}
	for _, f := range g.closing {
		f()
	}
	g.w.Stop()
	g.host.Stop()
	must(g.t, g.RunFor(time.Second))
	if err := g.Leaks(); err != nil {
		g.t.Error(err)
	}
}

// listen lets f have each connection to a.
func (g *stage) listen(a config.Address, f func(c *loop.Conn)) {
	l, err := g.host.Listen(a, loop.ListenOptions{}, f)
	must(g.t, err)
	g.closing = append(g.closing, l.Close)
}

// serve1 lets f answer what comes over HTTP/1.1: each request's line and body.
// false ends the connection.
func (g *stage) serve1(a config.Address, f func(c *loop.Conn, path, body string) bool) {
	g.listen(a, func(c *loop.Conn) {
		c.Serve(server(func(c *loop.Conn) {
			for {
				path, body, ok := readRequest(c)
				if !ok || !f(c, path, body) {
					c.Close()
					return
				}
			}
		}), false)
	})
}

type server func(c *loop.Conn)

func (f server) Ready(c *loop.Conn)   { f(c) }
func (f server) Expired(c *loop.Conn) { c.Close() }
func (f server) Closed(*loop.Conn)    {}

func readRequest(c *loop.Conn) (path, body string, ok bool) {
	var r http1.Request
	lim := http1.DefaultLimits()
	for {
		n, err := r.Parse(c.Buffered(), &lim)
		if err != nil {
			return "", "", false
		}
		if n > 0 {
			path = string(r.Path)
			c.Discard(n)
			break
		}
		if _, err := c.Next(); err != nil {
			return "", "", false
		}
	}
	for want := max(r.ContentLength, 0); c.Pending() < int(want); {
		if _, err := c.Next(); err != nil {
			return "", "", false
		}
	}
	body = string(c.Buffered()[:max(r.ContentLength, 0)])
	c.Discard(len(body))
	return path, body, true
}

// serve2 lets f answer each stream to a, in a coroutine of its own.
func (g *stage) serve2(a config.Address, f func(st *h2.Stream, path string)) {
	o := config.H2Defaults()
	options := h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
	g.listen(a, func(c *loop.Conn) { h2.Serve(c, options, owner{g, f}, &g.count, &g.spare) })
}

type owner struct {
	g *stage
	f func(st *h2.Stream, path string)
}

func (o owner) Changed(*h2.Conn)   {}
func (o owner) Lost(*h2.Conn)      {}
func (o owner) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }
func (o owner) Opened(st *h2.Stream, err error) {
	var req http1.Request
	if err == nil {
		err = http2.ReadRequest(&req, &st.Fields, st.Last() && st.Pending() == 0, false)
	}
	if err != nil {
		o.g.t.Errorf("the host got a head that it cannot take: %v", err)
	}
	path := string(req.Path)
	o.g.host.Go(func() {
		defer st.Close()
		o.f(st, path)
	})
}

// readStream reads a stream to its end; false if it broke.
func readStream(st *h2.Stream) (string, bool) {
	var b strings.Builder
	for {
		b.Write(st.Buffered())
		st.Discard(st.Pending())
		if st.Last() {
			return b.String(), true
		}
		if st.Wait(0) != nil {
			return b.String(), false
		}
	}
}

// reply answers on a stream, with trailers if there are any.
func reply(st *h2.Stream, status int, body string, lines ...http1.Header) {
	if !st.Head() {
		return
	}
	st.Status(status)
	st.SendHead(false)
	st.Send([]byte(body), len(lines) == 0)
	if len(lines) > 0 {
		st.SendTrailers(lines)
	}
}

func ok1(body string) []byte {
	return []byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func get(path string) *Request {
	return &Request{Method: []byte("GET"), Authority: []byte("a"), Path: []byte(path), MaxBody: 1 << 20}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
