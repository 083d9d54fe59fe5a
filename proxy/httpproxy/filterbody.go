package httpproxy

// Bodies that filters read: pieces go through their readers, in the coroutine of
// the side that takes them.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// reads says that a filter has put its hand on the request's body.
func (x *exchange) reads() bool { return x.flt != nil && x.flt.out != nil }

// incoming is the request's body as it comes, as a filter.Body.
type incoming struct {
	f      *filtered
	taken  int  // of what is buffered, by the last piece
	waits  bool // Next does
	nudged bool // and is to return
}

// Nudge has Next return if it waits.
func (b *incoming) Nudge() {
	if !b.waits {
		return
	}
	b.nudged = true
	switch down := &b.f.x.down; {
	case down.s != nil:
		down.s.Wake()
	case !down.c.Closed():
		down.c.SetReadTimeout(1)
	}
}

// usedUp discards the last piece, which nobody has asked to go past: what follows it on
// the connection is another request.
func (b *incoming) usedUp(from *end) {
	if b.taken > 0 {
		from.discard(b.taken)
		b.taken = 0
	}
}

// Next gives what has come, or waits.
func (b *incoming) Next() (piece []byte, last bool, err error) {
	f := b.f
	x := f.x
	x.down.discard(b.taken)
	b.taken = 0
	if x.req.Expect100 {
		x.req.Expect100 = false
		x.goOn()
	}
	for {
		piece, n, err := b.have()
		if err != nil {
			x.refused, _ = err.(http1.Error)
			return nil, false, f.fail(outcome.BadRequest)
		}
		if len(piece) > 0 || x.in.done {
			b.taken = n
			return piece, x.in.done, nil
		}
		x.down.discard(n)
		if n > 0 {
			continue
		}
		b.waits, b.nudged = true, false
		o := x.moreRequest()
		nudged := b.nudged
		b.waits, b.nudged = false, false
		if o != outcome.OK || x.stop {
			return nil, false, f.fail(o)
		}
		if nudged && x.down.pending() == 0 && (x.down.s == nil || !x.down.s.Last()) {
			return nil, false, nil
		}
	}
}

// have finds data in what is buffered, which is n bytes of it.
func (b *incoming) have() (piece []byte, n int, err error) {
	f := b.f
	x := f.x
	if s := x.down.s; s != nil {
		piece = s.Buffered()
		if s.Last() {
			x.in.done = true
			if s.Trailed() {
				f.reqTail = appendLines(f.reqTail[:0], s.Trailers.Headers)
			}
		}
		return piece, len(piece), nil
	}
	if x.down.c.Pending() == 0 {
		return nil, 0, nil
	}
	piece, n, err = x.in.next(x.down.c.Buffered(), &x.here.room.limits)
	if err == nil && x.in.done && x.in.kind == http1.BodyChunked {
		f.reqTail = appendLines(f.reqTail[:0], x.in.chunks.Trailers())
	}
	return piece, n, err
}

// appendLines copies lines, which are borrowed.
func appendLines(dst, lines []http1.Header) []http1.Header {
	for _, h := range lines {
		h.Name, h.Value = append([]byte(nil), h.Name...), append([]byte(nil), h.Value...)
		dst = append(dst, h)
	}
	return dst
}

// fail remembers why the request is over.
func (f *filtered) fail(o outcome.Outcome) error {
	if o == outcome.OK {
		o = f.x.clientLost()
	}
	f.why = o
	return filter.ErrOver
}

// Body is the request's body as it is so far.
func (f *filtered) Body() filter.Body {
	switch {
	case f.out != nil:
		return f.out
	case f.x.in.kind == http1.BodyNone || f.x.in.done:
		return nil
	}
	return &f.came
}

// SetBody puts another in its place.
func (f *filtered) SetBody(b filter.Body, length int) {
	x := f.x
	f.out = b
	f.held, _ = b.(*filter.Held)
	if length == filter.Same {
		return
	}
	lines := fields{&x.req.Headers}
	if f.held != nil {
		length = len(f.held.Data)
	}
	if length < 0 {
		lines.Remove("content-length")
		x.req.Body, x.req.ContentLength = http1.BodyChunked, -1
		return
	}
	setLength(lines, length)
	x.req.Body, x.req.ContentLength = http1.BodyLength, int64(length)
}

