package httpproxy

// The times of a request and of its attempts, and what the host is told of them.

import (
	"cmp"
	"time"

	"github.com/attache-mesh/attache/proxy/upstream"
)

// times settles how long the request and each attempt may take
// (FilterUtility::finalTimeout).
func (x *exchange) times(c *upstream.Cluster) {
	r, says := &x.retry, &x.retry.says
	x.timeout = x.route.Timeout
	if x.grpc && x.route.OldGRPC {
		x.timeout = x.oldGRPCTimeout()
	}
	switch {
	case says.hasExpected:
		x.timeout = cmp.Or(says.expected, x.timeout)
	case says.hasTimeout:
		x.timeout = says.timeout
	}
	r.policy = x.policyOf(c)
	if r.policy != nil {
		r.perTry, r.idle = r.policy.PerTry, r.policy.PerTryIdle
	}
	if says.hasPerTry {
		r.perTry = says.perTry
	}
	if r.perTry >= x.timeout && x.timeout != 0 {
		r.perTry = 0
	}
}

// oldGRPCTimeout is what grpc-timeout says, bounded by max_grpc_timeout, of which
// 0 is no bound; without the header it is the bound.
func (x *exchange) oldGRPCTimeout() time.Duration {
	var d time.Duration
	if h := x.grpcTimeout(); h != nil {
		d, _ = parseGRPCTimeout(h.Value)
	}
	if off := x.route.OldGRPCOffset; off < d {
		d -= off
	}
	if most := x.route.OldGRPCMax; most > 0 && (d == 0 || d > most) {
		d = most
	}
	return d
}

// expected is what the host is told to have left, 0 for nothing
// (FilterUtility::setTimeoutHeaders).
func (x *exchange) expected() time.Duration {
	d := x.retry.perTry
	if d == 0 || x.hedges() {
		d = x.timeout
	}
	if d > 0 && x.timeout > 0 && x.complete != 0 {
		left := x.timeout - time.Duration(x.w.Now()-x.complete)
		d = max(min(d, left), time.Millisecond)
	}
	return d
}

// tellTimes tells the host how long it has.
func (x *exchange) tellTimes() {
	d := x.expected()
	if d <= 0 {
		return
	}
	lines := fields{&x.req.Headers}
	if !x.here.room.cfg.SuppressEnvoyHeaders {
		lines.setBytes("x-envoy-expected-rq-timeout-ms", appendInt(x.retry.expect[:0], d.Milliseconds()))
	}
	if x.grpc && x.route.OldGRPC {
		lines.setBytes("grpc-timeout", appendGRPCTimeout(nil, d))
	}
}

// tellAttempt tells the host the number of the attempt, and why it came.
func (x *exchange) tellAttempt() {
	r, lines := &x.retry, fields{&x.req.Headers}
	if x.route.AttemptCount {
		lines.setBytes("x-envoy-attempt-count", appendInt(r.count[:0], int64(r.number)))
	}
	if x.route.TimeoutRetryHeader && r.number > 1 {
		late := "false"
		if r.late {
			late = "true"
		}
		lines.setBytes("x-envoy-is-timeout-retry", bytesOf(late))
	}
}

// renumber writes into the kept head what is another with each attempt.
func (x *exchange) renumber() {
	x.tellAttempt()
	x.tellTimes()
	x.view.Headers = x.req.Headers
}

// clockTry begins the time of the attempt, once it has a connection and the
// request is complete.
func (x *exchange) clockTry() {
	r := &x.retry
	if x.complete == 0 || r.timed || x.started || r.perTry == 0 && r.idle == 0 || x.up == (end{}) {
		return
	}
	r.timed, r.began = true, x.w.Now()
}

// tryLeft is how long the attempt may still wait, of d.
func (x *exchange) tryLeft(d time.Duration, now int64) time.Duration {
	r := &x.retry
	if r.perTry > 0 && !x.started {
		d = min(d, r.perTry-time.Duration(now-r.began))
	}
	if r.idle > 0 {
		d = min(d, r.idle-time.Duration(now-max(x.moved, r.began)))
	}
	return d
}

// slow says whether the attempt has taken too long, or stood still for too long.
func (x *exchange) slow(now int64) (perTry, idle bool) {
	r := &x.retry
	return r.perTry > 0 && !x.started && now-r.began >= int64(r.perTry),
		r.idle > 0 && now-max(x.moved, r.began) >= int64(r.idle)
}
