package httpproxy

// Waiting for the upstream.

import (
	"io"
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// glance is how often a request that waits for its upstream looks whether its
// client is still there: nobody reads the client meanwhile.
const glance = 250 * time.Millisecond

// more waits until the upstream has sent more than is buffered.
func (x *exchange) more() outcome.Outcome {
	if x.up.s != nil {
		return x.moreOfAnswer()
	}
	up := x.up.c
	for {
		n, err := up.Fill()
		if n > 0 {
			x.moved = x.w.Now()
			if up.Spent() {
				x.w.Yield()
			}
			return outcome.OK
		}
		if err != nil {
			return x.lost(err)
		}
		if o := x.await(up); o != outcome.OK || x.nudged() {
			return o
		}
	}
}

// nudged says whether a filter that reads the answer's body is not to wait on.
func (x *exchange) nudged() bool { return x.flt != nil && x.flt.answer.nudged }

// await waits until the upstream can be read.
func (x *exchange) await(up *loop.Conn) outcome.Outcome {
	for {
		up.SetReadTimeout(x.patience())
		err := up.Wait()
		if err == nil {
			return outcome.OK
		}
		if err != loop.ErrTimeout {
			return x.lost(err)
		}
		if o := x.overdue(); o != outcome.OK || x.nudged() {
			return o
		}
	}
}

// lost says why the upstream's connection is over: it ended it, or the other
// coroutine did, because of the client.
func (x *exchange) lost(err error) outcome.Outcome {
	x.upErr = err
	if x.pumpEnd != outcome.OK {
		return x.pumpEnd
	}
	if e, ok := err.(*http2.Error); ok && !h2.Unprocessed(err) {
		if e.Reason != resetByPeer {
			x.cluster.Count.CxProtocolError++
			return outcome.ProtocolError
		}
		return outcome.UpstreamReset
	}
	if x.started {
		return outcome.LostMidway
	}
	return outcome.ConnectionLost
}

// ended says that the upstream ended its side in order.
func (x *exchange) ended() bool { return x.upErr == io.EOF }

// patience is how long to wait at most before overdue is asked.
func (x *exchange) patience() time.Duration {
	if x.race.won != nil || x.race.due {
		return 1
	}
	d, now := glance, x.w.Now()
	if x.down.s != nil {
		d = time.Hour // the client's reset wakes us
	}
	if x.deadline != 0 {
		d = min(d, time.Duration(x.deadline-now))
	}
	if x.idle > 0 {
		d = min(d, x.idle-time.Duration(now-x.moved))
	}
	if x.until != 0 {
		d = min(d, time.Duration(x.until-now))
	}
	if x.retry.timed {
		d = x.tryLeft(d, now)
	}
	if x.retry.dies != 0 {
		d = min(d, time.Duration(x.retry.dies-now))
	}
	return max(d, 1)
}

// left is what is left of the route's time; 0 if there is no limit.
func (x *exchange) left() time.Duration {
	at := x.deadline
	if x.until != 0 && (at == 0 || x.until < at) {
		at = x.until
	}
	if at == 0 {
		return 0
	}
	return max(time.Duration(at-x.w.Now()), 1)
}

// overdue says whether a time limit has passed, or the client has gone.
func (x *exchange) overdue() outcome.Outcome {
	now := x.w.Now()
	perTry, perTryIdle := false, false
	if x.retry.timed {
		perTry, perTryIdle = x.slow(now)
	}
	switch {
	case x.until != 0 && now >= x.until:
		return outcome.DurationTimeout
	case x.deadline != 0 && now >= x.deadline:
		return outcome.Timeout
	case x.idle > 0 && now-x.moved >= int64(x.idle):
		return outcome.IdleTimeout
	case x.retry.dies != 0 && now >= x.retry.dies && !x.retry.pausing:
		x.owner.Count.RqMaxDuration++
		return outcome.UpstreamStreamTooLong
	case perTry:
		return outcome.PerTryTimeout
	case perTryIdle:
		return outcome.PerTryIdleTimeout
	case x.race.won != nil:
		return outcome.ConnectionLost
	case x.race.due && x.up != (end{}):
		return outcome.PerTryTimeout
	case x.raced:
		return outcome.OK
	case x.held.use && x.pumpEnd != outcome.OK:
		return x.pumpEnd
	case x.down.s != nil:
		if x.down.s.Err() != nil {
			return outcome.DownstreamGone
		}
		return outcome.OK
	case x.pumping || x.down.c.Pending() > x.conn.limit || x.flt != nil && x.flt.came.taken > 0:
		return outcome.OK
	}
	_, err := x.down.c.Fill()
	if x.tunnel && err == io.EOF && !x.down.broken() {
		return outcome.OK // its half is over, and was passed on; the host's is not
	}
	if err != nil || x.down.c.Closed() {
		return outcome.DownstreamGone
	}
	return outcome.OK
}

// languish is the end of a chain that has no router: nothing happens there until the
// request's time is over, or its client goes.
func (x *exchange) languish() outcome.Outcome {
	if x.route != nil {
		x.patienceOfRoute()
		x.boundLife()
	}
	if x.in.done {
		x.complete = x.w.Now()
	}
	wake := func() { x.joined.Wake(x.w) }
	x.retry.pausing = true // a client that goes wakes us
	defer func() { x.retry.pausing = false }()
	for {
		x.w.SetTimer(&x.timer, x.patience(), wake)
		x.joined.Wait(x.w)
		x.w.ClearTimer(&x.timer)
		if o := x.overdue(); o != outcome.OK {
			return o
		}
	}
}

// clientAddr is the address of the client's own end.
func (x *exchange) clientAddr() netip.Addr { return x.conn.info.Peer.Addr().Unmap() }
