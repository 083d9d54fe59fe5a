package pool

// Connections that are made before somebody needs them.

import "math"

// anticipate connects ahead of need, so that connections are Preconnect times
// the requests that have or want one, the request that is about to be served
// included; at most three at a time (Envoy per_upstream_preconnect_ratio,
// conn_pool/conn_pool_base.cc).
func (p *Exclusive) anticipate(b *Breaker) {
	if p.target.Path != nil && p.target.Path.Own() {
		return
	}
	requests := p.inUse + len(p.waiting) + 1
	spare := int(math.Ceil(p.target.Preconnect*float64(requests))) - p.inUse
	if len(p.idle) == 0 {
		spare-- // this request makes one itself
	}
	p.Preconnect(b, min(spare, len(p.idle)+p.dialing+p.queued+3))
}

// Preconnect makes sure that at least n connections are idle or under way, as
// far as the limits allow.
func (p *Exclusive) Preconnect(b *Breaker, n int) {
	for range n - len(p.idle) - p.dialing - p.queued {
		if p.closed || !p.mayDial(b) || !b.Connections.Open() {
			return
		}
		p.dialAhead(b)
	}
}

// dialAhead makes a connection that nobody waits for yet.
func (p *Exclusive) dialAhead(b *Breaker) {
	p.queued++
	p.ahead++
	p.count.Slots++ // as soon as it is sure to come; dial counts it itself
	p.w.Go(func() {
		p.queued--
		p.count.Slots--
		if p.closed || !p.mayDial(b) {
			p.ahead--
			p.look()
			return
		}
		l, err := p.dial(&p.anything, b)
		p.ahead--
		if err == nil {
			l.Uses = 0
			l.Put()
		}
	})
}

// Foresee connects for a request that is likely to come: unless connections are ratio
// times the requests that there are and that one, or limits forbid it. It reports
// whether it does (Envoy ConnPoolImplBase::shouldCreateNewConnection).
func (p *Exclusive) Foresee(b *Breaker, ratio float64) bool {
	if p.closed || p.target.Path != nil && p.target.Path.Own() {
		return false
	}
	requests := p.inUse + len(p.waiting) + p.dialing + p.queued - p.ahead
	made := p.inUse + len(p.idle) + p.dialing + p.queued
	if float64(requests+1)*ratio <= float64(made) || !p.mayDial(b) {
		return false
	}
	p.dialAhead(b)
	return true
}
