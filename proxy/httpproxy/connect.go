package httpproxy

// How a request comes by a connection.

import (
	"errors"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
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

// connect leases a connection: an idle one if there is one that is not known
// to be dead.
func (x *exchange) connect() outcome.Outcome {
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
	return pool.Outcome(err)
}
