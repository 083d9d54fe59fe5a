package httpproxy

// The upstream's answer, from its head to the end of its body.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// maxInterim is how many 1xx answers are borne before the real one.
const maxInterim = 10

// readAnswer reads the head of the answer; it has n bytes, still buffered. 1xx
// heads are dropped: an expectation was answered here.
func (x *exchange) readAnswer() (n int, o outcome.Outcome) {
	up := x.lease.Conn
	for interim := 0; ; {
		if up.Pending() > 0 {
			n, err := x.resp.Parse(up.Buffered(), x.method, &x.limits)
			switch {
			case err != nil:
				x.cluster.Count.CxProtocolError++
				return 0, outcome.ProtocolError
			case n == 0:
			case x.resp.Status >= 200 || x.switched():
				return n, outcome.OK
			case x.resp.Status == 101 || interim == maxInterim:
				x.cluster.Count.CxProtocolError++
				return 0, outcome.ProtocolError
			default:
				interim++
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

// switched says that the upstream took up the protocol that was asked for.
func (x *exchange) switched() bool {
	if !x.upgrades {
		return false
	}
	if x.method == http1.MethodConnect {
		return x.resp.Status >= 200 && x.resp.Status < 300
	}
	return x.resp.Status == 101 && x.resp.Upgrade != nil
}

// respond sends the answer on. Its head has n bytes.
func (x *exchange) respond(n int) outcome.Outcome {
	up, c, res := x.lease.Conn, x.client, &x.resp
	kind := res.Body
	x.back.reset(kind, res.ContentLength)
	raw := kind == http1.BodyLength || x.http10
	chunked := kind != http1.BodyNone && !raw
	x.closes = x.closes || x.mustClose() || kind != http1.BodyLength && kind != http1.BodyNone && x.http10
	head := x.answerHead(x.here.scratch[:0], chunked)
	x.here.scratch = head[:0]
	up.Discard(n)
	x.started = true
	if raw && kind == http1.BodyLength {
		data, n, _ := x.back.next(up.Buffered(), nil)
		if len(data) > gathered {
			_ = c.SendTwo(head, data)
		} else {
			c.Commit(append(append(c.Begin(len(head)+len(data)), head...), data...))
		}
		up.Discard(n)
	} else {
		c.Commit(append(c.Begin(len(head)), head...))
	}
	return x.respondBody(chunked)
}

// respondBody sends the rest.
func (x *exchange) respondBody(chunked bool) outcome.Outcome {
	up, c := x.lease.Conn, x.client
	for {
		if err := x.back.relay(c, up, chunked, x.trailers, &x.limits); err != nil {
			x.cluster.Count.CxProtocolError++
			return outcome.ProtocolError
		}
		if c.WriteError() != nil || c.Closed() {
			return x.clientLost()
		}
		if x.back.done {
			return outcome.OK
		}
		if o := x.ease(c, x.conn.limit); o != outcome.OK {
			return o
		}
		if x.back.kind == http1.BodyLength && x.back.left >= longBody {
			return x.stream()
		}
		if o := x.more(); o != outcome.OK {
			if o == outcome.LostMidway && x.back.kind == http1.BodyUntilClose && x.ended() {
				x.back.done = true
				if chunked {
					x.back.end(c, false)
				}
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
	up, c, b := x.lease.Conn, x.client, &x.back
	for b.left > 0 {
		p, err := up.Stream(int(min(b.left, int64(max(x.conn.limit-c.Unsent(), leastRead)))))
		switch {
		case len(p) > 0:
			x.moved = x.w.Now()
			b.left -= int64(len(p))
			if c.Send(p) != nil || c.Closed() {
				return x.clientLost()
			}
			if o := x.ease(c, x.conn.limit); o != outcome.OK {
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
	return !x.req.KeepAlive || x.here.draining || x.upgrades ||
		x.complete == 0 && !x.in.done ||
		cfg.MaxRequestsPerConnection > 0 && cn.requests >= cfg.MaxRequestsPerConnection ||
		cfg.MaxConnectionDuration > 0 && x.w.Now()-cn.began >= int64(cfg.MaxConnectionDuration)
}

// answerHead writes the head that the client sees.
func (x *exchange) answerHead(dst []byte, chunked bool) []byte {
	cfg, res := x.here.room.cfg, &x.resp
	x.status = res.Status
	lines := fields{&res.Headers}
	if !cfg.SuppressEnvoyHeaders && x.complete != 0 {
		ms := appendInt(x.text[:0], (x.w.Now()-x.complete)/1e6)
		lines.put("x-envoy-upstream-service-time", ms)
	}
	if len(x.target.ResponseOps) > 0 {
		route.Apply(x.target.ResponseOps, lines)
	}
	dst = http1.AppendStatusLine(dst, res.Status, nil)
	return x.answerFields(dst, res.Headers, chunked, res.Body == http1.BodyNone && res.ContentLength < 0 && bodyExpected(res.Status, x.method))
}

// bodyExpected says whether an answer without a length would be read until the
// connection ends.
func bodyExpected(status int, m http1.MethodID) bool {
	return status >= 200 && status != 204 && status != 304 && m != http1.MethodHead
}

// answerFields writes the header lines of an answer and its end
// (ConnectionManagerUtility::mutateResponseHeaders, ConnectionManagerImpl::
// ActiveStream::encodeHeaders).
func (x *exchange) answerFields(dst []byte, lines []http1.Header, chunked, empty bool) []byte {
	cfg := x.here.room.cfg
	dated, served := false, false
	for i := range lines {
		h := &lines[i]
		if h.Hop {
			continue
		}
		switch h.ID {
		case http1.FieldServer:
			if cfg.ServerHeader == 0 {
				continue
			}
			served = true
		case http1.FieldDate:
			dated = true
		}
		dst = http1.AppendHeader(dst, h.Name, h.Value)
	}
	if empty {
		dst = append(dst, "content-length: 0\r\n"...)
	}
	for i := 0; x.hash.SetsCookie(); i++ {
		before := len(dst)
		dst = append(dst, "set-cookie: "...)
		var ok bool
		if dst, ok = x.route.AppendSetCookie(dst, &x.hash, i); !ok {
			dst = dst[:before]
			break
		}
		dst = append(dst, "\r\n"...)
	}
	if cfg.RequestIDInResponse && x.idn > 0 {
		dst = http1.AppendHeader(dst, "x-request-id", x.id[:x.idn])
	}
	if !dated {
		dst = append(append(append(dst, "date: "...), x.here.dateText()...), "\r\n"...)
	}
	if !served && cfg.ServerHeader != 2 {
		dst = http1.AppendHeader(dst, "server", x.here.room.server)
	}
	if len(x.here.room.via) > 0 {
		dst = http1.AppendHeader(dst, "via", x.here.room.via)
	}
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
	return http1.AppendHeadEnd(dst)
}

// Tunnels.

// join makes a tunnel of both connections after the upstream agreed: bytes go
// both ways, and an end of one side is passed on as such. The answer's head
// has n bytes.
func (x *exchange) join(n int) outcome.Outcome {
	up, c := x.lease.Conn, x.client
	for x.pumping { // the rest of the request itself
		x.joined.Wait(x.w)
	}
	if x.pumpEnd != outcome.OK {
		return x.pumpEnd
	}
	x.tunnel, x.closes, x.deadline = true, true, 0
	head := x.answerHead(x.here.scratch[:0], false)
	if x.method != http1.MethodConnect {
		head = head[:len(head)-2]
		head = append(head, "connection: Upgrade\r\n"...)
		head = http1.AppendHeadEnd(http1.AppendHeader(head, "upgrade", x.resp.Upgrade))
	}
	x.here.scratch = head[:0]
	up.Discard(n)
	x.started = true
	if err := c.Send(head); err != nil {
		return outcome.DownstreamGone
	}
	x.here.count.CxUpgrades++
	x.pumping = true
	x.w.Go(x.carry)
	o := x.carryBack(up)
	for o == outcome.OK && x.pumping {
		x.joined.Wait(x.w)
	}
	if o == outcome.OK {
		o = x.pumpEnd
	}
	return o
}

// carryBack passes the upstream's half on, up to its end.
func (x *exchange) carryBack(up *loop.Conn) outcome.Outcome {
	c := x.client
	for {
		if up.Pending() > 0 {
			if c.Send(up.Buffered()) != nil {
				return outcome.DownstreamGone
			}
			up.Discard(up.Pending())
		}
		if o := x.ease(c, x.conn.limit); o != outcome.OK {
			return o
		}
		if o := x.more(); o == outcome.LostMidway && x.ended() {
			c.CloseWrite()
			return outcome.OK
		} else if o != outcome.OK {
			return o
		}
	}
}

// carryRaw passes the client's half on, up to its end.
func (x *exchange) carryRaw(up *loop.Conn) outcome.Outcome {
	c := x.client
	for !x.stop {
		if c.Pending() > 0 {
			if up.Send(c.Buffered()) != nil {
				return outcome.LostMidway
			}
			c.Discard(c.Pending())
		}
		if o := x.ease(up, x.conn.limit); o != outcome.OK {
			return o
		}
		if o := x.moreRequest(); o == outcome.DownstreamGone && c.Ended() {
			up.CloseWrite()
			return outcome.OK
		} else if o != outcome.OK {
			return o
		}
	}
	return outcome.OK
}
