package httpproxy

// Answers that are made here: errors, redirects, direct responses.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// reply is an answer of our own.
type reply struct {
	status   int
	body     string
	location []byte
	ops      []route.Op
}

// replyTo words the end of a request that failed (http/utility.cc:
// Utility::sendLocalReply; router.cc).
func (x *exchange) replyTo(o outcome.Outcome) reply {
	r := reply{status: o.HTTPStatus(), body: o.HTTPBody()}
	switch o {
	case outcome.BadRequest:
		if x.refused != 0 {
			r.status = x.refused.Status()
			r.body = http1.StatusText(r.status)
		}
	case outcome.NoCluster:
		if s := x.route.NotFoundStatus; s != 0 {
			r.status = s
		}
	case outcome.IdleTimeout, outcome.DurationTimeout:
		if x.complete == 0 {
			r.status = o.HTTPStatusEarly()
		}
	}
	return r
}

// answer sends the answer to a request that goes nowhere, or failed before
// anything of an answer was sent.
func (x *exchange) answer(o outcome.Outcome) {
	r := x.reply
	if !x.replied {
		r = x.replyTo(o)
	}
	if r.status == 0 {
		x.down.cut(http2.InternalError)
		return
	}
	x.skipBody()
	x.closes = x.closes || x.mustClose()
	lines := x.resp.Headers[:0]
	f := fields{&lines}
	x.status = r.status
	length, body := len(r.body), bytesOf(r.body)
	switch {
	case x.grpc:
		x.status, length, body = 200, noLength, nil
		x.wordGRPC(f, o, &r)
	case r.body != "":
		f.put("content-type", bytesOf("text/plain"))
	}
	if len(r.location) > 0 {
		f.put("location", r.location)
	}
	if o == outcome.Overflow {
		f.put("x-envoy-overloaded", bytesOf("true"))
	}
	if len(r.ops) > 0 {
		route.Apply(r.ops, f)
	}
	if x.method == http1.MethodHead {
		body = nil
	}
	x.hash, x.tunnel = route.Hash{}, false
	x.sendReply(lines, length, body)
	x.resp.Headers = lines[:0]
}

// noLength leaves content-length out where the protocol does without.
const noLength = -1

// sendReply sends an answer of our own as the client's protocol has it.
func (x *exchange) sendReply(lines []http1.Header, length int, body []byte) {
	if s := x.down.s; s != nil {
		x.replyOnStream(s, lines, length, body)
		return
	}
	h := head{text: http1.AppendStatusLine(x.here.scratch[:0], x.status, nil)}
	h.text = http1.AppendContentLength(h.text, int64(max(length, 0)))
	x.answerFields(&h, lines, false)
	dst := append(x.endHead(h.text, false), body...)
	x.here.scratch = dst[:0]
	x.down.c.Commit(append(x.down.c.Begin(len(dst)), dst...))
}

// skipBody uses up the request if all of it is buffered already: the
// connection can go on then. Else it has to end (RFC 9112, 9.3).
func (x *exchange) skipBody() {
	if x.down.s != nil || x.closes || x.in.done || x.down.c.Closed() {
		return
	}
	buf := x.down.c.Buffered()[x.head:]
	for !x.in.done {
		_, n, err := x.in.next(buf, &x.here.room.limits)
		if err != nil || n == 0 {
			return
		}
		buf = buf[n:]
		x.head += n
	}
}
