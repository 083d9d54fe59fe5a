package transport

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/loop"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(addr string) config.Address {
	return config.Address{IP: netip.MustParseAddrPort(addr)}
}

var front = at("10.0.0.1:443")

// common is what a context has if nothing is said.
func common() config.TLS {
	return config.TLS{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, Curves: []tls.CurveID{tls.X25519, tls.CurveP256}}
}

// stage is a world with a server and a client, each with a context.
type stage struct {
	*loop.Sim
	t              testing.TB
	server, client *loop.Worker
	down           *Server
	up             *Client
	downTally      *Tally
	upTally        *Tally
	listener       *loop.Listener
	served         func(c *loop.Conn) // in a coroutine; nil: echo
	timeout        time.Duration
	states         []State // of the server's side
}

func newStage(t testing.TB, seed uint64) *stage {
	s := loop.NewSim(seed, nil)
	g := &stage{Sim: s, t: t, server: s.Worker("server"), client: s.Worker("client"), downTally: NewTally(2), upTally: NewTally(2)}
	return g
}

func (g *stage) env() *Env {
	return &Env{Queues: NewQueues([]*loop.Worker{g.server, g.client}, 0, 0)}
}

// open makes the server listen.
func (g *stage) open(asked config.DownstreamTLS, m *config.Material) {
	g.t.Helper()
	var err error
	g.down, err = NewServer(&asked, m, g.env(), g.downTally)
	must(g.t, err)
	g.listener, err = g.server.Listen(front, loop.ListenOptions{}, func(c *loop.Conn) { g.down.Accept(c, g.timeout, g) })
	must(g.t, err)
}

// Secured is Next's.
func (g *stage) Secured(c *loop.Conn) {
	g.states = append(g.states, *Of(c))
	if g.served != nil {
		g.server.Go(func() { g.served(c) })
		return
	}
	c.Serve(echo{}, true)
}

type echo struct{}

func (echo) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		_ = c.Send(c.Buffered())
		c.Discard(c.Pending())
		if err != nil {
			c.Close()
		}
		if n == 0 || err != nil {
			return
		}
	}
}
func (echo) Expired(*loop.Conn) {}
func (echo) Closed(*loop.Conn)  {}

func (g *stage) use(asked config.UpstreamTLS, m *config.Material) {
	g.t.Helper()
	var err error
	g.up, err = NewClient(&asked, m, g.env(), g.upTally)
	must(g.t, err)
}

// play runs f as the client, to its end.
func (g *stage) play(f func()) {
	g.t.Helper()
	done := false
	g.client.Go(func() {
		defer func() { done = true }()
		f()
	})
	must(g.t, g.Run(func() bool { return done && g.Quiet() }, time.Hour))
}

func (g *stage) dial() *loop.Conn {
	c, err := g.client.Dial(front, time.Minute, config.Keepalive{})
	must(g.t, err)
	return c
}

// connect dials, makes the handshake and says something.
func (g *stage) connect(p Peer) (st *State, err error) {
	c := g.dial()
	defer c.Close()
	if err := g.up.Secure(c, &p, 10*time.Second); err != nil {
		return nil, err
	}
	// With TLS 1.3 a client is told only now what the server thinks of it.
	_, _ = c.Write([]byte("hello"))
	_, err = c.Next()
	return Of(c), err
}

func (g *stage) end() {
	g.t.Helper()
	defer g.Sim.Close()
	g.listener.Close()
	must(g.t, g.Run(g.Quiet, time.Hour))
	if err := g.Leaks(); err != nil {
		g.t.Error(err)
	}
	for _, q := range g.down.env.Queues {
		if q.Open() != 0 || q.Waiting() != 0 {
			g.t.Errorf("queue: %d open, %d waiting", q.Open(), q.Waiting())
		}
	}
}

// material gathers what a context is served with.
func material(v *config.Validation, pairs ...*pki.Pair) *config.Material {
	m := &config.Material{Validation: v}
	for _, p := range pairs {
		m.Certificates = append(m.Certificates, p.Certificate())
	}
	return m
}

// trust accepts what authorities have signed.
func trust(all ...*pki.Authority) *config.Validation {
	v := &config.Validation{}
	for _, a := range all {
		v.Roots = append(v.Roots, a.Cert)
	}
	return v
}

func counted(n *Counters) map[string]uint64 {
	all := map[string]uint64{}
	n.Stats(func(name string, v uint64) {
		if v > 0 {
			all[name] = v
		}
	})
	return all
}
