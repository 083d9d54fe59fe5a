package callout

// A question that is asked again (Envoy http/utility.cc, convertCoreToRouteRetryPolicy: the
// conditions "5xx,gateway-error,connect-failure,reset", whatever the policy names).

import (
	"time"

	"github.com/attache-mesh/attache/proxy/outcome"
)

// persist asks, and again while the answer is none, as often as the request's policy says.
//
//	attempt ─▶ answer, below 500 ──────────────────────────────────▶ done
//	  ▲  └─▶ 500 and more, or lost ─▶ one left? a place? ─ no ─▶ the last answer
//	  └──────────── pause ◀────────────── yes
func (c *Call) persist() outcome.Outcome {
	o := c.once()
	for n := 0; c.bad(o) && c.grant(n); n++ {
		if o == outcome.OK {
			c.cluster.Count.Retried.Add(c.answer.Status)
		}
		c.settle(o)
		if o = c.pause(c.backoff(n)); o != outcome.OK {
			break
		}
		c.anew()
		o = c.once()
		c.leaveRetries()
		if !c.bad(o) {
			c.cluster.Count.RqRetryOK++
		}
	}
	return o
}

// once goes to one host.
func (c *Call) once() outcome.Outcome {
	o := c.pick()
	if o == outcome.OK {
		o = c.converse()
		for c.again(o) {
			o = c.converse()
		}
	}
	return o
}

// bad says whether the attempt is to be made again, if it may.
func (c *Call) bad(o outcome.Outcome) bool {
	if c.req.Retry == nil || c.cancelled {
		return false
	}
	switch o {
	case outcome.OK:
		return c.answer.Status >= 500 && c.answer.Get("x-envoy-ratelimited") == nil
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.ConnectTimeout, outcome.TLSRefused, outcome.TLSFailed,
		outcome.ConnectionLost, outcome.UpstreamReset, outcome.ProtocolError, outcome.PerTryTimeout:
		return true
	}
	return false
}

// grant takes a place among the cluster's retries for the one after n others.
func (c *Call) grant(n int) bool {
	count := &c.cluster.Count
	if n >= c.req.Retry.Times {
		count.RqRetryLimit++
		return false
	}
	b := c.cluster.Breaker(c.req.High)
	if !b.EnterRetry() {
		count.RqRetryOverflow++
		return false
	}
	count.RqRetry++
	c.retrying = b
	return true
}

func (c *Call) leaveRetries() {
	if b := c.retrying; b != nil {
		c.retrying = nil
		b.Retries.Leave()
	}
}

func (c *Call) backoff(n int) time.Duration {
	b := &c.req.Retry.Backoff
	c.cluster.Count.RetryBackoff++
	limit := max(min(b.Base<<min(n, 20), b.Cap), time.Millisecond)
	return time.Duration(c.w.Rand().Int64N(int64(limit)))
}

// pause waits before the next attempt.
func (c *Call) pause(d time.Duration) outcome.Outcome {
	c.tryEnd = 0
	end := c.w.Now() + int64(d)
	for c.w.Now() < end && !c.cancelled {
		c.w.SetTimer(&c.timer, min(c.patience(), time.Duration(end-c.w.Now())), func() { c.paused.Wake(c.w) })
		c.paused.Wait(c.w)
		c.w.ClearTimer(&c.timer)
		if o := c.overdue(); o != outcome.OK {
			return o
		}
	}
	return c.overdue()
}

// anew forgets the attempt before.
func (c *Call) anew() {
	c.whole, c.untaken, c.err, c.tries, c.gone = false, false, nil, 0, false
	c.cluster = c.found.On(c.w)
	c.forget()
	c.resp.Reset()
}

// tryTime bounds the attempt from now on: it has a connection. Envoy takes the longest
// back-off for that, too.
func (c *Call) tryTime() {
	if r := c.req.Retry; r != nil && r.Backoff.Cap > 0 {
		c.tryEnd = c.w.Now() + int64(r.Backoff.Cap)
	}
}
