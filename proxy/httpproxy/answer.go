package httpproxy

// The upstream's answer, from its head to the end of its body.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// readAnswer reads the head of the answer; it has n bytes, still buffered.
func (x *exchange) readAnswer() (n int, o outcome.Outcome) {
	if x.up.s != nil {
		return 0, x.readHeaders()
	}
	up := x.up.c
	for {
		if up.Pending() > 0 {
			n, err := x.resp.Parse(up.Buffered(), x.method, &x.limits)
			switch {
			case err != nil:
				x.cluster.Count.CxProtocolError++
				return 0, outcome.ProtocolError
			case n == 0:
			case x.resp.Status >= 200 || x.switched():
				return n, outcome.OK
			case x.resp.Status == 101 || !x.interim():
				x.cluster.Count.CxProtocolError++
				return 0, outcome.ProtocolError
			default:
				up.Discard(n)
				continue
			}
		}
		if o := x.more(); o != outcome.OK {
			if o == outcome.ConnectionLost && up.Pending() > 0 {
				o = outcome.ProtocolError // an end amid the head (Envoy: the codec's error)
				x.cluster.Count.CxProtocolError++
			}
			return 0, o
		}
	}
}

// respond sends the answer on.
func (x *exchange) respond() outcome.Outcome {
	if f := x.reader(); f != nil {
		return x.respondRead(f)
	}
	if x.down.s != nil {
		return x.respondStream()
	}
	c, res := x.down.c, &x.resp
	kind := res.Body
	x.back.reset(kind, res.ContentLength)
	raw := kind == http1.BodyLength || x.http10
	chunked := kind != http1.BodyNone && !raw
	x.closes = x.closes || x.mustClose() || kind != http1.BodyLength && kind != http1.BodyNone && x.http10
	text := x.answerHead(x.here.scratch[:0], chunked)
	x.here.scratch = text[:0]
	x.info.Bytes.ResponseHead = uint64(len(text))
	x.started = true
	if x.up.s != nil {
		c.Commit(append(c.Begin(len(text)), text...))
		return x.respondBody(chunked)
	}
	up := x.up.c
	up.Discard(x.backHead)
	if raw && kind == http1.BodyLength {
		data, n, _ := x.back.next(up.Buffered(), nil)
		if len(data) > gathered {
			_ = c.SendTwo(text, data)
		} else {
			c.Commit(append(append(c.Begin(len(text)+len(data)), text...), data...))
		}
		up.Discard(n)
	} else {
		c.Commit(append(c.Begin(len(text)), text...))
	}
	return x.respondBody(chunked)
}

// respondBody sends the rest.
func (x *exchange) respondBody(chunked bool) outcome.Outcome {
	for {
		if err := x.back.relay(&x.down, &x.up, chunked, x.trailers, &x.limits); err != nil {
			x.cluster.Count.CxProtocolError++
			return outcome.ProtocolError
		}
		if x.down.broken() {
			return x.clientLost()
		}
		if x.back.done {
			return outcome.OK
		}
		if o := x.ease(&x.down, x.conn.limit); o != outcome.OK {
			return o
		}
		if x.back.kind == http1.BodyLength && x.back.left >= longBody && x.down.c != nil && x.up.c != nil {
			return x.stream()
		}
		if o := x.more(); o != outcome.OK {
			if o == outcome.LostMidway && x.back.kind == http1.BodyUntilClose && x.ended() && !x.up.c.Truncated() {
				x.back.done = true
				x.down.finish(chunked, nil)
				return outcome.OK
			}
			return o
		}
	}
}

// longBody is the size from which a body is passed on by long reads, without
// looking at it; leastRead keeps them worth their system call when the client's
// queue is all but full.
const (
	longBody  = 64 << 10
	leastRead = 16 << 10
)

// stream sends the rest of a long body of known length.
func (x *exchange) stream() outcome.Outcome {
	up, c, b := x.up.c, x.down.c, &x.back
	for b.left > 0 {
		p, err := up.Stream(int(min(b.left, int64(max(x.conn.limit-c.Unsent(), leastRead)))))
		switch {
		case len(p) > 0:
			x.moved = x.w.Now()
			b.left -= int64(len(p))
			b.count += uint64(len(p))
			if c.Send(p) != nil || c.Closed() {
				return x.clientLost()
			}
			if o := x.ease(&x.down, x.conn.limit); o != outcome.OK {
				return o
			}
			if up.Spent() {
				x.w.Yield()
			}
		case err != nil:
			return x.lost(err)
		default:
			if o := x.await(up); o != outcome.OK {
				return o
			}
		}
	}
	b.done = true
	return outcome.OK
}

