package httpproxy

// What is different where a side speaks HTTP/2.

import (
	"bytes"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// The client's side.

// streams is a client's connection that speaks HTTP/2, as its h2.Owner.
type streams struct{ *conn }

// Opened takes a request. Its head is read here, before anything of its body is
// looked at; the rest is a coroutine's.
func (cn streams) Opened(s *h2.Stream, err error) {
	l := cn.here
	x := l.take(cn.conn)
	x.down = end{s: s}
	x.since = l.w.Now()
	s.Broken = x.vanish
	cn.requests++
	if err == nil {
		err = http2.ReadRequest(&x.req, &s.Fields, s.Last(), l.room.cfg.HTTP2.AllowConnect)
	}
	if e, ok := err.(*http2.Error); ok {
		cn.malformed(x, e)
		return
	}
	x.bad = err
	if err == nil {
		s.SetLength(x.req.ContentLength)
	}
	if m := l.room.cfg.MaxRequestsPerConnection; m > 0 && cn.requests >= m || cn.tooOld() || l.leaves() {
		cn.h.Drain()
	}
	l.w.Go(x.life)
}

// owner is the connection as its streams' owner.
func (cn *conn) owner() h2.Owner {
	m := cn.here.room.cfg.MaxConnectionDuration
	if m == 0 {
		return streams{cn}
	}
	a := &aging{streams: streams{cn}}
	a.next = a.passed
	cn.here.w.SetTimer(&a.timer, max(m-time.Duration(cn.here.w.Now()-cn.info.Began), time.Millisecond), a.next)
	return a
}

// aging is a connection that may live only so long (max_connection_duration): then its
// client is told, whatever is under way, and after drain_timeout that no more is taken
// (Envoy source/common/http/conn_manager_impl.cc, onConnectionDurationTimeout).
type aging struct {
	streams
	timer loop.Timer
	next  func()
}

// passed is called when the connection may be too old.
func (a *aging) passed() {
	if !a.tooOld() {
		a.here.w.SetTimer(&a.timer, time.Millisecond, a.next)
		return
	}
	a.h.Drain()
	a.here.w.SetTimer(&a.timer, max(a.here.room.cfg.DrainTimeout, time.Millisecond), a.h.LastCall)
}

// Lost forgets the connection.
func (a *aging) Lost(h *h2.Conn) {
	a.here.w.ClearTimer(&a.timer)
	a.streams.Lost(h)
}

// tooOld reports whether the connection has lived as long as it may; that is
// counted once.
func (cn *conn) tooOld() bool {
	m := cn.here.room.cfg.MaxConnectionDuration
	if m == 0 || cn.here.w.Now()-cn.info.Began < int64(m) {
		return false
	}
	if !cn.old {
		cn.old = true
		cn.here.count.CxMaxDuration++
	}
	return true
}

// malformed ends a stream whose head is no request, or its connection
// (override_stream_error_on_invalid_http_message).
func (cn *conn) malformed(x *exchange, e *http2.Error) {
	l, s := cn.here, x.down.s
	l.count.CxProtocolError++
	s.Broken = nil
	s.Reset(e.Code)
	s.Close()
	l.give(x)
	if !l.room.cfg.HTTP2.ResetInvalid {
		cn.h.Fail(&http2.Error{Code: e.Code, Reason: e.Reason})
	}
}

// serve is the coroutine of a stream's exchange.
func (x *exchange) serve() {
	defer x.abandoned()
	l := x.here
	x.run(0, x.bad)
	x.down.s.Close()
	l.give(x)
}

// abandoned gives back what a request held that a panic has ended.
func (x *exchange) abandoned() {
	if x.conn != nil && x.down.s != nil {
		x.broken()
		x.down.s.Close()
	}
}

// clientGone is called when the client has reset the stream, or its connection is
// lost: whatever the exchange waits for, it waits no more.
func (x *exchange) clientGone() {
	if x.pumpEnd == outcome.OK {
		x.pumpEnd = outcome.DownstreamGone
	}
	x.wakeFilters()
	switch {
	case x.attempt != nil, x.retry.pausing, x.race.wait:
		x.rouse()
	case x.up.s != nil:
		x.up.s.Reset(http2.Cancel)
	case x.lease != nil:
		x.lease.Conn.Reset()
	}
}

// finishStream is what becomes of the stream. What is queued is sent by itself.
func (x *exchange) finishStream() {
	s := x.down.s
	if s.Err() == nil && !s.Sent() {
		s.Reset(http2.InternalError)
	}
}

// Changed bounds how long the connection may be without a request.
func (cn streams) Changed(h *h2.Conn) {
	if cn.h != nil && h.Streams() == 0 {
		cn.rest()
	}
}

// Expired ends a connection that was idle too long, or that is drained.
func (cn streams) Expired(h *h2.Conn) {
	cn.here.count.CxIdleTimeout++
	h.Shut(http2.NoError, "")
}

// Lost forgets the connection.
func (cn streams) Lost(*h2.Conn) { cn.Closed(nil) }

// respondStream sends the answer's head, and then its body, to a client that
// speaks HTTP/2.
func (x *exchange) respondStream() outcome.Outcome {
	s, res := x.down.s, &x.resp
	x.back.reset(res.Body, res.ContentLength)
	x.status = res.Status
	whole := x.back.done
	if x.up.s != nil {
		whole = x.up.s.Last() && x.up.s.Pending() == 0 && !x.up.s.Trailed()
		x.back.done = whole
	}
	if !s.Head() {
		return x.clientLost()
	}
	s.Status(res.Status)
	x.answerFields(&head{s: s}, res.Headers, false)
	s.SendHead(whole)
	if x.up.c != nil {
		x.up.c.Discard(x.backHead)
	}
	x.started = true
	if whole {
		return outcome.OK
	}
	return x.respondBody(false)
}

// replyOnStream sends an answer of our own.
func (x *exchange) replyOnStream(s *h2.Stream, lines []http1.Header, length int, body []byte) {
	if !s.Head() {
		return
	}
	s.Status(x.status)
	h := head{s: s}
	if length != noLength {
		h.add(nameLength, appendInt(x.text[:0], int64(length)), http1.FieldContentLength)
	}
	x.answerFields(&h, lines, false)
	s.SendHead(len(body) == 0)
	if len(body) > 0 {
		s.Send(body, true)
	}
}

// The host's side.

// speaksHTTP2 says what the host is to be spoken to in.
func (x *exchange) speaksHTTP2() bool {
	if x.raw {
		return false
	}
	switch x.owner.Config().HTTP.Protocol {
	case config.UpstreamHTTP2:
		return true
	case config.UpstreamDownstream:
		return x.down.s != nil
	case config.UpstreamAuto:
		return !x.hostOn.HTTP1
	}
	return false
}

// passesTrailers says whether trailers go on: HTTP/2 always has them, HTTP/1.1 if
// it is told to.
func (x *exchange) passesTrailers() bool {
	return (x.down.s != nil || x.here.room.cfg.EnableTrailers) && (x.shared || x.owner.Config().HTTP.EnableTrailers)
}

// fallBack goes on in HTTP/1.1: the host has chosen it.
func (x *exchange) fallBack() {
	x.hostOn.HTTP1 = true
	x.shared = false
	x.trailers = x.passesTrailers()
	if !x.held.use {
		x.rewriteKept()
	}
}

// keepHead makes sure that the head that the host shall see, and a small body,
// outlive the wait for a stream, and that they can go out more than once. What
// came in a stream does, but for its body; what an HTTP/1.1 client has sent is
// borrowed from its connection's buffer and is copied.
func (x *exchange) keepHead() {
	x.autoHost()
	x.keep()
	small, n := x.smallBody()
	var out []byte
	if s := x.down.s; s == nil {
		out = x.copyHead(n)
	} else if !small && !x.reads() && s.Last() && !s.Trailed() && s.Pending() <= smallBody {
		small, n = true, s.Pending()
	}
	x.whole, x.bodyAt = small, len(out)
	if n > 0 {
		x.in.done = x.in.done || !x.reads()
		if out == nil {
			out = x.w.Buffer(n)
		}
	}
	x.out = x.takeSmall(out, n)
	x.view.Headers, x.view.Method, x.view.ForwardedProto = x.req.Headers, x.req.Method, nil
	x.hostName = bytesOf("host")
}

// autoHost makes the host's own name the Host if config says so.
func (x *exchange) autoHost() {
	if x.route.AutoHostRewrite {
		if name := x.host.Hostname(); name != "" {
			x.newHost(bytesOf(name))
		}
	}
}

// copyHead copies what the head borrows, with room for n bytes more behind it.
func (x *exchange) copyHead(n int) []byte {
	v, req := &x.view, &x.req
	size := len(req.Method) + len(v.Path) + len(v.Host) + len(v.Scheme) + len(req.Upgrade) + n
	for i := range req.Headers {
		size += len(req.Headers[i].Name) + len(req.Headers[i].Value)
	}
	out := x.w.Buffer(size)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(out)
		out = append(out, b...)
		return out[at:len(out):len(out)]
	}
	req.Method, v.Path, v.Host, v.Scheme, req.Upgrade = keep(req.Method), keep(v.Path), keep(v.Host), keep(v.Scheme), keep(req.Upgrade)
	v.Method = req.Method // filters and mirrors look at it when the buffer has been used again
	for i := range req.Headers {
		h := &req.Headers[i]
		if h.ID == http1.FieldSecWebSocketKey && x.upgrades {
			x.keyn = uint8(copy(x.key[:], h.Value))
		}
		h.Name, h.Value = keep(h.Name), keep(h.Value)
	}
	return out
}

