package tcpproxy

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

func at(addr string) config.Address {
	return config.Address{IP: netip.MustParseAddrPort(addr)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var front = at("10.0.0.1:9000")

// stage is a world with a proxy, a client and a server; the proxy sends what
// comes to front to hosts.
type stage struct {
	*loop.Sim
	t                     testing.TB
	proxy, client, server *loop.Worker
	clusters              map[string]*upstream.Cluster
	room                  *Room
	listeners             []*loop.Listener
	bufferLimit           int
}

// newStage makes a world whose weather the seed decides if foul is set.
func newStage(t testing.TB, seed uint64, foul bool) *stage {
	s := loop.NewSim(seed, nil)
	g := &stage{Sim: s, t: t, clusters: map[string]*upstream.Cluster{}, bufferLimit: 1 << 20}
	g.proxy, g.client, g.server = s.Worker("proxy"), s.Worker("client"), s.Worker("server")
	if foul {
		s.Weather()
	}
	return g
}

// clusterConfig is a static cluster of the hosts with Envoy's defaults.
func clusterConfig(name string, hosts ...string) *config.Cluster {
	limits := config.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	c := &config.Cluster{
		Name: name, ConnectTimeout: 5 * time.Second, BufferLimit: 1 << 20,
		Breakers: [2]config.Breakers{limits, limits},
		Pool:     config.Pool{Connections: 1, MaxConnecting: 8},
	}
	c.Balance.MinRing, c.Balance.MaxRing, c.Balance.MaglevTable = 1024, 8<<20, 65537
	var l config.Locality
	for _, h := range hosts {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: at(h), Weight: 1})
	}
	c.Endpoints = config.Endpoints{Cluster: name, Localities: []config.Locality{l}, OverprovisioningFactor: 140}
	return c
}

func (g *stage) cluster(c *config.Cluster) *upstream.Cluster {
	g.t.Helper()
	k, err := upstream.Open(c, []*loop.Worker{g.proxy}, slog.New(slog.DiscardHandler), nil)
	must(g.t, err)
	g.clusters[c.Name] = k
	return k
}

// open makes the proxy listen; without clusters in c it has the one named
// "hosts".
func (g *stage) open(c config.TCP) {
	g.t.Helper()
	c.StatPrefix = "t"
	if c.Clusters == nil {
		c.Clusters = []config.WeightedCluster{{Name: "hosts"}}
	}
	room, err := New(&c, func(name string) *upstream.Cluster { return g.clusters[name] }, Env{Workers: 1})
	must(g.t, err)
	g.room = room
	l, err := g.proxy.Listen(front, loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, g.bufferLimit) })
	must(g.t, err)
	g.listeners = append(g.listeners, l)
}

// serve makes the server listen and run f in a coroutine for each connection.
func (g *stage) serve(addr string, f func(c *loop.Conn)) {
	g.t.Helper()
	l, err := g.server.Listen(at(addr), loop.ListenOptions{}, func(c *loop.Conn) {
		g.server.Go(func() { f(c) })
	})
	must(g.t, err)
	g.listeners = append(g.listeners, l)
}

// play runs f as the client, to its end.
func (g *stage) play(f func()) {
	g.t.Helper()
	done := false
	g.client.Go(func() {
		defer func() { done = true }()
		f()
	})
	must(g.t, g.Run(func() bool { return done }, 24*time.Hour))
}

// dial connects to the proxy.
func (g *stage) dial() *loop.Conn {
	c, err := g.client.Dial(front, time.Minute, config.Keepalive{})
	must(g.t, err)
	return c
}

// settle closes what the stage opened, and asks for leaks.
func (g *stage) settle() {
	g.t.Helper()
	defer g.Sim.Close()
	must(g.t, g.RunFor(5*time.Minute)) // clients and servers come to their ends
	for _, l := range g.listeners {
		l.Close()
	}
	must(g.t, g.Run(func() bool { return g.Quiet() && g.room.Active(g.proxy) == 0 }, 24*time.Hour))
	for _, k := range g.clusters {
		here := k.On(g.proxy)
		if n := k.Breakers[0].Connections.Used(); n != 0 || here.Pool.Active != 0 || here.Count.RqActive != 0 {
			g.t.Errorf("cluster %s: %d connections in use, %d active, %d requests", k.Name, n, here.Pool.Active, here.Count.RqActive)
		}
		k.Close()
	}
	must(g.t, g.Run(g.Quiet, time.Hour))
	if err := g.Leaks(); err != nil {
		g.t.Error(err)
	}
}

// stat gives one of the room's figures.
func (g *stage) stat(name string) uint64 {
	g.t.Helper()
	value, found := uint64(0), false
	g.room.Stats(g.proxy, func(n string, v uint64) {
		if n == "tcp.t."+name {
			value, found = v, true
		}
	})
	if !found {
		g.t.Fatalf("no counter %s", name)
	}
	return value
}
