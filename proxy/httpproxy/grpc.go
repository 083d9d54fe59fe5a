package httpproxy

// Answers of our own to gRPC clients (Envoy http/utility.cc sendLocalReply,
// grpc/status.cc httpToGrpcStatus; gRPC over HTTP/2, PROTOCOL-HTTP2.md).

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

var valueGRPC = []byte("application/grpc")

// isGRPC says whether a content-type is gRPC's: application/grpc, or that with a
// suffix (Grpc::Common::isGrpcRequestHeaders).
func isGRPC(contentType []byte) bool {
	rest, ok := bytes.CutPrefix(contentType, valueGRPC)
	return ok && (len(rest) == 0 || rest[0] == '+')
}

// answerGRPC ends the call: status 200, and what happened in grpc-status and
// grpc-message, without a body.
func (x *exchange) answerGRPC(o outcome.Outcome, r *reply) {
	x.skipBody()
	x.closes = x.closes || x.mustClose()
	lines := x.resp.Headers[:0]
	f := fields{&lines}
	f.put("content-type", valueGRPC)
	f.put("grpc-status", appendInt(x.text[:0], int64(grpcStatus(o, r.status))))
	if r.body != "" {
		f.put("grpc-message", appendPercent(nil, r.body))
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
	x.hash, x.tunnel = route.Hash{}, false
	x.status = 200
	if s := x.down.s; s != nil {
		if s.Head() {
			s.Status(200)
			x.answerFields(&head{s: s}, lines, false)
			s.SendHead(true)
		}
	} else {
		h := head{text: http1.AppendStatusLine(x.here.scratch[:0], 200, nil)}
		h.text = http1.AppendContentLength(h.text, 0)
		x.answerFields(&h, lines, false)
		dst := x.endHead(h.text, false)
		x.here.scratch = dst[:0]
		x.down.c.Commit(append(x.down.c.Begin(len(dst)), dst...))
	}
	x.resp.Headers = lines[:0]
}

// grpcStatus is DEADLINE_EXCEEDED where the client's own time is over, else what
// the HTTP status stands for.
func grpcStatus(o outcome.Outcome, status int) int {
	if o == outcome.DurationTimeout {
		return 4
	}
	return outcome.GRPCStatus(status)
}

// appendPercent encodes a grpc-message: what is not printable ASCII, and '%', as
// %XX.
func appendPercent(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c <= '~' && c != '%' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', hex[c>>4], hex[c&15])
	}
	return dst
}
