package pool

// A host of several addresses (RFC 8305): the next one is tried when the one before has failed, or
// has not answered for a while; the first that stands is the connection
// (Envoy multi_connection_base_impl.cc).

import (
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// nextAddress is how long an address has before the next one is tried beside it.
const nextAddress = 300 * time.Millisecond

// Addresses are those of a host, in the order in which they are tried. Immutable.
type Addresses struct{ All []config.Address }

// race is one connection's attempts.
type race struct {
	w       *loop.Worker
	t       *Target
	want    *Want
	until   int64
	started int
	since   int64 // the last one was started
	under   int   // attempts
	begun   []*loop.Conn
	conn    *loop.Conn // the winner
	err     error
	failed  bool // one of the attempts, since it was looked at
	moved   loop.Waiter
	timer   loop.Timer
}

// race connects to one of the host's addresses. When one has won, the other attempts end.
func (t *Target) race(w *loop.Worker, n *Counters, x *Want) (*loop.Conn, error) {
	r := &race{w: w, t: t, want: x, until: w.Now() + int64(t.ConnectTimeout)}
	wake := func() { r.moved.Wake(w) }
	for r.conn == nil {
		switch {
		case r.started < len(t.Others.All) && (r.failed || r.started == 0 || w.Now() >= r.next()):
			if r.started > 0 {
				n.Connections++
			}
			r.begin(t.Others.All[r.started])
			continue
		case r.under == 0:
			return nil, r.err
		}
		d := time.Duration(r.until - w.Now())
		if r.started < len(t.Others.All) {
			d = min(d, time.Duration(r.next()-w.Now()))
		}
		w.SetTimer(&r.timer, max(d, 1), wake)
		r.moved.Wait(w)
		w.ClearTimer(&r.timer)
	}
	for _, c := range r.begun {
		if c != r.conn {
			c.Close()
		}
	}
	return r.conn, nil
}

// next is when the next address is due.
func (r *race) next() int64 { return r.since + int64(nextAddress) }

// begin tries an address in a coroutine of its own, for as long as the connection has left.
func (r *race) begin(a config.Address) {
	r.started++
	r.under++
	r.failed, r.since = false, r.w.Now()
	left := max(time.Duration(r.until-r.w.Now()), time.Millisecond)
	r.w.Go(func() {
		c, err := r.t.reach(r.w, a, left, r.want, func(c *loop.Conn) {
			if r.conn != nil { // another has won while this one's socket was being made
				c.Close()
			}
			r.begun = append(r.begun, c)
		})
		r.under--
		switch {
		case err != nil:
			r.err, r.failed = err, true
		case r.conn != nil:
			c.Close()
			return
		default:
			r.conn = c
		}
		r.moved.Wake(r.w)
	})
}
