package callout

// How a call comes by a host and a connection to it.

import (
	"bytes"
	"errors"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// attempt is the wait for a new connection, in a coroutine of its own: it may
// outlive the call that began it. The connection then waits for another request.
type attempt struct {
	lease   *pool.Lease
	stream  *h2.Stream
	err     error
	breaker *pool.Breaker
	over    bool
	left    bool // nobody waits for it any more
	done    loop.Waiter
}

// maxTries bounds how often one call meets a connection that is dead, or a host
// that leaves.
const maxTries = 3

const cancelCode = http2.Cancel

// pick chooses a host and takes a place among the cluster's requests.
func (c *Call) pick() outcome.Outcome {
	c.cluster = c.found.On(c.w)
	c.cluster.Count.RqTotal++
	h, o := c.choose()
	if o != outcome.OK {
		return o
	}
	c.cluster = h.Cluster.On(c.w) // c.found's own, or that of a member
	b := c.cluster.Breaker(c.req.High)
	if !b.Requests.Enter() {
		c.cluster.Count.RqPendingOverflow++
		return outcome.Overflow
	}
	c.breaker = b
	c.host, c.hostOn = h, h.On(c.w)
	c.hostOn.Begin()
	c.cluster.Count.RqActive++
	c.shared = c.speaksHTTP2()
	return outcome.OK
}

func (c *Call) choose() (*upstream.Host, outcome.Outcome) {
	p := upstream.Pick{Hash: c.req.Hash, HasHash: c.req.HasHash, High: c.req.High}
	return c.cluster.Pick(&p)
}

// speaksHTTP2 says what the host is to be spoken to in. What the client speaks is
// of no matter to a request of our own, but gRPC is HTTP/2's.
func (c *Call) speaksHTTP2() bool {
	switch c.cluster.Config().HTTP.Protocol {
	case config.UpstreamHTTP2:
		return true
	case config.UpstreamDownstream:
		return c.grpc
	case config.UpstreamAuto:
		return !c.hostOn.HTTP1
	}
	return false
}

// wantName settles the name for TLS (auto_sni, auto_san_validation): the
// authority without its port.
func (c *Call) wantName(sni, san bool) {
	c.want = pool.Want{}
	if !sni && !san {
		return
	}
	name := c.req.Authority
	if end := bytes.IndexByte(name, ']'); len(name) > 0 && name[0] == '[' && end > 0 {
		name = name[1:end]
	} else if at := bytes.IndexByte(name, ':'); at >= 0 {
		name = name[:at]
	}
	if sni {
		c.want.ServerName = string(name)
	}
	if san {
		c.want.SAN = string(name)
	}
}

// connect leases a connection; if the host leaves its cluster meanwhile, one to
// another host.
func (c *Call) connect() outcome.Outcome {
	o := c.reach()
	for n := 0; c.gone && n < maxTries && c.elsewhere(); n++ {
		o = c.reach()
	}
	return o
}

// elsewhere picks another host in place of one that has left.
func (c *Call) elsewhere() bool {
	h, o := c.choose()
	if o != outcome.OK {
		return false
	}
	c.hostOn.End()
	c.host, c.hostOn = h, h.On(c.w)
	c.hostOn.Begin()
	c.shared = c.speaksHTTP2()
	return true
}

// reach leases a connection to the host, or opens a stream.
func (c *Call) reach() outcome.Outcome {
	c.gone = false
	if c.shared {
		p := c.hostOn.Shared()
		if s := p.Open(&c.want); s != nil {
			return c.got(nil, s, nil)
		}
		own := c.want
		return c.aside(func(a *attempt, d time.Duration) { a.stream, a.err = p.OpenWithin(&own, a.breaker, d) })
	}
	p, fresh := c.hostOn.Exclusive, c.tries > 0
	if fresh || !p.HasIdle(&c.want) {
		own := c.want
		return c.aside(func(a *attempt, d time.Duration) { a.lease, a.err = p.GetFor(&own, a.breaker, fresh, d) })
	}
	l, err := p.GetFor(&c.want, c.breaker, false, c.remaining())
	return c.got(l, nil, err)
}

// aside waits for a connection as long as the call may wait.
func (c *Call) aside(get func(a *attempt, d time.Duration)) outcome.Outcome {
	a, w, d := &attempt{breaker: c.breaker}, c.w, c.remaining()
	c.attempt = a
	w.Go(func() {
		get(a, d)
		a.over = true
		a.done.Wake(w)
		if a.left {
			a.giveBack()
		}
	})
	for !a.over {
		w.SetTimer(&c.timer, c.patience(), func() { a.done.Wake(w) })
		a.done.Wait(w)
		w.ClearTimer(&c.timer)
		if a.over {
			break
		}
		if o := c.overdue(); o != outcome.OK {
			a.left, c.attempt = true, nil
			return o
		}
	}
	c.attempt = nil
	return c.got(a.lease, a.stream, a.err)
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
func (c *Call) got(l *pool.Lease, s *h2.Stream, err error) outcome.Outcome {
	c.lease, c.stream = l, s
	switch {
	case errors.Is(err, pool.ErrHTTP1):
		c.hostOn.HTTP1, c.shared = true, false
		return c.reach()
	case errors.Is(err, pool.ErrWaited):
		return outcome.Timeout
	}
	c.gone = err != nil && c.host.Removed()
	return pool.Outcome(err)
}

// again says whether the call met a connection that its host had closed already,
// and may go out once more: nothing of it was taken, or it is safe to repeat (RFC
// 9110, 9.2.2), and no byte of an answer came.
func (c *Call) again(o outcome.Outcome) bool {
	if o != outcome.ConnectionLost || c.answer.Status != 0 || c.tries >= maxTries || c.cancelled {
		return false
	}
	switch l := c.lease; {
	case c.stream != nil:
		if !h2.Unprocessed(c.stream.Err()) {
			return false
		}
	case l == nil:
		return false
	default:
		if !l.Reused || l.Conn.Pending() > 0 || !c.untaken && !l.Conn.Untaken() && !c.method.Idempotent() {
			return false
		}
	}
	c.drop()
	c.tries++
	c.err, c.untaken = nil, false
	c.resp.Reset()
	return true
}
