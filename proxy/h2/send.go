package h2

// What a stream sends: heads, data, trailers. Nothing here waits but Drain.

import (
	"bytes"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
)

// Head begins a header block of this stream, and SendHead ends it; false if the
// stream takes none any more: then nothing follows. Nothing else may be sent on
// the connection between the two, or the peer's table would not be the encoder's.
func (s *Stream) Head() bool {
	c := s.conn
	if s.err != nil || s.endSent || c.err != nil {
		return false
	}
	c.block = c.enc.Begin(c.block[:0])
	return true
}

// Field adds a line to the block; names are sent in lower case.
func (s *Stream) Field(name, value []byte, id http1.FieldID) {
	s.conn.block = s.conn.enc.Append(s.conn.block, name, value, id)
}

// Request adds the pseudo-headers of a request to the block, first: path is nil for
// CONNECT; protocol is that of an extended CONNECT, else nil.
func (s *Stream) Request(method, scheme, authority, path, protocol []byte) {
	s.conn.block = s.conn.enc.Request(s.conn.block, method, scheme, authority, path, protocol)
}

// Status adds :status to the block, first.
func (s *Stream) Status(code int) { s.conn.block = s.conn.enc.Status(s.conn.block, code) }

// SendHead sends the block: a head, or trailers, with which end must be set and
// nothing be queued.
func (s *Stream) SendHead(end bool) {
	c := s.conn
	if s.id == 0 {
		s.number()
	}
	s.endSent, s.answered = end, true
	c.net.Commit(http2.AppendBlock(c.net.Begin(len(c.block)+32), s.id, end, c.block, c.maxFrame))
	if end {
		s.half()
	}
}

// SendInterim sends the block as an interim head (1xx): the answer is still to
// come, and a client that resets the stream before it is as hasty as without.
func (s *Stream) SendInterim() {
	before := s.answered
	s.SendHead(false)
	s.answered = before
}

// number gives the stream its number.
func (s *Stream) number() {
	c := s.conn
	c.unfresh(s)
	s.id = c.next
	c.next += 2
	c.streams.put(s)
}

func (c *Conn) unfresh(s *Stream) bool {
	i := slices.Index(c.fresh, s)
	if i >= 0 {
		c.fresh = slices.Delete(c.fresh, i, i+1)
	}
	return i >= 0
}

// Send queues a copy of data; end says that nothing follows.
func (s *Stream) Send(p []byte, end bool) {
	if s.err != nil || s.endSent || s.ends {
		return
	}
	if s.Unsent() == 0 {
		p = p[s.frames(p, end):]
		if s.endSent || len(p) == 0 && !end {
			return
		}
	}
	if len(p) > 0 {
		if s.out == nil {
			s.out = s.conn.w.Buffer(len(p))
		} else {
			s.out = s.room(s.out, &s.outOff, len(p))
		}
		s.out = append(s.out, p...)
	}
	s.ends = s.ends || end
	s.hold()
}

// SendTrailers ends the stream with trailers, behind what is queued. Lines marked
// Hop are left out; the rest may be used again afterwards.
func (s *Stream) SendTrailers(lines []http1.Header) {
	if s.err != nil || s.endSent || s.ends {
		return
	}
	if s.Unsent() == 0 {
		s.sendTail(lines)
		return
	}
	s.tail = make([]http1.Header, 0, len(lines))
	for _, h := range lines {
		if !h.Hop {
			s.tail = append(s.tail, http1.Header{Name: bytes.Clone(h.Name), Value: bytes.Clone(h.Value), ID: h.ID})
		}
	}
	s.ends = true
}

func (s *Stream) sendTail(lines []http1.Header) {
	if !s.Head() {
		return
	}
	for i := range lines {
		if h := &lines[i]; !h.Hop {
			s.Field(h.Name, h.Value, h.ID)
		}
	}
	s.SendHead(true)
}

// Wake lets the coroutine that waits for something new look again, as if
// something were: what it waits for besides has changed.
func (s *Stream) Wake() { s.reader.Wake(s.conn.w) }

// Unsent is how much data is queued because a window or the connection is full.
func (s *Stream) Unsent() int { return len(s.out) - s.outOff }

// Sent reports whether END_STREAM was sent, or is to be with what is queued.
func (s *Stream) Sent() bool { return s.endSent || s.ends }

// Drain yields until at most n bytes are queued, the stream is over, or d has
// passed (0: never), which is ErrTimeout. For coroutines only.
func (s *Stream) Drain(n int, d time.Duration) error {
	for s.err == nil && s.Unsent() > n {
		s.drainTo = n
		if err := s.wait(1, &s.writer, d); err != nil {
			return err
		}
	}
	return s.err
}
