package httpproxy

// Answers of our own to gRPC clients (Envoy http/utility.cc sendLocalReply,
// grpc/status.cc httpToGrpcStatus; gRPC over HTTP/2, PROTOCOL-HTTP2.md).

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/outcome"
)

var valueGRPC = []byte("application/grpc")

// isGRPC says whether a content-type is gRPC's: application/grpc, or that with a
// suffix (Grpc::Common::isGrpcRequestHeaders).
func isGRPC(contentType []byte) bool {
	rest, ok := bytes.CutPrefix(contentType, valueGRPC)
	return ok && (len(rest) == 0 || rest[0] == '+')
}

// wordGRPC says in a head what happened; the status is then 200 and there is no
// body.
func (x *exchange) wordGRPC(f fields, o outcome.Outcome, r *reply) {
	f.put("content-type", valueGRPC)
	status := grpcStatus(o, r.status)
	if r.filter != nil && r.filter.HasGRPCStatus {
		status = r.filter.GRPCStatus
	}
	f.put("grpc-status", appendInt(x.text[:0], int64(status)))
	if r.body != "" {
		f.put("grpc-message", appendPercent(nil, r.body))
	}
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
