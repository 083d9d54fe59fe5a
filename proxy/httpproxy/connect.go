package httpproxy

// How a request comes by a connection.

import (
	"errors"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// attempt is the wait for a new connection, in a coroutine of its own: it may
// outlive the request that began it, whose time was over or whose client has
// gone. The connection then waits for another one.
type attempt struct {
	lease *pool.Lease
	err   error
	over  bool
	left  bool // nobody waits for it any more
	done  loop.Waiter
}

// connect leases a connection; if the host leaves its cluster meanwhile, one to
// another host.
func (x *exchange) connect() outcome.Outcome {
	o := x.reach()
	for n := 0; x.gone && n < maxTries && x.elsewhere(); n++ {
		o = x.reach()
	}
	return o
}

// reach leases a connection to the host: an idle one if there is one that is
// not known to be dead.
func (x *exchange) reach() outcome.Outcome {
	x.gone = false
	p := x.hostOn.Exclusive
	fresh := x.tries > 0
	if fresh || p.Idle() == 0 {
		return x.connectAside(p, fresh)
	}
	l, err := p.GetWithin(x.breaker, false, x.left())
	x.lease = l
	return x.connected(err)
}

// connectAside waits for a connection as long as the request may wait.
func (x *exchange) connectAside(p *pool.Exclusive, fresh bool) outcome.Outcome {
	a, w, b, d := &attempt{}, x.w, x.breaker, x.left()
	x.attempt = a
	w.Go(func() {
		a.lease, a.err = p.GetWithin(b, fresh, d)
		a.over = true
		a.done.Wake(w)
		if a.left && a.lease != nil {
			a.lease.Put()
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
	x.attempt, x.lease = nil, a.lease
	return x.connected(a.err)
}

func (x *exchange) connected(err error) outcome.Outcome {
	if errors.Is(err, pool.ErrWaited) {
		return outcome.Timeout
	}
	x.gone = err != nil && x.host.Removed()
	return pool.Outcome(err)
}

// elsewhere picks another host in place of one that has left before anything
// was sent to it; false if there is none that the request, as it is written,
// may go to.
func (x *exchange) elsewhere() bool {
	p := upstream.Pick{Hash: x.hash.Sum, HasHash: x.hash.OK, High: x.route.High}
	h, o := x.cluster.Pick(&p)
	if o != outcome.OK || x.route.AutoHostRewrite && h.Hostname() != x.host.Hostname() {
		return false
	}
	x.hostOn.End()
	x.host, x.hostOn = h, h.On(x.w)
	x.hostOn.Begin()
	return true
}
