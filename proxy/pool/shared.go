package pool

import (
	"errors"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Shared keeps the connections of one worker to one host on which many requests
// run at a time (HTTP/2).
//
//	Open ─▶ a connection that takes one more ─▶ h2.Stream
//	  ├─▶ else one is dialled, unless those under way will do
//	  └─▶ and the request waits (pending), or overflow
//
// A connection that its host is leaving (GOAWAY), that is used up or too old
// takes no new stream and ends with its last. Worker only.
type Shared struct {
	w       *loop.Worker
	target  *Target
	count   *Counters
	o       *h2.Options
	frames  *h2.Counters
	spare   *h2.Spare
	conns   []*sharedConn // all that take streams
	waiting []*wanted
	dialing int
	under   []Want // what is being dialled, for whom the others may wait
	closed  bool
	// other takes a connection on which ALPN chose HTTP/1.1; nil: that is an error.
	other func(*loop.Conn, *Breaker)
}

// sharedConn is one connection of the pool; it is its h2.Owner.
type sharedConn struct {
	pool    *Shared
	h       *h2.Conn
	breaker *Breaker
	since   int64
	uses    uint32
	made    Want
	settled bool // the host's SETTINGS came: it takes streams
	over    bool
	timer   loop.Timer
}

// wanted is a request that waits for a connection.
type wanted struct {
	want   *Want
	wake   loop.Waiter
	stream *h2.Stream
	err    error
	over   bool
	timer  loop.Timer
}

// ErrHTTP1 says that the host chose HTTP/1.1 by ALPN: ask the Exclusive pool.
var ErrHTTP1 = errors.New("the host speaks HTTP/1.1")

// NewShared makes the pool of a worker for a host. count and frames are the
// cluster's on this worker, spare the worker's.
func NewShared(w *loop.Worker, t *Target, o *h2.Options, count *Counters, frames *h2.Counters, spare *h2.Spare) *Shared {
	return &Shared{w: w, target: t, o: o, count: count, frames: frames, spare: spare}
}

// Instead makes the pool give connections on which ALPN chose HTTP/1.1 to f, and
// those who waited for one ErrHTTP1. Without it HTTP/2 is spoken whatever ALPN
// says.
func (p *Shared) Instead(f func(*loop.Conn, *Breaker)) { p.other = f }

// SetTarget changes how connections are made and kept from now on.
func (p *Shared) SetTarget(t *Target) { p.target = t }

// Conns is how many connections take streams.
func (p *Shared) Conns() int { return len(p.conns) }

// Open opens a stream at once if a connection that is as is wanted takes one; nil
// if none does: see OpenWithin.
func (p *Shared) Open(want *Want) *h2.Stream {
	for i := 0; i < len(p.conns); i++ {
		c := p.conns[i]
		if p.usedUp(c) {
			p.retire(c)
			i--
			continue
		}
		if !c.made.like(want) || c.h.Leaving() || !c.h.Room() {
			continue
		}
		if s, err := c.h.Open(); err == nil {
			c.uses++
			return s
		}
	}
	return nil
}

func (p *Shared) usedUp(c *sharedConn) bool {
	t := p.target
	if t.MaxUses > 0 && c.uses >= t.MaxUses {
		p.count.MaxRequests++
		return true
	}
	return t.MaxAge > 0 && p.w.Now()-c.since >= int64(t.MaxAge)
}

// OpenWithin opens a stream; it yields while it connects or waits, at most d (0:
// the attempt's own bound). Errors: ErrOverflow, ErrGone, ErrWaited, ErrHTTP1, or
// Dial's. For coroutines only.
func (p *Shared) OpenWithin(want *Want, b *Breaker, d time.Duration) (*h2.Stream, error) {
	if s := p.Open(want); s != nil {
		return s, nil
	}
	if p.closed {
		return nil, ErrGone
	}
	if !b.Pending.Enter() {
		p.count.PendingOverflow++
		return nil, ErrOverflow
	}
	p.count.PendingTotal++
	p.count.PendingActive++
	x := &wanted{want: want}
	p.waiting = append(p.waiting, x)
	if !p.grow(want, b) {
		p.count.ConnectionOverflow++
	}
	if d > 0 {
		p.w.SetTimer(&x.timer, d, func() { p.answer(x, nil, ErrWaited) })
	}
	for !x.over {
		x.wake.Wait(p.w)
	}
	p.w.ClearTimer(&x.timer)
	p.count.PendingActive--
	b.Pending.Leave()
	return x.stream, x.err
}

// answer ends the wait of one.
func (p *Shared) answer(x *wanted, s *h2.Stream, err error) {
	if x.over {
		return
	}
	x.stream, x.err, x.over = s, err, true
	if i := slices.Index(p.waiting, x); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	x.wake.Wake(p.w)
}

// grow dials if those under way cannot take all who wait; false if a limit
// forbids it and nothing is under way.
func (p *Shared) grow(want *Want, b *Breaker) bool {
	if p.coming(want) && p.dialing*int(max(p.o.H2.MaxStreams, 1)) >= len(p.waiting) {
		return true
	}
	if p.dialing >= max(p.target.MaxConnecting, 1) || (!b.Connections.Open() || p.target.full(p.dialing)) && len(p.conns)+p.dialing > 0 {
		return p.dialing > 0
	}
	p.reserve(want, b)
	return true
}

// streams is how many requests a connection is taken to have room for.
func (p *Shared) streams() int64 { return int64(max(p.o.H2.MaxStreams, 1)) }

// reserve makes a connection.
func (p *Shared) reserve(want *Want, b *Breaker) {
	if !b.Connections.Enter() {
		b.Connections.Force()
	}
	p.dialing++
	p.count.Slots += p.streams()
	made := Want{ServerName: want.ServerName, SAN: want.SAN, ALPN: want.ALPN, Client: want.Client, H2: true}
	p.under = append(p.under, made)
	p.w.Go(func() { p.dial(&made, b) })
}

// Foresee is Exclusive.Foresee where requests share connections.
func (p *Shared) Foresee(want *Want, b *Breaker, ratio float64) bool {
	if p.closed || p.dialing >= max(p.target.MaxConnecting, 1) || len(p.conns)+p.dialing > 0 && (!b.Connections.Open() || p.target.full(p.dialing)) {
		return false
	}
	requests, made := len(p.waiting)+1, int64(len(p.conns)+p.dialing)*p.streams()
	for _, c := range p.conns {
		requests += c.h.Streams()
	}
	if float64(requests)*ratio <= float64(made) {
		return false
	}
	p.reserve(want, b)
	return true
}

// coming reports whether a connection as is wanted is being made.
func (p *Shared) coming(want *Want) bool {
	return slices.ContainsFunc(p.under, func(u Want) bool { return u.like(want) })
}

// came takes an attempt from those under way.
func (p *Shared) came(made *Want) {
	p.dialing--
	i := slices.IndexFunc(p.under, func(u Want) bool { return u.like(made) })
	p.under = slices.Delete(p.under, i, i+1)
}

// dial makes a connection. It takes streams when the host's SETTINGS have come:
// then it is known to speak HTTP/2, and how many it takes.
func (p *Shared) dial(made *Want, b *Breaker) {
	c, err := dial(p.w, p.target, p.count, made)
	switch {
	case err != nil:
		p.came(made)
		p.count.Slots -= p.streams()
		b.Connections.Leave()
		p.failLike(made, err)
		return
	case p.closed:
		p.came(made)
		p.count.Slots -= p.streams()
		b.Connections.Leave()
		p.target.ended(p.count)
		c.Close()
		p.fail(ErrGone)
		return
	case p.other != nil && c.Protocol() != "h2":
		p.came(made)
		p.count.Slots -= p.streams()
		p.other(c, b)
		p.fail(ErrHTTP1)
		return
	}
	x := &sharedConn{pool: p, made: *made, breaker: b, since: p.w.Now()}
	p.w.SetTimer(&x.timer, p.target.ConnectTimeout, func() {
		p.count.ConnectTimeout++
		x.h.Shut(http2.NoError, "no SETTINGS")
	})
	x.h = h2.Connect(c, p.o, x, p.frames, p.spare)
}

// settle takes a connection among those that get streams.
func (c *sharedConn) settle() {
	p := c.pool
	c.settled = true
	p.w.ClearTimer(&c.timer)
	p.came(&c.made)
	if p.closed {
		c.h.Leave()
		return
	}
	p.conns = append(p.conns, c)
	p.serve()
	c.rest()
}

// fail tells all who wait.
func (p *Shared) fail(err error) {
	for len(p.waiting) > 0 {
		p.answer(p.waiting[0], nil, err)
	}
}

// failLike tells those who wait for a connection of that make.
func (p *Shared) failLike(made *Want, err error) {
	for i := 0; i < len(p.waiting); {
		if x := p.waiting[i]; x.want.like(made) {
			p.answer(x, nil, err)
			continue
		}
		i++
	}
}

// serve gives streams to those who wait, in the order in which they came.
func (p *Shared) serve() {
	var none *Want // what nothing is free for
	for i := 0; i < len(p.waiting); {
		x := p.waiting[i]
		if none != nil && x.want.like(none) {
			i++
			continue
		}
		if s := p.Open(x.want); s != nil {
			p.answer(x, s, nil)
			continue
		}
		none = x.want
		i++
	}
}

// retire takes a connection from those that get streams.
func (p *Shared) retire(c *sharedConn) {
	if i := slices.Index(p.conns, c); i >= 0 {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
	c.h.Leave()
}

// Opened is h2.Owner's: a server opens no streams.
func (c *sharedConn) Opened(s *h2.Stream, _ error) { s.Close() }

// Changed is h2.Owner's.
func (c *sharedConn) Changed(h *h2.Conn) {
	p := c.pool
	if c.over {
		return
	}
	if !c.settled {
		if h.Settled() {
			c.settle()
		}
		return
	}
	if h.Leaving() {
		if i := slices.Index(p.conns, c); i >= 0 {
			p.conns = slices.Delete(p.conns, i, i+1)
		}
	}
	c.rest()
	p.next(c.breaker)
}

// rest bounds how long the connection may be idle.
func (c *sharedConn) rest() {
	if c.h.Streams() == 0 && c.h.Err() == nil {
		c.h.Net().SetReadTimeout(c.pool.target.IdleTimeout)
	}
}

// Expired is h2.Owner's: the connection was idle for too long.
func (c *sharedConn) Expired(h *h2.Conn) {
	c.pool.count.IdleClosed++
	h.Shut(http2.NoError, "idle")
}

// Lost is h2.Owner's.
func (c *sharedConn) Lost(*h2.Conn) {
	p := c.pool
	if c.over {
		return
	}
	c.over = true
	if i := slices.Index(p.conns, c); i >= 0 {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
	p.target.ended(p.count)
	p.count.Slots -= p.streams()
	c.breaker.Connections.Leave()
	if !c.settled {
		p.w.ClearTimer(&c.timer)
		p.came(&c.made)
		p.count.ConnectFail++
		p.failLike(&c.made, h2.ErrLost)
		return
	}
	p.next(c.breaker)
}

// next serves those who wait, with another connection if need be.
func (p *Shared) next(b *Breaker) {
	if len(p.waiting) == 0 {
		return
	}
	p.serve()
	if len(p.waiting) > 0 && !p.closed {
		p.grow(p.waiting[0].want, b)
	}
}

// Drain lets the connections that stand serve no new requests; they end when their
// streams have. The pool goes on with others.
func (p *Shared) Drain() {
	for _, c := range slices.Clone(p.conns) {
		if c.settled {
			p.retire(c)
		}
	}
}

// Close ends the pool: connections with their last stream; who waits gets
// ErrGone.
func (p *Shared) Close() {
	p.closed = true
	for len(p.conns) > 0 {
		p.retire(p.conns[len(p.conns)-1])
	}
	p.fail(ErrGone)
}
