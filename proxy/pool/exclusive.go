package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// Exclusive keeps the connections of one worker to one host for protocols in
// which a connection serves one request at a time (HTTP/1.1, TCP).
//
//	Get ─▶ idle one (last used first) ─▶ Lease ─▶ Put ─▶ idle
//	  │                                   └────▶ Drop ─▶ closed
//	  ▼ pending: as many as its limit allows, else overflow
//	  ├─▶ dial, if connections and attempts are below their limits
//	  └─▶ wait for either
//
// Whoever finds no idle connection is pending until it has one, the first one to a host
// included (Envoy conn_pool_base.cc, newStreamImpl).
//
// An idle connection that becomes readable is closed: its host has ended it,
// or has sent what nobody asked for, and neither may meet a request. Worker
// only.
type Exclusive struct {
	w       *loop.Worker
	target  *Target
	count   *Counters
	idle    []*Lease
	waiting []*waiting
	came    uint64 // waiters so far
	inUse   int    // leases handed out
	dialing int
	queued  int // attempts ahead of need that have not begun
	ahead   int // attempts ahead of need, those among them
	closed  bool
	drained int64 // connections of before serve nobody any more, ns; 0: never

	anything Want // asks nothing
}

// Lease is a connection that one request has for itself.
type Lease struct {
	Conn *loop.Conn
	// Reused says that the connection served before: its host may have closed
	// it at the very moment that it is used again.
	Reused bool
	// Uses counts requests, this one included.
	Uses uint32

	made    Want       // what it was asked to be
	pool    *Exclusive // nil once it has ended
	breaker *Breaker   // whose connection it is: that of the request that made it
	since   int64
	at      int // index in idle, -1 while leased
}

// waiting is a request that neither finds nor may make a connection now.
type waiting struct {
	wake   loop.Waiter
	want   *Want
	number uint64 // they are served in the order in which they came
	fresh  bool   // it does not take a used connection
	lease  *Lease
	timer  loop.Timer
	late   bool // the timer has fired
}

// NewExclusive makes the pool of a worker for a host. count is the cluster's
// on this worker.
func NewExclusive(w *loop.Worker, t *Target, count *Counters) *Exclusive {
	return &Exclusive{w: w, target: t, count: count}
}

// SetTarget changes how connections are made and kept from now on.
func (p *Exclusive) SetTarget(t *Target) { p.target = t }

// Idle is how many connections are free, InUse how many are leased.
func (p *Exclusive) Idle() int { return len(p.idle) }

// HasIdle reports whether a connection is free that is as is wanted.
func (p *Exclusive) HasIdle(want *Want) bool {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i].made.like(want) {
			return true
		}
	}
	return false
}

// InUse is how many connections are leased.
func (p *Exclusive) InUse() int { return p.inUse }

// Get leases a connection: an idle one unless fresh is set, else a new one; it
// yields while it connects or waits. b is the breaker of the request's
// priority. Errors: ErrOverflow, ErrGone, or Dial's. For coroutines only.
func (p *Exclusive) Get(b *Breaker, fresh bool) (*Lease, error) {
	return p.GetWithin(b, fresh, 0)
}

// GetFor is Get with wishes about the connection. A host that is told of each
// client by a PROXY header gets a connection for each. For coroutines only.
func (p *Exclusive) GetFor(want *Want, b *Breaker, fresh bool, d time.Duration) (*Lease, error) {
	own := p.target.Path != nil && p.target.Path.Own()
	return p.get(want, b, fresh || own, d)
}

// GetWithin is Get that waits at most d in the queue, for ever if d is 0, and
// then gives ErrWaited. An attempt to connect has its own bound.
func (p *Exclusive) GetWithin(b *Breaker, fresh bool, d time.Duration) (*Lease, error) {
	return p.GetFor(&p.anything, b, fresh, d)
}

