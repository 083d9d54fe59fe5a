package tcpproxy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Which host a session gets, what happens if it gets none, and when it ends.

// named answers with its name and echoes then.
func named(name string) func(c *loop.Conn) {
	return func(c *loop.Conn) {
		_, _ = c.Write([]byte(name))
		_, _ = io.Copy(c, c)
		_ = c.Drain(0)
		c.Close()
	}
}

// greeting is what the client reads of a fresh session, and how that ended.
func (g *stage) greeting() (string, error) {
	c, err := g.client.Dial(front, time.Minute, config.Keepalive{})
	if err != nil {
		return "", err // the reset may come before the handshake is over
	}
	c.CloseWrite()
	got, err := io.ReadAll(c)
	c.Close()
	return string(got), err
}

// A host that refuses or does not answer costs an attempt; another is tried,
// as often as is allowed.
func TestSimAttempts(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80", "10.0.1.2:80"))
		g.serve("10.0.1.1:80", named("one"))
		g.serve("10.0.1.2:80", named("two"))
		attempts := 1 + int(seed%2)
		g.open(config.TCP{MaxConnectAttempts: attempts, IdleTimeout: time.Hour})
		switch seed / 2 % 3 {
		case 0:
			g.Refuse(at("10.0.1.1:80"), true)
		case 1:
			g.Blackhole(at("10.0.1.1:80"), true)
		case 2: // both
			g.Refuse(at("10.0.1.1:80"), true)
			g.Blackhole(at("10.0.1.2:80"), true)
		}
		dead := seed/2%3 == 2
		g.play(func() {
			for range 4 {
				began := g.Now()
				got, err := g.greeting()
				took := g.Now() - began
				switch {
				case got == "two" && err == nil && !dead:
				case errors.Is(err, syscall.ECONNRESET) && got == "" && (dead || attempts == 1):
				default:
					t.Errorf("seed %d: %q, %v", seed, got, err)
				}
				if took > 5*time.Second*time.Duration(attempts)+time.Second {
					t.Errorf("seed %d: it took %v", seed, took)
				}
			}
		})
		if n := g.stat("upstream_cx_connect_attempts_exceeded"); dead && n != 4 || !dead && attempts > 1 && n != 0 {
			t.Errorf("seed %d: attempts exceeded: %d", seed, n)
		}
		g.Blackhole(config.Address{}, false)
		g.Blackhole(at("10.0.1.1:80"), false)
		g.Blackhole(at("10.0.1.2:80"), false)
		g.settle()
	}
}

// Without a cluster or a host the client reads an end, at once.
func TestSimNobodyToAsk(t *testing.T) {
	for _, name := range []string{"empty", "absent"} {
		g := newStage(t, 1, false)
		g.cluster(clusterConfig("empty"))
		g.open(config.TCP{Clusters: []config.WeightedCluster{{Name: name}}})
		g.play(func() {
			if got, err := g.greeting(); got != "" || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if g.Now() > time.Second {
				t.Errorf("%s: it took %v", name, g.Now())
			}
		})
		want := uint64(0)
		if name == "absent" {
			want = 1
		}
		if n := g.stat("downstream_cx_no_route"); n != want {
			t.Errorf("%s: %d connections without route, want %d", name, n, want)
		}
		g.settle()
	}
}

// At max_connections a session is refused, and it comes again when one has
// ended.
func TestSimMaxConnections(t *testing.T) {
	g := newStage(t, 1, false)
	cluster := clusterConfig("hosts", "10.0.1.1:80")
	cluster.Breakers[0].MaxConnections = 2
	k := g.cluster(cluster)
	g.serve("10.0.1.1:80", named("one"))
	g.open(config.TCP{})
	g.play(func() {
		a, b := g.dial(), g.dial()
		for _, c := range []*loop.Conn{a, b} {
			if _, err := c.Next(); err != nil {
				t.Error(err)
			}
		}
		if got, err := g.greeting(); got != "" || err != nil {
			t.Errorf("the third session: %q, %v", got, err)
		}
		a.Close()
		g.client.Sleep(10 * time.Millisecond)
		if got, err := g.greeting(); got != "one" || err != nil {
			t.Errorf("after one has ended: %q, %v", got, err)
		}
		b.Close()
	})
	if n := k.On(g.proxy).Pool.ConnectionOverflow; n != 1 {
		t.Errorf("%d overflows", n)
	}
	g.settle()
}

