package httpproxy

// A request that is kept so that it can go out again: its head, and its body up to
// a limit.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// keeping is what is kept of a request. Its body goes through it:
//
//	client ─ gather ─▶ body ─ flow ─▶ host of this attempt, from the first byte on
//
// The client is read on while there is no host: between two attempts, and while one
// connects. Once it is known that the request does not go out again the rest goes
// straight from the client to the host.
type keeping struct {
	use      bool // the head is kept, and is sent from there
	on       bool // the body is, too
	done     bool // all of the body is there
	open     bool // the host of this attempt has the head
	ended    bool // and all of the body
	body     []byte
	passed   int // so much of it the host has
	limit    uint64
	trailers []http1.Header
	opened   loop.Waiter // whoever waits for open
	end      bool        // all of it has come, of a body that is not kept: see trybody.go
	room     loop.Waiter // whoever waits until it has been taken
}

// keepAll keeps the request. What an HTTP/1.1 client has sent is borrowed from its
// connection's buffer and is copied.
func (x *exchange) keepAll() outcome.Outcome {
	k := &x.held
	k.use, k.on, k.limit = true, true, x.keepLimit()
	if x.down.s != nil && x.upgrades && !x.shared {
		x.askWebSocket()
	}
	x.autoHost()
	x.keep()
	if x.down.s == nil && x.flt == nil { // filters have copied it
		x.out = x.copyHead(0)
		x.hostName = bytesOf("Host")
	}
	if x.req.Expect100 && !x.reads() && !x.here.room.cfg.Proxy100Continue {
		x.req.Expect100 = false
		x.goOn()
	}
	x.down.discard(x.head)
	x.head = 0
	x.view.Headers, x.view.Method = x.req.Headers, x.req.Method
	if x.flt == nil {
		x.view.ForwardedProto = nil
	}
	if x.reads() {
		x.gatherHeld()
		return outcome.OK
	}
	return x.gather()
}

// gatherHeld takes a body that a filter holds as a whole.
func (x *exchange) gatherHeld() {
	f := x.flt
	if f.held == nil || !x.held.fits(len(f.held.Data)) {
		return
	}
	x.in.tapped(f.held.Data)
	x.held.add(x.w, f.held.Data)
	x.held.trailers = f.reqTail
	x.leftover()
	x.held.done, x.whole, x.in.done = true, true, true
}

// keepLimit is how many bytes of the body are kept.
func (x *exchange) keepLimit() uint64 {
	limit := uint64(x.conn.limit)
	if own := x.route.Keep; own != nil && own.Capped {
		return min(limit, own.Bytes)
	} else if own != nil {
		return own.Bytes
	}
	return limit
}

// gather takes what the client has sent of the body. What does not fit stays where
// it is, and no more is kept.
func (x *exchange) gather() outcome.Outcome {
	if x.upgrades && x.down.s != nil {
		x.in.done = true // what comes belongs to the tunnel
	}
	if s := x.down.s; s != nil && !x.in.done {
		x.gatherStream()
		return outcome.OK
	}
	c := x.down.c
	for !x.in.done && x.held.on && c.Pending() > 0 {
		before := x.in.mark()
		data, n, err := x.in.next(c.Buffered(), &x.here.room.limits)
		if err != nil {
			x.refused, _ = err.(http1.Error)
			return outcome.BadRequest
		}
		if !x.held.fits(len(data)) {
			x.in.returnTo(&before)
			x.abandon()
			break
		}
		x.in.tapped(data)
		x.held.add(x.w, data)
		if x.in.done && x.in.kind == http1.BodyChunked {
			x.held.addTrailers(x.in.chunks.Trailers())
		}
		if n == 0 {
			break
		}
		c.Discard(n)
	}
	x.held.done = x.in.done && x.held.on
	x.whole = x.held.done
	return outcome.OK
}

func (x *exchange) gatherStream() {
	s := x.down.s
	data := s.Buffered()
	if !x.held.fits(len(data)) {
		x.abandon()
		return
	}
	x.in.tapped(data)
	x.held.add(x.w, data)
	s.Discard(len(data))
	if s.Last() {
		x.in.done, x.whole, x.held.done = true, true, true
		if s.Trailed() {
			x.held.trailers = s.Trailers.Headers
		}
	}
}

func (k *keeping) fits(n int) bool { return uint64(len(k.body))+uint64(n) <= k.limit }

// add appends to the body.
func (k *keeping) add(w *loop.Worker, data []byte) {
	if need := len(k.body) + len(data); need > cap(k.body) {
		grown := w.Buffer(max(need, min(2*cap(k.body), int(min(k.limit, 1<<30)))))
		grown = append(grown, k.body...)
		if k.body != nil {
			w.FreeBuffer(k.body)
		}
		k.body = grown
	}
	k.body = append(k.body, data...)
}

// addTrailers copies trailers, which are borrowed.
func (k *keeping) addTrailers(lines []http1.Header) {
	for _, h := range lines {
		h.Name, h.Value = append([]byte(nil), h.Name...), append([]byte(nil), h.Value...)
		k.trailers = append(k.trailers, h)
	}
}

// abandon gives the retry up: the body does not fit.
func (x *exchange) abandon() {
	if x.retry.live {
		x.cluster.Count.RetryAbandoned++
	}
	x.retry.live, x.held.on, x.whole = false, false, false
}

// settle ends the keeping of the body: the request does not go out again. The host
// has what was kept.
func (x *exchange) settle() {
	if x.held.use {
		x.retry.live, x.held.on = false, false
		x.leaveRace()
		x.leaveRetries()
		if !x.tried.reads() {
			x.held.free(x.w)
		}
	}
}

