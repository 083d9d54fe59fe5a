package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

func TestGetTakesTheConnectionUsedLast(t *testing.T) {
	x := newTown(t, 1)
	x.do(func() {
		a, b := x.get(&x.breaker, false), x.get(&x.breaker, false)
		if a.Reused || b.Reused || a.Uses != 1 {
			t.Errorf("new connections say %+v, %+v", a, b)
		}
		conn := b.Conn
		a.Put()
		b.Put()
		c := x.get(&x.breaker, false)
		if c.Conn != conn || !c.Reused || c.Uses != 2 {
			t.Errorf("not the last one, or not marked: %+v", c)
		}
		d := x.get(&x.breaker, true)
		if d.Reused || x.pool.Idle() != 1 {
			t.Errorf("fresh gave %+v; %d idle", d, x.pool.Idle())
		}
		c.Put()
		d.Drop()
		d.Drop()
	})
	x.wait()
	if x.pool.Idle() != 2 || x.count.Connections != 3 {
		t.Errorf("%d idle, %d made", x.pool.Idle(), x.count.Connections)
	}
	x.end()
}

// What a host sends, or ends, while nobody asks, closes the connection before
// a request meets it; also when both happen at once.
func TestIdleConnectionThatSpeaksIsClosed(t *testing.T) {
	for name, act := range map[string]func(*loop.Conn){
		"bytes": func(c *loop.Conn) { _ = c.Send([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")) },
		"end":   func(c *loop.Conn) { c.Close() },
		"reset": func(c *loop.Conn) { c.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTown(t, 1)
			x.do(func() { x.get(&x.breaker, false).Put() })
			x.wait()
			if x.pool.Idle() != 1 {
				t.Fatalf("%d idle", x.pool.Idle())
			}
			x.host.Post(func() { act(x.accepted[0]) })
			x.wait()
			if x.pool.Idle() != 0 || (x.count.Unsolicited == 1) != (name == "bytes") {
				t.Errorf("%d idle, %d unsolicited", x.pool.Idle(), x.count.Unsolicited)
			}
			x.do(func() { x.get(&x.breaker, false).Put() })
			x.wait()
			x.end()
		})
	}
}

func TestPutClosesWhatIsNotClean(t *testing.T) {
	for name, spoil := range map[string]func(x *town, l *Lease){
		"unread bytes":     func(x *town, l *Lease) { _ = l.Conn.Send([]byte("more")); x.w.Sleep(time.Second); _, _ = l.Conn.Fill() },
		"bytes not looked": func(x *town, l *Lease) { _ = l.Conn.Send([]byte("more")); x.w.Sleep(time.Second) },
		"unsent bytes":     func(x *town, l *Lease) { _, _ = l.Conn.Write([]byte("more")) },
		"host's end":       func(x *town, l *Lease) { x.accepted[0].Close(); x.w.Sleep(time.Second) },
		"closed":           func(x *town, l *Lease) { l.Conn.Close() },
		"used up":          func(x *town, l *Lease) { x.target.MaxUses = 1 },
		"old":              func(x *town, l *Lease) { x.target.MaxAge = time.Second; x.w.Sleep(time.Second) },
		"removed host":     func(x *town, l *Lease) { x.pool.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTown(t, 1)
			x.do(func() {
				l := x.get(&x.breaker, false)
				spoil(x, l)
				l.Put()
				if x.pool.Idle() != 0 || x.pool.InUse() != 0 || !l.Conn.Closed() {
					t.Errorf("%d idle, %d in use, closed %v", x.pool.Idle(), x.pool.InUse(), l.Conn.Closed())
				}
				l.Put()
				l.Drop()
			})
			x.wait()
			x.end()
		})
	}
}

func TestIdleTimeoutAndAge(t *testing.T) {
	x := newTown(t, 1)
	x.target.IdleTimeout = time.Minute
	x.do(func() { x.get(&x.breaker, false).Put() })
	x.wait()
	x.must(x.RunFor(59 * time.Second))
	if x.pool.Idle() != 1 {
		t.Error("closed too early")
	}
	x.must(x.RunFor(2 * time.Second))
	if x.pool.Idle() != 0 || x.count.IdleClosed != 1 {
		t.Errorf("%d idle, %d closed for it", x.pool.Idle(), x.count.IdleClosed)
	}
	x.target.IdleTimeout, x.target.MaxAge = 0, time.Minute
	x.do(func() { x.get(&x.breaker, false).Put() })
	x.must(x.RunFor(2 * time.Minute))
	x.do(func() {
		if l := x.get(&x.breaker, false); l.Reused {
			t.Error("took a connection past its age")
		} else {
			l.Put()
		}
	})
	x.wait()
	x.end()
}

// At the limit requests wait in order, past that one is refused; a host without
// a connection may always have one.
func TestPendingInOrderAndOverflow(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(0)
	x.breaker.Pending.SetLimit(2)
	var order []int
	for i := range 4 {
		x.do(func() {
			x.w.Sleep(time.Duration(i) * time.Millisecond)
			l, err := x.pool.Get(&x.breaker, false)
			if i == 3 {
				if !errors.Is(err, ErrOverflow) {
					t.Errorf("the fourth got %v, %v", l, err)
				}
				return
			}
			x.must(err)
			x.ask(l)
			order = append(order, i)
			x.w.Sleep(10 * time.Millisecond)
			l.Put()
		})
	}
	x.wait()
	if fmt.Sprint(order) != "[0 1 2]" || x.count.PendingOverflow != 1 || x.count.PendingTotal != 3 || x.count.Connections != 1 {
		t.Errorf("served %v; %+v", order, x.count)
	}
	x.end()
}

func TestMaxConnectingBoundsAttempts(t *testing.T) {
	x := newTown(t, 1)
	x.target.MaxConnecting = 2
	x.SetLink(x.target.Address, loop.Link{Latency: 10 * time.Millisecond})
	for range 7 {
		x.do(func() {
			l := x.get(&x.breaker, false)
			if x.pool.dialing > 2 {
				t.Errorf("%d attempts at once", x.pool.dialing)
			}
			x.w.Sleep(time.Second)
			l.Put()
		})
	}
	x.wait()
	if x.pool.Idle() != 7 {
		t.Errorf("%d connections for 7 requests", x.pool.Idle())
	}
	x.end()
}

// A fresh connection at the limit takes the place of an idle one.
func TestFreshMakesRoom(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(2)
	x.do(func() {
		a, b := x.get(&x.breaker, false), x.get(&x.breaker, false)
		a.Put()
		c := x.get(&x.breaker, true)
		if c.Reused || !a.Conn.Closed() {
			t.Errorf("fresh: %+v; the idle one closed: %v", c, a.Conn.Closed())
		}
		x.do(func() { // waits for a fresh one until b comes back
			d := x.get(&x.breaker, true)
			if d.Reused || !b.Conn.Closed() {
				t.Errorf("waited for a fresh one, got %+v", d)
			}
			d.Put()
		})
		x.w.Sleep(time.Second)
		b.Put()
		x.w.Sleep(time.Second)
		c.Put()
	})
	x.wait()
	x.end()
}

// A connection counts where it was made, whichever priority uses it later.
func TestConnectionKeepsItsBreaker(t *testing.T) {
	x := newTown(t, 1)
	x.do(func() {
		x.get(&x.breaker, false).Put()
		l := x.get(&x.hi, false)
		if x.breaker.Connections.Used() != 1 || x.hi.Connections.Used() != 0 {
			t.Errorf("used %d and %d", x.breaker.Connections.Used(), x.hi.Connections.Used())
		}
		l.Drop()
	})
	x.wait()
	x.end()
}

// A connection that dies on its way to the one who waits is not given to them.
func TestWaiterGetsNoDeadConnection(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(1)
	x.do(func() {
		l := x.get(&x.breaker, false)
		x.do(func() {
			second := x.get(&x.breaker, false)
			if second.Reused {
				t.Error("got the dead one")
			}
			second.Put()
		})
		x.w.Sleep(time.Second)
		l.Put()
		l.Conn.Close()
	})
	x.wait()
	x.end()
}

// One who waits too long leaves the queue; the others keep their places.
func TestGetWithin(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(1)
	x.do(func() {
		l := x.get(&x.breaker, false)
		served := 0
		for i, d := range []time.Duration{time.Second, 0, 3 * time.Second} {
			x.do(func() {
				begun := x.w.Now()
				l, err := x.pool.GetWithin(&x.breaker, false, d)
				if i > 0 {
					x.must(err)
					served++
					l.Put()
				} else if waited := time.Duration(x.w.Now() - begun); !errors.Is(err, ErrWaited) || waited < d || waited > d+2*time.Millisecond {
					t.Errorf("after %v: %v", waited, err)
				}
			})
		}
		x.w.Sleep(2 * time.Second)
		l.Put()
		x.w.Sleep(time.Second)
		if served != 2 {
			t.Errorf("%d were served", served)
		}
	})
	x.wait()
	x.end()
}

func TestCloseTellsWaiters(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(1)
	x.do(func() {
		l := x.get(&x.breaker, false)
		for range 3 {
			x.do(func() {
				if _, err := x.pool.Get(&x.breaker, false); !errors.Is(err, ErrGone) {
					t.Errorf("who waited got %v", err)
				}
			})
		}
		x.w.Sleep(time.Second)
		x.pool.Close()
		x.ask(l) // a request in progress goes on
		l.Put()
		if _, err := x.pool.Get(&x.breaker, false); !errors.Is(err, ErrGone) {
			t.Errorf("after the end: %v", err)
		}
	})
	x.wait()
	x.end()
}

func TestDialErrors(t *testing.T) {
	x := newTown(t, 1)
	x.Refuse(x.target.Address, true)
	x.do(func() {
		if _, err := x.pool.Get(&x.breaker, false); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("refused: %v", err)
		}
		x.Refuse(x.target.Address, false)
		x.Blackhole(x.target.Address, true)
		if _, err := x.pool.Get(&x.breaker, false); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("black hole: %v", err)
		}
		x.Blackhole(x.target.Address, false)
	})
	x.wait()
	if x.count.ConnectFail != 2 || x.count.ConnectTimeout != 1 || x.target.Seen.ConnectFail.Load() != 2 {
		t.Errorf("%+v", x.count)
	}
	x.end()
}