// Weights share the sessions out.
func TestSimWeightedClusters(t *testing.T) {
	g := newStage(t, 1, false)
	g.cluster(clusterConfig("a", "10.0.1.1:80"))
	g.cluster(clusterConfig("b", "10.0.1.2:80"))
	g.serve("10.0.1.1:80", named("a"))
	g.serve("10.0.1.2:80", named("b"))
	g.open(config.TCP{Clusters: []config.WeightedCluster{{Name: "a", Weight: 1}, {Name: "b", Weight: 3}}})
	seen := map[string]int{}
	g.play(func() {
		for range 1000 {
			got, err := g.greeting()
			must(t, err)
			seen[got]++
		}
	})
	if len(seen) != 2 || seen["a"] < 200 || seen["a"] > 300 {
		t.Errorf("sessions by cluster: %v; want about 250 of 1000 for a", seen)
	}
	g.settle()
}

// With source_ip a client keeps its host, whatever its port.
func TestSimSourceIPHash(t *testing.T) {
	for seed := range loop.Seeds(t, 20) {
		g := newStage(t, seed, false)
		c := clusterConfig("hosts")
		c.Balance.Kind = config.RingHashLB
		for i := range 5 {
			addr := fmt.Sprintf("10.0.1.%d:80", i+1)
			l := &c.Endpoints.Localities[0]
			l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: at(addr), Weight: 1})
			g.serve(addr, named(addr))
		}
		g.cluster(c)
		g.open(config.TCP{HashSourceIP: true})
		seen := map[string]bool{}
		g.play(func() {
			for range 20 {
				got, err := g.greeting()
				must(t, err)
				seen[got] = true
			}
		})
		if len(seen) != 1 {
			t.Errorf("one client met %d hosts: %v", len(seen), seen)
		}
		g.settle()
	}
}

// The idle time-out counts from the last byte either way, to the millisecond.
func TestSimIdleTimeoutIsExact(t *testing.T) {
	const idle = 90 * time.Second
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, false)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{IdleTimeout: idle})
		var served *loop.Conn
		g.serve("10.0.1.1:80", func(c *loop.Conn) {
			served = c
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		})
		g.play(func() {
			c := g.dial()
			last := g.Now()
			for range g.Rand().IntN(5) {
				g.client.Sleep(time.Duration(g.Rand().Int64N(int64(idle)-1e7)) + time.Millisecond)
				if g.Rand().IntN(2) == 0 {
					_, _ = c.Write([]byte("x"))
				} else {
					g.server.Post(func() { _, _ = served.Write([]byte("y")) })
				}
				last = g.Now()
			}
			for {
				if _, err := c.Read(make([]byte, 10)); err != nil {
					if err != io.EOF {
						t.Errorf("seed %d: %v", seed, err)
					}
					break
				}
			}
			if after := g.Now() - last; after < idle || after > idle+3*time.Millisecond {
				t.Errorf("seed %d: closed %v after the last byte", seed, after)
			}
			c.Close()
		})
		if n := g.stat("idle_timeout"); n != 1 {
			t.Errorf("seed %d: %d idle time-outs", seed, n)
		}
		g.settle()
	}
}

