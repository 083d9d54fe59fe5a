package health

// gRPC checks: grpc.health.v1.Health/Check (grpc/doc/health-checking.md; Envoy
// health_checkers/grpc/health_checker_impl.cc).

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

const (
	healthMethod = "/grpc.health.v1.Health/Check"
	frameHead    = 5 // a flag and the length of a message
	serving      = 1 // HealthCheckResponse.SERVING
)

func (q *question) grpc() Result {
	if err := q.open(); err != nil {
		return q.lost(err)
	}
	s, g := q.stream, &q.k.asked.GRPC
	if !s.Head() {
		return Broken
	}
	s.Request([]byte("POST"), q.scheme(), []byte(q.k.authority(g.Authority)), []byte(healthMethod), nil)
	for _, l := range headers([]http1.Header{
		field("te", "trailers"), field("content-type", "application/grpc"), field("user-agent", userAgent),
	}, g.Headers, nil) {
		s.Field(l.Name, l.Value, l.ID)
	}
	s.Field([]byte("grpc-timeout"), []byte(strconv.FormatInt(max(q.k.asked.Timeout.Milliseconds(), 1), 10)+"m"), 0)
	s.SendHead(false)
	s.Send(healthRequest(g.Service), true)
	if r := q.readHead("POST"); r.Bad() {
		return r
	}
	if r, over := q.grpcHead(); over {
		return r
	}
	return q.grpcBody()
}

// grpcHead looks whether the head says all, as it does where the method is not
// known.
func (q *question) grpcHead() (r Result, over bool) {
	s := q.stream
	kind, _ := q.value("content-type")
	alone := s.Last() && s.Pending() == 0 && !s.Trailed()
	if q.resp.Status == 200 && (kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")) && !alone {
		return Passed, false
	}
	q.keep = s.Last()
	return Refused, true
}

// grpcBody reads the one message and the trailers.
func (q *question) grpcBody() Result {
	s := q.stream
	for !s.Last() {
		if s.Pending() > maxLine {
			return Refused
		}
		if err := s.Wait(q.left()); err != nil {
			return q.lost(err)
		}
	}
	q.keep = true
	fit := isServing(s.Buffered())
	s.Discard(s.Pending())
	if !fit || !s.Trailed() {
		return Refused
	}
	for _, h := range s.Trailers.Headers {
		if string(h.Name) == "grpc-status" {
			if string(h.Value) == "0" {
				return Passed
			}
			return Refused
		}
	}
	return Refused
}

// healthRequest is HealthCheckRequest{service = 1} in its frame.
func healthRequest(service string) []byte {
	var m []byte
	if service != "" {
		m = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
}

// isServing reads HealthCheckResponse{status = 1} in its one frame.
func isServing(frame []byte) bool {
	if len(frame) < frameHead || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-frameHead {
		return false
	}
	status := uint64(0)
	for m := frame[frameHead:]; len(m) > 0; {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return false
		}
		m = m[n:]
		v, n := binary.Uvarint(m) // the value, or the length of one
		if n <= 0 {
			return false
		}
		m = m[n:]
		switch {
		case tag == 1<<3:
			status = v
		case tag&7 == 2 && v <= uint64(len(m)):
			m = m[v:]
		case tag&7 != 0:
			return false
		}
	}
	return status == serving
}
