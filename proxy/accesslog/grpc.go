package accesslog

// Logs that a gRPC service takes (Envoy access_loggers/grpc, AccessLogService): each
// worker has a stream of its own and a batch that it adds to.
//
//	Write ─▶ batch ─ full, or old ─▶ a coroutine: open a stream, or go on with it ─▶ message
//
// Nobody waits for the service: what comes while a message is under way fills the next
// batch, and what has no room in that is lost and counted.

import (
	"sync/atomic"

	wire "github.com/attache-mesh/attache/proxy/codec/protowire"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// leastHeld is how much a batch may hold at least while another one is sent, in bytes.
const leastHeld = 256 << 10

// service is a log that goes to a service.
type service struct {
	set    *Files
	asked  *config.GRPCLog
	method callout.Method
	held   int // bytes that one batch may hold
	parts  []batch
	closed atomic.Bool
}

// batch is what a worker has for the service. Worker only.
type batch struct {
	s       *service
	w       *loop.Worker
	entries []byte
	count   uint64
	message []byte
	stream  callout.Stream
	open    bool
	sending bool
	timer   loop.Timer
	armed   bool
	late    func() // bound once
}

func newService(asked *config.GRPCLog, set *Files) *service {
	g := &asked.Service
	s := &service{
		set: set, asked: asked, held: max(4*asked.Buffer, leastHeld), parts: make([]batch, set.workers),
		method: callout.Method{
			Authority: []byte(g.Authority), Path: []byte("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"), MaxMessage: int(g.MaxMessage),
		},
	}
	for _, m := range g.Metadata {
		s.method.Metadata = append(s.method.Metadata, callout.Field(m.Key, m.Value))
	}
	s.method.Ready()
	set.join(s)
	for i := range s.parts {
		b := &s.parts[i]
		b.s, b.late = s, b.timeUp
	}
	return s
}

// needs is what its entries look at.
func (s *service) needs() format.Needs {
	n := format.NeedsLocal
	if !s.asked.TCP {
		n |= format.NeedsRequest | format.NeedsResponse
		if len(s.asked.Trailers) > 0 {
			n |= format.NeedsTrailers
		}
	}
	return n
}

// write adds an entry to the worker's batch.
func (s *service) write(w *loop.Worker, v *streaminfo.View) {
	b := &s.parts[w.ID]
	b.w = w
	if len(b.entries) >= s.held {
		s.set.lost.Add(1)
		return
	}
	b.count++
	if s.asked.TCP {
		b.entries = appendTCP(b.entries, v, s.asked)
	} else {
		b.entries = appendHTTP(b.entries, v, s.asked)
	}
	if len(b.entries) >= s.asked.Buffer {
		b.flush()
	}
	b.arm()
}

func (b *batch) arm() {
	if !b.armed {
		b.armed = true
		b.w.SetTimer(&b.timer, b.s.asked.Flush, b.late)
	}
}

// timeUp sends what has gathered. The stream stays open until nobody logs any more.
func (b *batch) timeUp() {
	b.armed = false
	switch {
	case b.count > 0:
		b.flush()
		b.arm()
	case b.sending:
		b.arm()
	case b.s.closed.Load():
		b.leave()
	case b.open:
		b.arm()
	}
}

// flush has the batch sent, unless one is under way: its coroutine goes on with this.
func (b *batch) flush() {
	if !b.sending && b.count > 0 {
		b.sending = true
		b.w.Go(b.send)
	}
}

// send sends what there is until nothing is left. In a coroutine.
func (b *batch) send() {
	defer func() { b.sending = false }()
	for b.count > 0 {
		n := b.count
		b.count = 0
		b.entries, b.message = b.message[:0], b.entries
		if b.reach() && b.stream.Send(b.wrap(b.message), false) == outcome.OK {
			b.s.set.sent.Add(n)
			continue
		}
		b.shut()
		b.s.set.lost.Add(n)
	}
}

// reach goes on with the stream if the service still listens, else opens one.
func (b *batch) reach() bool {
	if b.open {
		// An answer means that the service has had enough of the stream.
		if _, o := b.stream.Receive(1); o == outcome.Timeout {
			return true
		}
		b.shut()
	}
	c := b.s.set.cluster(b.s.asked.Service.Cluster)
	if c == nil {
		return false
	}
	b.open = true
	if b.stream.Open(b.w, c, &b.s.method) != outcome.OK {
		return false
	}
	return b.stream.Send(b.identify(), false) == outcome.OK
}

func (b *batch) shut() {
	if b.open {
		b.open = false
		b.stream.Close()
	}
}

// last sends what there is and then ends the stream; true when there is nothing left of
// either. It is to be called again until then.
func (b *batch) last() bool {
	switch {
	case b.w == nil:
	case b.count > 0:
		b.flush()
	case !b.sending:
		b.leave()
	}
	return b.count == 0 && !b.sending && !b.open
}

// leave ends the stream in peace: nobody logs any more.
func (b *batch) leave() {
	if !b.open {
		return
	}
	b.sending = true
	b.w.Go(func() {
		defer func() { b.sending = false }()
		b.stream.SendEnd()
		_, _ = b.stream.Receive(b.s.asked.Flush)
		b.shut()
	})
}

// identify is the first message of a stream: who logs, and to which log.
func (b *batch) identify() []byte {
	a := b.s.asked
	m, identifier := wire.Begin(nil, 1)
	m, node := wire.Begin(m, 1)
	m = wire.AppendText(wire.AppendText(m, 1, a.NodeID), 2, a.NodeCluster)
	m = wire.End(m, node)
	return wire.End(wire.AppendText(m, 2, a.Name), identifier)
}

// wrap makes entries a message: HTTPAccessLogEntries or TCPAccessLogEntries.
func (b *batch) wrap(entries []byte) []byte {
	number := 2
	if b.s.asked.TCP {
		number = 3
	}
	m, at := wire.Begin(make([]byte, 0, len(entries)+8), number)
	return wire.End(append(m, entries...), at)
}
