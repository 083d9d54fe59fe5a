package callout

// How a call ends: everything is given back, and it is counted.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// drop ends the connection or the stream: something about it is in doubt.
func (c *Call) drop() {
	if l := c.lease; l != nil {
		c.lease = nil
		l.Drop()
	}
	if s := c.stream; s != nil {
		c.leave()
		s.Reset(cancelCode)
		s.Close()
	}
}

// leave lets go of what belongs to the stream.
func (c *Call) leave() {
	c.stream = nil
	if c.own != nil {
		c.resp.Headers, c.own = c.own[:0], nil
	}
}

// end gives back what the call held and counts it.
func (c *Call) end(o outcome.Outcome) {
	c.settle(o)
	c.leaveRetries()
	c.count(o)
	c.begun, c.req = false, nil
}

// settle gives back what the attempt held, and counts it for its host.
func (c *Call) settle(o outcome.Outcome) {
	if a := c.attempt; a != nil { // a panic
		a.left, c.attempt = true, nil
		c.w.ClearTimer(&c.timer)
	}
	c.giveBack(o == outcome.OK && c.whole)
	c.countHost(o)
	if c.breaker != nil {
		c.hostOn.End()
		c.breaker.Requests.Leave()
		c.cluster.Count.RqActive--
	}
	c.resp.Reset()
	c.asked, c.breaker, c.host, c.hostOn = false, nil, nil, nil
}

// giveBack makes the connection free for others if the answer is whole.
func (c *Call) giveBack(whole bool) {
	switch l := c.lease; {
	case !whole:
		c.drop()
	case l != nil && c.resp.KeepAlive && c.resp.Body != http1.BodyUntilClose:
		c.lease = nil
		l.Conn.SetReadTimeout(0)
		l.Put()
	case l != nil:
		c.drop()
	case c.stream != nil:
		s := c.stream
		c.leave()
		s.Close()
	}
}

// count puts the call into the figures of the cluster, as a client's request would be
// (Envoy's Filter::chargeUpstreamCode).
func (c *Call) count(o outcome.Outcome) {
	if c.cluster == nil {
		return
	}
	n, status := &c.cluster.Count, c.answer.Status
	if status == 0 {
		status = o.HTTPStatus()
	}
	switch status / 100 {
	case 1:
		n.Rq1xx++
	case 2:
		n.Rq2xx++
	case 3:
		n.Rq3xx++
	case 4:
		n.Rq4xx++
	case 5:
		n.Rq5xx++
	}
	if status > 0 {
		n.RqCompleted++
	}
	switch o {
	case outcome.Timeout:
		n.RqTimeout++
	case outcome.DownstreamGone:
		n.RqCancelled++
	}
}

// countHost puts the attempt into the figures of its host, and its loss into the cluster's.
func (c *Call) countHost(o outcome.Outcome) {
	h := c.hostOn
	if h == nil {
		return
	}
	n := &c.cluster.Count
	switch o {
	case outcome.PerTryTimeout:
		n.RqPerTryTimeout++
	case outcome.ConnectionLost, outcome.LostMidway, outcome.UpstreamReset:
		n.RqRxReset++
	case outcome.BodyTooLarge:
		n.RqTxReset++
	}
	c.judge(o)
	switch {
	case o == outcome.Timeout, o == outcome.PerTryTimeout:
		h.Count.RqTimeout++
		h.Count.RqError++
	case o != outcome.OK && o != outcome.DownstreamGone || c.answer.Status >= 500:
		h.Count.RqError++
	case o == outcome.OK:
		h.Count.RqSuccess++
	}
}
