package loop

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Timers, deadlines and dialling: whatever ends by time.

func TestSimTimersAreExact(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		spans := []int64{100, 10_000, 10_000_000, 40 * 24 * 3600 * 1000}
		left := 0
		for range 200 {
			d := time.Duration(1+g.Rand().Int64N(spans[g.Rand().IntN(len(spans))])) * time.Millisecond
			left++
			g.client.Go(func() {
				g.client.Sleep(d)
				if g.Now() != d {
					t.Errorf("seed %d: a sleep of %v ended after %v", seed, d, g.Now())
				}
				left--
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, 41*24*time.Hour))
		if n := g.client.Counters().Turns; n > 2000 {
			t.Errorf("200 timers took %d turns", n)
		}
		settle(t, g.Sim)
		g.Close()
	}
}

func TestSimDialOutcomes(t *testing.T) {
	a := at("10.0.0.9:80")
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		g.play(func() {
			try := func() error {
				c, err := g.client.Dial(a, 250*time.Millisecond, config.Keepalive{})
				if err == nil {
					c.Close()
				}
				return err
			}
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("nobody listens: %v", err)
			}
			g.Blackhole(a, true)
			began := g.Now()
			if err := try(); err != ErrTimeout {
				t.Errorf("black hole: %v", err)
			}
			if took := g.Now() - began; took < 250*time.Millisecond || took > 251*time.Millisecond {
				t.Errorf("time-out of 250ms after %v", took)
			}
			g.Blackhole(a, false)
			l := serve(t, g.server, a, drop())
			if err := try(); err != nil {
				t.Errorf("listening: %v", err)
			}
			g.Refuse(a, true)
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("refused: %v", err)
			}
			g.Refuse(a, false)
			g.LimitFDs(g.client, 1)
			c := g.dial(a)
			if err := try(); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("no descriptor: %v", err)
			}
			g.LimitFDs(g.client, 0)
			c.Close()
			l.Close()
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("listener closed: %v", err)
			}
		})
		settle(t, g.Sim)
		g.Close()
	}
}

// A deadline that passes while the handler is at something else is not lost:
// its next wait is told, or Expired is called when it returns without one.
func TestSimDeadlinePassesWhileBusy(t *testing.T) {
	for _, waits := range []bool{true, false} {
		g := newStage(t, 1)
		told := ""
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{
			ready: func(c *Conn) {
				_, _ = c.Next()
				c.Discard(c.Pending())
				c.SetReadTimeout(10 * time.Millisecond)
				c.SetWriteTimeout(10 * time.Millisecond)
				g.server.Sleep(20 * time.Millisecond)
				if !waits {
					return
				}
				_, _ = c.Write(make([]byte, 1<<20))
				if err := c.Drain(0); err != ErrTimeout {
					t.Errorf("Drain after its deadline gave %v", err)
				}
				if _, err := c.Next(); err == ErrTimeout {
					told += "Next"
				}
				c.Close()
			},
			expired: func(c *Conn) { told += "Expired"; c.Close() },
		})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("x"))
			g.client.Sleep(30 * time.Millisecond)
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if want := map[bool]string{true: "Next", false: "Expired"}[waits]; told != want {
			t.Errorf("waits %v: told %q, want %q", waits, told, want)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

func TestSimReadDeadlines(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	expired := 0
	l := serve(t, g.server, at("10.0.0.1:80"), &funcs{
		ready: func(c *Conn) {
			_, _ = c.Next()
			c.Discard(c.Pending())
			c.SetReadTimeout(50 * time.Millisecond) // idle: Expired
		},
		expired: func(c *Conn) {
			if expired++; expired == 2 {
				c.Close()
				return
			}
			c.SetReadTimeout(30 * time.Millisecond)
		},
	})
	g.play(func() {
		c := g.dial(l.Addr())
		wait := func(d, want time.Duration) {
			t.Helper()
			began := g.Now()
			c.SetReadTimeout(d)
			_, err := c.Next()
			took := g.Now() - began
			if err != ErrTimeout || took < want || took > want+time.Millisecond {
				t.Errorf("a wait of %v gave %v after %v", d, err, took)
			}
		}
		wait(20*time.Millisecond, 20*time.Millisecond)
		wait(10*time.Millisecond, 10*time.Millisecond)
		// Moved away while it waits, then taken nearer again.
		g.After(5*time.Millisecond, func() { g.client.Post(func() { c.SetReadTimeout(50 * time.Millisecond) }) })
		g.After(15*time.Millisecond, func() { g.client.Post(func() { c.SetReadTimeout(10 * time.Millisecond) }) })
		wait(10*time.Millisecond, 25*time.Millisecond)
		// Taken away: only the server's Expired ends the wait, at 50 and 80 ms.
		c.SetReadTimeout(time.Millisecond)
		c.SetReadTimeout(0)
		_, _ = c.Write([]byte("x"))
		began := g.Now()
		if _, err := c.Next(); err != io.EOF || expired != 2 {
			t.Errorf("got %v, Expired called %d times", err, expired)
		}
		if took := g.Now() - began; took < 80*time.Millisecond || took > 83*time.Millisecond {
			t.Errorf("the server's deadlines took %v, want 80ms", took)
		}
		c.Close()
	})
	settle(t, g.Sim, l)
}

// A Drain that ran out of time has lost nothing: what is queued and what
// others queue meanwhile still arrives.
func TestSimWriteDeadlineLosesNothing(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		got := 0
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			g.server.Sleep(time.Second)
			n, _ := io.Copy(io.Discard, c)
			got = int(n)
			c.Close()
		}})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write(make([]byte, 2<<20))
			began := g.Now()
			c.SetWriteTimeout(100 * time.Millisecond)
			// Another's timer at the same tick queues more while the writer is
			// about to be told.
			var other Timer
			g.client.SetTimer(&other, 100*time.Millisecond, func() { c.Commit(append(c.Begin(5), "other"...)) })
			if err := c.Drain(0); err != ErrTimeout {
				t.Errorf("Drain gave %v", err)
			}
			if took := g.Now() - began; took < 100*time.Millisecond || took > 101*time.Millisecond {
				t.Errorf("Drain's time-out of 100ms took %v", took)
			}
			c.SetWriteTimeout(0)
			must(t, c.Drain(0))
			c.CloseWrite()
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if want := 2<<20 + 5; got != want {
			t.Errorf("seed %d: %d of %d bytes came", seed, got, want)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}
