package httpproxy

// When a request is sent again, and what it remembers of the attempts before.

import (
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// retrying is a request's way through its attempts (Envoy
// router/retry_state_impl.cc):
//
//	pick ─▶ connect ─▶ send ─▶ head of the answer ─▶ passed on
//	  ▲        │        │          │ bad, and on says so
//	  │        └────────┴──────────┴─▶ a retry left? a place among the cluster's? ─ no ─▶ the last answer
//	  └──────────── pause ◀─────────────────────── yes
//
// Where neither the route nor the request asks for anything only number counts.
type retrying struct {
	says asked // what the request's own headers say

	policy *route.Retry // never nil while live
	on     config.RetryOn
	left   uint32
	live   bool // the request may still be sent again
	held   bool // it has a place among the cluster's retries

	number uint32 // of the attempt, from 1
	late   bool   // the attempt before was too slow
	sent   bool   // a host was sent something, in whichever attempt

	step    time.Duration // the next back-off is below it
	told    time.Duration // how long the host said to wait; 0: nothing
	pausing bool

	// The time of one attempt, from when it has a connection and the request is
	// complete.
	perTry, idle time.Duration
	timed        bool
	began        int64
	dies         int64 // when the attempt has lived too long; 0: never

	tried  upstream.Tried
	count  [10]byte // x-envoy-attempt-count
	expect [20]byte // x-envoy-expected-rq-timeout-ms
}

// plainRetry is the policy of requests that ask for retries where the route has
// none.
var plainRetry = route.CompileRetry(&config.Retry{
	Num: 1, Base: 25 * time.Millisecond, Max: 250 * time.Millisecond, Hosts: config.RetryHosts{Attempts: 1},
})

// clear forgets the request; what was allocated stays.
func (r *retrying) clear() {
	if r.number == 0 && !r.says.any {
		return
	}
	says, tried := r.says, r.tried
	says.reset()
	tried.Reset()
	*r = retrying{says: says, tried: tried}
}

// arm settles whether the request may be sent again. Its head is as the host
// shall see it.
func (x *exchange) arm() {
	r := &x.retry
	p := r.policy
	if p == nil && !r.says.retries {
		return
	}
	if p == nil {
		p = plainRetry
		r.policy = p
	}
	r.on, r.left, r.step = p.On|r.says.on, p.Num, p.Base
	if !p.Allows(&x.view) {
		r.on = 0
	}
	if r.says.hasMax {
		r.left = r.says.max
	}
	r.live = r.on != 0
}

// policyOf is the cluster's policy, which takes the place of the route's.
func (x *exchange) policyOf(c *upstream.Cluster) *route.Retry {
	own := c.Config().HTTP.Retry
	if own == nil {
		return x.route.Retry
	}
	l := c.On(x.w)
	if l.RetryFor != own {
		l.RetryFor, l.Retry = own, route.CompileRetry(own)
	}
	p, _ := l.Retry.(*route.Retry)
	return p
}

// badAnswer says whether the policy wants no answer like this one
// (RetryStateImpl::wouldRetryFromHeaders).
func (x *exchange) badAnswer(res *http1.Response) bool {
	r, on, status, lines := &x.retry, x.retry.on, res.Status, fields{&res.Headers}
	if lines.Has("x-envoy-ratelimited") {
		return x.unwanted(res, on&config.RetryRateLimited != 0)
	}
	switch {
	case on&config.Retry5xx != 0 && status >= 500 && status < 600,
		on&config.RetryGatewayError != 0 && status >= 502 && status <= 504,
		on&config.Retry4xx != 0 && status == 409,
		on&config.RetryStatusCodes != 0 && r.retriable(status),
		on&config.RetryHeaders != 0 && (r.policy.Answers(status, res.Headers) || r.says.named(lines)),
		on&config.RetryGRPC != 0 && on&grpcCondition(lines) != 0:
		return x.unwanted(res, true)
	}
	return false
}

// unwanted notes how long a host that is to be tried again said to wait.
func (x *exchange) unwanted(res *http1.Response, again bool) bool {
	if again && len(x.retry.policy.ResetHeaders) > 0 {
		x.retry.told = x.resetIn(res)
	}
	return again
}

func (r *retrying) retriable(status int) bool {
	for _, c := range r.policy.Codes {
		if int(c) == status {
			return true
		}
	}
	for _, c := range r.says.codes {
		if int(c) == status {
			return true
		}
	}
	return false
}

// grpcCondition is the condition that the grpc-status of a head stands for: that
// of an answer without a body, or one that stands there too early.
func grpcCondition(lines fields) config.RetryOn {
	i := lines.find("grpc-status")
	if i < 0 {
		return 0
	}
	code, err := strconv.ParseUint(string((*lines.lines)[i].Value), 10, 32)
	if err != nil {
		return 0
	}
	switch code {
	case 1:
		return config.RetryCancelled
	case 4:
		return config.RetryDeadlineExceeded
	case 8:
		return config.RetryResourceExhausted
	case 13:
		return config.RetryInternal
	case 14:
		return config.RetryUnavailable
	}
	return 0
}

// resetIn is how long the answer says to wait, 0 if it does not, or too long
// (reset_header_parser.cc).
func (x *exchange) resetIn(res *http1.Response) time.Duration {
	p, lines := x.retry.policy, fields{&res.Headers}
	for i := range p.ResetHeaders {
		h := &p.ResetHeaders[i]
		at := lines.find(h.Name)
		if at < 0 {
			continue
		}
		n, err := strconv.ParseUint(string((*lines.lines)[at].Value), 10, 63)
		if err != nil {
			continue
		}
		if h.Unix {
			now := uint64(max(x.here.room.env.Wall().Unix(), 0))
			if n < now {
				continue
			}
			n -= now
		}
		if d := time.Duration(min(n, 1<<32)) * time.Second; d <= p.ResetMax && d > time.Millisecond {
			return d
		}
	}
	return 0
}

// badEnd says whether the policy wants the request sent again after an attempt
// without an answer (RetryStateImpl::wouldRetryFromReset).
func (x *exchange) badEnd(o outcome.Outcome) bool {
	on := x.retry.on
	switch o {
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.ConnectTimeout, outcome.TLSRefused, outcome.TLSFailed:
		if on&config.RetryConnectFailure != 0 {
			return true
		}
	}
	if !lostAttempt(o) {
		return false
	}
	return on&config.RetryResetBeforeRequest != 0 && !x.retry.sent ||
		on&(config.RetryReset|config.Retry5xx|config.RetryGatewayError) != 0 ||
		on&config.RetryRefusedStream != 0 && o == outcome.ConnectionLost && refused(x.upErr)
}

// lostAttempt says whether only the attempt is over, not the request.
func lostAttempt(o outcome.Outcome) bool {
	switch o {
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.ConnectTimeout, outcome.TLSRefused, outcome.TLSFailed,
		outcome.ConnectionLost, outcome.UpstreamReset, outcome.ProtocolError,
		outcome.PerTryTimeout, outcome.PerTryIdleTimeout, outcome.UpstreamStreamTooLong:
		return true
	}
	return false
}

// refused says that the host has refused the stream.
func refused(err error) bool {
	e, ok := err.(*http2.Error)
	return ok && e.Code == http2.RefusedStream
}

// grant takes a retry, if the policy wants one, one is left, and the cluster has a
// place for it.
func (x *exchange) grant(wanted bool) bool {
	r, n := &x.retry, &x.cluster.Count
	if r.held && !wanted {
		n.RqRetryOK++
		x.tallyEach(func(t *route.TallyPart) { t.RetryOK++ })
	}
	x.leaveRetries()
	switch {
	case !wanted:
		return false
	case r.left == 0:
		n.RqRetryLimit++
		x.tallyEach(func(t *route.TallyPart) { t.RetryLimit++ })
		x.info.Flags |= streaminfo.UpstreamRetryLimitExceeded
		return false
	}
	r.left--
	if !x.cluster.Breaker(x.route.High).EnterRetry() {
		n.RqRetryOverflow++
		x.tallyEach(func(t *route.TallyPart) { t.RetryOverflow++ })
		x.info.Flags |= streaminfo.UpstreamOverflow
		return false
	}
	r.held = true
	n.RqRetry++
	x.tallyEach(func(t *route.TallyPart) { t.Retry++ })
	return true
}

// leaveRetries gives the place among the cluster's retries back.
func (x *exchange) leaveRetries() {
	if x.retry.held {
		x.retry.held = false
		x.cluster.Breaker(x.route.High).Retries.Leave()
	}
}

// retries says whether an attempt that ended as o is followed by another, which is
// ready to go when it returns. Else o is how the request ends.
func (x *exchange) retries(o *outcome.Outcome) bool {
	r := &x.retry
	if x.race.won != nil {
		*o = x.adopt(x.race.won)
		return false
	}
	if x.race.due && *o == outcome.PerTryTimeout {
		return x.another(o)
	}
	r.late = *o == outcome.PerTryTimeout || *o == outcome.PerTryIdleTimeout
	if r.late && !x.started && x.hedges() && !x.tried.busy() {
		return x.overtake(o)
	}
	if r.late {
		x.countSlow(*o)
	}
	bad := false
	switch {
	case x.pumpEnd != outcome.OK, !r.live && len(x.race.others) == 0, x.informed > 0: // something of an answer went on
		return false
	case *o != outcome.OK:
		if !r.live || !x.grant(x.badEnd(*o)) {
			if len(x.race.others) > 0 && (lostAttempt(*o) || *o == outcome.Overflow) {
				x.outrun(o)
			}
			return false
		}
	case len(x.race.others) > 0:
		if bad = x.worse(&x.resp); !r.live || !x.grant(bad) {
			if bad {
				x.outrun(o)
			}
			return false
		}
	case x.grant(x.badAnswer(&x.resp)):
		x.cluster.Count.Retried.Add(x.resp.Status)
		x.returnConn(x.backHead)
	default:
		return false
	}
	x.judge(*o)
	status := 0
	if *o == outcome.OK {
		status = x.resp.Status
	}
	x.upstreamEnds(*o, status)
	x.quit()
	return x.next(o, x.backOff(), &r.policy.Hosts, r.policy.PriorityEvery)
}

// next waits for d and picks the host of the next attempt, see PickAgain. Else o is
// how the request ends.
func (x *exchange) next(o *outcome.Outcome, d time.Duration, hosts *config.RetryHosts, every uint32) bool {
	*o = x.pause(d)
	if x.race.won != nil {
		*o = x.adopt(x.race.won)
		return false
	}
	if *o != outcome.OK {
		return false
	}
	x.retry.number++
	x.info.Attempts = x.retry.number
	if *o = x.pickAgain(hosts, every); *o != outcome.OK && len(x.race.others) > 0 {
		x.outrun(o)
		return false
	}
	return *o == outcome.OK
}

func (x *exchange) countSlow(o outcome.Outcome) {
	if o == outcome.PerTryTimeout {
		x.cluster.Count.RqPerTryTimeout++
	} else {
		x.cluster.Count.RqPerTryIdleTimeout++
	}
	x.hostOn.Count.RqTimeout++
}

// returnConn makes the connection free for others if the answer that is not passed
// on is here as a whole.
func (x *exchange) returnConn(n int) {
	l := x.lease
	if l == nil || x.tried.touched() || !x.resp.KeepAlive || !x.in.done || x.up.c.Unsent() > 0 {
		return
	}
	switch x.resp.Body {
	case http1.BodyNone:
	case http1.BodyLength:
		if int64(x.up.c.Pending()-n) < x.resp.ContentLength {
			return
		}
		n += int(x.resp.ContentLength)
	default:
		return
	}
	x.up.c.Discard(n)
	x.lease, x.up.c = nil, nil
	l.Conn.SetReadTimeout(0)
	l.Put()
}

// quit ends an attempt that came to nothing.
func (x *exchange) quit() {
	x.retry.tried.Hosts = append(x.retry.tried.Hosts, x.host)
	x.hostOn.Count.RqError++
	x.abort()
}

// abort gives everything back that the attempt had of the cluster.
func (x *exchange) abort() {
	x.endFeed()
	x.drop()
	x.leave()
	x.vacate()
	x.retry.timed, x.retry.dies, x.interims = false, 0, 0
	x.tries, x.upErr, x.untaken, x.gone = 0, nil, false, false
	x.resp.Reset()
}

// backOff is how long to wait before the next attempt: as long as the host said
// and up to half as long again, else a random time below a bound that doubles
// (backoff_strategy.cc). It is exact to the millisecond.
func (x *exchange) backOff() time.Duration {
	r := &x.retry
	if d := r.told; d > 0 {
		r.told = 0
		x.cluster.Count.RetryBackoffLimited++
		return d + x.below(d/2)
	}
	d := x.below(r.step)
	r.step = min(2*r.step, r.policy.Max)
	x.cluster.Count.RetryBackoff++
	return d
}

// below is a random number of milliseconds, less than d.
func (x *exchange) below(d time.Duration) time.Duration {
	return time.Duration(x.rng.Uint64N(uint64(max(d.Milliseconds(), 1)))) * time.Millisecond
}

// pause waits between two attempts.
func (x *exchange) pause(d time.Duration) outcome.Outcome {
	w, r := x.w, &x.retry
	end := w.Now() + int64(d)
	r.pausing = true
	defer func() { r.pausing = false }()
	for left := int64(d); left > 0; left = end - w.Now() {
		w.SetTimer(&x.timer, min(time.Duration(left), x.patience()), func() { x.joined.Wake(w) })
		x.joined.Wait(w)
		w.ClearTimer(&x.timer)
		if o := x.overdue(); o != outcome.OK {
			return o
		}
	}
	return outcome.OK
}

// pickAgain chooses a host for the next attempt.
func (x *exchange) pickAgain(hosts *config.RetryHosts, every uint32) outcome.Outcome {
	p := x.wish()
	if o := x.lookUp(&p); o != outcome.OK {
		return o
	}
	h, o := x.cluster.PickAgain(&p, hosts, every, &x.retry.tried)
	if o != outcome.OK {
		return o
	}
	x.cluster.Count.RqTotal++
	x.tallyTotal()
	if o := x.occupy(h); o != outcome.OK {
		return o
	}
	if name := h.Hostname(); x.route.AutoHostRewrite && name != "" {
		x.view.Host = bytesOf(name)
	}
	x.renumber()
	return outcome.OK
}
