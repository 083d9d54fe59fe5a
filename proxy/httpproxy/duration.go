package httpproxy

// How long a stream may live, be idle, and leave the end of its answer unread.

import (
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// ordinaryPatience sets what holds for streams without a route of their own.
func (x *exchange) ordinaryPatience() {
	x.idle = x.here.room.cfg.StreamIdleTimeout
	if s := x.down.s; s != nil {
		s.FlushTimeout = x.here.room.h2.FlushTimeout
	}
}

// patienceOfRoute sets what the route says. Where nobody says how long the end of an answer
// may wait to be sent, that is as long as the stream may be idle
// (ConnectionManagerImpl::ActiveStream::refreshIdleAndFlushTimeouts).
func (x *exchange) patienceOfRoute() {
	r, s := x.route, x.down.s
	if r.HasIdleTimeout {
		x.idle = r.IdleTimeout
	}
	switch {
	case s == nil: // HTTP/1.1 has no window
	case r.HasFlushTimeout:
		s.FlushTimeout = r.FlushTimeout
	case r.HasIdleTimeout && x.here.room.cfg.StreamFlushTimeout == nil:
		s.FlushTimeout = r.IdleTimeout
	}
}

// boundLife sets when the stream ends at the latest: what its grpc-timeout says,
// if the route lets it, else the route's own bound, else the connection manager's
// (ConnectionManagerImpl::ActiveStream::refreshDurationTimeout). Where the route has
// a max_stream_duration, the host of a gRPC call is told how long that is.
func (x *exchange) boundLife() {
	r := x.route
	d := x.here.room.cfg.MaxStreamDuration
	if r.HasMaxStream {
		d = r.MaxStream
	}
	told := d
	if h := x.grpcTimeout(); h != nil && r.GRPCTimeout {
		if asked, ok := parseGRPCTimeout(h.Value); ok {
			if most := r.GRPCTimeoutMax; most > 0 {
				asked = min(asked, most)
			}
			if asked > 0 {
				asked = max(asked-r.GRPCTimeoutOffset, 0)
			}
			d, told = max(asked, 1), asked
		}
	}
	if d <= 0 {
		return
	}
	x.until = x.since + int64(d)
	if x.grpc && r.NewTimeouts {
		fields{&x.req.Headers}.setBytes("grpc-timeout", appendGRPCTimeout(nil, told))
	}
}

// grpcTimeout finds the header of a gRPC call.
func (x *exchange) grpcTimeout() *http1.Header {
	if !x.grpc {
		return nil
	}
	for i := range x.req.Headers {
		if h := &x.req.Headers[i]; h.ID == http1.FieldGrpcTimeout && !h.Hop {
			return h
		}
	}
	return nil
}

// parseGRPCTimeout reads a grpc-timeout: at most eight digits and a unit
// (PROTOCOL-HTTP2.md). It is exact to the millisecond, upwards.
func parseGRPCTimeout(v []byte) (time.Duration, bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(v[:len(v)-1]), 10, 32)
	if err != nil {
		return 0, false
	}
	d := time.Duration(n)
	switch v[len(v)-1] {
	case 'H':
		return min(d, 1<<20) * time.Hour, true
	case 'M':
		return d * time.Minute, true
	case 'S':
		return d * time.Second, true
	case 'm':
		return d * time.Millisecond, true
	case 'u':
		return (d*time.Microsecond + time.Millisecond - 1).Truncate(time.Millisecond), true
	case 'n':
		return (d + time.Millisecond - 1).Truncate(time.Millisecond), true
	}
	return 0, false
}

// appendGRPCTimeout writes one, in the finest unit that eight digits hold.
func appendGRPCTimeout(dst []byte, d time.Duration) []byte {
	n, unit := int64(d/time.Millisecond), byte('m')
	for _, next := range []struct {
		unit byte
		by   int64
	}{{'S', 1000}, {'M', 60}, {'H', 60}} {
		if n <= 99_999_999 {
			break
		}
		n, unit = n/next.by, next.unit
	}
	return append(strconv.AppendInt(dst, n, 10), unit)
}
