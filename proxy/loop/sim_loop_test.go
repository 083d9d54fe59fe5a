package loop

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// What the loop promises to those who run on it, on virtual time.

// stage is a world with a server's and a client's worker.
type stage struct {
	*Sim
	t              testing.TB
	server, client *Worker
}

func newStage(t testing.TB, seed uint64) *stage {
	s := NewSim(seed, nil)
	return &stage{s, t, s.Worker("server"), s.Worker("client")}
}

// dial is Dial of the client, which must succeed.
func (g *stage) dial(a config.Address) *Conn {
	c, err := g.client.Dial(a, time.Minute, config.Keepalive{})
	must(g.t, err)
	return c
}

// play runs the client's part and waits until it and its consequences are over.
func (g *stage) play(f func()) {
	g.t.Helper()
	done := false
	g.client.Go(func() { f(); done = true })
	must(g.t, g.Run(func() bool { return done }, time.Hour))
	must(g.t, g.Run(g.Quiet, time.Hour))
}

// funcs is a handler made of functions; those that are nil close, or do nothing.
type funcs struct {
	ready, expired, closed func(*Conn)
}

func (h *funcs) Ready(c *Conn) { h.ready(c) }
func (h *funcs) Expired(c *Conn) {
	if h.expired == nil {
		c.Close()
		return
	}
	h.expired(c)
}

func (h *funcs) Closed(c *Conn) {
	if h.closed != nil {
		h.closed(c)
	}
}

// drop reads everything and closes at the end.
func drop() *funcs {
	return &funcs{ready: func(c *Conn) {
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}}
}

