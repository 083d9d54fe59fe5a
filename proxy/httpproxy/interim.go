package httpproxy

// What comes before the answer: 100 (Continue) of our own, or what the host says
// (proxy_100_continue).

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Interim answers are cheap to send and bounded for that: maxInterim are borne and
// dropped, maxInformed passed on.
const (
	maxInterim  = 10
	maxInformed = 100
)

// goOn tells a client that waits before it sends its body.
func (x *exchange) goOn() {
	x.here.count.Rq[1]++
	if s := x.down.s; s == nil {
		_ = x.down.c.Send(http1.AppendContinue(x.here.scratch[:0]))
	} else if s.Head() {
		s.Status(100)
		s.SendInterim()
	}
}

// interim takes an interim answer, whose head is in resp: it goes on to the client
// or is dropped. False if there have been too many.
func (x *exchange) interim() bool {
	x.interims++
	if !x.passesOn(x.resp.Status) {
		return x.interims-x.informed <= maxInterim
	}
	x.informed++
	x.inform()
	return x.informed <= maxInformed
}

// passesOn says which interim answers the client gets: those that Envoy knows
// (HeaderUtility::isSpecial1xx), and no client of HTTP/1.0 (RFC 9110, 15.2).
func (x *exchange) passesOn(status int) bool {
	return !x.raced && x.here.room.cfg.Proxy100Continue && !x.http10 && (status == 100 || status >= 102 && status <= 104)
}

// inform sends an interim answer on. What the answer itself gets besides is not
// added (ConnectionManagerImpl::ActiveStream::encode1xxHeaders).
func (x *exchange) inform() {
	x.here.count.Rq[1]++
	x.cluster.Count.Rq1xx++
	x.cluster.Count.RqCompleted++
	h := head{s: x.down.s}
	if h.s == nil {
		h.text = http1.AppendStatusLine(x.here.scratch[:0], x.resp.Status, nil)
	} else if !h.s.Head() {
		return
	} else {
		h.s.Status(x.resp.Status)
	}
	for i := range x.resp.Headers {
		if l := &x.resp.Headers[i]; !l.Hop && l.ID != http1.FieldContentLength {
			h.add(l.Name, l.Value, l.ID)
		}
	}
	if x.here.room.cfg.RequestIDInResponse && x.idn > 0 {
		h.add(nameRequestID, x.id[:x.idn], http1.FieldXRequestID)
	}
	if len(x.here.room.via) > 0 {
		h.add(nameVia, x.here.room.via, http1.FieldVia)
	}
	if h.s != nil {
		h.s.SendInterim()
		return
	}
	if x.here.room.cfg.ProperCase {
		http1.ProperCase(h.text)
	}
	text := http1.AppendHeadEnd(h.text)
	x.here.scratch = text[:0]
	x.down.c.Commit(append(x.down.c.Begin(len(text)), text...))
}

// readInterims takes what came on the host's stream before its answer.
func (x *exchange) readInterims(s *h2.Stream) outcome.Outcome {
	for f := s.NextInterim(); f != nil; f = s.NextInterim() {
		x.moved = x.w.Now()
		own := x.resp.Headers
		err := http2.ReadResponse(&x.resp, f, x.method, false)
		if err != nil || !x.interim() {
			x.cluster.Count.CxProtocolError++
			return outcome.ProtocolError
		}
		x.resp.Headers = own[:0]
	}
	return outcome.OK
}