// A ratio of 1.5 has one connection ready beside the first request's, and the
// next request takes it without waiting for a connect.
func TestPreconnectRatio(t *testing.T) {
	x := newTown(t, 1)
	x.target.Preconnect = 1.5
	var first, second *Lease
	x.w.Post(func() {
		x.w.Go(func() {
			first, _ = x.pool.Get(&x.breaker, false)
		})
	})
	if err := x.Run(func() bool { return first != nil && x.pool.Idle() == 1 }, time.Second); err != nil {
		t.Fatalf("no connection ahead of need: %v", err)
	}
	x.w.Post(func() {
		x.w.Go(func() { second, _ = x.pool.Get(&x.breaker, false) })
	})
	if err := x.Run(func() bool { return second != nil && x.pool.Idle() == 1 }, time.Second); err != nil {
		t.Fatalf("two in use want 3 connections, idle %d: %v", x.pool.Idle(), err)
	}
	if second.Reused {
		t.Error("a connection made ahead of need counts as used before")
	}
	if n := x.breaker.Connections.Used(); n != 3 {
		t.Errorf("%d connections for 2 requests at ratio 1.5, want 3", n)
	}
	x.w.Post(func() {
		first.Put()
		second.Put()
		x.pool.Close()
	})
	if err := x.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	if n := x.breaker.Connections.Used(); n != 0 {
		t.Errorf("%d places of the breaker taken at the end", n)
	}
}

