package httpproxy

// How a request comes by a connection.

import (
	"errors"
	"time"

	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// attempt is the wait for a new connection, in a coroutine of its own: it may
// outlive the request that began it, whose time was over or whose client has
// gone. The connection then waits for another one.
type attempt struct {
	lease   *pool.Lease
	stream  *h2.Stream
	err     error
	breaker *pool.Breaker
	over    bool
	left    bool // nobody waits for it any more
	done    loop.Waiter
}

// connect leases a connection; if the host leaves its cluster meanwhile, one to
// another host.
func (x *exchange) connect() outcome.Outcome {
	if x.cluster.Config().PreconnectAhead > 1 && !x.raw {
		x.connectAhead()
	}
	o := x.reach()
	for n := 0; x.gone && n < maxTries && x.elsewhere(); n++ {
		o = x.reach()
	}
	return o
}

// connectAhead connects to hosts that others will be sent to, by the protocol of
// this one.
func (x *exchange) connectAhead() {
	want := *x.wants()
	x.cluster.ConnectAhead(x.cluster.Count.RqActive, func(h *upstream.Host, ratio float64) bool {
		if on := h.On(x.w); x.shared {
			return on.Shared().Foresee(&want, x.breaker, ratio)
		}
		return h.On(x.w).Exclusive.Foresee(x.breaker, ratio)
	})
}

// reach leases a connection to the host: an idle one if there is one that is
// not known to be dead.
func (x *exchange) reach() outcome.Outcome {
	x.gone = false
	x.info.Times.ConnectBegan = x.w.Now()
	if x.shared {
		return x.reachStream()
	}
	p := x.hostOn.Exclusive
	fresh := x.tries > 0 || x.raw
	want := x.wants()
	if fresh || !p.HasIdle(want) {
		own := *want // the attempt may outlive the request
		return x.connectAside(func(a *attempt, d time.Duration) { a.lease, a.err = p.GetFor(&own, a.breaker, fresh, d) })
	}
	l, err := p.GetFor(want, x.breaker, false, x.left())
	return x.got(l, nil, err)
}

// reachStream opens a stream: at once on a connection that takes one more.
func (x *exchange) reachStream() outcome.Outcome {
	p := x.hostOn.Shared()
	want := x.wants()
	if s := p.Open(want); s != nil {
		return x.got(nil, s, nil)
	}
	own := *want
	return x.connectAside(func(a *attempt, d time.Duration) { a.stream, a.err = p.OpenWithin(&own, a.breaker, d) })
}

// connectAside waits for a connection as long as the request may wait.
func (x *exchange) connectAside(get func(a *attempt, d time.Duration)) outcome.Outcome {
	a, w, d := &attempt{breaker: x.breaker}, x.w, x.left()
	x.attempt = a
	w.Go(func() {
		get(a, d)
		a.over = true
		a.done.Wake(w)
		if a.left {
			a.giveBack()
		}
	})
	for !a.over {
		w.SetTimer(&x.timer, x.patience(), func() { a.done.Wake(w) })
		a.done.Wait(w)
		w.ClearTimer(&x.timer)
		if a.over {
			break
		}
		if o := x.overdue(); o != outcome.OK {
			a.left, x.attempt = true, nil
			return o
		}
	}
	x.attempt = nil
	return x.got(a.lease, a.stream, a.err)
}

// giveBack is what becomes of a connection that came too late.
func (a *attempt) giveBack() {
	switch {
	case a.lease != nil:
		a.lease.Put()
	case a.stream != nil:
		a.stream.Close()
	}
}

// got takes a connection, or a stream.
func (x *exchange) got(l *pool.Lease, s *h2.Stream, err error) outcome.Outcome {
	x.lease, x.up.s = l, s
	if l != nil {
		x.up.c = l.Conn
	}
	if errors.Is(err, pool.ErrHTTP1) {
		x.fallBack()
		return x.reach()
	}
	return x.connected(err)
}

func (x *exchange) connected(err error) outcome.Outcome {
	if errors.Is(err, pool.ErrWaited) {
		return outcome.Timeout
	}
	x.gone = err != nil && x.host.Removed()
	x.info.Upstream.Failure = pool.Failure(err)
	return pool.Outcome(err)
}

// elsewhere picks another host in place of one that has left before anything
// was sent to it; false if there is none that the request, as it is written,
// may go to.
func (x *exchange) elsewhere() bool {
	p := x.wish()
	p.Override = x.override()
	h, o := x.cluster.Pick(&p)
	if o != outcome.OK || x.route.AutoHostRewrite && h.Hostname() != x.host.Hostname() {
		return false
	}
	if h.Cluster != x.owner.Cluster {
		return false
	}
	x.hostOn.End()
	x.host, x.hostOn = h, h.On(x.w)
	x.info.Upstream.Host = h.Endpoint()
	x.hostOn.Begin()
	return true
}
