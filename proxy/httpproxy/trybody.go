package httpproxy

// Bodies that the filters of an attempt read. The request's comes from what is kept for
// attempts, and its answer's from the host as it does for other filters:
//
//	client ─ pump ─▶ held.body ─▶ tryBody ─▶ readers ─ feed ─▶ host
//
// Once there is too much to keep it, held.body is a window: the pump puts the next piece
// there when the one before has been taken.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// tryBody is the request's body for one attempt, from its beginning, as a filter.Body.
type tryBody struct {
	u     *tried
	at    int // so much of held.body was taken
	piece []byte
}

// longPiece is how much is given at once: what is kept may move, so that it is copied.
const longPiece = 64 << 10

// Next gives what is there, or waits.
func (b *tryBody) Next() (piece []byte, last bool, err error) {
	u := b.u
	x, k := u.x, &u.x.held
	u.reading = true
	for {
		if left := k.body[b.at:]; len(left) > 0 {
			b.piece = append(b.piece[:0], left[:min(len(left), longPiece)]...)
			b.at += len(b.piece)
			k.room.Wake(x.w)
			return b.piece, u.allTaken(), nil
		}
		if u.allTaken() {
			return nil, true, nil
		}
		if !u.more() {
			return nil, false, filter.ErrOver
		}
	}
}

// allTaken says whether the body has come to its end; its trailers are there then.
func (u *tried) allTaken() bool {
	k := &u.x.held
	if u.body.at < len(k.body) || !k.done && !k.end {
		return false
	}
	u.reqTail = append(u.reqTail[:0], k.trailers...)
	return true
}

// more waits until there is more of the request; false if it is over.
func (u *tried) more() bool {
	x, p := u.x, &pause{}
	u.need = p
	x.startPump()
	if !u.feeding { // the host has not been asked yet
		if x.req.Expect100 {
			x.req.Expect100 = false
			x.goOn()
		}
		return u.wait(p, 0)
	}
	for !p.over && !u.left {
		p.waiter.Wait(x.w)
	}
	return !u.left
}

// tellTry tells whoever waits that there is more of the request.
func (x *exchange) tellTry() {
	if u := x.tried; u != nil && u.need != nil {
		p := u.need
		u.need, p.over = nil, true
		p.waiter.Wake(x.w)
	}
}

// startPump has the second coroutine bring the rest of the request.
func (x *exchange) startPump() {
	if !x.pumping && !x.held.done && !x.held.end {
		x.pumping = true
		x.w.Go(x.carry)
	}
}

// reads says that filters of the attempt have put their hands on the request's body.
func (u *tried) reads() bool { return u != nil && (u.out != nil || u.reading) }

// busy says that a part of the request is still on its way through them.
func (u *tried) busy() bool { return u != nil && u.feeding }

// touched says that the attempt's connection cannot be told from its buffers.
func (u *tried) touched() bool { return u != nil && (u.feeding || u.answer.begun) }

// Body is the request's body as it is so far.
func (u *tried) Body() filter.Body {
	x := u.x
	switch {
	case u.out != nil:
		return u.out
	case x.raw || x.upgrades, x.in.kind == http1.BodyNone && !x.reads():
		return nil
	}
	return &u.body
}

// SetBody puts another in its place.
func (u *tried) SetBody(b filter.Body, length int) {
	x := u.x
	if length != filter.Same && !u.framed {
		u.framed, u.kind, u.length = true, x.req.Body, x.req.ContentLength
		if i := (fields{&x.req.Headers}).find("content-length"); i >= 0 {
			u.line = x.req.Headers[i].Value
		}
	}
	u.filtered.SetBody(b, length)
}

// unframe makes what frames the body what it was: the next attempt has the same body.
func (u *tried) unframe() {
	if !u.framed {
		return
	}
	x := u.x
	x.req.Body, x.req.ContentLength = u.kind, u.length
	lines := fields{&x.req.Headers}
	if u.line == nil {
		lines.Remove("content-length")
		return
	}
	if i := lines.find("content-length"); i >= 0 {
		x.req.Headers[i].Value = u.line
		return
	}
	x.req.Headers = append(x.req.Headers, http1.Header{Name: nameLength, Value: u.line, ID: http1.FieldContentLength})
}

