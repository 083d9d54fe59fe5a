package memproxy

// How does a session get, lose and give up its connection?

import (
	"errors"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// up is called with a new connection: what is queued goes out.
func (x *session) up(c *loop.Conn) {
	x.conn = c
	x.parser, x.mid = memcache.NewReplyParser(&x.limits), false
	x.host.Count.CxTotal++
	x.host.Count.CxActive++
	x.host.Report(outlier.Connected, 0)
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
	x.blame(x.why)
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
	if x.first != again {
		x.blame(o) // something that was asked is not answered
	}
	switch count := &x.cluster.Count; o {
	case outcome.ConnectionLost:
		count.CxDestroyRemote++
	case outcome.Timeout:
		x.why = o
		count.CxDestroyLocal++
	case outcome.ProtocolError:
		count.CxProtocolError++
		count.CxDestroyLocal++
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

// blame tells outlier detection how the host failed.
func (x *session) blame(o outcome.Outcome) {
	switch o {
	case outcome.Timeout, outcome.ConnectTimeout:
		x.host.Report(outlier.TimedOut, 0)
	case outcome.ConnectionLost, outcome.ProtocolError:
		x.host.Report(outlier.Answered, 503)
	case outcome.ConnectRefused, outcome.ConnectFailed, outcome.TLSRefused, outcome.TLSFailed:
		x.host.Report(outlier.ConnectFailed, 0)
	}
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
	x.host.Report(outlier.Answered, 200)
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
