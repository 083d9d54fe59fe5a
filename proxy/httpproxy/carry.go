package httpproxy

// The request's body, while the answer may already come.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// smallBody is how much of a body is kept together with its head, so that it
// can be sent again.
const smallBody = 16 << 10

// send writes the request as far as it is there. What is not is carried by a
// second coroutine, so that the answer can come meanwhile.
func (x *exchange) send() outcome.Outcome {
	x.moved = x.w.Now()
	x.info.Times.UpstreamSendBegan = x.moved
	if x.raw {
		return x.sendRaw()
	}
	if x.held.use {
		return x.sendKept()
	}
	if x.up.s != nil {
		return x.sendStream()
	}
	up := x.up.c
	if x.whole {
		// It goes out with what others have to send in this turn. Whether the
		// socket took it is asked of the connection (again).
		up.Commit(append(up.Begin(len(x.out)), x.out...))
		return outcome.OK
	}
	var data []byte
	if x.in.kind == http1.BodyLength && !x.reads() {
		data = x.down.buffered()
		data = data[:min(x.in.left, int64(len(data)))]
	}
	if err := up.SendTwo(x.out, data); err != nil {
		x.untaken = true
		return x.lost(err)
	}
	if len(data) > 0 {
		x.in.tapped(data)
		x.in.count += uint64(len(data))
		x.in.left -= int64(len(data))
		x.in.done = x.in.left == 0
		x.down.discard(len(data))
	}
	return x.sendRest()
}

// sendRest sends the body as far as it is there, and leaves the rest to the
// second coroutine.
func (x *exchange) sendRest() outcome.Outcome {
	if x.reads() {
		x.pumping = true
		x.w.Go(x.carry)
		return outcome.OK
	}
	if o := x.carryBuffered(); o != outcome.OK {
		return o
	}
	if x.in.done {
		x.wholeCame()
		return outcome.OK
	}
	x.pumping = true
	x.w.Go(x.carry)
	return outcome.OK
}

// wholeCame notes that the request is complete: the route's time begins.
func (x *exchange) wholeCame() {
	if x.complete != 0 {
		return
	}
	x.complete = x.w.Now()
	if t := x.in.tap; t != nil {
		x.in.tap = nil
		t.send(x.w, x.in.kind != http1.BodyNone)
	}
	x.info.Times.RequestEnd, x.info.Times.UpstreamSendEnd = x.complete, x.complete
	if x.timeout > 0 {
		x.deadline = x.complete + int64(x.timeout)
	}
}

// carryBuffered sends what the client's connection has of the body.
func (x *exchange) carryBuffered() outcome.Outcome {
	chunked := x.in.kind == http1.BodyChunked && !x.raw
	if err := x.in.relay(&x.up, &x.down, chunked, x.trailers, &x.here.room.limits); err != nil {
		x.refused, _ = err.(http1.Error)
		return outcome.BadRequest
	}
	if x.raw && x.in.done {
		x.up.closeWrite()
	}
	return outcome.OK
}

// pump is the second coroutine: the rest of the request's body, or the
// client's half of a tunnel. Where it fails it ends the upstream's side, which
// wakes the first one.
func (x *exchange) pump() {
	up := x.up            // the exchange may have lost it when this ends
	o := outcome.Overload // should it panic
	defer func() { x.pumped(&up, o) }()
	switch {
	case x.tunnel:
		o = x.carryRaw()
	case x.held.use:
		o = x.carryKept()
	case x.reads():
		o = x.carryRead()
	default:
		o = x.carryBody()
	}
}

// pumped tells the first coroutine how it went.
func (x *exchange) pumped(up *end, o outcome.Outcome) {
	x.pumping = false
	x.joined.Wake(x.w)
	if x.stop {
		return
	}
	x.pumpEnd = o
	if x.down.c != nil {
		x.down.c.SetReadTimeout(0)
	}
	if x.held.use && !x.tunnel {
		up = &x.up // another attempt's, perhaps
	}
	switch {
	case o != outcome.OK:
		if *up != (end{}) {
			up.cut(http2.Cancel)
		}
		x.wakeFilters()
		x.rouse()
	case x.in.done && !x.tunnel:
		x.wholeCame()
		if x.race.more == 0 || !x.dueToRace() {
			x.clockTry()
		}
		x.rouse() // it shall wait no longer than the deadline that is now set
	}
}

// carryBody goes on until the body is complete, or the upstream takes no more:
// then its answer, if there is one, says why.
func (x *exchange) carryBody() outcome.Outcome {
	for !x.in.done && !x.stop {
		if o := x.moreRequest(); o != outcome.OK || x.stop {
			return o
		}
		if o := x.carryBuffered(); o != outcome.OK {
			return o
		}
		if x.up.broken() {
			return outcome.OK
		}
		if o := x.ease(&x.up, x.conn.limit); o != outcome.OK {
			return o
		}
	}
	return outcome.OK
}

