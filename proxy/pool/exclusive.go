package pool

import (
	"github.com/attache-mesh/attache/proxy/loop"
)

// Exclusive keeps the connections of one worker to one host for protocols in
// which a connection serves one request at a time (HTTP/1.1, TCP).
//
//	Get ─▶ idle one (last used first) ─▶ Lease ─▶ Put ─▶ idle
//	  │                                   └────▶ Drop ─▶ closed
//	  ├─▶ dial, if connections and attempts are below their limits
//	  └─▶ wait for either (pending), or overflow
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
	inUse   int // leases handed out
	dialing int
	closed  bool
}

// Lease is a connection that one request has for itself.
type Lease struct {
	Conn *loop.Conn
	// Reused says that the connection served before: its host may have closed
	// it at the very moment that it is used again.
	Reused bool
	// Uses counts requests, this one included.
	Uses uint32

	pool    *Exclusive
	breaker *Breaker
	since   int64
	at      int // index in idle, -1 while leased
}

// waiting is a request that neither finds nor may make a connection now.
type waiting struct {
	wake  loop.Waiter
	lease *Lease
	err   error
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

// InUse is how many connections are leased.
func (p *Exclusive) InUse() int { return p.inUse }

// Get leases a connection: an idle one unless fresh is set, else a new one; it
// yields while it connects or waits. b is the breaker of the request's
// priority. Errors: ErrOverflow, ErrGone, or Dial's. For coroutines only.
func (p *Exclusive) Get(b *Breaker, fresh bool) (*Lease, error) {
	if !fresh {
		if l := p.take(b); l != nil {
			return l, nil
		}
	}
	for {
		if p.closed {
			return nil, ErrGone
		}
		if p.mayDial(b) {
			return p.dial(b)
		}
		l, err := p.wait(b)
		if l != nil || err != nil {
			return l, err
		}
	}
}

func (p *Exclusive) take(b *Breaker) *Lease {
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	l := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	l.at = -1
	l.Conn.SetReadTimeout(0)
	l.breaker = b
	l.Reused = true
	l.Uses++
	p.inUse++
	return l
}

// mayDial: below the cluster's limit of connections and the host's of
// attempts; a host without any connection may always have one (Envoy,
// circuit_breaking.rst).
func (p *Exclusive) mayDial(b *Breaker) bool {
	if p.dialing >= max(p.target.MaxConnecting, 1) {
		return false
	}
	return b.Connections.Open() || p.inUse+len(p.idle)+p.dialing == 0
}

func (p *Exclusive) dial(b *Breaker) (*Lease, error) {
	if !b.Connections.Enter() {
		b.Connections.Force()
	}
	p.dialing++
	c, err := dial(p.w, p.target, p.count)
	p.dialing--
	if err != nil {
		b.Connections.Leave()
		p.wakeOne(nil)
		return nil, err
	}
	if p.closed {
		b.Connections.Leave()
		p.target.ended(p.count)
		c.Close()
		return nil, ErrGone
	}
	p.inUse++
	p.wakeOne(nil)
	return &Lease{Conn: c, Uses: 1, pool: p, breaker: b, since: p.w.Now(), at: -1}, nil
}

// wait queues behind the others until a connection is put back or there is
// room for a new one.
func (p *Exclusive) wait(b *Breaker) (*Lease, error) {
	if !b.Connections.Open() {
		p.count.ConnectionOverflow++
	}
	if !b.Pending.Enter() {
		p.count.PendingOverflow++
		return nil, ErrOverflow
	}
	p.count.PendingTotal++
	p.count.PendingActive++
	x := &waiting{}
	p.waiting = append(p.waiting, x)
	x.wake.Wait(p.w)
	p.count.PendingActive--
	b.Pending.Leave()
	if x.lease != nil {
		x.lease.breaker = b
	}
	return x.lease, x.err
}

// wakeOne hands l to who has waited longest, or tells them to look again;
// false if nobody waits.
func (p *Exclusive) wakeOne(l *Lease) bool {
	if len(p.waiting) == 0 {
		return false
	}
	x := p.waiting[0]
	p.waiting = append(p.waiting[:0], p.waiting[1:]...)
	x.lease = l
	x.wake.Wake(p.w)
	return true
}

// Put gives a connection back after a request that left it clean. One with
// unread or unsent bytes, one that its host has ended, or one that is used up
// is closed instead.
func (l *Lease) Put() {
	p, c := l.pool, l.Conn
	switch {
	case c.Closed():
		l.gone()
		return
	case p.closed || c.Pending() > 0 || c.Unsent() > 0 || c.Ended() || c.WriteError() != nil:
		l.Drop()
		return
	case p.usedUp(l):
		p.count.MaxRequests++
		l.Drop()
		return
	}
	if len(p.waiting) > 0 {
		l.Reused = true
		l.Uses++
		p.wakeOne(l)
		return
	}
	p.inUse--
	l.at = len(p.idle)
	p.idle = append(p.idle, l)
	c.Data = l
	c.Serve(idleHandler{}, true)
	if p.target.IdleTimeout > 0 {
		c.SetReadTimeout(p.target.IdleTimeout)
	}
}

func (p *Exclusive) usedUp(l *Lease) bool {
	t := p.target
	return t.MaxUses > 0 && l.Uses >= t.MaxUses || t.MaxAge > 0 && p.w.Now()-l.since >= int64(t.MaxAge)
}

// Drop closes a leased connection: something about it is in doubt.
func (l *Lease) Drop() {
	if !l.Conn.Closed() {
		l.Conn.Data = nil
		l.Conn.Close()
	}
	l.gone()
}

// gone counts a connection that ended while it was leased.
func (l *Lease) gone() {
	p := l.pool
	if p == nil {
		return
	}
	l.pool = nil
	p.inUse--
	p.ended(l)
}

func (p *Exclusive) ended(l *Lease) {
	p.target.ended(p.count)
	l.breaker.Connections.Leave()
	p.wakeOne(nil)
}

// idleHandler watches connections that nobody uses.
type idleHandler struct{}

// Ready means the end, or bytes that nobody asked for: never let them meet a
// request.
func (idleHandler) Ready(c *loop.Conn) {
	l, ok := c.Data.(*Lease)
	if !ok || l.at < 0 {
		return // leased in this very turn: its request will see
	}
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
	if l, ok := c.Data.(*Lease); ok && l.at >= 0 {
		l.pool.count.IdleClosed++
		c.Close()
	}
}

// Closed takes an idle connection out of the pool.
func (idleHandler) Closed(c *loop.Conn) {
	l, ok := c.Data.(*Lease)
	if !ok || l.at < 0 || l.pool == nil {
		return
	}
	p := l.pool
	last := len(p.idle) - 1
	copy(p.idle[l.at:], p.idle[l.at+1:])
	p.idle[last] = nil
	p.idle = p.idle[:last]
	for i := l.at; i < last; i++ {
		p.idle[i].at = i
	}
	l.at, l.pool = -1, nil
	p.ended(l)
}

// Preconnect makes sure that at least n connections are idle or under way, as
// far as the limits allow.
func (p *Exclusive) Preconnect(b *Breaker, n int) {
	for range n - len(p.idle) - p.dialing {
		if p.closed || !p.mayDial(b) || !b.Connections.Open() {
			return
		}
		p.w.Go(func() {
			if p.closed || !p.mayDial(b) {
				return
			}
			if l, err := p.dial(b); err == nil {
				l.Uses = 0
				l.Put()
			}
		})
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
		x.err = ErrGone
		x.wake.Wake(p.w)
	}
	p.waiting = nil
}
