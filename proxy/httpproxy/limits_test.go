package httpproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Time limits, circuit breakers and what else ends a request that is in order.

// deaf takes requests and never answers.
func deaf(c *loop.Conn) {
	for {
		c.Discard(c.Pending())
		if _, err := c.Next(); err != nil {
			c.Close()
			return
		}
	}
}

// occupy lets another client take the one connection that there may be.
func (g *stage) occupy() {
	g.client.Go(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(g.t, err)
		_, _ = c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"))
		g.closing = append(g.closing, func() { c.Close() })
	})
	must(g.t, g.RunFor(time.Second))
}

func TestSimFailures(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	const before = "upstream connect error or disconnect/reset before headers. reset reason: "
	post := func(n int) string {
		return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n" + strings.Repeat("x", n)
	}
	for _, c := range []struct {
		name, in, want, body string
		after                time.Duration // the answer comes then
		set                  func(g *stage)
		change               func(*config.HTTP, *config.Cluster)
	}{
		{"no route", "GET /no HTTP/1.1\r\nHost: a\r\n\r\n", "404", "", 0, nil, func(h *config.HTTP, _ *config.Cluster) {
			h.Routes.VirtualHosts[0].Routes[0].Match.Path.Value = "/yes"
		}},
		{"unknown cluster", get, "503", "", 0, nil, func(h *config.HTTP, _ *config.Cluster) {
			h.Routes.VirtualHosts[0].Routes[0].Action = toCluster("nowhere")
		}},
		{"no host", get, "503", "no healthy upstream", 0, nil, func(_ *config.HTTP, k *config.Cluster) { k.Endpoints.Localities = nil }},
		{
			"refused", get, "503", before + "remote connection failure, transport failure reason: delayed connect error: Connection refused", 0,
			func(g *stage) { g.Refuse(backendAddr, true) }, nil,
		},
		{"connect timeout", get, "503", before + "connection timeout", 5 * time.Second, func(g *stage) { g.Blackhole(backendAddr, true) }, nil},
		{"route timeout before connect timeout", get, "504", "upstream request timeout", time.Second, func(g *stage) { g.Blackhole(backendAddr, true) }, func(h *config.HTTP, _ *config.Cluster) {
			h.Routes.VirtualHosts[0].Routes[0].Action.(*config.Forward).Timeout = time.Second
		}},
		{"no connection to be had", get, "504", "upstream request timeout", 15 * time.Second, func(g *stage) { g.occupy() }, func(_ *config.HTTP, k *config.Cluster) { k.Breakers[0].MaxConnections = 1 }},
		{"too many wait", get, "503", before + "overflow", 0, func(g *stage) { g.occupy() }, func(_ *config.HTTP, k *config.Cluster) {
			k.Breakers[0].MaxConnections, k.Breakers[0].MaxPending = 1, 0
		}},
		{"route timeout", get, "504", "upstream request timeout", 15 * time.Second, nil, nil},
		{"route timeout counts from the end of the request", post(10), "504", "upstream request timeout", 15 * time.Second, nil, nil},
		{"stream idle", get, "504", "stream timeout", 5 * time.Minute, nil, func(h *config.HTTP, _ *config.Cluster) {
			h.Routes.VirtualHosts[0].Routes[0].Action.(*config.Forward).Timeout = 0
		}},
		{"stream idle within the request", post(5), "408c", "stream timeout", 5 * time.Minute, nil, nil},
		{"stream idle within the head", get[:20], "408c", "stream timeout", 5 * time.Minute, nil, nil},
		{"request timeout", post(5), "408c", "request timeout", 7 * time.Second, nil, func(h *config.HTTP, _ *config.Cluster) { h.RequestTimeout = 7 * time.Second }},
		{"request timeout within the head", get[:20], "408c", "request timeout", 7 * time.Second, nil, func(h *config.HTTP, _ *config.Cluster) { h.RequestTimeout = 7 * time.Second }},
		{"headers timeout", get[:20], "408c", "request header timeout", 3 * time.Second, nil, func(h *config.HTTP, _ *config.Cluster) { h.RequestHeadersTimeout = 3 * time.Second }},
		{"too many requests", get, "503", before + "overflow", 0, nil, func(_ *config.HTTP, k *config.Cluster) { k.Breakers[0].MaxRequests = 0 }},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "426c", "Upgrade Required", 0, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, k := testHTTP(prefix("/", toCluster("c"))), testCluster("c", backendAddr)
			if c.change != nil {
				c.change(cfg, k)
			}
			g := newStage(t, 1, cfg, k)
			g.serve(backendAddr, deaf)
			if c.set != nil {
				c.set(g)
			}
			var status, data string
			var took time.Duration
			g.play(func() {
				conn, err := g.client.Dial(g.addr, 0, config.Keepalive{})
				must(t, err)
				begin := g.Now()
				_, _ = conn.Write([]byte(c.in))
				status, data, _ = hearAnswer(conn, "GET")
				took = g.Now() - begin
				conn.SetReadTimeout(100 * time.Millisecond)
				if _, err := conn.Next(); err != loop.ErrTimeout {
					status += "c"
				}
				conn.Close()
			})
			if status != c.want || data != c.body {
				t.Errorf("got %s %q, want %s %q", status, data, c.want, c.body)
			}
			if took < c.after || took > c.after+20*time.Millisecond {
				t.Errorf("took %v, want %v", took, c.after)
			}
			g.Blackhole(backendAddr, false)
			for _, f := range g.closing {
				f()
			}
			g.end()
		})
	}
}

