package httpproxy

// Answers that are made here: errors, redirects, direct responses.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// reply is an answer of our own.
type reply struct {
	status   int
	body     string
	location []byte
	ops      []route.Op
	filter   *filter.Reply // what else a filter says
	// contentType of the body, "" for text/plain.
	contentType string
	// format makes the body of the request; nil: body as it is.
	format *format.Body
}

// replyTo words the end of a request that failed (http/utility.cc:
// Utility::sendLocalReply; router.cc).
func (x *exchange) replyTo(o outcome.Outcome) reply {
	r := reply{status: o.HTTPStatus(), body: o.HTTPBody()}
	if body, _ := o.Because(x.info.Upstream.Failure); body != "" {
		r.body = body
	}
	switch o {
	case outcome.BadRequest:
		if x.refused != 0 {
			r.status = x.refused.Status()
			r.body = http1.StatusText(r.status)
		}
	case outcome.OriginUnknown:
		r.status = x.refusal
	case outcome.InvalidHeader:
		r.body = x.notStrict.body()
	case outcome.NoCluster:
		if s := x.route.NotFoundStatus; s != 0 {
			r.status = s
		}
	case outcome.IdleTimeout, outcome.DurationTimeout, outcome.UpstreamStreamTooLong:
		if x.complete == 0 {
			r.status = o.HTTPStatusEarly()
		}
	case outcome.Timeout, outcome.PerTryTimeout, outcome.PerTryIdleTimeout:
		if x.retry.says.alt {
			r.status, r.body = 204, ""
		}
	default:
		if x.retry.number > 1 {
			r.body = outcome.Retried(r.body)
		}
	}
	return r
}

// fill makes the body of an answer, where it is made of the request.
func (x *exchange) fill(r *reply) {
	if r.contentType == "" {
		r.contentType = "text/plain"
	}
	if r.filter != nil && r.filter.ContentType != "" {
		r.contentType = r.filter.ContentType
	}
	x.info.Status = r.status
	if r.format == nil {
		return
	}
	v := x.look()
	v.Body = r.body
	r.body, r.contentType = string(r.format.Append(nil, v)), r.format.ContentType
}

// answer sends the answer to a request that goes nowhere, or failed before
// anything of an answer was sent.
func (x *exchange) answer(o outcome.Outcome) {
	if !x.made && !x.word(o) || x.flt != nil && !x.flt.readLocal() {
		x.down.cut(http2.InternalError)
		return
	}
	x.skipBody()
	x.closes = x.closes || x.mustClose()
	x.tellStatus()
	x.status = x.resp.Status
	if x.method == http1.MethodHead {
		x.local = nil
	}
	x.hash, x.tunnel = route.Hash{}, false
	x.sendReply(x.resp.Headers, x.length, x.local)
	x.resp.Headers = x.resp.Headers[:0]
}

// word makes the answer: head in resp, body in local. False: there is none.
func (x *exchange) word(o outcome.Outcome) bool {
	r := x.reply
	if !x.replied && r.filter == nil {
		r = x.replyTo(o)
	}
	if r.status == 0 {
		return false
	}
	x.made = true
	if r.status == 400 && x.down.s == nil && !x.here.room.cfg.KeepAfterBadRequest {
		x.closes = true // ActiveStream::onLocalReply
	}
	lines := x.resp.Headers[:0]
	f := fields{&lines}
	x.fill(&r)
	more := x.reword(&r)
	x.resp.Status, x.length, x.local = r.status, len(r.body), bytesOf(r.body)
	switch {
	case x.grpc && !(r.filter != nil && r.filter.Raw):
		x.resp.Status, x.length, x.local = 200, noLength, nil
		x.wordGRPC(f, o, &r)
	case r.body != "":
		f.put("content-type", bytesOf(r.contentType))
	}
	if a := r.filter; a != nil {
		lines = append(lines, a.Headers...)
	}
	if len(r.location) > 0 {
		f.put("location", r.location)
	}
	if x.route != nil && x.route.AttemptCountInResponse && x.cluster != nil {
		f.put("x-envoy-attempt-count", appendInt(x.retry.count[:0], int64(x.retry.number)))
	}
	if o == outcome.Overflow {
		f.put("x-envoy-overloaded", bytesOf("true"))
	}
	if o == outcome.Overload && x.here.room.cfg.AppendLocalOverload {
		f.put("x-envoy-local-overloaded", bytesOf("true"))
	}
	if name := o.DropHeader(); name != "" && !x.here.room.cfg.SuppressEnvoyHeaders {
		f.put(name, bytesOf("true"))
	}
	if len(more) > 0 {
		route.Apply(more, f, x.eval(more, &lines, true))
	}
	if len(r.ops) > 0 {
		route.Apply(r.ops, f, x.eval(r.ops, &lines, true))
	}
	x.resp.Headers = lines
	if x.flt == nil && r.filter == nil { // one of those filters may have replaced the answer
		x.showEarly(o)
	}
	return true
}

// noLength leaves content-length out where the protocol does without.
const noLength = -1

// sendReply sends an answer of our own as the client's protocol has it.
func (x *exchange) sendReply(lines []http1.Header, length int, body []byte) {
	if s := x.down.s; s != nil {
		x.replyOnStream(s, lines, length, body)
		return
	}
	h := head{text: http1.AppendStatusLine(x.here.scratch[:0], x.status, x.reason())}
	if x.status != 204 { // RFC 9110, 8.6
		h.text = http1.AppendContentLength(h.text, int64(max(length, 0)))
	}
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
