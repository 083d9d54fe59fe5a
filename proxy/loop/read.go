package loop

import (
	"errors"
	"io"
	"syscall"
)

// Reading. Bytes come into the worker's shared buffer and are looked at in
// place (Buffered), used up (Discard), and only what is left of a partial
// message is moved to a buffer of the connection's own, and that only when the
// room is needed by another. Whatever Buffered gave is borrowed until the next
// Fill, Next or wait of any connection on the worker.

// readsPerTurn is how often a connection may read without letting others run.
const readsPerTurn = 16

// Pending is how many bytes have come and are not discarded.
func (c *Conn) Pending() int {
	if s := &c.w.shared; s.owner == c {
		return s.to - s.from
	}
	return len(c.in) - c.inOff
}

// Buffered gives those bytes.
func (c *Conn) Buffered() []byte {
	if s := &c.w.shared; s.owner == c {
		return s.buf[s.from:s.to]
	}
	return c.in[c.inOff:]
}

// Discard uses up the first n of them.
func (c *Conn) Discard(n int) {
	if s := &c.w.shared; s.owner == c {
		if s.from += n; s.from == s.to {
			s.owner = nil
		}
		return
	}
	if c.inOff += n; c.inOff == len(c.in) && c.in != nil {
		c.w.bufs.put(c.in)
		c.in, c.inOff = nil, 0
	}
}

// Fill reads once if there may be something, adds it to Buffered and returns
// how much it was. It does not wait: 0 and no error say that nothing is there
// now. io.EOF is the peer's end; it stays.
func (c *Conn) Fill() (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	if !c.readable || c.eof {
		return 0, c.endOfInput()
	}
	s := &c.w.shared
	if s.owner != c {
		if s.owner != nil {
			c.w.evictShared()
		}
		if c.in != nil {
			return c.fillOwn()
		}
		s.from, s.to = 0, 0
	}
	if s.to == len(s.buf) {
		if s.from == 0 {
			c.w.evictShared()
			return c.fillOwn()
		}
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	}
	n, err := c.take(s.buf[s.to:])
	if n > 0 {
		s.owner = c
		s.to += n
	}
	return n, err
}

// fillOwn reads behind what the connection keeps in a buffer of its own.
func (c *Conn) fillOwn() (int, error) {
	if c.inOff > 0 {
		c.in = c.in[:copy(c.in, c.in[c.inOff:])]
		c.inOff = 0
	}
	if cap(c.in)-len(c.in) < leastRoom {
		bigger := append(c.w.bufs.get(max(2*cap(c.in), len(c.in)+2*leastRoom)), c.in...)
		c.w.bufs.put(c.in)
		c.in = bigger
	}
	n, err := c.take(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return n, err
}

// take is one system call. A short read says that the socket is drained: the
// next bytes bring an event. After the peer's end only a read of 0 says so.
func (c *Conn) take(p []byte) (int, error) {
	if c.layer != nil {
		return c.open(p)
	}
	n, more, err := c.receive(p)
	c.readable, c.eof = more, err != nil
	return n, err
}

// receive is take of the socket's own bytes; more says that a further one may
// bring something.
func (c *Conn) receive(p []byte) (n int, more bool, err error) {
	c.w.count.Reads++
	n, full, errno := c.recv(p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, false, nil
	case errno != 0:
		c.closeErr = sysError("read", errno)
		return 0, false, c.closeErr
	case n > 0:
		return n, full || c.hup, nil
	case errors.Is(c.writeErr, syscall.ECONNRESET):
		c.closeErr = c.writeErr // the write took the reset; this is no end
		return 0, false, c.closeErr
	case c.inside != nil && c.inside.torn:
		c.closeErr = sysError("read", syscall.ECONNRESET)
		return 0, false, c.closeErr
	}
	return 0, false, io.EOF
}

func (c *Conn) endOfInput() error {
	if !c.eof {
		return nil
	}
	c.readable = false // a write that failed may have set it; there is no more
	if c.closeErr != nil {
		return c.closeErr
	}
	return io.EOF
}

// Next waits until more bytes came than Buffered had, and gives all of them.
// For coroutines only.
func (c *Conn) Next() ([]byte, error) {
	for {
		if err := c.fair(); err != nil {
			return nil, err
		}
		n, err := c.Fill()
		if n > 0 {
			return c.Buffered(), nil
		}
		if err != nil {
			return c.Buffered(), err
		}
		if err := c.Wait(); err != nil {
			return c.Buffered(), err
		}
	}
}

// Wait yields until bytes may be read, the read deadline passes, or the
// connection is closed. For coroutines only.
func (c *Conn) Wait() error {
	for !c.readable && !c.closed && !c.eof {
		if c.until[0] == passed {
			c.until[0] = 0
			return ErrTimeout
		}
		c.readErr = nil
		c.reader.Wait(c.w)
		if c.readErr != nil {
			return c.readErr
		}
	}
	if c.closed {
		return ErrClosed
	}
	return nil
}

// fair lets the others run if this connection has read many times in one turn:
// one that always has bytes must not starve them.
func (c *Conn) fair() error {
	if c.readTurn != c.w.count.Turns {
		c.readTurn, c.reads = c.w.count.Turns, 0
	}
	if c.reads++; c.reads <= readsPerTurn {
		return nil
	}
	c.w.Yield()
	c.readTurn, c.reads = c.w.count.Turns, 0
	if c.closed {
		return ErrClosed
	}
	return nil
}

// Spent reports whether the connection has had its share of this turn; a
// handler that never yields asks it between reads and calls Again if so.
func (c *Conn) Spent() bool {
	if c.readTurn != c.w.count.Turns {
		c.readTurn, c.reads = c.w.count.Turns, 0
	}
	c.reads++
	return c.reads > readsPerTurn
}

// Read is net.Conn's: it waits for at least one byte. For coroutines only.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.Pending() == 0 {
		if err := c.fair(); err != nil {
			return 0, err
		}
		if c.closed || c.eof {
			if err := c.endOfInput(); err != nil {
				return 0, err
			}
			return 0, ErrClosed
		}
		if c.readable {
			if n, err := c.take(p); n > 0 || err != nil {
				return n, err
			}
		}
		if err := c.Wait(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.Buffered())
	c.Discard(n)
	return n, nil
}

// Ended reports whether the peer has ended its side and everything was read.
func (c *Conn) Ended() bool { return c.eof && c.Pending() == 0 }
