package httpproxy

// One request, from its head to the last byte of its answer.

import (
	"math/rand/v2"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// exchange is a request in progress. The worker keeps it for other requests;
// what a parsed head points to is gone after the first wait.
type exchange struct {
	here   *local
	w      *loop.Worker
	rng    *rand.Rand
	carry  func() // x.pump, bound once
	life   func() // x.serve, bound once
	vanish func() // x.clientGone, bound once

	// The client's side.
	conn     *conn
	down     end
	req      http1.Request
	hostName []byte   // as the client writes it
	head     int      // bytes of it that are still in the client's buffer
	since    int64    // its first byte
	in       body     // of the request
	key      [32]byte // sec-websocket-key, of a client that is given an answer to it here
	keyn     uint8
	method   http1.MethodID
	http10   bool
	closes   bool // the connection ends after the answer
	unlogged bool // an attempt is under way that the router's log has no entry of

	info streaminfo.Info // see info.go
	kept kept
	// answered and trailed are the answer's head and trailers, kept like kept.
	answered, trailed kept
	logTimer          loop.Timer
	upLogTimer        loop.Timer
	tick              func() // x.logAgain, bound once

	// Whom to ask.
	served   *served
	route    *route.Route[*upstream.Cluster]
	target   *route.Target[*upstream.Cluster]
	random   uint64
	view     route.Request
	from     route.Conn
	hash     route.Hash
	found    *upstream.Cluster
	cluster  *upstream.Local
	owner    *upstream.Local // the host's cluster: cluster, or a member of it
	host     *upstream.Host
	tallies  [2]*route.TallyPart // of its virtual cluster and its route; nil: none
	hostOn   *upstream.HostLocal
	breaker  *pool.Breaker
	timeout  time.Duration
	idle     time.Duration
	limits   http1.Limits // of the answer's head
	known    bool         // found is a cluster that there is
	trailers bool         // are passed on
	upgrades bool         // asks for another protocol, or for a tunnel
	shadowed bool         // was mirrored

	// The upstream's side. lease is what up.c comes from.
	up       end
	lease    *pool.Lease
	attempt  *attempt // to get one
	timer    loop.Timer
	out      []byte // the head to send, and a small body; kept while it may go out again
	bodyAt   int    // where that body begins, of a head that is sent as a header block
	shared   bool   // the host is to be spoken to in HTTP/2
	raw      bool   // the host is sent the payload alone, see connectend.go
	whole    bool   // out is the whole request
	untaken  bool   // the kernel took nothing of it
	gone     bool   // the host left the cluster while it was connected to
	toldLoad bool   // a host has said what its load is
	raced    bool   // a racer
	raceEnd  outcome.Outcome
	retry    retrying
	held     keeping // if it may go out more than once
	followed following
	race     racing
	of       *exchange // of a racer: whose it is
	resp     http1.Response
	own      []http1.Header // resp's list, while it has that of a stream
	back     body           // of the answer
	// backHead is how many bytes of an HTTP/1.1 answer's head are still in the
	// host's buffer.
	backHead int
	upErr    error
	tries    int
	interims int // 1xx heads that came, and those of them that went on
	informed int
	budget   *tryBudget // of the attempt; nil: its cluster does not track it

	// Time, in the worker's.
	moved    int64 // when something last moved
	complete int64 // when the request was complete, 0: not yet
	deadline int64 // of the route's time limit
	until    int64 // the end of its life at the latest, 0: none

	// How it ends.
	status  int
	started bool // the client has been sent something of an answer
	replied bool // all of it, made here
	made    bool // the answer is worded: it is resp, and local is its body
	settled bool // what the request held of the cluster was given back
	grpc    bool // an answer of our own is worded for gRPC
	refused http1.Error
	reply   reply
	local   []byte
	length  int
	flt     *filtered // in a room with filters
	// tryBound is what the attempt passes, tried how it does; nil: nothing.
	tryBound *filter.Bound
	tried    *tried
	bad      error // what is wrong with the head of a stream
	refusal  int   // status of outcome.OriginUnknown

	notStrict *notStrict // nil: nothing to say of it

	// The other coroutine, if there is one.
	pumping bool
	stop    bool
	pumpEnd outcome.Outcome
	tunnel  bool
	joined  loop.Waiter

	// Scratch.
	id     [64]byte
	lists  *upstream.Wanted // the hosts that the request lists; nil: none was picked yet
	idn    int
	text   [96]byte
	path   []byte // the canonical path, if it is not the request's
	to     []byte // the path after a rewrite, or a location
	name   []byte // the host after a rewrite
	seen   streaminfo.View
	values route.Eval
	xff    []byte

	want pool.Want // see wants; its texts stay from one request to the next
}

func newExchange(l *local) *exchange {
	x := &exchange{here: l, w: l.w, rng: l.w.Rand()}
	x.carry, x.life, x.vanish, x.tick = x.pump, x.serve, x.clientGone, x.logAgain
	return x
}

// clear makes x ready for another request; what it has allocated stays.
func (x *exchange) clear() {
	x.conn, x.down, x.up = nil, end{}, end{}
	x.bodyAt, x.shared, x.raw, x.grpc, x.bad, x.keyn = 0, false, false, false, nil, 0
	x.head, x.since = 0, 0
	x.refusal, x.notStrict = 0, nil
	x.in.reset(http1.BodyNone, 0)
	x.back.reset(http1.BodyNone, 0)
	x.method, x.http10, x.closes = http1.MethodOther, false, false
	x.served, x.route, x.target, x.random, x.known = nil, nil, nil, 0, false
	x.view, x.from, x.hash = route.Request{}, route.Conn{}, route.Hash{}
	x.owner = nil
	x.found, x.cluster, x.host, x.hostOn, x.breaker = nil, nil, nil, nil, nil
	x.timeout, x.idle, x.upgrades, x.shadowed = 0, 0, false, false
	x.retry.clear()
	x.held.clear()
	x.of, x.raced, x.raceEnd = nil, false, outcome.OK
	x.forget()
	x.attempt, x.lease, x.whole, x.untaken, x.upErr, x.tries = nil, nil, false, false, nil, 0
	x.gone, x.toldLoad, x.backHead, x.unlogged = false, false, 0, false
	x.interims, x.informed = 0, 0
	x.moved, x.complete, x.deadline, x.until = 0, 0, 0, 0
	x.status, x.started, x.replied, x.reply, x.refused = 0, false, false, reply{}, 0
	x.made, x.local, x.length, x.settled = false, nil, 0, false
	if x.flt != nil {
		x.flt.giveBack()
	}
	x.tryBound, x.tried, x.budget = nil, nil, nil
	x.pumping, x.stop, x.pumpEnd, x.tunnel = false, false, outcome.OK, false
	x.info.Reset()
	x.values.Values = x.values.Values[:0]
	x.kept.reset()
	x.answered.reset()
	x.trailed.reset()
	x.idn, x.path, x.xff = 0, x.path[:0], x.xff[:0]
	x.limits, x.trailers = http1.Limits{}, false
}

// run is a request's life. Its head has been parsed: n bytes, or err.
func (x *exchange) run(n int, err error) {
	x.begin()
	o := x.pumpEnd // a stream may be reset before its coroutine begins
	if o == outcome.OK {
		o = x.readHead(n, err)
	}
	if o == outcome.OK && !x.replied {
		x.logBegin()
		x.match()
		o = x.passed()
		for x.followed.now {
			x.reroute()
			o = x.passed()
		}
	}
	if o == outcome.OK && !x.replied {
		o = x.deliver()
		x.blame(o)
	}
	x.finish(o)
}

// passed brings an answer from the filters and the router.
func (x *exchange) passed() outcome.Outcome {
	if b := x.chain(); b != nil {
		return x.filter(b)
	}
	return x.ask()
}

// ask is the router: it brings the head of an answer from a host, of which nothing
// has been sent on, or has it made here.
func (x *exchange) ask() outcome.Outcome {
	if x.here.room.cfg.NoRouter && x.unrouted() {
		return x.languish()
	}
	o := x.aim()
	if o != outcome.OK || x.replied {
		return o
	}
	if o = x.pick(); o != outcome.OK {
		return o
	}
	o = x.try()
	for !x.tried.spoke() && x.retries(&o) {
		o = x.try()
	}
	if x.tried.spoke() {
		return o
	}
	if o == outcome.OK && x.route.Redirects != nil && x.follows() {
		return o
	}
	x.judge(o)
	x.settle()
	if o == outcome.OK {
		if x.complete == 0 && x.switched() {
			x.complete = x.w.Now() // the request was all head
		}
		x.changeAnswer()
	}
	return o
}

// deliver sends the answer on, from its head to its end.
func (x *exchange) deliver() outcome.Outcome {
	x.tellStatus()
	if x.upgrades && x.switched() {
		return x.join()
	}
	return x.respond()
}

// begin counts a request in.
func (x *exchange) begin() {
	x.here.count.RqTotal++
	x.here.count.RqActive++
	x.moved = x.w.Now()
	x.ordinaryPatience()
	x.info.Times.Began = x.since
}

// pick chooses a host and writes the head that it shall see.
func (x *exchange) pick() outcome.Outcome {
	x.cluster = x.found.On(x.w)
	c := x.cluster
	if o := c.Drops(); o != outcome.OK {
		return o
	}
	c.Count.RqTotal++
	x.tallyTotal()
	x.lists = nil
	p := x.wish()
	p.Override = x.override()
	if o := x.lookUp(&p); o != outcome.OK {
		return o
	}
	h, o := c.Pick(&p)
	if o != outcome.OK {
		return o
	}
	if o := x.occupy(h); o != outcome.OK {
		return o
	}
	if x.route.Mirrors != nil {
		x.mirror()
	}
	x.multiply()
	switch {
	case x.raw:
		x.keepHead()
		x.retry.live = x.retry.live && x.whole // else its payload may be gone
	case x.held.use:
		x.pickKept()
	case x.retry.live || x.route.Redirects != nil || x.race.more > 0 || x.tryBound != nil:
		if o := x.keepAll(); o != outcome.OK {
			return o
		}
	case x.shared:
		x.keepHead()
	default:
		x.writeHead()
	}
	if x.whole {
		x.wholeCame()
	}
	return outcome.OK
}

// occupy takes a place among the cluster's requests for an attempt at a host.
func (x *exchange) occupy(h *upstream.Host) outcome.Outcome {
	x.owner = x.cluster
	if h.Cluster != x.cluster.Cluster {
		x.ownedBy(h.Cluster.On(x.w))
	}
	x.breaker = x.owner.Breaker(x.route.High)
	if !x.breaker.Requests.Enter() {
		x.owner.Count.RqPendingOverflow++
		return outcome.Overflow
	}
	x.host, x.hostOn = h, h.On(x.w)
	x.info.Upstream.Host = h.Endpoint()
	x.unlogged = true
	x.hostOn.Begin()
	x.owner.Count.RqActive++
	x.trackTry()
	if x.tryBound = nil; !x.raw { // not CONNECT that ends here
		x.tryBound = x.tryFilters()
	}
	x.shared = x.speaksHTTP2()
	x.trailers = x.passesTrailers()
	return outcome.OK
}

// ownedBy makes a member of an aggregate cluster the one whose attempt it is: its
// breakers hold, and it counts the request.
func (x *exchange) ownedBy(member *upstream.Local) {
	x.cluster.Count.RqTotal--
	member.Count.RqTotal++
	x.owner = member
	x.limits = answerLimits(&member.Config().HTTP)
}

// vacate gives the place back.
func (x *exchange) vacate() {
	if x.hostOn != nil {
		x.hostOn.End()
		x.breaker.Requests.Leave()
		x.owner.Count.RqActive--
		x.tracked()
		x.hostOn = nil
	}
}

// forward sends the request over a connection and reads the head of the answer:
// of HTTP/1.1, backHead bytes that are still buffered.
func (x *exchange) forward() outcome.Outcome {
	if x.race.resume {
		x.race.resume = false
		var o outcome.Outcome
		x.backHead, o = x.readAnswer()
		return o
	}
	if o := x.connect(); o != outcome.OK {
		return o
	}
	x.hostOn.Report(outlier.Connected, 0)
	x.noteConnected()
	if d := x.owner.Config().HTTP.MaxStream; d > 0 {
		x.retry.dies = x.w.Now() + int64(d)
	}
	if x.pumpEnd != outcome.OK { // the client went while a connection was made
		return x.pumpEnd
	}
	if o := x.send(); o != outcome.OK {
		return o
	}
	if x.raw {
		x.answerRaw()
		return outcome.OK
	}
	if x.race.more > 0 && x.dueToRace() {
		return outcome.PerTryTimeout // for the next one of those that go out at first
	}
	x.clockTry()
	var o outcome.Outcome
	x.backHead, o = x.readAnswer()
	x.noteAnswer(o)
	return o
}

// maxTries bounds how often one request meets a connection that is dead.
const maxTries = 3

// again says whether the request met a connection that its host had closed
// already, and may go out once more: nothing of it was taken, or it is whole
// and safe to repeat (RFC 9110, 9.2.2), and no byte of an answer came.
func (x *exchange) again(o outcome.Outcome) bool {
	if o != outcome.ConnectionLost || x.race.won != nil || x.started || x.informed > 0 || x.tries >= maxTries || x.pumpEnd != outcome.OK || x.pumping {
		return false
	}
	switch {
	case x.up.s != nil:
		if err := x.up.s.Err(); !x.whole || !h2.Unprocessed(err) || x.retry.live && refused(err) {
			return false // the policy says what becomes of a stream that was refused
		}
	case x.lease == nil:
		return false
	default:
		l := x.lease
		if !l.Reused || l.Conn.Pending() > 0 || !x.untaken && !(x.whole && l.Conn.Untaken()) && !(x.whole && x.method.Idempotent()) {
			return false
		}
	}
	x.drop()
	x.leave()
	x.retry.timed = false
	x.tries++
	x.upErr, x.untaken = nil, false
	x.resp.Reset()
	x.here.count.RqRetryStale++
	return true
}

// drop ends the upstream's side: something about it is in doubt. Whoever waits
// on it wakes.
func (x *exchange) drop() {
	if l := x.lease; l != nil {
		x.lease = nil
		l.Drop()
	}
	if x.up.s != nil {
		x.up.s.Reset(http2.Cancel)
	}
}

// leave gives the upstream's stream back, once nobody waits on it.
func (x *exchange) leave() {
	if x.own != nil {
		x.resp.Headers, x.own = x.own[:0], nil
	}
	if s := x.up.s; s != nil {
		s.Close()
	}
	x.up = end{}
	x.held.open = false
}

// release gives back everything that the request held of the cluster.
func (x *exchange) release(o outcome.Outcome) {
	if x.settled {
		return
	}
	x.settled = true
	x.endPump()
	whole := o == outcome.OK && x.back.done && x.complete != 0 && !x.tried.busy()
	x.endFeed()
	x.hearTrailers()
	if x.flt != nil {
		x.flt.answer.usedUp(&x.up)
	}
	if x.tried != nil {
		x.tried.answer.usedUp(&x.up)
	}
	switch l := x.lease; {
	case x.up.s != nil:
		if !whole {
			x.drop()
		}
	case l == nil:
	case whole && x.resp.KeepAlive && !x.tunnel && !x.raw && x.status != 101:
		if l.Conn.Pending() > 0 {
			x.here.count.UpstreamExtra++
		}
		x.lease = nil
		l.Conn.SetReadTimeout(0)
		l.Put()
	default:
		x.drop()
	}
	x.leave()
	x.leaveRace()
	x.leaveRetries()
	x.held.free(x.w)
	if h := x.hostOn; h != nil {
		x.vacate()
		x.hostOn = h // for what is counted of the request's end
	}
	if x.out != nil {
		x.w.FreeBuffer(x.out)
		x.out = nil
	}
}

// finish ends the request: the one place that releases, answers what failed,
// counts, and decides what becomes of the connection.
func (x *exchange) finish(o outcome.Outcome) {
	x.noteEnd(o)
	x.trackAll(o)
	x.release(o)
	switch {
	case o == outcome.OK && !x.replied:
	case o == outcome.DownstreamGone, o != outcome.OK && x.started:
		x.down.cut(http2.InternalError)
	default:
		x.answer(o)
	}
	x.count(o)
	x.log()
	if x.tried != nil {
		x.tried.r.End(o)
		x.tried = nil
	}
	if x.flt != nil {
		x.flt.r.End(o)
	}
	if x.down.s != nil {
		x.finishStream()
		return
	}
	c := x.down.c
	if !c.Closed() {
		c.Discard(x.head)
		if x.flt != nil {
			x.flt.came.usedUp(&x.down)
		}
		if c.WriteError() != nil {
			c.Reset()
		} else if x.closes {
			x.conn.over = true
			c.CloseAfterReply(x.here.room.cfg.DelayedCloseTimeout)
		}
	}
}

// broken is finish after a panic: nothing is answered.
func (x *exchange) broken() {
	x.down.cut(http2.InternalError)
	x.stop = true
	if x.attempt != nil {
		x.attempt.left = true
	}
	x.drop()
	x.leaveRetries()
	x.leaveRace()
	if !x.settled {
		x.vacate()
	}
	x.w.ClearTimer(&x.logTimer)
	x.here.count.RqActive--
	if x.tried != nil {
		x.tried.left = true
		x.tried.r.End(outcome.Overload)
		x.tried = nil
	}
	if x.flt != nil {
		x.flt.r.End(outcome.Overload)
	}
}
