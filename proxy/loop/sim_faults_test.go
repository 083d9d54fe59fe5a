package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Scenarios of what goes wrong in a network, and what Linux makes of it.

// town is an echo server that is hit by faults, and clients that try until
// they are answered.
type town struct {
	*stage
	addr config.Address
	l    *Listener
	left int
}

// open starts the server's process, again after it was killed.
func (o *town) open() {
	o.server = o.Worker("server")
	o.l = serve(o.t, o.server, o.addr, echo{})
}

// faults are what may happen to the town; each ends by itself.
var faults = []struct {
	name string
	hit  func(o *town, d time.Duration)
}{
	{"refuse", func(o *town, d time.Duration) {
		o.Refuse(o.addr, true)
		o.After(d, func() { o.Refuse(o.addr, false) })
	}},
	{"black hole", func(o *town, d time.Duration) {
		o.Blackhole(o.addr, true)
		o.After(d, func() { o.Blackhole(o.addr, false) })
	}},
	{"stall", func(o *town, d time.Duration) {
		o.Stall(o.addr, true)
		o.After(d, func() { o.Stall(o.addr, false) })
	}},
	{"reset", func(o *town, d time.Duration) { o.ResetAll(o.addr) }},
	{"kill", func(o *town, d time.Duration) {
		o.Kill(o.server)
		o.After(d, o.open)
	}},
	{"freeze", func(o *town, d time.Duration) {
		w := o.server
		o.Freeze(w, true)
		o.After(d, func() { o.Freeze(w, false) })
	}},
	{"descriptors", func(o *town, d time.Duration) {
		w := o.server
		o.LimitFDs(w, 1)
		o.After(d, func() { o.LimitFDs(w, 0) })
	}},
	{"slow link", func(o *town, d time.Duration) {
		o.SetLink(o.addr, Link{Latency: 50 * time.Millisecond, Bandwidth: 50_000, Buffer: 512})
		o.After(d, func() { o.SetLink(o.addr, Link{}) })
	}},
	{"stop", func(o *town, d time.Duration) {
		o.server.Stop()
		o.After(d, o.open)
	}},
}

// visit asks one question and reads the answer; what comes must be a part of
// what was asked.
func (o *town) visit(want []byte) error {
	c, err := o.client.Dial(o.addr, time.Second, config.Keepalive{})
	if err != nil {
		return err
	}
	defer c.Close()
	_, _ = c.Write(want)
	got := make([]byte, len(want))
	c.SetReadTimeout(2 * time.Second)
	n, err := io.ReadFull(c, got)
	if !bytes.HasPrefix(want, got[:n]) {
		o.t.Errorf("asked %.20q, got %.20q", want, got[:n])
	}
	return err
}

func (o *town) citizen(name string) {
	for n := range 4 {
		want := bytes.Repeat(fmt.Appendf(nil, "%s asks %d;", name, n), 1+o.Rand().IntN(100))
		for o.visit(want) != nil {
			o.client.Sleep(20 * time.Millisecond)
		}
		o.client.Sleep(time.Duration(o.Rand().IntN(100)) * time.Millisecond)
	}
	o.left--
}

