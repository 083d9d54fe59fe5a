package httpproxy

// CONNECT that ends here: what it carries goes to the host as bytes, and the answer
// is made here once the connection stands (Envoy upstreams/http/tcp,
// TcpUpstream::encodeHeaders).
//
//	CONNECT ─▶ pick ─▶ connect ─▶ PROXY header, if asked for ─▶ 200 ─▶ bytes both ways
//	POST, if allowed: its body is what is carried, and so is that of the answer

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/transport"
)

// endsHere says whether the request's payload goes on as bytes, without HTTP.
func (x *exchange) endsHere() bool {
	e := x.route.Ends
	return e != nil && (x.method == http1.MethodConnect || e.Post && x.method == http1.MethodPost)
}

// sendRaw sends what comes before the payload, and a payload that is here already.
func (x *exchange) sendRaw() outcome.Outcome {
	up := x.up.c
	if h := x.route.Ends.Header; h != nil {
		from := transport.Origin{Source: x.conn.info.Peer, Destination: x.conn.info.Local, TLVs: x.conn.c.OriginTLVs()}
		up.Commit(transport.AppendHeader(up.Begin(128), h, &from))
	}
	if x.method == http1.MethodConnect {
		return outcome.OK
	}
	if data := x.out[x.bodyAt:]; len(data) > 0 {
		up.Commit(append(up.Begin(len(data)), data...))
	}
	if x.whole {
		up.CloseWrite()
		return outcome.OK
	}
	return x.sendRest()
}

// answerRaw makes the answer: the connection stands.
func (x *exchange) answerRaw() {
	res := &x.resp
	res.Reset()
	res.Status, res.Version, res.KeepAlive = 200, 11, true
	res.Body, res.ContentLength = http1.BodyUntilClose, -1
	x.backHead = 0
}