func setLength(lines fields, n int) {
	text := appendInt(nil, int64(n))
	if i := lines.find("content-length"); i >= 0 {
		(*lines.lines)[i].Value = text
		return
	}
	*lines.lines = append(*lines.lines, http1.Header{Name: nameLength, Value: text, ID: http1.FieldContentLength})
}

// small says whether the body is held and short enough to go out with the head.
func (f *filtered) small() (bool, int) {
	if f.held == nil || len(f.held.Data) > smallBody || len(f.reqTail) > 0 && f.x.trailers {
		return false, 0
	}
	return true, len(f.held.Data)
}

// carryRead is the second coroutine's work where a filter reads the request's body.
func (x *exchange) carryRead() outcome.Outcome {
	f := x.flt
	for !x.stop {
		p, last, err := f.out.Next()
		switch {
		case err == filter.ErrOver:
			return f.why
		case err != nil:
			if r, ok := err.(*filter.Refused); ok {
				f.refused = r.Reply
				return r.Reply.Outcome
			}
			return outcome.FilterFailed
		case x.stop:
			return outcome.OK
		}
		if x.passRead(p, last) {
			return outcome.OK
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

// leftover has the client's connection end with the answer where a filter's body is over and
// the client's is not: what it has yet to send is no request.
func (x *exchange) leftover() {
	x.closes = x.closes || x.in.kind != http1.BodyNone && !x.in.done
}

// passRead sends a piece that a filter has made; last says that it is the last, and
// is given back.
func (x *exchange) passRead(p []byte, last bool) bool {
	var lines []http1.Header
	if last && x.trailers {
		lines = x.flt.reqTail
	}
	chunked := x.req.Body == http1.BodyChunked && !x.raw
	if len(p) > 0 {
		x.in.tapped(p)
		x.up.put(p, chunked, last && len(lines) == 0)
	}
	if last {
		x.up.finish(chunked, lines)
		x.leftover()
		x.in.done = true
		if x.raw {
			x.up.closeWrite()
		}
	}
	return last
}

// coming is the answer's body as it comes, as a filter.Body.
type coming struct {
	f      *filtered
	kind   http1.Body // as the host has said
	length int64
	begun  bool
	taken  int
	waits  bool // Next does
	nudged bool // and is to return
}

// Nudge has Next return if it waits.
func (b *coming) Nudge() {
	if !b.waits {
		return
	}
	b.nudged = true
	switch up := &b.f.x.up; {
	case up.s != nil:
		up.s.Wake()
	case up.c != nil && !up.c.Closed():
		up.c.SetReadTimeout(1)
	}
}

// usedUp discards the last piece; see incoming.usedUp.
func (b *coming) usedUp(from *end) {
	if b.taken > 0 && *from != (end{}) {
		from.discard(b.taken)
	}
	b.taken = 0
}

// Next gives what has come, or waits.
func (b *coming) Next() (piece []byte, last bool, err error) {
	f := b.f
	x := f.x
	if !b.begun {
		b.begun = true
		x.back.reset(b.kind, b.length)
		if x.up.c != nil {
			f.keepAnswer()
			x.up.discard(x.backHead)
			x.backHead = 0
		}
	}
	x.up.discard(b.taken)
	b.taken = 0
	for {
		piece, n, err := b.have()
		if err != nil {
			x.cluster.Count.CxProtocolError++
			return nil, false, f.fail(outcome.ProtocolError)
		}
		if len(piece) > 0 || x.back.done {
			b.taken = n
			return piece, x.back.done, nil
		}
		x.up.discard(n)
		if n > 0 {
			continue
		}
		b.waits, b.nudged = true, false
		o := x.more()
		nudged := b.nudged
		b.waits, b.nudged = false, false
		if o == outcome.OK && nudged && x.up.pending() == 0 && (x.up.s == nil || !x.up.s.Last()) {
			return nil, false, nil
		}
		if o != outcome.OK {
			if x.up.c != nil && x.back.kind == http1.BodyUntilClose && x.ended() && !x.up.c.Truncated() {
				x.back.done = true
				return nil, true, nil
			}
			return nil, false, f.fail(o)
		}
	}
}

func (b *coming) have() (piece []byte, n int, err error) {
	f := b.f
	x := f.x
	if s := x.up.s; s != nil {
		piece = s.Buffered()
		if s.Last() {
			x.back.done = true
			if s.Trailed() {
				f.ansTail = appendLines(f.ansTail[:0], s.Trailers.Headers)
			}
		}
		return piece, len(piece), nil
	}
	if x.up.c.Pending() == 0 {
		return nil, 0, nil
	}
	piece, n, err = x.back.next(x.up.c.Buffered(), &x.limits)
	if err == nil && x.back.done && x.back.kind == http1.BodyChunked {
		f.ansTail = appendLines(f.ansTail[:0], x.back.chunks.Trailers())
	}
	return piece, n, err
}

// keepAnswer makes the answer's head the exchange's own where it has come and is not
// sent yet: a filter waits before that, and what an HTTP/1.1 host has sent is in its
// connection's buffer.
func (f *filtered) keepAnswer() {
	x := f.x
	if x.up.c == nil || x.started || x.made || f.head || x.backHead == 0 {
		return
	}
	f.head = true
	res := &x.resp
	lines := appendLines(nil, res.Headers)
	copy(res.Headers, lines)
	res.Upgrade = append([]byte(nil), res.Upgrade...)
}

// AnswerBody is the answer's body as it is so far.
func (f *filtered) AnswerBody() filter.Body {
	x := f.x
	switch {
	case f.back != nil:
		return f.back
	case x.made && len(x.local) > 0 && x.method != http1.MethodHead:
		return &filter.Held{Data: x.local}
	case x.made || f.answer.kind == http1.BodyNone || x.switched():
		return nil
	case x.tried != nil && x.tried.back != nil && f != &x.tried.filtered:
		return &passing{x.tried, f}
	}
	return &f.answer
}

// SetAnswerBody puts another in its place.
func (f *filtered) SetAnswerBody(b filter.Body, length int) {
	f.back = b
	res := &f.x.resp
	lines := fields{&res.Headers}
	if f.x.made || length == filter.Same {
		return // it gets its length when it is sent
	}
	if length < 0 {
		lines.Remove("content-length")
		res.Body, res.ContentLength = http1.BodyChunked, -1
		return
	}
	setLength(lines, length)
	res.Body, res.ContentLength = http1.BodyLength, int64(length)
}

// readLocal reads the body of an answer of our own through the filters' readers.
func (f *filtered) readLocal() bool {
	x := f.x
	if f.back == nil || !x.made {
		return true
	}
	x.local = nil
	for {
		p, last, err := f.back.Next()
		if err != nil {
			return false
		}
		x.local = append(x.local, p...)
		if last {
			break
		}
	}
	f.back = nil
	if x.length != noLength || len(x.local) > 0 {
		x.length = len(x.local)
	}
	return true
}

// reader is who reads the answer's body; nil: no filter does.
func (x *exchange) reader() *filtered {
	switch {
	case x.flt != nil && x.flt.back != nil:
		return x.flt
	case x.tried != nil && x.tried.back != nil:
		return &x.tried.filtered
	}
	return nil
}

// respondRead sends the answer, whose body a filter reads.
func (x *exchange) respondRead(f *filtered) outcome.Outcome {
	res := &x.resp
	chunked := res.Body != http1.BodyLength && x.down.c != nil && !x.http10
	x.closes = x.closes || x.mustClose() || res.Body != http1.BodyLength && x.http10
	if s := x.down.s; s != nil {
		x.status = res.Status
		if !s.Head() {
			return x.clientLost()
		}
		s.Status(res.Status)
		x.answerFields(&head{s: s}, res.Headers, false)
		s.SendHead(false)
	} else {
		text := x.answerHead(x.here.scratch[:0], chunked)
		x.here.scratch = text[:0]
		x.down.c.Commit(append(x.down.c.Begin(len(text)), text...))
	}
	x.started = true
	for {
		p, last, err := f.back.Next()
		switch {
		case err == filter.ErrOver:
			return f.why
		case err != nil:
			return outcome.FilterFailed
		}
		var lines []http1.Header
		if last && (x.trailers || x.down.s != nil) {
			lines = f.ansTail
		}
		if len(p) > 0 {
			x.down.put(p, chunked, last && len(lines) == 0)
		}
		if last {
			x.down.finish(chunked, lines)
			return outcome.OK
		}
		if x.down.broken() {
			return x.clientLost()
		}
		if o := x.ease(&x.down, x.conn.limit); o != outcome.OK {
			return o
		}
	}
}