// sendStream sends the request on a stream.
func (x *exchange) sendStream() outcome.Outcome {
	s, body := x.up.s, x.out[x.bodyAt:]
	if x.extended() && !s.Conn().Connects() && s.Conn().Settled() {
		return outcome.UpgradeRefused
	}
	// An end that came as DATA goes on as DATA: grpc-go's server does not tell its
	// handler of an end that comes with the head.
	bare := x.in.kind == http1.BodyNone && !x.upgrades && !x.reads()
	if !s.Head() {
		return x.lost(s.Err())
	}
	s.Interims = x.here.room.cfg.Proxy100Continue
	x.writeBlock(s)
	s.SendHead(bare)
	if bare {
		return outcome.OK
	}
	if x.whole && !x.upgrades {
		s.Send(body, true)
		return outcome.OK
	}
	s.Send(body, false)
	if x.upgrades {
		x.in.done = true // what follows belongs to the tunnel
		return outcome.OK
	}
	return x.sendRest()
}

// writeBlock adds the request's head to the stream's block.
func (x *exchange) writeBlock(s *h2.Stream) {
	v, req := &x.view, &x.req
	method, path, scheme := req.Method, v.Path, v.Scheme
	var protocol []byte
	if x.here.room.cfg.SchemeOfUpstream {
		scheme = bytesOf("http")
		if p := x.host.Target().Path; p != nil && p.Secured() {
			scheme = bytesOf("https")
		}
	}
	switch {
	case x.extended():
		method, protocol = methodConnect, req.Upgrade
	case x.method == http1.MethodConnect:
		path, scheme = nil, nil
	}
	s.Request(method, scheme, v.Host, path, protocol)
	for i := range req.Headers {
		h := &req.Headers[i]
		if h.Hop || protocol != nil && h.ID == http1.FieldSecWebSocketKey && isWebSocket(protocol) {
			continue
		}
		s.Field(h.Name, h.Value, h.ID)
	}
}