func TestPreconnect(t *testing.T) {
	x := newTown(t, 1)
	x.breaker.Connections.SetLimit(3)
	x.w.Post(func() { x.pool.Preconnect(&x.breaker, 5) })
	x.must(x.RunFor(time.Second))
	if x.pool.Idle() != 3 {
		t.Errorf("%d connections, want as many as the limit", x.pool.Idle())
	}
	x.do(func() {
		if l := x.get(&x.breaker, false); l.Reused || l.Uses != 1 {
			t.Errorf("a first use says %+v", l)
		} else {
			l.Put()
		}
	})
	x.wait()
	x.end()
}

func TestLeaseDoesNotAllocate(t *testing.T) {
	x := newTown(t, 1)
	x.do(func() {
		x.get(&x.breaker, false).Put()
		if n := testing.AllocsPerRun(1000, func() {
			l, _ := x.pool.Get(&x.breaker, false)
			l.Put()
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	x.wait()
	x.end()
}

// When one address of a host has won, the attempts at the others end with that.
func TestLosersEndAtOnce(t *testing.T) {
	x := newTown(t, 1)
	hole := config.Address{IP: netip.MustParseAddrPort("10.0.0.2:80")}
	x.Blackhole(hole, true)
	x.target.Others = &Addresses{All: []config.Address{hole, x.target.Address}}
	x.do(func() {
		l := x.get(&x.breaker, false)
		if now, n := x.Now(), x.w.Counters().Conns; now > 310*time.Millisecond || n != 1 {
			t.Errorf("after %v there are %d connections", now, n)
		}
		l.Put()
	})
	x.wait()
	if now := x.Now(); now > 400*time.Millisecond {
		t.Errorf("the last attempt ended after %v", now)
	}
	x.count.Connections-- // the loser is counted as tried, as in Envoy, and as nothing else
	x.end()
}

// An attempt whose socket is still being made, in another network namespace, when another
// address wins ends with that as well.
func TestLosersInNamespacesEndAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		x := newTown(t, seed)
		hole := config.Address{IP: netip.MustParseAddrPort("[2001:db8::2]:80")}
		there := hole
		there.Namespace = "/run/netns/a"
		x.Blackhole(there, true)
		x.SetLink(x.target.Address, loop.Link{Latency: 150_500 * time.Microsecond}) // it has answered a millisecond after the other is begun
		x.target.From = &config.LocalAddresses{
			{Address: netip.MustParseAddrPort("10.0.0.7:0")}, {Address: netip.MustParseAddrPort("[2001:db8::7]:0"), Namespace: there.Namespace},
		}
		x.target.Others = &Addresses{All: []config.Address{x.target.Address, hole}}
		x.do(func() {
			l := x.get(&x.breaker, false)
			x.w.Sleep(10 * time.Millisecond) // the other's socket is made within two
			if n := x.w.Counters().Conns; n != 1 {
				t.Errorf("seed %d: there are %d connections", seed, n)
			}
			l.Put()
		})
		x.wait()
		x.count.Connections--
		x.end()
	}
}