// clear forgets the request. Its body has been given back.
func (k *keeping) clear() {
	if k.use {
		*k = keeping{}
	}
}

func (k *keeping) free(w *loop.Worker) {
	if k.body != nil {
		w.FreeBuffer(k.body)
		k.body = nil
	}
	k.passed = 0
}

// sendKept sends the head, and the body as far as it is there.
func (x *exchange) sendKept() outcome.Outcome {
	k := &x.held
	k.passed, k.ended = 0, false
	x.retry.sent = true
	if x.up.s == nil {
		x.sendKeptHead()
	} else if o := x.sendKeptBlock(); o != outcome.OK {
		return o
	}
	if x.tried.reads() {
		return x.tried.send()
	}
	k.open = true
	if x.upgrades && x.up.s != nil {
		x.in.done, k.done, k.ended = true, true, true // what follows belongs to the tunnel
	}
	x.flow()
	switch {
	case k.done:
		x.wholeCame()
	case x.pumping:
		k.opened.Wake(x.w)
	case !k.on:
		return x.sendRest()
	default:
		x.pumping = true
		x.w.Go(x.carry)
	}
	return outcome.OK
}

func (x *exchange) sendKeptHead() {
	v, req := &x.view, &x.req
	size := len(x.out) + len(v.Path) + len(v.Host) + 1024
	if x.out == nil {
		for i := range req.Headers {
			size += len(req.Headers[i].Name) + len(req.Headers[i].Value) + 4
		}
	}
	x.up.c.Commit(x.appendHead(x.up.c.Begin(size), req, v))
}

func (x *exchange) sendKeptBlock() outcome.Outcome {
	s := x.up.s
	if x.upgrades && x.method != http1.MethodConnect && !s.Conn().Connects() && s.Conn().Settled() {
		return outcome.UpgradeRefused
	}
	if !s.Head() {
		return x.lost(s.Err())
	}
	s.Interims = x.here.room.cfg.Proxy100Continue
	x.writeBlock(s)
	s.SendHead(x.in.kind == http1.BodyNone && !x.upgrades && !x.reads() && !x.tried.reads())
	return outcome.OK
}

// flow passes on what the host of this attempt does not have yet.
func (x *exchange) flow() {
	k := &x.held
	if !k.open || k.ended {
		return
	}
	chunked, last := x.req.Body == http1.BodyChunked, k.done
	var lines []http1.Header
	if last && x.trailers {
		lines = k.trailers
	}
	if data := k.body[k.passed:]; len(data) > 0 {
		x.up.put(data, chunked, last && len(lines) == 0)
		k.passed = len(k.body)
	}
	if last {
		x.up.finish(chunked, lines)
		k.ended = true
	}
}

// carryKept is the second coroutine's work while the body is kept.
func (x *exchange) carryKept() outcome.Outcome {
	if x.reads() {
		return x.carryKeptRead()
	}
	for !x.in.done && !x.stop && x.held.on {
		if o := x.gather(); o != outcome.OK {
			return o
		}
		if !x.held.on && x.retry.pausing {
			return outcome.RetryBufferFull
		}
		x.flow()
		x.tellTry()
		if x.in.done || !x.held.on {
			break
		}
		if o := x.moreRequest(); o != outcome.OK || x.stop {
			return o
		}
	}
	if x.tried.reads() && !x.in.done {
		return x.carryWindow()
	}
	if !x.awaitHost() || x.in.done {
		return outcome.OK
	}
	if o := x.carryBuffered(); o != outcome.OK {
		return o
	}
	return x.carryBody()
}

// awaitHost waits for a host that takes what does not fit; false if there is no
// need to any more.
func (x *exchange) awaitHost() bool {
	for !x.held.open && !x.held.done && !x.stop {
		x.held.opened.Wait(x.w)
	}
	return !x.held.done && !x.stop
}

// carryKeptRead is carryKept where a filter reads the body.
func (x *exchange) carryKeptRead() outcome.Outcome {
	f, k := x.flt, &x.held
	for !k.done && !k.end && !x.stop {
		p, last, err := f.out.Next()
		switch {
		case err == filter.ErrOver:
			return f.why
		case err != nil:
			return outcome.FilterFailed
		case x.stop:
			return outcome.OK
		}
		if k.on && !k.fits(len(p)) {
			x.abandon()
			if x.retry.pausing {
				return outcome.RetryBufferFull
			}
		}
		if !k.on && x.tried.reads() {
			if !x.nextPiece() {
				return outcome.OK
			}
			x.in.tapped(p)
			k.add(x.w, p)
			if last {
				k.trailers = f.reqTail
				x.leftover()
				k.end, x.in.done = true, true
			}
			x.tellTry()
			continue
		}
		if !k.on {
			if !x.awaitHost() {
				return outcome.OK
			}
			if x.passRead(p, last) {
				return outcome.OK
			}
			return x.carryRead()
		}
		x.in.tapped(p)
		k.add(x.w, p)
		if last {
			k.trailers = f.reqTail
			x.leftover()
			k.done, x.whole, x.in.done = true, true, true
		}
		x.flow()
		x.tellTry()
	}
	return outcome.OK
}

// rouse wakes the first coroutine from whatever it waits for.
func (x *exchange) rouse() {
	switch {
	case x.attempt != nil:
		x.attempt.done.Wake(x.w)
	case x.retry.pausing, x.race.wait:
		x.joined.Wake(x.w)
	case x.up.s != nil:
		x.up.s.Wake()
	case x.up.c != nil && !x.up.c.Closed():
		x.up.c.SetReadTimeout(x.patience())
	}
}
