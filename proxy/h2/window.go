package h2

// Flow control, both ways (RFC 9113, 5.2), and the order in which streams send.

import (
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// credit gives the peer back what was used up of the stream's window and of the
// connection's: half a window at a time, so that there are few updates and the
// peer never waits for one.
func (s *Stream) credit(n int) {
	c := s.conn
	if c.err != nil || n == 0 {
		return
	}
	s.owed += int64(n)
	if s.owed >= int64(c.o.H2.StreamWindow)/2 && !s.ended && s.err == nil {
		c.net.Commit(http2.AppendWindowUpdate(c.net.Begin(32), s.id, uint32(s.owed)))
		s.left += s.owed
		s.owed = 0
	}
	c.creditConn(int64(n))
}

func (c *Conn) creditConn(n int64) {
	if c.owed += n; c.owed >= int64(c.o.H2.ConnectionWindow)/2 && c.err == nil {
		c.net.Commit(http2.AppendWindowUpdate(c.net.Begin(32), 0, uint32(c.owed)))
		c.left += c.owed
		c.owed = 0
	}
}

// sizeAtOnce is how much is queued on the connection before it is flushed within
// a turn.
const sizeAtOnce = 64 << 10

// frames sends as much of p as the windows and the connection's queue allow, and
// says how much that was.
func (s *Stream) frames(p []byte, end bool) (sent int) {
	c := s.conn
	for {
		n := int64(len(p) - sent)
		if n > 0 {
			n = min(n, s.send, c.send, int64(c.maxFrame), int64(c.o.BufferLimit-c.net.Unsent()))
			if n <= 0 {
				return sent
			}
		}
		last := end && sent+int(n) == len(p)
		if n == 0 && !last {
			return sent
		}
		flags := http2.Flags(0)
		if last {
			flags = http2.FlagEndStream
		}
		out := http2.AppendFrameHeader(c.net.Begin(int(n)+16), int(n), http2.FrameData, flags, s.id)
		c.net.Commit(append(out, p[sent:sent+int(n)]...))
		c.floods.DataSent(int(n))
		s.send -= n
		c.send -= n
		sent += int(n)
		if c.net.Unsent() >= sizeAtOnce {
			c.net.Flush()
		}
		if last {
			s.endSent = true
			s.half()
			return sent
		}
	}
}

// push sends what is queued of the stream, as far as it may.
func (s *Stream) push() {
	if s.err != nil || s.endSent || s.Unsent() == 0 && !s.ends {
		return
	}
	s.outOff += s.frames(s.out[s.outOff:], s.ends && s.tail == nil)
	if s.Unsent() > 0 {
		s.hold()
	} else if s.out != nil {
		s.conn.w.FreeBuffer(s.out)
		s.out, s.outOff = nil, 0
		if s.tail != nil {
			s.sendTail(s.tail)
		}
	}
	if s.writer.Waiting() && s.Unsent() <= s.drainTo {
		s.writer.Wake(s.conn.w)
	}
	if s.closed && s.endSent {
		s.finish()
	}
}

// hold puts a stream that the connection holds up, not its own window, among
// those that wait for the connection.
func (s *Stream) hold() {
	c := s.conn
	if s.waits || s.send <= 0 && s.Unsent() > 0 {
		return
	}
	s.waits = true
	c.blocked = append(c.blocked, s)
	if c.send > 0 {
		c.waitForRoom()
	}
}

func (c *Conn) unblock(s *Stream) {
	s.waits = false
	for i, o := range c.blocked {
		if o == s {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			return
		}
	}
}

// pushAll lets the streams that wait for the connection send, those that have
// waited longest first.
func (c *Conn) pushAll() {
	for n := len(c.blocked); n > 0 && len(c.blocked) > 0 && c.send > 0 && c.net.Unsent() < c.o.BufferLimit; n-- {
		s := c.blocked[0]
		c.blocked = c.blocked[1:]
		s.waits = false
		s.push()
	}
	if len(c.blocked) == 0 {
		c.blocked = nil
	} else if c.send > 0 {
		c.waitForRoom()
	}
}

// waitForRoom waits, in a coroutine, until half of what is queued on the
// connection is gone.
func (c *Conn) waitForRoom() {
	if c.drains {
		return
	}
	c.drains = true
	c.w.Go(func() {
		err := c.net.Drain(c.o.BufferLimit / 2)
		for err == loop.ErrTimeout {
			err = c.net.Drain(c.o.BufferLimit / 2)
		}
		c.drains = false
		if err == nil && c.err == nil {
			c.pushAll()
		}
	})
}