// One connection that always has bytes does not keep another waiting.
func TestSimFairness(t *testing.T) {
	for _, inline := range []bool{false, true} {
		g := newStage(t, 1)
		g.SetLink(config.Address{}, Link{Buffer: 64 << 20})
		eaten, answered := 0, -1
		h := &funcs{}
		read := func(c *Conn) (int, error) { // of a handler that does not yield
			if c.Spent() {
				c.Again()
				return 0, nil
			}
			return c.Fill()
		}
		if !inline {
			read = func(c *Conn) (int, error) {
				b, err := c.Next()
				return len(b), err
			}
		}
		h.ready = func(c *Conn) {
			for {
				n, err := read(c)
				if bytes.HasPrefix(c.Buffered(), []byte("ping")) {
					answered = eaten
				} else {
					eaten += n
				}
				c.Discard(c.Pending())
				if err != nil {
					c.Close()
				}
				if err != nil || n == 0 {
					return
				}
			}
		}
		l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) { c.Serve(h, inline) })
		must(t, err)
		const flood = 48 << 20
		g.play(func() {
			a, b := g.dial(l.Addr()), g.dial(l.Addr())
			g.client.Sleep(10 * time.Millisecond)
			g.Freeze(g.server, true)
			_, _ = a.Write(make([]byte, flood))
			_, _ = b.Write([]byte("ping"))
			g.client.Sleep(10 * time.Millisecond)
			g.Freeze(g.server, false)
			a.CloseWrite()
			b.CloseWrite()
			_, _ = io.ReadAll(a)
			a.Close()
			b.Close()
		})
		if eaten != flood || answered < 0 || answered > 2*(readsPerTurn+1)*sharedSize {
			t.Errorf("inline %v: %d of %d bytes read, ping seen after %d of them", inline, eaten, flood, answered)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Out of file descriptors, accepting rests instead of spinning, and goes on as
// soon as one comes free.
func TestSimAcceptRestsWithoutDescriptors(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		l := serve(t, g.server, at("10.0.0.1:80"), echo{})
		g.LimitFDs(g.server, 5)
		var conns []*Conn
		g.play(func() {
			for range 10 {
				conns = append(conns, g.dial(l.Addr()))
			}
		})
		before := g.server.Counters()
		must(t, g.RunFor(10*time.Second))
		after := g.server.Counters()
		if n := after.Turns - before.Turns; n > 400 || l.Paused == 0 {
			t.Errorf("%d turns in 10 s without descriptors, paused %d times", n, l.Paused)
		}
		g.play(func() {
			for i, c := range conns { // each close makes room for one more
				began := g.client.Clock()
				_, _ = c.Write([]byte("x"))
				if b, err := c.Next(); string(b) != "x" || err != nil {
					t.Errorf("connection %d: %q, %v", i, b, err)
				}
				if took := time.Duration(g.client.Clock() - began); took > 5*time.Millisecond {
					t.Errorf("connection %d was served after %v", i, took)
				}
				c.Close()
				g.client.Sleep(5 * time.Millisecond)
			}
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A panic costs the connection that it happened on, wherever it happens.
func TestSimPanicIsolation(t *testing.T) {
	var log strings.Builder
	for _, where := range []string{"ready", "inline", "expired", "closed", "both", "accept", "timer", "post", "offload"} {
		t.Run(where, func(t *testing.T) {
			log.Reset()
			g := newStage(t, 1)
			defer g.Close()
			g.server.log = g.logger(slog.New(slog.NewTextHandler(&log, nil)))
			boom := func(*Conn) { panic("asked to") }
			var timer Timer
			h := &funcs{ready: func(c *Conn) {
				_, _ = c.Fill()
				c.Discard(c.Pending())
				switch where {
				case "ready", "inline", "both":
					boom(c)
				case "expired":
					c.SetReadTimeout(time.Millisecond)
				case "closed":
					c.Close()
				case "timer":
					g.server.SetTimer(&timer, time.Millisecond, func() { defer c.Close(); boom(c) })
				case "post":
					g.server.Post(func() { defer c.Close(); boom(c) })
				case "offload":
					g.server.Offload(func() { boom(c) })
				}
			}}
			switch where {
			case "expired":
				h.expired = boom
			case "closed", "both":
				h.closed = boom
			}
			l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) {
				c.Serve(h, where == "inline")
				if where == "accept" {
					boom(c)
				}
			})
			must(t, err)
			ok := serve(t, g.server, at("10.0.0.1:81"), echo{})
			g.play(func() {
				good := g.dial(ok.Addr())
				// Where the accept panics the RST may come with the handshake.
				if bad, err := g.client.Dial(l.Addr(), time.Minute, config.Keepalive{}); err == nil {
					_, _ = bad.Write([]byte("x"))
					_, _ = io.ReadAll(bad)
					bad.Close()
				}
				_, _ = good.Write([]byte("hello"))
				if b, err := good.Next(); string(b) != "hello" || err != nil {
					t.Errorf("the other connection got %q, %v", b, err)
				}
				good.Close()
			})
			if n := g.server.Counters().Panics; n == 0 || !strings.Contains(log.String(), "asked to") {
				t.Errorf("%d panics counted; log: %s", n, &log)
			}
			settle(t, g.Sim, l, ok)
		})
	}
}

func TestSimPostFromOtherWorkers(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		var got []int
		for i := range 3 {
			w := g.Worker("poster")
			w.Go(func() {
				for n := range 20 {
					g.server.Post(func() { got = append(got, i*100+n) })
					if n%3 == 0 {
						w.Sleep(time.Millisecond)
					}
				}
			})
		}
		must(t, g.Run(func() bool { return len(got) == 60 }, time.Second))
		for i := range 3 {
			mine := slices.DeleteFunc(slices.Clone(got), func(v int) bool { return v/100 != i })
			if len(mine) != 20 || !slices.IsSorted(mine) {
				t.Errorf("seed %d: poster %d's functions ran as %v", seed, i, mine)
			}
		}
		settle(t, g.Sim)
		g.Close()
	}
}

func TestSimOffload(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	g.play(func() {
		began, other, v := g.Now(), false, 0
		g.client.Go(func() { other = true })
		g.client.Offload(func() { v = 42 })
		if v != 42 || !other || g.Now() == began {
			t.Errorf("v %d, others ran %v, took %v", v, other, g.Now()-began)
		}
	})
	settle(t, g.Sim)
}

// A worker that is stopped gives everything back, whatever its coroutines do
// while they are told: dial again, start others.
func TestSimStopGivesEverythingBack(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		l := serve(t, g.server, at("10.0.0.1:80"), echo{})
		for range 5 {
			var again func()
			again = func() {
				defer g.client.Go(func() {})
				if c, err := g.client.Dial(l.Addr(), time.Second, config.Keepalive{}); err == nil {
					_, _ = c.Next()
					c.Close()
				}
				g.client.Go(again)
				g.client.Yield()
			}
			g.client.Go(again)
		}
		must(t, g.RunFor(time.Duration(g.Rand().IntN(2000))*time.Microsecond))
		g.client.Stop()
		must(t, g.RunFor(time.Second))
		if n := g.client.Counters().Coroutines; n != 0 {
			t.Errorf("seed %d: %d coroutines are left", seed, n)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Work that never runs out of followers takes no more memory with time.
func TestSimQueueStaysSmall(t *testing.T) {
	var q queue[int]
	for range 10 {
		q.push(0)
	}
	for range 100_000 {
		q.push(q.pop())
	}
	if cap(q.items) > 1000 {
		t.Errorf("a queue of 10 takes room for %d", cap(q.items))
	}
}

// What comes last finds the turn's writes gone, one of it in each turn; and what
// it wakes and writes goes out in the same turn.
func TestSimLast(t *testing.T) {
	g := newStage(t, 1)
	l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) {
		c.Serve(&funcs{ready: func(c *Conn) {
			_, err := c.Fill()
			if err != nil {
				c.Close()
				return
			}
			c.Discard(c.Pending())
			c.Commit(append(c.Begin(1), 'a'))
			var last Waiter
			times, turn := 0, g.server.Counters().Turns
			var again func()
			again = func() {
				if c.Unsent() > 0 {
					t.Error("what the turn had to write waits")
				}
				if now := g.server.Counters().Turns; now != turn+uint64(times) {
					t.Errorf("turn %d after %d", now, turn)
				}
				if times++; times < 3 {
					g.server.Last(again)
					return
				}
				last.Wake(g.server)
			}
			g.server.Last(again)
			last.Wait(g.server)
			c.Commit(append(c.Begin(1), 'b'))
			if now := g.server.Counters().Turns; now != turn+2 {
				t.Errorf("woken in turn %d", now)
			}
		}}, false)
	})
	must(t, err)
	g.play(func() {
		c := g.dial(l.Addr())
		defer c.Close()
		_, _ = c.Write([]byte("x"))
		p := make([]byte, 2)
		if _, err := io.ReadFull(c, p); err != nil || string(p) != "ab" {
			t.Errorf("%q, %v", p, err)
		}
	})
	settle(t, g.Sim, l)
	g.Close()
}
