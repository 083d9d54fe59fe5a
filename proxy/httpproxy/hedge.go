package httpproxy

// Hedging: an attempt that is too slow goes on beside the next one, and the first
// good answer counts (Envoy router.cc, onSoftPerTryTimeout, resetOtherUpstreams).
//
//	attempt 1 ── per_try_timeout ─▶ races in a coroutine of its own ─┐
//	attempt 2 ── the exchange's own ─────────────────────────────────┴▶ the first good head
//
// Where several go out at first (initial_requests) each races as soon as it is sent,
// and the next one is picked; that waits until the whole request is here.
//
// A racer is an exchange that only reads: the request has been sent, all of it. It
// knows the client's exchange as of, and is left alone as soon as that is nil.

import (
	"slices"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// racing are the attempts of a request that go on beside its own.
type racing struct {
	others []*exchange
	won    *exchange // has a good answer
	last   *exchange // has ended badly, and nothing else is under way
	more   uint32    // requests that are still to go out at first
	due    bool      // one of them, now
	resume bool      // the attempt at hand goes on: it is not sent again
	wait   bool      // for the others, with no attempt of its own
}

// hedges says whether an attempt that is too slow goes on beside the next one.
func (x *exchange) hedges() bool {
	switch {
	case x.retry.says.hedge != 0:
		return x.retry.says.hedge > 0
	case x.route.Hedge != nil:
		return x.route.Hedge.OnPerTryTimeout
	}
	return false
}

// multiply settles how many requests go out at first.
func (x *exchange) multiply() {
	h := x.route.Hedge
	if h == nil || x.upgrades || x.raw {
		return
	}
	x.race.more = max(h.Initial, 1) - 1
	if c := h.Chance; c.Den > 0 && x.rng.Uint32N(c.Den) < c.Num {
		x.race.more++
	}
}

// dueToRace says whether the next one of those that go out at first may go.
func (x *exchange) dueToRace() bool {
	x.race.due = x.complete != 0 && x.held.done && !x.started && x.informed == 0 && !x.tried.busy()
	return x.race.due
}

// another is retries for a request that is to go out once more at first, beside
// what is under way already.
func (x *exchange) another(o *outcome.Outcome) bool {
	r := &x.race
	r.due = false
	r.more--
	x.letRace()
	if !x.hedges() { // its time is its end
		y := r.others[len(r.others)-1]
		t, own := &y.retry, &x.retry
		t.number, t.perTry, t.idle = own.number, own.perTry, own.idle
		y.clockTry()
	}
	return x.next(o, 0, toAnother, 0)
}

// toAnother is how another one is picked: each goes to a host of its own if there
// is one.
var toAnother = &config.RetryHosts{Previous: true, Attempts: 3}

// overtake is retries for an attempt whose time is over: another one is sent beside
// it if the policy has one left; else it goes on alone.
func (x *exchange) overtake(o *outcome.Outcome) bool {
	r := &x.retry
	r.timed = false
	if !r.live || x.pumpEnd != outcome.OK || x.informed > 0 || !x.grant(true) {
		x.race.resume = true
		*o = outcome.OK
		return true
	}
	x.letRace()
	return x.next(o, x.backOff(), &r.policy.Hosts, r.policy.PriorityEvery)
}

// letRace lets the attempt at hand go on in a coroutine of its own.
func (x *exchange) letRace() {
	y := x.here.take(x.conn)
	y.down = end{}
	y.of, y.method, y.limits, y.cluster, y.owner, y.breaker = x, x.method, x.limits, x.cluster, x.owner, x.breaker
	y.host, y.hostOn, y.lease, y.up, y.shared, y.trailers = x.host, x.hostOn, x.lease, x.up, x.shared, x.trailers
	y.deadline, y.until, y.idle, y.moved, y.complete, y.grpc = x.deadline, x.until, x.idle, x.moved, x.complete, x.grpc
	y.interims, y.raced, y.budget = x.interims, true, x.budget
	x.retry.tried.Hosts = append(x.retry.tried.Hosts, x.host)
	x.hostOn, x.lease, x.up, x.held.open, x.budget = nil, nil, end{}, false, nil
	x.tries, x.upErr, x.untaken, x.gone, x.interims = 0, nil, false, false, 0
	x.resp.Reset()
	x.race.others = append(x.race.others, y)
	x.w.Go(y.runRace)
}

// runRace is a racer's coroutine.
func (y *exchange) runRace() {
	o := outcome.Overload // should it panic
	defer func() { y.raceEnded(o) }()
	_, o = y.readAnswer()
}

// raceEnded tells the client's exchange, unless that needs it no more.
func (y *exchange) raceEnded(o outcome.Outcome) {
	x := y.of
	y.settled = true
	if x == nil {
		y.discard()
		return
	}
	y.judge(o)
	y.raceEnd = o
	if o == outcome.OK && !x.worse(&y.resp) {
		if x.race.won == nil {
			x.race.won = y
			x.interrupt()
		}
		return
	}
	y.hostOn.Count.RqError++
	if o == outcome.PerTryTimeout || o == outcome.PerTryIdleTimeout {
		y.countSlow(o)
	}
	if x.race.wait && len(x.race.others) == 1 {
		x.race.last = y
		x.joined.Wake(x.w)
		return
	}
	x.race.others = slices.DeleteFunc(x.race.others, func(z *exchange) bool { return z == y })
	y.discard()
}

// worse says whether one may hope for a better answer from another attempt: what
// the policy would not have, and without one every failure.
func (x *exchange) worse(res *http1.Response) bool {
	if x.retry.on != 0 {
		return x.badAnswer(res)
	}
	return res.Status >= 500 || grpcCondition(fields{&res.Headers}) != 0
}

// discard gives back all that a racer has.
func (y *exchange) discard() {
	y.drop()
	y.leave()
	y.vacate()
	y.here.give(y)
}

// interrupt ends whatever the exchange waits for: another has won.
func (x *exchange) interrupt() {
	switch {
	case x.attempt != nil:
		x.attempt.done.Wake(x.w)
	case x.retry.pausing, x.race.wait:
		x.joined.Wake(x.w)
	case x.up.s != nil:
		x.up.s.Wake()
	case x.lease != nil && !x.lease.Conn.Closed():
		x.lease.Conn.SetReadTimeout(1)
	}
}

// adopt takes the answer of a racer in place of the attempt at hand.
func (x *exchange) adopt(y *exchange) outcome.Outcome {
	if x.hostOn != nil {
		x.abort()
	}
	x.race.others = slices.DeleteFunc(x.race.others, func(z *exchange) bool { return z == y })
	x.host, x.hostOn, x.lease, x.up, x.shared, x.trailers = y.host, y.hostOn, y.lease, y.up, y.shared, y.trailers
	x.info.Upstream.Host = x.host.Endpoint()
	x.owner, x.breaker, x.budget = y.owner, y.breaker, y.budget
	y.budget = nil
	y.hostOn, y.lease, y.up = nil, nil, end{}
	o := y.raceEnd
	x.upErr = y.upErr
	x.resp, y.resp = y.resp, x.resp // of a stream: what it was read from is used up
	x.own, y.own = y.own, x.own
	x.race.won, x.race.last = nil, nil
	y.discard()
	if o == outcome.OK && x.up.c != nil {
		x.resp.Reset()
		x.backHead, o = x.readAnswer() // it is there: it was parsed before, in another buffer perhaps
	}
	x.showTry(o)
	return o
}

// outrun waits for the others once the exchange's own attempt has come to nothing:
// the first good answer, or the last bad one, is that of the request.
func (x *exchange) outrun(o *outcome.Outcome) {
	if x.hostOn != nil {
		x.judge(*o)
		x.quit()
	}
	w := x.w
	x.race.wait = true
	for x.race.won == nil && x.race.last == nil && len(x.race.others) > 0 {
		w.SetTimer(&x.timer, x.patience(), func() { x.joined.Wake(w) })
		x.joined.Wait(w)
		w.ClearTimer(&x.timer)
		if x.race.won != nil || x.race.last != nil {
			break
		}
		if late := x.overdue(); late != outcome.OK {
			*o = late
			break
		}
	}
	x.race.wait = false
	switch {
	case x.race.won != nil:
		*o = x.adopt(x.race.won)
	case x.race.last != nil:
		*o = x.adopt(x.race.last)
	}
}

// leaveRace lets the others go: the request has its answer.
func (x *exchange) leaveRace() {
	for _, y := range x.race.others {
		y.of = nil
		if y.settled {
			y.discard() // its coroutine is over
			continue
		}
		y.cutRace()
	}
	x.race = racing{others: x.race.others[:0]}
}

// cutRace ends what a racer's coroutine waits for; that gives the rest back.
func (y *exchange) cutRace() {
	if y.up.s != nil {
		y.up.s.Reset(http2.Cancel)
	} else if y.lease != nil {
		y.lease.Conn.Reset()
	}
}