func (x *exchange) clientLost() outcome.Outcome {
	if x.pumpEnd != outcome.OK {
		return x.pumpEnd
	}
	return outcome.DownstreamGone
}

// mustClose says that the connection cannot serve another request: somebody
// wants it to end, or what else came on it is in doubt.
func (x *exchange) mustClose() bool {
	cfg, cn := x.here.room.cfg, x.conn
	return !x.req.KeepAlive || x.here.leaves() || x.upgrades ||
		x.complete == 0 && !x.in.done ||
		cfg.MaxRequestsPerConnection > 0 && cn.requests >= cfg.MaxRequestsPerConnection ||
		cn.tooOld()
}

// answerHead writes the head that an HTTP/1.1 client sees.
func (x *exchange) answerHead(dst []byte, chunked bool) []byte {
	x.status = x.resp.Status
	res := &x.resp
	h := head{text: http1.AppendStatusLine(dst, res.Status, x.reason())}
	x.answerFields(&h, res.Headers, res.Body == http1.BodyNone && res.ContentLength < 0 && bodyExpected(res.Status, x.method))
	return x.endHead(h.text, chunked)
}

// changeAnswer does to the upstream's head what the router does (Filter::
// onUpstreamHeaders).
func (x *exchange) changeAnswer() {
	res := &x.resp
	lines := fields{&res.Headers}
	if !x.here.room.cfg.SuppressEnvoyHeaders && x.complete != 0 {
		ms := appendInt(x.text[:0], (x.w.Now()-x.complete)/1e6)
		if i := lines.find("x-envoy-upstream-service-time"); i >= 0 {
			res.Headers[i].Value = ms
		} else {
			lines.put("x-envoy-upstream-service-time", ms)
		}
	}
	if len(x.target.ResponseOps) > 0 {
		x.info.Status = res.Status
		route.Apply(x.target.ResponseOps, lines, x.eval(x.target.ResponseOps, &res.Headers, true))
	}
	if x.route.AttemptCountInResponse {
		lines.setBytes("x-envoy-attempt-count", appendInt(x.retry.count[:0], int64(x.retry.number)))
	}
}

// bodyExpected says whether an answer without a length would be read until the
// connection ends.
func bodyExpected(status int, m http1.MethodID) bool {
	return status >= 200 && status != 204 && status != 304 && m != http1.MethodHead
}

// answerFields writes the header lines of an answer
// (ConnectionManagerUtility::mutateResponseHeaders, ConnectionManagerImpl::
// ActiveStream::encodeHeaders).
func (x *exchange) answerFields(h *head, lines []http1.Header, empty bool) {
	cfg := x.here.room.cfg
	x.noteHead(lines)
	dated, served := false, false
	for i := range lines {
		l := &lines[i]
		if l.Hop {
			continue
		}
		switch l.ID {
		case http1.FieldServer:
			if cfg.ServerHeader == 0 {
				continue
			}
			served = true
		case http1.FieldDate:
			dated = true
		}
		h.add(l.Name, l.Value, l.ID)
	}
	if empty {
		h.add(nameLength, valueZero, http1.FieldContentLength)
	}
	if x.hash.SetsCookie() {
		x.answerCookies(h)
	}
	if cfg.RequestIDInResponse && x.idn > 0 {
		h.add(nameRequestID, x.id[:x.idn], http1.FieldXRequestID)
	}
	if !dated {
		h.add(nameDate, x.here.dateText(), http1.FieldDate)
	}
	if !served && cfg.ServerHeader != 2 {
		h.add(nameServer, x.here.room.server, http1.FieldServer)
	}
	if len(x.here.room.via) > 0 {
		h.add(nameVia, x.here.room.via, http1.FieldVia)
	}
}

// answerCookies adds the cookies that hash policies have made.
func (x *exchange) answerCookies(h *head) {
	for i := 0; ; i++ {
		cookie, ok := x.route.AppendSetCookie(x.text[:0], &x.hash, i)
		if !ok {
			return
		}
		h.add(nameSetCookie, cookie, http1.FieldSetCookie)
	}
}

// endHead adds what an HTTP/1.1 head says of the connection and of the body.
func (x *exchange) endHead(dst []byte, chunked bool) []byte {
	switch {
	case x.tunnel:
	case x.closes:
		dst = append(dst, "connection: close\r\n"...)
	case x.http10:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	if chunked {
		dst = http1.AppendFraming(dst, http1.BodyChunked)
	}
	if x.here.room.cfg.ProperCase {
		http1.ProperCase(dst)
	}
	return http1.AppendHeadEnd(dst)
}
