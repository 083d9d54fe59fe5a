package httpproxy

// What is noted of a request for those who look at it: header values with
// operators, access logs, matchers, expressions.

import (
	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// meet notes what is known of a connection that was just accepted.
func (cn *conn) meet() {
	l, c := cn.here, cn.c
	i := streaminfo.Known(c)
	if i == nil {
		i = &cn.own
	}
	cn.info = i
	l.ids++
	i.ID = (l.ids-1)*uint64(len(l.room.local)) + uint64(l.w.ID) + 1
	i.Peer, i.Local, i.TLS, i.Place = c.Peer(), c.Local(), transport.Of(c), l.room.env.Place
	i.SetNamespace(c.Namespace())
	i.Began = l.w.Now()
}

// kept is a request's head for those who look at it when the client's buffer has
// gone on. It is filled only if somebody will.
type kept struct {
	there bool
	head  streaminfo.Request
	text  []byte
}

func (k *kept) reset() {
	if k.there {
		k.there = false
		k.head = streaminfo.Request{Headers: k.head.Headers[:0]}
		k.text = k.text[:0]
	}
}

// hold copies a head.
func (k *kept) hold(r *streaminfo.Request) {
	k.there = true
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(k.text)
		k.text = append(k.text, b...)
		return k.text[at:len(k.text):len(k.text)]
	}
	lines := k.head.Headers[:0]
	k.head = *r
	k.head.Method, k.head.Scheme, k.head.Host = keep(r.Method), keep(r.Scheme), keep(r.Host)
	k.head.Path, k.head.ForwardedProto = keep(r.Path), keep(r.ForwardedProto)
	for i := range r.Headers {
		h := r.Headers[i]
		if !h.Hop {
			h.Name, h.Value = keep(h.Name), keep(h.Value)
			lines = append(lines, h)
		}
	}
	k.head.Headers = lines
}

// keep copies the request's head, as the host sees it, if somebody looks at it
// later.
func (x *exchange) keep() {
	if !x.kept.there && (x.here.room.needs|x.target.Needs)&format.NeedsRequest != 0 {
		x.view.Headers = x.req.Headers
		x.kept.hold(&x.view)
	}
}

// look lends what is known to whoever asks now.
func (x *exchange) look() *streaminfo.View {
	x.info.Protocol = x.protocolOf()
	v := &x.seen
	*v = streaminfo.View{Info: &x.info, Request: &x.view, Now: x.w.Now(), Wall: x.here.room.env.Wall()}
	if x.kept.there {
		v.Request = &x.kept.head
	}
	x.info.RequestID = x.id[:x.idn]
	return v
}

// eval is what the values in ops are made of; nil if they are all literal. lines
// are those that are to be changed: the answer's, or the request's.
func (x *exchange) eval(ops []route.Op, lines *[]http1.Header, answer bool) *route.Eval {
	if !route.HasFormats(ops) {
		return nil
	}
	x.values.View, x.values.Lines, x.values.Answer = x.look(), lines, answer
	return &x.values
}

// noteConnected notes by which connection the request goes.
func (x *exchange) noteConnected() {
	u := &x.info.Upstream
	x.info.Times.ConnectEnd = x.w.Now()
	u.Protocol = streaminfo.HTTP11
	if x.up.s != nil {
		u.Protocol = streaminfo.HTTP2
	}
	needs := x.here.room.needs | x.target.Needs | x.served.needs
	if needs == 0 {
		return // nobody asks for what costs more
	}
	c := x.up.c
	if x.up.s != nil {
		c = x.up.s.Conn().Net()
	}
	u.Remote, u.TLS = c.Peer(), transport.Of(c)
	if needs&format.NeedsLocal != 0 {
		u.Local = c.Local()
	}
	if x.here.room.env.UpstreamLogs != nil {
		x.upstreamBegins()
	}
}

// noteAnswer notes how the head of an answer came, or did not.
func (x *exchange) noteAnswer(o outcome.Outcome) {
	if o == outcome.OK {
		x.info.Times.UpstreamRecvBegan = x.w.Now()
		x.info.Bytes.UpstreamHeadReceived = uint64(x.backHead)
	}
}