// Every fault ends one way: the clients get their answers, whole and their
// own, and nothing is left behind.
func TestSimEchoThroughFaults(t *testing.T) {
	for seed := range Seeds(t, 1000) {
		o := &town{stage: newStage(t, seed), addr: at("10.0.0.1:7")}
		o.Weather()
		o.open()
		for i := range 4 {
			o.left++
			o.client.Go(func() { o.citizen(fmt.Sprint("client ", i)) })
		}
		when := time.Duration(0)
		for range 3 {
			f := faults[o.Rand().IntN(len(faults))]
			when += time.Duration(1+o.Rand().IntN(300)) * time.Millisecond
			d := time.Duration(o.Rand().IntN(3000)) * time.Millisecond
			o.At(when, func() { f.hit(o, d) })
			when += d
		}
		if err := o.Run(func() bool { return o.left == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		must(t, o.RunFor(10*time.Second)) // the faults end
		settle(t, o.Sim, o.l)
		o.Close()
	}
}

// A killed process leaves its peers an end, or a reset where bytes were
// unread, and its address to the next.
func TestSimKill(t *testing.T) {
	for _, unread := range []bool{false, true} {
		g := newStage(t, 1)
		a := at("10.0.0.1:7")
		ran := false
		_, err := g.server.Listen(a, ListenOptions{}, func(c *Conn) {
			if !unread {
				c.Serve(echo{}, false)
			}
			g.server.Go(func() {
				defer func() { ran = true }()
				g.server.Sleep(time.Hour)
			})
		})
		must(t, err)
		g.play(func() {
			c := g.dial(a)
			_, _ = c.Write([]byte("hello"))
			g.client.Sleep(time.Millisecond)
			g.Kill(g.server)
			g.client.Sleep(time.Millisecond)
			got, err := io.ReadAll(c)
			if unread && !errors.Is(err, syscall.ECONNRESET) || !unread && (string(got) != "hello" || err != nil) {
				t.Errorf("unread %v: read %q, %v", unread, got, err)
			}
			c.Close()
			if _, err := g.client.Dial(a, time.Second, config.Keepalive{}); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dialling the dead gave %v", err)
			}
			l := serve(t, g.Worker("next"), a, echo{})
			g.dial(a).Close()
			l.Close()
		})
		if !ran {
			t.Error("the dead worker's coroutine was not unwound")
		}
		settle(t, g.Sim)
		g.Close()
	}
}

// Bytes that a black hole took come when it ends, in order; those who dial
// meanwhile are let in.
func TestSimBlackholeHeals(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		g.Weather()
		l := serve(t, g.server, at("10.0.0.1:7"), echo{})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("before "))
			g.client.Sleep(time.Duration(g.Rand().IntN(4)) * time.Millisecond)
			g.Blackhole(l.Addr(), true)
			_, _ = c.Write([]byte("meanwhile "))
			got, dialled := "", time.Duration(0)
			g.client.Go(func() {
				d := g.dial(l.Addr())
				dialled = g.Now()
				d.Close()
			})
			c.SetReadTimeout(30 * time.Second)
			for err := error(nil); err == nil; {
				b, e := c.Next()
				got += string(b)
				c.Discard(len(b))
				err = e
			}
			if len(got) > len("before ") {
				t.Errorf("seed %d: %q came through a black hole", seed, got)
			}
			healed := g.Now()
			g.Blackhole(l.Addr(), false)
			_, _ = c.Write([]byte("after"))
			c.CloseWrite()
			rest, err := io.ReadAll(c)
			if got += string(rest); got != "before meanwhile after" || err != nil {
				t.Errorf("seed %d: got %q, %v", seed, got, err)
			}
			c.Close()
			g.client.Sleep(2 * time.Second)
			if dialled < healed {
				t.Errorf("seed %d: dialled at %v, healed at %v", seed, dialled, healed)
			}
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Several workers on one address share its connections, by the seed; on a unix
// path too, through one socket.
func TestSimListenersShareAnAddress(t *testing.T) {
	for _, a := range []config.Address{at("10.0.0.1:7"), at("0.0.0.0:7"), {Path: "/run/echo.sock"}, {Path: "@echo"}} {
		g := newStage(t, 1)
		var o ListenOptions
		dial := a
		if a.Path != "" {
			o.Shared = &SharedSocket{}
		} else {
			dial = at("10.0.0.1:7")
		}
		var ls []*Listener
		workers := []*Worker{g.server, g.Worker("server 2"), g.Worker("server 3")}
		for _, w := range workers {
			l, err := w.Listen(a, o, func(c *Conn) { c.Serve(echo{}, false) })
			must(t, err)
			ls = append(ls, l)
		}
		g.play(func() {
			for range 60 {
				c := g.dial(dial)
				_, _ = c.Write([]byte("x"))
				if b, err := c.Next(); string(b) != "x" || err != nil {
					t.Errorf("%s: %q, %v", a, b, err)
				}
				c.Close()
			}
		})
		for i, w := range workers {
			if n := w.Counters().Accepted; n < 5 || n > 40 {
				t.Errorf("%s: worker %d took %d of 60 connections", a, i, n)
			}
		}
		if o.Shared != nil {
			o.Shared.Close()
		}
		settle(t, g.Sim, ls...)
		g.Close()
	}
}

func TestSimAddresses(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	var local, peer string
	l, err := g.server.Listen(at("127.0.0.1:0"), ListenOptions{}, func(c *Conn) {
		local, peer = c.Local().String(), c.Peer().String()
		c.Serve(drop(), false)
	})
	must(t, err)
	if p := l.Addr().IP.Port(); p == 0 {
		t.Error("port 0 was not replaced by a free one")
	}
	g.play(func() {
		c := g.dial(l.Addr())
		g.client.Sleep(time.Millisecond)
		if local != c.Peer().String() || peer != c.Local().String() || local != l.Addr().String() {
			t.Errorf("server is %s and sees %s; client is %s and sees %s", local, peer, c.Local(), c.Peer())
		}
		c.Close()
	})
	settle(t, g.Sim, l)
}

// A SYN that finds the accept queue full is sent again.
func TestSimBacklog(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	g.Freeze(g.server, true)
	l, err := g.server.Listen(at("10.0.0.1:7"), ListenOptions{Backlog: 2}, func(c *Conn) { c.Serve(drop(), false) })
	must(t, err)
	var took []time.Duration
	for range 4 {
		g.client.Go(func() {
			c := g.dial(l.Addr())
			took = append(took, g.Now().Round(10*time.Millisecond))
			c.Close()
		})
	}
	g.At(2*time.Second, func() { g.Freeze(g.server, false) })
	must(t, g.Run(func() bool { return len(took) == 4 }, time.Minute))
	if got := fmt.Sprint(took); got != "[0s 0s 3s 3s]" {
		t.Errorf("connections stood after %s", got)
	}
	settle(t, g.Sim, l)
}

// Run says what waits when nothing can happen any more, when time is up, and
// when a worker spins.
func TestSimRunTellsWhy(t *testing.T) {
	tests := []struct {
		name string
		f    func(g *stage)
		want string
	}{
		{"deadlock", func(g *stage) {
			g.client.Go(func() {
				c := g.dial(at("10.0.0.1:7"))
				_, _ = c.Next()
			})
		}, "nothing can happen"},
		{"limit", func(g *stage) { g.client.Go(func() { g.client.Sleep(time.Hour) }) }, "not done within 1m0s"},
		{"spin", func(g *stage) {
			g.client.Go(func() {
				for {
					g.client.Yield()
				}
			})
		}, "without time passing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newStage(t, 1)
			defer g.Close()
			serve(t, g.server, at("10.0.0.1:7"), drop())
			test.f(g)
			err := g.Run(func() bool { return false }, time.Minute)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "client: 1 coroutines") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSimLeaksAreNamed(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	l := serve(t, g.server, at("10.0.0.1:7"), drop())
	g.play(func() {
		c := g.dial(l.Addr())
		_, _ = c.Write([]byte("x"))
		var timer Timer
		g.client.SetTimer(&timer, time.Hour, func() {})
	})
	err := g.Leaks()
	if err == nil || !strings.Contains(err.Error(), "client: 1 sockets, 1 connections, 0 coroutines, 2 timers") ||
		!strings.Contains(err.Error(), "server: 2 sockets, 1 connections, 1 coroutines, 0 timers") {
		t.Errorf("got %v", err)
	}
}

// report is a T that writes down what it is told.
type report struct {
	lines  []string
	failed bool
}

func (r *report) Helper()                 {}
func (r *report) Name() string            { return "TestSimX/a_b" }
func (r *report) Failed() bool            { return r.failed }
func (r *report) Logf(f string, a ...any) { r.lines = append(r.lines, fmt.Sprintf(f, a...)) }
func (r *report) Fatalf(f string, a ...any) {
	r.failed = true
	r.Logf(f, a...)
}

func TestSimSeedsPrintsHowToRunAgain(t *testing.T) {
	t.Setenv("ATTACHE_SEED", "")
	t.Setenv("ATTACHE_SEEDS", "")
	const again = "seed 3 failed; again: ATTACHE_SEED=3 go test ./proxy/loop -run '^TestSimX$/^a_b$'"
	var failed, panicked, fine report
	for seed := range Seeds(&failed, 10) {
		failed.failed = seed == 3
	}
	func() {
		defer func() { _ = recover() }()
		for seed := range Seeds(&panicked, 10) {
			if seed == 3 {
				panic("asked to")
			}
		}
	}()
	t.Setenv("ATTACHE_SEEDS", "20")
	n, one := 0, uint64(0)
	for range Seeds(&fine, 10) {
		n++
	}
	t.Setenv("ATTACHE_SEED", "77")
	for seed := range Seeds(&fine, 10) {
		one = seed
	}
	if got := failed.lines[len(failed.lines)-1]; got != again {
		t.Errorf("after an error: %q", failed.lines)
	}
	if got := panicked.lines[len(panicked.lines)-1]; got != again {
		t.Errorf("after a panic: %q", panicked.lines)
	}
	if n != 20 || one != 77 || !strings.HasPrefix(fine.lines[0], "20 seeds ran") {
		t.Errorf("ran %d, one was %d: %q", n, one, fine.lines)
	}
}
