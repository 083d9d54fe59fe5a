package httpproxy

import (
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// stage is a world with a proxy, backends and clients.
type stage struct {
	*loop.Sim
	t        *testing.T
	proxy    *loop.Worker
	room     *Room
	clusters map[string]*upstream.Cluster
	listener *loop.Listener
	addr     config.Address
	backend  *loop.Worker
	client   *loop.Worker
	closing  []func()
}

func at(s string) config.Address { return config.Address{IP: netip.MustParseAddrPort(s)} }

// testHTTP is a connection manager with Envoy's defaults and the routes given.
func testHTTP(routes ...*config.Route) *config.HTTP {
	return &config.HTTP{
		HTTP2: config.H2Defaults(), StatPrefix: "test", ServerName: "attache", GenerateRequestID: true, AllowAbsoluteURL: true,
		IdleTimeout: time.Hour, StreamIdleTimeout: 5 * time.Minute, DrainTimeout: 5 * time.Second,
		DelayedCloseTimeout: time.Second, MaxRequestHeadersKB: 60, MaxHeaders: 100,
		Routes: &config.RouteTable{
			Name: "routes", MaxDirectBody: 4096,
			VirtualHosts: []*config.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: routes}},
		},
	}
}

func prefix(p string, a config.RouteAction) *config.Route {
	return &config.Route{Name: p, Match: config.RouteMatch{Path: config.PathMatch{Kind: config.PathPrefix, Value: p}}, Action: a}
}

func toCluster(name string) *config.Forward {
	return &config.Forward{Cluster: name, NotFoundStatus: 503, Timeout: 15 * time.Second}
}

func testCluster(name string, hosts ...config.Address) *config.Cluster {
	c := &config.Cluster{
		Name: name, ConnectTimeout: 5 * time.Second, BufferLimit: 1 << 20, PanicThreshold: 50,
		Balance: config.Balance{Kind: config.RoundRobin},
		HTTP:    config.UpstreamHTTP{IdleTimeout: time.Hour, MaxHeaders: 100, MaxHeadersKB: 60, HTTP2: config.H2Defaults()},
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

var backendAddr = at("10.0.0.2:80")

// newStage makes a proxy before one cluster, c, of one host at 10.0.0.2:80.
func newStage(t *testing.T, seed uint64, cfg *config.HTTP, more ...*config.Cluster) *stage {
	t.Helper()
	var log *slog.Logger
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	g := &stage{Sim: loop.NewSim(seed, log), t: t, clusters: map[string]*upstream.Cluster{}}
	g.proxy = g.Worker("proxy")
	g.backend = g.Worker("backend")
	g.client = g.Worker("client")
	if len(more) == 0 {
		more = []*config.Cluster{testCluster("c", backendAddr)}
	}
	for _, c := range more {
		k, err := upstream.Open(c, []*loop.Worker{g.proxy}, slog.New(slog.DiscardHandler), nil)
		must(t, err)
		g.clusters[c.Name] = k
	}
	table, err := Compile(cfg.Routes, g.cluster)
	must(t, err)
	room := New(cfg, table, Env{
		Workers: 1, Wall: func() time.Time { return time.Unix(1_800_000_000, 0).Add(g.Now()) },
	})
	g.room = room
	g.listener, err = g.proxy.Listen(at("10.0.0.1:80"), loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, 64<<10) })
	must(t, err)
	g.addr = g.listener.Addr()
	return g
}

func (g *stage) cluster(name string) *upstream.Cluster { return g.clusters[name] }

// serve lets f serve each connection to a, in a coroutine that lasts as long
// as it.
func (g *stage) serve(a config.Address, f func(c *loop.Conn)) {
	l, err := g.backend.Listen(a, loop.ListenOptions{}, func(c *loop.Conn) { c.Serve(server(f), false) })
	must(g.t, err)
	g.closing = append(g.closing, l.Close)
}

type server func(c *loop.Conn)

func (f server) Ready(c *loop.Conn)   { f(c) }
func (f server) Expired(c *loop.Conn) { c.Close() }
func (f server) Closed(*loop.Conn)    {}

// play runs f as a client and turns the world until it returns.
func (g *stage) play(f func()) {
	g.t.Helper()
	done := false
	g.client.Go(func() {
		defer func() { done = true }()
		f()
	})
	if err := g.Run(func() bool { return done }, 10*time.Minute); err != nil {
		g.t.Fatal(err)
	}
}

// end closes everything and says what was not given back.
func (g *stage) end() {
	g.t.Helper()
	defer g.Close()
	must(g.t, g.RunFor(5*time.Second))
	if n := g.room.Active(g.proxy); n != 0 {
		g.t.Errorf("%d requests in progress", n)
	}
	if c := g.room.Counters(g.proxy); c.RqActive != 0 {
		g.t.Errorf("downstream_rq_active is %d", c.RqActive)
	}
	for _, k := range g.clusters {
		l := k.On(g.proxy)
		if l.Count.RqActive != 0 || k.Breakers[0].Requests.Used() != 0 {
			g.t.Errorf("cluster %s: %d requests active, %d places taken", k.Name, l.Count.RqActive, k.Breakers[0].Requests.Used())
		}
		k.Close()
	}
	if p := g.proxy.Counters().Panics; p != 0 {
		g.t.Errorf("%d panics", p)
	}
	g.listener.Close()
	for _, f := range g.closing {
		f()
	}
	for _, w := range []*loop.Worker{g.proxy, g.backend, g.client} {
		w.Stop()
	}
	must(g.t, g.RunFor(time.Second))
	if err := g.Leaks(); err != nil {
		g.t.Error(err)
	}
}

// ask sends in over a connection of its own and gives all that comes back until
// the proxy closes, or nothing has come for 3 s; closed says which.
func (g *stage) ask(in string) (got string, closed bool) {
	g.t.Helper()
	g.play(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(g.t, err)
		_, _ = c.Write([]byte(in))
		got, closed = hear(c)
		c.Close()
	})
	return got, closed
}

func hear(c *loop.Conn) (string, bool) {
	var b strings.Builder
	for {
		c.SetReadTimeout(3 * time.Second)
		p := make([]byte, 4096)
		n, err := c.Read(p)
		b.Write(p[:n])
		if err != nil {
			return b.String(), err != loop.ErrTimeout
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