// A host's answer that comes before the request is complete is passed on at
// once, and the connection ends after it.
func TestSimEarlyAnswer(t *testing.T) {
	for seed := range loop.Seeds(t, 100) {
		g := newStage(t, seed, testHTTP(prefix("/", toCluster("c"))))
		g.Weather()
		g.serve(backendAddr, func(c *loop.Conn) {
			if _, err := c.Next(); err == nil {
				_, _ = c.Write([]byte("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"))
				_ = c.Drain(0)
				c.CloseAfterReply(time.Second)
			}
		})
		g.play(func() {
			c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
			must(t, err)
			_, _ = c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"))
			for range 20 {
				_, _ = c.Write(make([]byte, 1000))
				g.client.Sleep(time.Millisecond)
			}
			status, data, whole := hearAnswer(c, "POST")
			if status != "413" || data != "big" || !whole {
				t.Errorf("got %s %q %v", status, data, whole)
			}
			if rest, closed := hear(c); rest != "" || !closed {
				t.Errorf("then %q, closed %v", rest, closed)
			}
			c.Close()
		})
		g.end()
	}
}

// A client that goes away ends its request at the host within a glance.
func TestSimClientGone(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	ended := time.Duration(0)
	g.serve(backendAddr, func(c *loop.Conn) {
		deaf(c)
		ended = g.Now()
	})
	var left time.Duration
	g.play(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(t, err)
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		g.client.Sleep(time.Second)
		c.Close()
		left = g.Now()
		g.client.Sleep(time.Second)
	})
	if ended == 0 || ended-left > 300*time.Millisecond {
		t.Errorf("the host heard of it after %v", ended-left)
	}
	if n := g.room.Counters(g.proxy).RqRxReset; n != 1 {
		t.Errorf("downstream_rq_rx_reset is %d", n)
	}
	g.end()
}

// A client that does not read holds no more than the limit, and the host's
// bytes wait.
func TestSimSlowReaderHoldsLittle(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	g.SetLink(config.Address{}, loop.Link{Latency: 50 * time.Microsecond, Buffer: 64 << 10})
	g.serve(backendAddr, func(c *loop.Conn) {
		if _, _, ok := readRequest(c); !ok {
			return
		}
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"))
		for range 50 {
			_, _ = c.Write(make([]byte, 100_000))
			if c.Drain(0) != nil {
				return
			}
		}
		c.Close()
	})
	g.play(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(t, err)
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		g.client.Sleep(5 * time.Second)
		held := 0
		for _, cn := range g.room.on(g.proxy).conns {
			held += cn.c.Unsent()
		}
		if held > 64<<10+128<<10 {
			t.Errorf("%d bytes are held for a client that does not read", held)
		}
		_, data, whole := hearAnswer(c, "GET")
		if len(data) != 5_000_000 || !whole {
			t.Errorf("got %d bytes, %v", len(data), whole)
		}
		c.Close()
	})
	g.end()
}