// send sends the body behind the head: at once if it is all here, else in a coroutine.
func (u *tried) send() outcome.Outcome {
	x := u.x
	if u.out == nil {
		u.out = &tryBody{u: u}
	}
	if x.held.done {
		x.wholeCame()
	} else {
		x.startPump()
	}
	if u.held != nil {
		u.pass(&x.up, u.held.Data, true)
		return outcome.OK
	}
	u.feeding = true
	x.w.Go(u.feed)
	return outcome.OK
}

// pass sends a piece.
func (u *tried) pass(up *end, p []byte, last bool) {
	x := u.x
	var lines []http1.Header
	if last && x.trailers {
		lines = u.reqTail
	}
	chunked := x.req.Body == http1.BodyChunked
	if len(p) > 0 {
		up.put(p, chunked, last && len(lines) == 0)
	}
	if last {
		up.finish(chunked, lines)
	}
}

// feed is the coroutine that sends what filters make of the body.
func (u *tried) feed() {
	x, up := u.x, u.x.up
	o := outcome.Overload // should it panic
	defer func() {
		u.feeding = false
		if o != outcome.OK && !u.left {
			x.pumpEnd = o
			up.cut(http2.Cancel)
			x.rouse()
		}
		x.joined.Wake(x.w)
	}()
	o = u.carry(&up)
}

// carry goes on until the body is sent, or the host takes no more of it.
func (u *tried) carry(up *end) outcome.Outcome {
	x := u.x
	for !u.left {
		p, last, err := u.out.Next()
		switch {
		case u.left:
			return outcome.OK
		case err == filter.ErrOver:
			return u.why
		case err != nil:
			if r, ok := err.(*filter.Refused); ok {
				u.Reply(r.Reply)
				up.cut(http2.Cancel)
				x.rouse()
				return outcome.OK
			}
			return outcome.FilterFailed
		}
		u.pass(up, p, last)
		if last || up.broken() {
			return outcome.OK
		}
		if o := x.ease(up, x.conn.limit); o != outcome.OK {
			return o
		}
	}
	return outcome.OK
}

// endFeed ends that coroutine and waits for it; what it has sent is cut short.
func (x *exchange) endFeed() {
	u := x.tried
	if u == nil {
		return
	}
	u.left = true
	for u.feeding {
		x.drop()
		if u.need != nil {
			u.need.waiter.Wake(x.w)
		}
		u.wake()
		x.joined.Wait(x.w)
	}
}

// carryWindow is the second coroutine's work while the filters of an attempt read a
// body that is not kept.
func (x *exchange) carryWindow() outcome.Outcome {
	for x.nextPiece() {
		if o := x.takeMore(); o != outcome.OK {
			return o
		}
		x.held.end = x.in.done
		x.tellTry()
		if x.in.done {
			break
		}
		if len(x.held.body) > 0 {
			continue
		}
		if o := x.moreRequest(); o != outcome.OK || x.stop {
			return o
		}
	}
	return outcome.OK
}

// nextPiece waits until what is kept has been taken, and is done with it; false if
// nobody wants more.
func (x *exchange) nextPiece() bool {
	k := &x.held
	for !x.stop && x.tried.reads() && x.tried.body.at < len(k.body) {
		k.room.Wait(x.w)
	}
	if x.stop || !x.tried.reads() {
		return false
	}
	k.body, x.tried.body.at = k.body[:0], 0
	return true
}

// takeMore takes what the client has sent, whatever is kept.
func (x *exchange) takeMore() outcome.Outcome {
	if s := x.down.s; s != nil {
		data := s.Buffered()
		x.in.tapped(data)
		x.held.add(x.w, data)
		s.Discard(len(data))
		if s.Last() {
			x.in.done = true
			if s.Trailed() {
				x.held.trailers = s.Trailers.Headers
			}
		}
		return outcome.OK
	}
	for c := x.down.c; c.Pending() > 0 && !x.in.done; {
		data, n, err := x.in.next(c.Buffered(), &x.here.room.limits)
		if err != nil {
			x.refused, _ = err.(http1.Error)
			return outcome.BadRequest
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
	return outcome.OK
}

// passing is the answer's body as the filters of the attempt leave it, for those of the
// connection manager.
type passing struct {
	u *tried
	f *filtered
}

// Next gives the next piece.
func (p *passing) Next() (piece []byte, last bool, err error) {
	piece, last, err = p.u.back.Next()
	if last {
		p.f.ansTail = append(p.f.ansTail[:0], p.u.ansTail...)
	}
	if err != nil && p.f.why == outcome.OK {
		p.f.why = p.u.why
	}
	return piece, last, err
}
