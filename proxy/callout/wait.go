package callout

// Waiting: for as long as the call may.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// more waits until the connection has more than is buffered.
func (c *Call) more() outcome.Outcome {
	conn := c.lease.Conn
	for {
		n, err := conn.Fill()
		if n > 0 {
			if conn.Spent() {
				c.w.Yield()
			}
			return outcome.OK
		}
		if err != nil {
			return c.lost(err)
		}
		conn.SetReadTimeout(c.patience())
		if err := conn.Wait(); err == loop.ErrTimeout {
			if o := c.overdue(); o != outcome.OK {
				return o
			}
		} else if err != nil {
			return c.lost(err)
		}
	}
}

// awaitStream waits once for something new on the stream.
func (c *Call) awaitStream() outcome.Outcome {
	err := c.stream.Wait(c.patience())
	switch {
	case err == nil:
		return outcome.OK
	case err != h2.ErrTimeout:
		return c.lost(err)
	}
	return c.overdue()
}

// lost says why the connection or the stream is over.
func (c *Call) lost(err error) outcome.Outcome {
	c.err = err
	if c.cancelled {
		return outcome.DownstreamGone
	}
	if e, ok := err.(*http2.Error); ok && !h2.Unprocessed(err) {
		if e.Reason != h2.ResetByPeer {
			return c.garbled()
		}
		return outcome.UpstreamReset
	}
	if c.answer.Status != 0 {
		return outcome.LostMidway
	}
	return outcome.ConnectionLost
}

// patience is how long to wait at most before overdue is asked.
func (c *Call) patience() time.Duration {
	d := time.Hour
	if c.req.Gone != nil {
		d = glance
	}
	if c.deadline != 0 {
		d = min(d, time.Duration(c.deadline-c.w.Now()))
	}
	if c.tryEnd != 0 {
		d = min(d, time.Duration(c.tryEnd-c.w.Now()))
	}
	return max(d, 1)
}

// remaining is what is left of the call's time; 0 if there is no limit.
func (c *Call) remaining() time.Duration {
	if c.deadline == 0 {
		return 0
	}
	return max(time.Duration(c.deadline-c.w.Now()), 1)
}

// overdue says whether the call's time is over, or nobody wants it any more.
func (c *Call) overdue() outcome.Outcome {
	switch {
	case c.cancelled, c.req.Gone != nil && c.req.Gone():
		return outcome.DownstreamGone
	case c.deadline != 0 && c.w.Now() >= c.deadline:
		return outcome.Timeout
	case c.tryEnd != 0 && c.w.Now() >= c.tryEnd:
		return outcome.PerTryTimeout
	}
	return outcome.OK
}