// extended says that HTTP/2 asks for this by an extended CONNECT (RFC 8441): an
// upgrade, or a CONNECT with a path, which is one of bytestream.
func (x *exchange) extended() bool { return x.req.Upgrade != nil && len(x.view.Path) > 0 }

func isWebSocket(upgrade []byte) bool { return equalFold(bytes.TrimSpace(upgrade), "websocket") }

// rewriteKept makes a kept head into one of HTTP/1.1.
func (x *exchange) rewriteKept() {
	kept, at := x.out, x.bodyAt
	v, req := &x.view, &x.req
	out := x.w.Buffer(len(kept) + 1024)
	out = x.appendHead(out, req, v)
	x.out = append(out, kept[at:]...)
	x.bodyAt = 0
	x.w.FreeBuffer(kept)
}

// readHeaders waits for the head of the answer.
func (x *exchange) readHeaders() outcome.Outcome {
	s := x.up.s
	for {
		if o := x.readInterims(s); o != outcome.OK {
			return o
		}
		if s.Answered() {
			break
		}
		if o := x.awaitStream(s); o != outcome.OK {
			return o
		}
	}
	x.moved = x.w.Now()
	if x.own = x.resp.Headers; x.own == nil {
		x.own = make([]http1.Header, 0, 24)
	}
	end := s.Last() && s.Pending() == 0 && (x.flt == nil && x.tried == nil || !s.Trailed()) // filters read the trailers behind a body
	if err := http2.ReadResponse(&x.resp, &s.Fields, x.method, end); err != nil {
		x.cluster.Count.CxProtocolError++
		return outcome.ProtocolError
	}
	if x.resp.Body == http1.BodyLength {
		s.SetLength(x.resp.ContentLength)
	}
	return outcome.OK
}

// moreOfAnswer waits until the upstream's stream has something new.
func (x *exchange) moreOfAnswer() outcome.Outcome {
	s := x.up.s
	for s.Pending() == 0 && !s.Last() {
		if o := x.awaitStream(s); o != outcome.OK || x.nudged() {
			return o
		}
	}
	x.moved = x.w.Now()
	return outcome.OK
}

// awaitStream waits once, as long as patience says.
func (x *exchange) awaitStream(s *h2.Stream) outcome.Outcome {
	err := s.Wait(x.patience())
	switch {
	case err == nil:
		return outcome.OK
	case err != h2.ErrTimeout:
		return x.lost(err)
	}
	return x.overdue()
}

// resetByPeer is the Reason of a stream that the peer has reset.
const resetByPeer = h2.ResetByPeer
