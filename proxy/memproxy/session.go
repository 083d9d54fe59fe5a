package memproxy

// What does the connection to one host live through?

import (
	"errors"
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
	case !x.patient:
		return nil, x.why
	case len(x.queue) > maxUnsent:
		return nil, outcome.Overflow
	}
	x.lasting.Want()
	x.before = len(x.queue)
	return x.queue, outcome.OK
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
	x.failAll(outcome.Timeout)
	x.rest()
}

// up is called with a new connection: what is queued goes out.
func (x *session) up(c *loop.Conn) {
	x.conn = c
	x.parser, x.mid = memcache.NewReplyParser(&x.limits), false
	x.host.Count.CxTotal++
	x.host.Count.CxActive++
	c.Data = x
	c.Serve(x, true)
	if !x.patient && x.why == outcome.Timeout {
		x.probe(c)
	}
	x.patient = true
	if len(x.queue) > 0 {
		c.Commit(append(c.Begin(len(x.queue)), x.queue...))
		x.clearQueue()
	}
	x.rest()
}

// probe asks a host that was silent for its version, and lets no command wait
// for it before it has answered: the kernel of a process that is stopped still
// accepts connections. (mcrouter probes so, too.)
func (x *session) probe(c *loop.Conn) {
	x.probing = true
	c.Commit(memcache.AppendVersionCommand(c.Begin(16)))
	x.arm(x.worker.Now() + int64(x.silence))
}

// probed takes the answer to probe.
func (x *session) probed(buf []byte) (used int) {
	n, ev := x.parser.Next(buf, memcache.Version, nil, &x.reply)
	switch {
	case ev == memcache.ReplyMore:
		return n
	case ev != memcache.ReplyLine || x.reply.Code != memcache.ServerVersion || n < len(buf):
		x.lost(outcome.ProtocolError)
		return 0
	}
	x.probing = false
	x.appended = 0
	return n
}

// down is called when an attempt to connect has failed.
func (x *session) down(err error) {
	x.host.Count.CxConnectFail++
	x.patient, x.why = false, pool.Outcome(err)
	x.failAll(x.why)
	x.rest()
}

// errLost is why a session gives its connection up.
var errLost = errors.New("memcached connection given up")

// lost ends a connection. Commands of which the kernel was given no byte wait
// for the next; all others fail.
func (x *session) lost(o outcome.Outcome) {
	c, probing := x.conn, x.probing
	x.conn, x.probing = nil, false
	x.host.Count.CxActive--
	again := (*part)(nil)
	if o == outcome.ConnectionLost && c.WriteError() == nil && !c.Closed() {
		again = x.unsent(c)
	}
	idle := x.first == nil && o == outcome.ConnectionLost && !probing
	x.patient = idle || again != nil
	if !probing { // else it is as silent as before
		x.why = outcome.ConnectFailed
	}
	switch o {
	case outcome.Timeout:
		x.why = o
	case outcome.ProtocolError:
		x.cluster.Count.CxProtocolError++
	}
	if again == nil {
		x.appended = 0
	}
	c.Reset() // not Close, which would still send what is queued
	x.lasting.Lost(errLost)
	lost := x.first
	x.first, x.last = again, nil
	for p := again; p != nil; p = p.next {
		x.last = p
	}
	x.fail(lost, again, o)
	x.rest()
}

// unsent moves to the queue what the kernel has not been given of whole
// commands, and returns the first of these parts, cut off the FIFO.
func (x *session) unsent(c *loop.Conn) *part {
	n := c.Unsent()
	given := x.appended - int64(n)
	before := (*part)(nil)
	p := x.first
	for ; p != nil && p.start < given; p = p.next {
		before = p
	}
	if p == nil {
		return nil
	}
	out := c.Begin(0)
	x.queue = append(x.queue[:0], out[len(out)-n+int(p.start-given):]...)
	x.appended = int64(len(x.queue))
	for q, base := p, p.start; q != nil; q = q.next {
		q.start -= base
	}
	if before != nil {
		before.next = nil
	} else {
		x.first = nil
	}
	return p
}

// failAll fails everything; nothing was sent.
func (x *session) failAll(o outcome.Outcome) {
	x.clearQueue()
	x.appended = 0
	p := x.first
	x.first, x.last = nil, nil
	x.fail(p, nil, o)
}

// fail ends the parts from p up to end.
func (x *session) fail(p, end *part, o outcome.Outcome) {
	for p != nil && p != end {
		next := p.next
		p.next = nil
		x.left()
		x.host.Count.RqError++
		p.fail(o)
		p = next
	}
}

// pop takes the answered part off the FIFO.
func (x *session) pop() {
	p := x.first
	if x.first = p.next; x.first == nil {
		x.last = nil
	}
	p.next = nil
	x.left()
	x.host.Count.RqSuccess++
}

func (x *session) left() {
	x.host.End()
	x.cluster.Count.RqActive--
	x.cluster.Count.RqCompleted++
}

// rest ends the session of a host that has left, when it owes nothing more.
func (x *session) rest() {
	if !x.retired || x.first != nil || x.lasting.State() == pool.Closed {
		return
	}
	if x.conn != nil {
		x.conn = nil
		x.host.Count.CxActive--
	}
	x.worker.ClearTimer(&x.timer)
	x.lasting.Close()
	x.clearQueue()
}

// keepQueue is how much memory the queue keeps.
const keepQueue = 64 << 10

func (x *session) clearQueue() {
	if x.queue = x.queue[:0]; cap(x.queue) > keepQueue {
		x.queue = nil
	}
}

// Expired implements loop.Handler; sessions have no read deadline.
func (x *session) Expired(c *loop.Conn) {}

// Closed implements loop.Handler: somebody else has closed the connection, a
// panic or the end of the worker.
func (x *session) Closed(c *loop.Conn) {
	if x.conn == c {
		x.lost(outcome.ConnectionLost)
	}
}