func (p *Exclusive) get(want *Want, b *Breaker, fresh bool, d time.Duration) (*Lease, error) {
	coming := p.ahead > len(p.waiting) && !fresh && *want == p.anything // one that nobody waits for
	if p.target.Preconnect > 1 && *want == p.anything {
		p.anticipate(b)
	}
	if l := p.take(want, fresh); l != nil {
		return l, nil
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
	defer p.served(b)
	if !coming && (p.mayDial(b) || p.makeRoom(b)) {
		return p.dial(want, b)
	}
	return p.wait(want, b, fresh, d)
}

// served takes one from those that have no connection: it has one, or gets none.
func (p *Exclusive) served(b *Breaker) {
	p.count.PendingActive--
	b.Pending.Leave()
}

// take leases the idle connection that was used last, of those that are as is
// wanted. Those that turn out to be no good on the way are closed.
func (p *Exclusive) take(want *Want, fresh bool) *Lease {
	for at := len(p.idle) - 1; !fresh && at >= 0; at-- {
		l := p.idle[at]
		if !l.made.like(want) {
			continue
		}
		if !l.clean() || p.tooOld(l) {
			l.Conn.Close() // which takes it out of idle
			at = len(p.idle)
			continue
		}
		p.out(l)
		l.lend()
		p.inUse++
		return l
	}
	return nil
}

// out takes a connection from those that are idle.
func (p *Exclusive) out(l *Lease) {
	last := len(p.idle) - 1
	copy(p.idle[l.at:], p.idle[l.at+1:])
	p.idle[last] = nil
	p.idle = p.idle[:last]
	for i := l.at; i < last; i++ {
		p.idle[i].at = i
	}
	l.at = -1
}

// lend readies a connection for its next request. From here on nobody but the
// request watches it.
func (l *Lease) lend() {
	c := l.Conn
	c.Data = nil
	c.Serve(nil, false) // else idleHandler would be called, and called again
	c.SetReadTimeout(0)
	c.SetWriteTimeout(0)
	l.Reused = l.Uses > 0
	l.Uses++
}

// clean reports whether nothing came and the host has not ended the connection,
// as far as this worker has been told.
func (l *Lease) clean() bool {
	c := l.Conn
	if c.Closed() || c.Pending() > 0 || c.Unsent() > 0 || c.Ended() || c.WriteError() != nil {
		return false
	}
	n, err := c.Fill()
	if n > 0 {
		l.pool.count.Unsolicited++
	}
	return n == 0 && err == nil
}

// mayDial: below the cluster's limit of connections and the host's of
// attempts; a host without any connection may always have one (Envoy,
// circuit_breaking.rst).
func (p *Exclusive) mayDial(b *Breaker) bool {
	if p.dialing >= max(p.target.MaxConnecting, 1) {
		return false
	}
	return b.Connections.Open() && !p.target.full(p.dialing) || p.inUse+len(p.idle)+p.dialing == 0
}

// makeRoom closes idle connections, the longest unused first, until a new one
// may be made. They stand in the way of a request that wants a fresh one.
func (p *Exclusive) makeRoom(b *Breaker) bool {
	for len(p.idle) > 0 && p.dialing < max(p.target.MaxConnecting, 1) {
		p.idle[0].Conn.Close()
		if p.mayDial(b) {
			return true
		}
	}
	return false
}

func (p *Exclusive) dial(want *Want, b *Breaker) (*Lease, error) {
	if !b.Connections.Enter() {
		b.Connections.Force()
	}
	p.dialing++
	p.count.Slots++
	c, err := dial(p.w, p.target, p.count, want)
	p.dialing--
	if err != nil {
		p.count.Slots--
		b.Connections.Leave()
		p.look()
		return nil, err
	}
	if p.closed {
		b.Connections.Leave()
		p.target.ended(p.count)
		p.count.Slots--
		c.Close()
		return nil, ErrGone
	}
	p.inUse++
	p.look()
	return &Lease{Conn: c, Uses: 1, made: Want{ServerName: want.ServerName, SAN: want.SAN, ALPN: want.ALPN, Client: want.Client}, pool: p, breaker: b, since: p.w.Now(), at: -1}, nil
}

// Adopt takes a connection that another pool of the host has made, counted as
// dialled and entered in b, and turned out to serve one request at a time.
func (p *Exclusive) Adopt(c *loop.Conn, b *Breaker) {
	p.inUse++
	p.count.Slots++
	l := &Lease{Conn: c, pool: p, breaker: b, since: p.w.Now(), at: -1}
	l.Put()
}

// wait queues behind the others until a connection is put back or there is
// room for a new one. It keeps its place when somebody was faster.
func (p *Exclusive) wait(want *Want, b *Breaker, fresh bool, d time.Duration) (*Lease, error) {
	if !b.Connections.Open() {
		p.count.ConnectionOverflow++
	}
	p.came++
	x := &waiting{want: want, fresh: fresh, number: p.came}
	p.waiting = append(p.waiting, x)
	if d > 0 {
		p.w.SetTimer(&x.timer, d, func() { p.giveUp(x) })
	}
	dial := p.turn(x, b)
	p.w.ClearTimer(&x.timer)
	switch {
	case x.lease != nil:
		return x.lease, nil
	case dial:
		return p.dial(want, b)
	case p.closed:
		return nil, ErrGone
	}
	p.look() // in place of x, which may just have been told to
	return nil, ErrWaited
}

// giveUp takes one who has waited too long out of the queue.
func (p *Exclusive) giveUp(x *waiting) {
	x.late = true
	p.waiting = slices.DeleteFunc(p.waiting, func(o *waiting) bool { return o == x })
	x.wake.Wake(p.w)
}

// turn waits until x has a lease, may dial, is late, or the pool is closed.
func (p *Exclusive) turn(x *waiting, b *Breaker) (dial bool) {
	for {
		x.wake.Wait(p.w)
		if x.lease != nil {
			if x.lease.clean() {
				x.lease.lend()
				return false
			}
			l := x.lease
			x.lease = nil
			l.discard()
		}
		switch {
		case p.closed, x.late:
			return false
		case !x.fresh:
			if x.lease = p.take(x.want, false); x.lease != nil {
				return false
			}
		}
		if p.mayDial(b) || p.makeRoom(b) {
			return true
		}
		at, _ := slices.BinarySearchFunc(p.waiting, x.number, func(o *waiting, n uint64) int { return cmp.Compare(o.number, n) })
		p.waiting = slices.Insert(p.waiting, at, x)
	}
}

// hand gives l to who has waited longest and takes a used one; false if nobody
// does.
func (p *Exclusive) hand(l *Lease) bool {
	for i, x := range p.waiting {
		if !x.fresh && l.made.like(x.want) {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			x.lease = l
			x.wake.Wake(p.w)
			return true
		}
	}
	return false
}

// look tells who has waited longest that there may be room for a connection.
func (p *Exclusive) look() {
	if len(p.waiting) == 0 {
		return
	}
	x := p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	x.wake.Wake(p.w)
}

// Put gives a connection back after a request that left it clean. One with
// unread or unsent bytes, one that its host has ended, or one that is used up
// is closed instead.
func (l *Lease) Put() {
	p, c := l.pool, l.Conn
	if p == nil {
		return
	}
	if p.usedUp(l) {
		if p.target.MaxUses > 0 && l.Uses >= p.target.MaxUses {
			p.count.MaxRequests++
		}
		l.Drop()
		return
	}
	if p.closed || !l.clean() {
		l.Drop()
		return
	}
	c.Data = nil
	c.Serve(nil, false) // the room's handler hears no more of it
	c.Resume()
	if p.hand(l) {
		return
	}
	p.inUse--
	l.at = len(p.idle)
	p.idle = append(p.idle, l)
	c.Data = l
	c.Serve(idleHandler{}, true)
	c.SetWriteTimeout(0)
	c.SetReadTimeout(p.target.IdleTimeout)
	p.look() // one that waits for a fresh connection may want this one's place
}

func (p *Exclusive) usedUp(l *Lease) bool {
	t := p.target
	return t.Path != nil && t.Path.Own() || t.MaxUses > 0 && l.Uses >= t.MaxUses || p.tooOld(l) ||
		p.drained > 0 && l.since <= p.drained
}

func (p *Exclusive) tooOld(l *Lease) bool {
	return p.target.MaxAge > 0 && p.w.Now()-l.since >= int64(p.target.MaxAge)
}

// Drop closes a leased connection: something about it is in doubt. It is well
// to drop one that was given back, or that is closed already.
func (l *Lease) Drop() {
	if l.pool == nil || l.at >= 0 {
		return
	}
	p := l.pool
	l.discard()
	p.look()
}

// discard ends a leased connection and counts it.
func (l *Lease) discard() {
	p := l.pool
	l.pool = nil // first: the room's own handler hears of the end and may Drop
	p.inUse--
	p.ended(l)
	l.Conn.Close()
}

func (p *Exclusive) ended(l *Lease) {
	p.target.ended(p.count)
	p.count.Slots--
	l.breaker.Connections.Leave()
}

// idleHandler watches connections that nobody uses.
type idleHandler struct{}

// Ready means the end, or bytes that nobody asked for: never let them meet a
// request.
func (idleHandler) Ready(c *loop.Conn) {
	l := c.Data.(*Lease)
	n, err := c.Fill()
	if n == 0 && err == nil {
		return
	}
	if n > 0 {
		l.pool.count.Unsolicited++
	}
	c.Close()
}

func (idleHandler) Expired(c *loop.Conn) {
	c.Data.(*Lease).pool.count.IdleClosed++
	c.Close()
}

// Closed takes an idle connection out of the pool.
func (idleHandler) Closed(c *loop.Conn) {
	l := c.Data.(*Lease)
	p := l.pool
	p.out(l)
	l.pool = nil
	p.ended(l)
	p.look()
}

// Drain ends the connections that there are: idle ones at once, leased ones when they
// are put back. The pool goes on with others.
func (p *Exclusive) Drain() {
	p.drained = p.w.Now()
	for len(p.idle) > 0 {
		p.idle[len(p.idle)-1].Conn.Close()
	}
}

// Close ends the pool: idle connections at once, leased ones when they are put
// back; who waits gets ErrGone.
func (p *Exclusive) Close() {
	p.closed = true
	for len(p.idle) > 0 {
		p.idle[len(p.idle)-1].Conn.Close()
	}
	for _, x := range p.waiting {
		x.wake.Wake(p.w)
	}
	p.waiting = nil
}