// A head that comes byte by byte holds no exchange while it waits.
func TestSimSlowHead(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	g.serve(backendAddr, echo)
	g.play(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(t, err)
		for _, b := range []byte("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") {
			_, _ = c.Write([]byte{b})
			g.client.Sleep(10 * time.Millisecond)
			l := g.room.on(g.proxy)
			if b != '\n' && (l.count.RqActive != 0 || len(l.conns) != 1 || l.conns[0].x != nil) {
				t.Fatal("an exchange waits for a head")
			}
		}
		if s, data, _ := hearAnswer(c, "GET"); s != "200" || data != "GET /slow " {
			t.Errorf("got %s %q", s, data)
		}
		c.Close()
	})
	g.end()
}

// Drain: what is asked is answered and told to go, what is idle goes in time.
func TestSimDrain(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	g.serve(backendAddr, echo)
	g.play(func() {
		var conns []*loop.Conn
		for range 10 {
			c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
			must(t, err)
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
			hearAnswer(c, "GET")
			conns = append(conns, c)
		}
		g.proxy.Post(func() { g.room.Drain(g.proxy) })
		g.client.Sleep(time.Millisecond)
		_, _ = conns[0].Write([]byte("GET /last HTTP/1.1\r\nHost: a\r\n\r\n"))
		got, closed := hear(conns[0])
		if !strings.Contains(got, "connection: close") || !closed {
			t.Errorf("got %q, closed %v", got, closed)
		}
		g.client.Sleep(6 * time.Second)
		if n := g.room.Connections(g.proxy); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		for _, c := range conns {
			c.Close()
		}
	})
	g.end()
}

// A worker that stops amid requests gives everything back.
func TestSimStopAmidRequests(t *testing.T) {
	for seed := range loop.Seeds(t, 50) {
		g := newStage(t, seed, testHTTP(prefix("/", toCluster("c"))))
		g.Weather()
		g.serve(backendAddr, deaf)
		g.play(func() {
			for _, in := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", "GET / HT"} {
				c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
				must(t, err)
				_, _ = c.Write([]byte(in))
				must(t, c.Drain(0))
			}
			g.client.Sleep(time.Duration(g.Rand().IntN(3000)) * time.Microsecond)
		})
		g.proxy.Stop()
		must(t, g.RunFor(time.Second))
		g.client.Stop()
		must(t, g.RunFor(time.Second))
		for _, f := range g.closing {
			f()
		}
		g.backend.Stop()
		must(t, g.RunFor(time.Second))
		if err := g.Leaks(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if n := g.clusters["c"].Breakers[0].Requests.Used(); n != 0 {
			t.Errorf("seed %d: %d places of the circuit breaker are taken", seed, n)
		}
		g.clusters["c"].Close()
		g.Close()
	}
}

// A client that pipelines without end is not read ahead of its answers.
func TestSimPipelineHoldsLittle(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	g.serve(backendAddr, func(c *loop.Conn) {
		for {
			if _, _, ok := readRequest(c); !ok {
				c.Close()
				return
			}
			g.backend.Sleep(10 * time.Millisecond)
			_, _ = c.Write([]byte(okTwo))
		}
	})
	g.play(func() {
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(t, err)
		one := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		for range 100 {
			_, _ = c.Write([]byte(strings.Repeat(one, 1000)))
		}
		g.client.Sleep(3 * time.Second)
		if n := g.room.on(g.proxy).conns[0].c.Pending(); n > 64<<10+2*128<<10 {
			t.Errorf("%d bytes are held of a client that does not wait", n)
		}
		c.Reset()
	})
	g.end()
}
