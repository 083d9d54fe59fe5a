package callout

// A gRPC stream: messages go both ways for as long as both sides want.

import (
	"encoding/binary"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Stream is a bidirectional gRPC stream. Its zero value is ready to use, and may
// be used again after Close. One coroutine uses it at a time. Worker only.
type Stream struct {
	call Call
	m    *Method
	req  Request
	o    outcome.Outcome
	open bool
	// What Receive gave: so much of the stream's data, or part as a whole.
	given int
	part  []byte // of a message that is not there yet
	whole bool
}

// streamQueue is how much may be queued for the service before Send waits, in
// bytes.
const streamQueue = 64 << 10

// Open opens a stream to a method. The method's Timeout bounds the stream's whole
// life. It yields while it connects. For coroutines only.
func (s *Stream) Open(w *loop.Worker, cluster *upstream.Cluster, m *Method) outcome.Outcome {
	c := &s.call
	s.m, s.given, s.part, s.whole, s.o, s.open = m, 0, s.part[:0], false, outcome.OK, true
	s.req = Request{
		Method: methodPost, Authority: m.Authority, Path: m.Path, Headers: m.headers,
		Timeout: m.Timeout, MaxBody: m.MaxMessage + frameHead,
	}
	c.grpc = true
	c.begin(w, cluster, &s.req)
	o := c.pick()
	if o == outcome.OK {
		o = c.connect()
	}
	switch {
	case o != outcome.OK:
	case c.cancelled:
		o = outcome.DownstreamGone
	case c.stream == nil:
		o = outcome.ProtocolError // HTTP/1.1 does not carry messages both ways at once
	default:
		o = c.send(nil, false)
	}
	s.o = o
	return o
}

// Send queues a message, and waits while more than a bound is queued. end says
// that it is the last. For coroutines only.
func (s *Stream) Send(msg []byte, end bool) outcome.Outcome {
	if s.o != outcome.OK {
		return s.o
	}
	c := &s.call
	c.head = append(AppendFrame(c.head[:0], len(msg)), msg...)
	c.stream.Send(c.head, end)
	if cap(c.head) > keptBody {
		c.head = nil
	}
	return s.ease()
}

// Queue queues a message and does not wait: how much is queued (Unsent) is the caller's
// to bound.
func (s *Stream) Queue(msg []byte) {
	if s.o != outcome.OK {
		return
	}
	c := &s.call
	c.head = append(AppendFrame(c.head[:0], len(msg)), msg...)
	c.stream.Send(c.head, false)
	if cap(c.head) > keptBody {
		c.head = nil
	}
}

// Unsent is how many bytes are queued for the service.
func (s *Stream) Unsent() int {
	if s.call.stream == nil {
		return 0
	}
	return s.call.stream.Unsent()
}

// SendEnd says that no message follows.
func (s *Stream) SendEnd() {
	if s.o == outcome.OK && s.call.stream != nil && !s.call.stream.Sent() {
		s.call.stream.Send(nil, true)
	}
}

func (s *Stream) ease() outcome.Outcome {
	c := &s.call
	for c.stream.Unsent() > streamQueue {
		err := c.stream.Drain(streamQueue/2, c.patience())
		switch {
		case err == nil:
			return outcome.OK
		case err != h2.ErrTimeout:
			s.o = c.lost(err)
		default:
			s.o = c.overdue()
		}
		if s.o != outcome.OK {
			return s.o
		}
	}
	return outcome.OK
}

// Receive waits for the next message, at most d (0: as long as the stream may
// live); it is good until the next call. A nil message with outcome.OK is the end
// of the stream: Status says how. outcome.Timeout after d leaves the stream as it
// was. For coroutines only.
func (s *Stream) Receive(d time.Duration) ([]byte, outcome.Outcome) {
	if s.o != outcome.OK {
		return nil, s.o
	}
	c := &s.call
	until := int64(0)
	if d > 0 {
		until = c.w.Now() + int64(d)
	}
	s.used()
	for {
		if o := s.answered(); o != outcome.OK {
			return nil, o
		}
		if c.answer.Status != 0 && c.answer.Status != 200 {
			return nil, outcome.OK // what follows is no message
		}
		if msg := s.next(); msg != nil || s.o != outcome.OK {
			return msg, s.o
		}
		if c.stream.Last() {
			return nil, s.ended()
		}
		if o := s.await(until); o != outcome.OK {
			return nil, o
		}
	}
}

// used gives back the message of the Receive before.
func (s *Stream) used() {
	if n := s.given; n > 0 {
		s.call.stream.Discard(n)
		s.given = 0
	}
	if s.whole {
		s.whole, s.part = false, s.part[:0]
		if cap(s.part) > keptBody {
			s.part = nil
		}
	}
}

// answered reads the head once it is there.
func (s *Stream) answered() outcome.Outcome {
	c := &s.call
	if c.answer.Status == 0 && c.stream.Answered() {
		s.o = c.readHead()
	}
	return s.o
}

// next is the next message if it is whole: where it came, or out of part, which
// takes what is not whole so that the service's window does not fill up with it.
// s.o says if it never will be.
func (s *Stream) next() []byte {
	c := &s.call
	for {
		buf := c.stream.Buffered()
		if msg, rest, ok := cutFrame(buf); ok && len(s.part) == 0 && len(msg) <= s.m.MaxMessage {
			s.given = len(buf) - len(rest)
			return msg
		}
		need := frameHead - len(s.part)
		if need <= 0 {
			n := binary.BigEndian.Uint32(s.part[1:])
			if s.part[0] != 0 || uint64(n) > uint64(s.m.MaxMessage) {
				s.o = c.garbled()
				return nil
			}
			need = frameHead + int(n) - len(s.part)
			if s.whole = need == 0; s.whole {
				return s.part[frameHead:]
			}
		}
		n := min(need, len(buf))
		if n == 0 {
			return nil
		}
		s.part = append(s.part, buf[:n]...)
		c.stream.Discard(n)
	}
}

// await waits once for something new, at most until that time.
func (s *Stream) await(until int64) outcome.Outcome {
	c := &s.call
	d := c.patience()
	if until != 0 {
		d = min(d, max(time.Duration(until-c.w.Now()), 1))
	}
	err := c.stream.Wait(d)
	switch {
	case err == nil:
	case err != h2.ErrTimeout:
		s.o = c.lost(err)
	default:
		if s.o = c.overdue(); s.o == outcome.OK && until != 0 && c.w.Now() >= until {
			return outcome.Timeout
		}
	}
	return s.o
}

// ended takes the end of the service's half.
func (s *Stream) ended() outcome.Outcome {
	c := &s.call
	if len(s.part) > 0 {
		s.o = c.garbled() // the end came amid a message
		return s.o
	}
	if !c.whole {
		c.streamEnded()
	}
	return outcome.OK
}

// Status is how the stream ended, after Receive said so.
func (s *Stream) Status() Status { return statusOf(&s.call.answer, s.o) }

// Headers are those of the answer's head, once a message came; nil before.
func (s *Stream) Headers() []http1.Header { return s.call.answer.Headers }

// Cancel ends the stream: who waits on it is told outcome.DownstreamGone. Not
// from its own coroutine.
func (s *Stream) Cancel() { s.call.Cancel() }

// Close gives back what the stream holds; one that the service has not ended is
// reset. It is well to close one twice, or one that was never opened.
func (s *Stream) Close() {
	if !s.open {
		return
	}
	s.open = false
	c := &s.call
	c.whole = c.whole && c.stream != nil && c.stream.Sent()
	c.end(s.o)
	c.grpc = false
}