// noteEnd notes how the request ended, before what it held is given back and it is
// answered.
func (x *exchange) noteEnd(o outcome.Outcome) {
	i := &x.info
	i.Outcome = o
	i.Flags |= streaminfo.FlagFor(o)
	switch {
	case x.back.done && x.started:
		i.Times.UpstreamRecvEnd = x.moved
	case o == outcome.OK && x.replied && x.route != nil && i.Details == "":
		i.Details = "direct_response"
	}
	if x.here.room.needs&format.NeedsTrailers != 0 && x.started {
		x.keepTrailers()
	}
}

// keepTrailers copies the answer's trailers for those who look at them when all is
// over.
func (x *exchange) keepTrailers() {
	if lines := x.trailersCame(); len(lines) > 0 {
		x.trailed.hold(&streaminfo.Request{Headers: lines})
		x.info.Bytes.ResponseTrailers = sizeOf(lines)
	}
}

// trailersCame are the trailers that the host has sent.
func (x *exchange) trailersCame() []http1.Header {
	switch {
	case x.up.s != nil && x.up.s.Trailed():
		return x.up.s.Trailers.Headers
	case x.up.s == nil && x.back.kind == http1.BodyChunked && x.back.done:
		return x.back.chunks.Trailers()
	}
	return nil
}

// noteHead notes the head of an answer as it is sent.
func (x *exchange) noteHead(lines []http1.Header) {
	x.info.Times.SendBegan = x.w.Now()
	if x.here.room.needs&format.NeedsResponse != 0 {
		x.answered.reset()
		x.answered.hold(&streaminfo.Request{Headers: lines})
	}
}

// protocolOf is what the client speaks.
func (x *exchange) protocolOf() streaminfo.Protocol {
	switch {
	case x.conn.h != nil:
		return streaminfo.HTTP2
	case x.http10:
		return streaminfo.HTTP10
	}
	return streaminfo.HTTP11
}

// sizeOf is what lines take as HTTP/1.1 writes them.
func sizeOf(lines []http1.Header) (n uint64) {
	for i := range lines {
		if !lines[i].Hop {
			n += uint64(len(lines[i].Name) + len(lines[i].Value) + 4)
		}
	}
	return n
}

// log ends the request's account, and writes it where it is asked for.
func (x *exchange) log() {
	x.w.ClearTimer(&x.logTimer)
	x.info.Times.Ended = x.w.Now()
	if x.unlogged {
		status := x.status
		if x.made || x.replied {
			status = 0 // the answer is not the host's
		}
		x.upstreamEnds(x.info.Outcome, status)
	}
	if x.here.room.env.Logs != nil {
		x.info.Times.SendEnd = x.info.Times.Ended
		x.write(streaminfo.DownstreamEnd)
	}
}

// write writes an entry of what is known by now.
func (x *exchange) write(t streaminfo.LogType) {
	x.info.Status = x.status
	x.writeTo(x.here.room.env.Logs, t)
}

func (x *exchange) writeTo(logs *accesslog.Log, t streaminfo.LogType) {
	i := &x.info
	b := &i.Bytes
	b.Received, b.Sent = x.in.count, x.back.count
	if x.made {
		b.Sent = uint64(len(x.local))
	}
	b.WireReceived, b.WireSent = b.RequestHead+b.Received, b.ResponseHead+b.Sent
	b.UpstreamWireSent, b.UpstreamWireReceived = b.UpstreamHeadSent+b.Received, b.UpstreamHeadReceived+x.back.count
	v := x.look()
	v.Log = t
	if x.answered.there {
		v.Response, v.Answered = x.answered.head.Headers, true
	}
	if x.trailed.there {
		v.Trailers = x.trailed.head.Headers
	}
	if x.made && !x.grpc {
		v.Body = string(x.local)
	}
	logs.Write(x.w, v)
}

// logBegin writes what the options want of a request that has come, and begins
// their interval.
func (x *exchange) logBegin() {
	o := &x.here.room.cfg.LogOptions
	if x.here.room.env.Logs == nil {
		return
	}
	if o.OnRequest {
		x.write(streaminfo.DownstreamStart)
	}
	if o.FlushInterval > 0 {
		x.w.SetTimer(&x.logTimer, o.FlushInterval, x.tick)
	}
}

// logAgain writes what is known while the request goes on.
func (x *exchange) logAgain() {
	x.write(streaminfo.DownstreamPeriodic)
	x.w.SetTimer(&x.logTimer, x.here.room.cfg.LogOptions.FlushInterval, x.tick)
}