// moreRequest waits until the client has sent more than is buffered.
func (x *exchange) moreRequest() outcome.Outcome {
	if x.down.s != nil {
		return x.moreOfStream()
	}
	c := x.down.c
	for !x.stop {
		if c.Spent() {
			x.w.Yield()
		}
		n, err := c.Fill()
		if n > 0 {
			x.moved = x.w.Now()
			return outcome.OK
		}
		if err != nil {
			return outcome.DownstreamGone
		}
		c.SetReadTimeout(x.requestPatience())
		if err := c.Wait(); err == loop.ErrTimeout {
			if o := x.requestOverdue(); o != outcome.OK || x.requestNudged() {
				return o
			}
		} else if err != nil {
			return outcome.DownstreamGone
		}
	}
	return outcome.OK
}

// requestNudged says whether a filter that reads the request's body is not to wait on.
func (x *exchange) requestNudged() bool { return x.flt != nil && x.flt.came.nudged }

// moreOfStream is moreRequest of a client that speaks HTTP/2.
func (x *exchange) moreOfStream() outcome.Outcome {
	s := x.down.s
	for !x.stop {
		if s.Pending() > 0 || s.Last() {
			x.moved = x.w.Now()
			return outcome.OK
		}
		if x.requestNudged() {
			return outcome.OK
		}
		if err := s.Wait(x.requestPatience()); err == h2.ErrTimeout {
			if o := x.requestOverdue(); o != outcome.OK {
				return o
			}
		} else if err != nil {
			return outcome.DownstreamGone
		}
	}
	return outcome.OK
}

// requestPatience is how long to wait at most for more of the request.
func (x *exchange) requestPatience() time.Duration {
	now := x.w.Now()
	d := time.Hour
	if x.idle > 0 {
		d = x.idle - time.Duration(now-x.moved)
	}
	if r := x.here.room.cfg.RequestTimeout; r > 0 && !x.tunnel {
		d = min(d, r-time.Duration(now-x.since))
	}
	if x.until != 0 {
		d = min(d, time.Duration(x.until-now))
	}
	return max(d, 1)
}

// requestOverdue says whether the request has taken too long.
func (x *exchange) requestOverdue() outcome.Outcome {
	now := x.w.Now()
	switch r := x.here.room.cfg.RequestTimeout; {
	case x.stop:
	case x.until != 0 && now >= x.until:
		return outcome.DurationTimeout
	case r > 0 && !x.tunnel && now-x.since >= int64(r):
		return outcome.RequestTimeout
	case x.idle > 0 && now-x.moved >= int64(x.idle):
		return outcome.IdleTimeout
	}
	return outcome.OK
}

// still says whether a side that takes nothing may go on so, and for how long: 0
// is for ever.
func (x *exchange) still() (time.Duration, outcome.Outcome) {
	now := x.w.Now()
	switch {
	case x.until != 0 && now >= x.until:
		return 0, outcome.DurationTimeout
	case x.idle > 0 && now-x.moved >= int64(x.idle):
		return 0, outcome.IdleTimeout
	}
	d := x.idle
	if x.until != 0 {
		d = sooner(d, time.Duration(x.until-now))
	}
	return d, outcome.OK
}

// ease waits until dst has taken all but half of limit, if more than limit is
// queued: back-pressure. Errors of dst are not its business.
func (x *exchange) ease(dst *end, limit int) outcome.Outcome {
	if dst.s != nil {
		return x.easeStream(dst.s, limit)
	}
	c := dst.c
	if c.Unsent() > gathered {
		c.Flush()
	}
	for c.Unsent() > limit {
		d, o := x.still()
		if o != outcome.OK {
			return o
		}
		c.SetWriteTimeout(d)
		before := c.Unsent()
		err := c.Drain(limit / 2)
		c.SetWriteTimeout(0)
		if c.Unsent() < before {
			x.moved = x.w.Now()
		}
		if err == nil || err != loop.ErrTimeout {
			return outcome.OK
		}
	}
	return outcome.OK
}

// easeStream is ease of a side that speaks HTTP/2: what is queued there waits for
// the peer's window.
func (x *exchange) easeStream(s *h2.Stream, limit int) outcome.Outcome {
	for s.Unsent() > limit && !x.stop {
		d, o := x.still()
		if o != outcome.OK {
			return o
		}
		before := s.Unsent()
		err := s.Drain(limit/2, d)
		if s.Unsent() < before {
			x.moved = x.w.Now()
		}
		if err == nil || err != h2.ErrTimeout {
			return outcome.OK
		}
	}
	return outcome.OK
}

// endPump ends the second coroutine and waits for it.
func (x *exchange) endPump() {
	if !x.pumping {
		return
	}
	x.stop = true
	x.drop()
	x.held.opened.Wake(x.w)
	x.held.room.Wake(x.w)
	for x.pumping {
		x.wakeFilters()
		switch {
		case x.down.s != nil:
			x.down.s.Wake()
		case !x.down.c.Closed():
			x.down.c.SetReadTimeout(1)
		}
		x.joined.Wait(x.w)
	}
	if x.down.c != nil {
		x.down.c.SetReadTimeout(0)
	}
}
