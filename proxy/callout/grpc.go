package callout

// gRPC: messages in frames, a time limit in the head, a status at the end
// (PROTOCOL-HTTP2.md).

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Method is a method of a gRPC service as config knows it. Immutable; any
// goroutine.
type Method struct {
	// Authority and Path: /package.Service/Method.
	Authority, Path []byte
	// Timeout bounds a call; 0: nothing does.
	Timeout time.Duration
	// MaxMessage bounds one message of the answer, in bytes; 0: 4 MiB, which is
	// grpc-go's.
	MaxMessage int
	// Metadata is sent with every call; names in lower case.
	Metadata []http1.Header

	headers []http1.Header
}

// Ready makes the method's head, once, before its first call.
func (m *Method) Ready() {
	m.headers = append(m.headers[:0], Field("te", "trailers"), Field("content-type", "application/grpc"))
	if m.Timeout > 0 {
		m.headers = append(m.headers, Field("grpc-timeout", timeoutText(m.Timeout)))
	}
	m.headers = append(m.headers, m.Metadata...)
	if m.MaxMessage == 0 {
		m.MaxMessage = 4 << 20
	}
}

// timeoutText is a time of at most eight digits (Envoy Common::toGrpcTimeout).
func timeoutText(d time.Duration) string {
	for _, u := range [...]struct {
		of   time.Duration
		name string
	}{{time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}} {
		if n := d / u.of; n < 1e8 {
			return strconv.FormatInt(int64(max(n, 1)), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Hour), 10) + "H"
}

// Status is how a gRPC call ended.
type Status struct {
	// Code is grpc-status: 0 is OK, 14 that the service cannot be reached.
	Code int
	// Text is grpc-message, as it came.
	Text []byte
	// Outcome is how the HTTP request beneath ended.
	Outcome outcome.Outcome
}

// OK reports whether the service gave an answer.
func (s *Status) OK() bool { return s.Code == 0 }

// Codes that attache itself gives.
const (
	grpcUnknown     = 2
	grpcExhausted   = 8
	grpcInternal    = 13
	grpcUnavailable = 14
)

// Unary calls a method with one message, and gives the message of the answer: it
// belongs to the call and is good until that is used again. It yields while it
// waits. gone is as in Request. For coroutines only.
func (c *Call) Unary(w *loop.Worker, cluster *upstream.Cluster, m *Method, msg []byte, gone func() bool) ([]byte, Status) {
	c.frame = append(AppendFrame(c.frame[:0], len(msg)), msg...)
	c.unary = Request{
		Method: methodPost, Authority: m.Authority, Path: m.Path, Headers: m.headers,
		Body: c.frame, Timeout: m.Timeout, MaxBody: m.MaxMessage + frameHead, Gone: gone,
	}
	c.grpc = true
	a, o := c.Ask(w, cluster, &c.unary)
	c.grpc = false
	if cap(c.frame) > keptBody {
		c.frame = nil
	}
	s := statusOf(a, o)
	if !s.OK() {
		return nil, s
	}
	reply, rest, ok := cutFrame(a.Body)
	if !ok || len(rest) > 0 {
		return nil, Status{Code: grpcInternal, Outcome: o}
	}
	return reply, s
}

// statusOf reads how a call ended: in the trailers, or in the head if nothing else
// came. What is not gRPC at all is judged by its HTTP status (Envoy
// AsyncStreamImpl::onHeaders).
func statusOf(a *Answer, o outcome.Outcome) Status {
	switch {
	case o == outcome.BodyTooLarge:
		return Status{Code: grpcExhausted, Outcome: o}
	case o == outcome.UpstreamReset, o == outcome.LostMidway, o == outcome.ProtocolError:
		return Status{Code: grpcInternal, Outcome: o}
	case o != outcome.OK:
		return Status{Code: grpcUnavailable, Outcome: o}
	case a.Status != 200:
		return Status{Code: outcome.GRPCStatus(a.Status), Outcome: o}
	}
	lines := a.Trailers
	if len(lines) == 0 {
		lines = a.Headers
	}
	code, err := strconv.ParseUint(string(valueOf(lines, "grpc-status")), 10, 31)
	if err != nil {
		code = grpcUnknown
	}
	return Status{Code: int(code), Text: valueOf(lines, "grpc-message"), Outcome: o}
}

// frameHead is how long the beginning of a frame is.
const frameHead = 5

// AppendFrame appends the beginning of the frame of an uncompressed message of n
// bytes.
func AppendFrame(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(n))
}

// cutFrame splits buf behind its first frame; false if there is none that is whole
// and uncompressed.
func cutFrame(buf []byte) (msg, rest []byte, ok bool) {
	if len(buf) < frameHead || buf[0] != 0 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(buf[1:])
	if uint64(n) > uint64(len(buf)-frameHead) {
		return nil, nil, false
	}
	end := frameHead + int(n)
	return buf[frameHead:end], buf[end:], true
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

var methodPost = []byte("POST")
