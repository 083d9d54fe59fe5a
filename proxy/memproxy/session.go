package memproxy

// What does the connection to one host live through?

import (
	"math"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// shard is a host as memcached rooms use it on one worker; rooms share it.
// Worker only.
type shard struct{ sessions []*session }

// session is one lasting connection to a host and what it owes. Worker only.
//
//	begin/commit ─▶ queue (no connection yet) or the connection's out queue
//	                FIFO of parts ◀── replies, in order
//
//	patient: commands may wait for a connection; else they fail at once
type session struct {
	worker  *loop.Worker
	cluster *upstream.Local
	host    *upstream.HostLocal
	lasting *pool.Lasting
	conn    *loop.Conn // nil: not up
	limits  memcache.Limits
	parser  memcache.ReplyParser
	reply   memcache.Reply
	mid     bool // the parser has begun to look at a reply

	first, last *part // sent or queued, not answered
	gather      *part // of the multi-get that is being split
	queue       []byte
	appended    int64 // bytes of commands since the connection began
	before      int   // bytes that were there when begin was called

	patient bool
	why     outcome.Outcome // what commands fail with if it is not patient
	probing bool            // the host was silent and is asked whether it answers at all
	silence time.Duration   // how long it was
	retired bool            // the host has left
	timer   loop.Timer
	due     int64 // when the timer fires, in the worker's nanoseconds
	overdue func()
}

// maxReplyValue bounds a value that a host sends: values pass through, and how
// much is held for a client is bounded elsewhere.
const maxReplyValue = 1 << 30

// maxUnsent bounds what waits for one host to take it, in bytes.
const maxUnsent = 64 << 20

// sessionOf gives the connection of a host that clients with this pin use.
func sessionOf(cluster *upstream.Local, h *upstream.HostLocal, pin int) (*session, outcome.Outcome) {
	d, ok := h.Session.(*shard)
	if !ok {
		if h.Removed() {
			return nil, outcome.NoHost
		}
		d = newShard(cluster, h)
		h.Session = d
	}
	if len(d.sessions) == 1 {
		return d.sessions[0], outcome.OK
	}
	return d.sessions[pin%len(d.sessions)], outcome.OK
}

func newShard(cluster *upstream.Local, h *upstream.HostLocal) *shard {
	d := &shard{}
	for range max(1, cluster.Config().Pool.Connections) {
		x := &session{worker: cluster.Worker, cluster: cluster, host: h, patient: true, due: math.MaxInt64}
		x.limits = memcache.DefaultLimits()
		x.limits.ValueBytes = maxReplyValue
		x.lasting = pool.NewLasting(x.worker, h.Target(), cluster.Breaker(false), &cluster.Pool, x.up, x.down)
		x.overdue = x.late
		d.sessions = append(d.sessions, x)
	}
	return d
}

// Close ends the shard's connections when they owe nothing more; upstream calls
// it when the host leaves.
func (d *shard) Close() {
	for _, x := range d.sessions {
		x.retired = true
		x.rest()
	}
}

// want makes the first attempt to connect where none was made yet.
func (d *shard) want() {
	for _, x := range d.sessions {
		x.lasting.Want()
	}
}

// SetTarget changes how the next connections are made.
func (d *shard) SetTarget(t *pool.Target) {
	for _, x := range d.sessions {
		x.lasting.SetTarget(t)
	}
}

// begin gives the bytes that a command of about n bytes is appended to; commit
// takes them back. Not OK: it cannot be sent.
func (x *session) begin(n int) ([]byte, outcome.Outcome) {
	switch {
	case x.probing:
		return nil, x.why
	case x.conn != nil:
		if x.conn.Unsent() > maxUnsent {
			return nil, outcome.Overflow
		}
		out := x.conn.Begin(n)
		x.before = len(out)
		return out, outcome.OK
	case x.lasting.State() == pool.Closed:
		return nil, outcome.NoHost
	case !x.patient && !x.welcome():
		return nil, x.why
	case len(x.queue) > maxUnsent:
		return nil, outcome.Overflow
	}
	x.lasting.Want()
	x.before = len(x.queue)
	return x.queue, outcome.OK
}

// welcome says whether a host that could not be connected to can be by now, as another
// worker has found; then commands wait again. One that was silent is probed first.
func (x *session) welcome() bool {
	x.patient = x.lasting.Hurry() && x.why != outcome.Timeout
	return x.patient
}

// commit sends what begin began.
func (x *session) commit(p *part, out []byte) {
	p.session = x
	p.start = x.appended
	x.appended += int64(len(out) - x.before)
	if x.last == nil {
		x.first = p
	} else {
		x.last.next = p
	}
	x.last = p
	if x.conn != nil {
		x.conn.Commit(out)
	} else {
		x.queue = out
	}
	x.host.Begin()
	x.cluster.Count.CxTxBytes += uint64(len(out) - x.before)
	x.cluster.Count.RqTotal++
	x.cluster.Count.RqActive++
	x.expect(p)
}

// expect sees to it that a part is answered in time. The timer mostly stands
// already: deadlines come in the order of the parts, but for rooms with
// different times.
func (x *session) expect(p *part) {
	d := p.slot.client.at.cfg.OpTimeout
	if d == 0 {
		p.deadline = math.MaxInt64
		return
	}
	p.deadline = x.worker.Now() + int64(d)
	if p.deadline < x.due {
		x.arm(p.deadline)
	}
}

func (x *session) arm(at int64) {
	x.due = at
	x.worker.SetTimer(&x.timer, time.Duration(at-x.worker.Now()), x.overdue)
}

// late is called when the timer fires: a part that is overdue costs the
// connection, so that its reply can meet nobody.
func (x *session) late() {
	x.due = math.MaxInt64
	if x.probing {
		x.timedOut()
		return
	}
	now, next := x.worker.Now(), int64(math.MaxInt64)
	for p := x.first; p != nil; p = p.next {
		if p.deadline <= now {
			x.cluster.Count.RqTimeout++
			x.host.Count.RqTimeout++
			x.silence = p.slot.client.at.cfg.OpTimeout
			x.timedOut()
			return
		}
		next = min(next, p.deadline)
	}
	if next < math.MaxInt64 {
		x.arm(next)
	}
}

func (x *session) timedOut() {
	if x.conn != nil {
		x.lost(outcome.Timeout)
		return
	}
	x.patient, x.why = false, outcome.Timeout
	x.blame(x.why)
	x.failAll(outcome.Timeout)
	x.rest()
}