// A reader so slow that nothing is read from its peer for longer than the idle
// time-out is not idle.
func TestSimSlowReaderIsNotIdle(t *testing.T) {
	g := newStage(t, 1, false)
	g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
	g.open(config.TCP{IdleTimeout: time.Second})
	g.SetLink(config.Address{}, loop.Link{Buffer: 4096})
	const size = 200 << 10
	g.serve("10.0.1.1:80", func(c *loop.Conn) {
		_, _ = c.Write(make([]byte, size))
		_ = c.Drain(0)
		c.Close()
	})
	g.play(func() {
		c := g.dial()
		n := 0
		for {
			g.client.Sleep(300 * time.Millisecond)
			m, err := c.Read(make([]byte, 4096))
			if n += m; err != nil {
				if err != io.EOF || n != size {
					t.Errorf("%d of %d bytes after %v, %v", n, size, g.Now(), err)
				}
				break
			}
		}
		c.Close()
	})
	g.settle()
}

func TestSimMaxDuration(t *testing.T) {
	g := newStage(t, 1, false)
	g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
	g.open(config.TCP{MaxDuration: 10 * time.Second, IdleTimeout: time.Hour})
	g.serve("10.0.1.1:80", named("one"))
	g.play(func() {
		c := g.dial()
		began := g.Now()
		g.client.Go(func() {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				g.client.Sleep(100 * time.Millisecond)
			}
		})
		_, _ = io.Copy(io.Discard, c)
		if d := g.Now() - began; d < 9999*time.Millisecond || d > 10010*time.Millisecond {
			t.Errorf("closed after %v", d)
		}
		c.Close()
	})
	if n := g.stat("max_downstream_connection_duration"); n != 1 {
		t.Errorf("%d sessions lasted too long", n)
	}
	g.settle()
}

// Whenever clients and servers leave, and however, nothing is left behind.
func TestSimNothingLeaks(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.bufferLimit = 4096
		g.cluster(clusterConfig("hosts", "10.0.1.1:80", "10.0.1.2:80"))
		g.open(config.TCP{MaxConnectAttempts: 2, IdleTimeout: time.Minute})
		leave := func(w *loop.Worker, c *loop.Conn) {
			w.Go(func() { _, _ = io.Copy(io.Discard, c) })
			_, _ = c.Write(make([]byte, w.Rand().IntN(15000)))
			w.Sleep(time.Duration(w.Rand().IntN(20)) * time.Millisecond)
			switch w.Rand().IntN(4) {
			case 0:
				c.Reset()
			case 1:
				c.CloseWrite()
				w.Sleep(time.Duration(w.Rand().IntN(20)) * time.Millisecond)
			case 2:
				w.Sleep(2 * time.Minute)
			}
			c.Close()
		}
		for _, a := range []string{"10.0.1.1:80", "10.0.1.2:80"} {
			g.serve(a, func(c *loop.Conn) { leave(g.server, c) })
			if g.Rand().IntN(3) == 0 {
				g.After(time.Duration(g.Rand().IntN(30))*time.Millisecond, func() { g.ResetAll(at(a)) })
			}
		}
		if g.Rand().IntN(4) == 0 {
			g.After(time.Duration(g.Rand().IntN(30))*time.Millisecond, func() { g.proxy.Post(func() { g.room.Close(g.proxy) }) })
		}
		left := 5
		for range left {
			g.client.Go(func() {
				defer func() { left-- }()
				g.client.Sleep(time.Duration(g.Rand().IntN(10)) * time.Millisecond)
				c, err := g.client.Dial(front, time.Minute, config.Keepalive{})
				if err == nil {
					leave(g.client, c)
				}
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, time.Hour))
		g.settle()
	}
}

func TestNewRefuses(t *testing.T) {
	none := func(string) *upstream.Cluster { return nil }
	for _, c := range []config.TCP{{}, {Clusters: []config.WeightedCluster{{Name: "a"}, {Name: "b"}}}} {
		if _, err := New(&c, none, Env{Workers: 1}); err == nil || !strings.Contains(err.Error(), "cluster") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
