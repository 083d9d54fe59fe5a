package loop

import (
	"syscall"
)

// Writing. Write queues, and the queue goes out once at the end of the turn:
// many messages, one system call. Send writes at once if nothing is queued. No
// write ever yields; a producer that must not run ahead waits with Drain.

// Write queues a copy of p. It is net.Conn's; the error is that of an earlier
// write, or ErrClosed.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.writeState(); err != nil {
		return 0, err
	}
	c.Commit(append(c.Begin(len(p)), p...))
	return len(p), nil
}

func (c *Conn) writeState() error {
	switch {
	case c.closed || c.finished:
		return ErrClosed
	case c.connecting:
		return nil
	}
	return c.writeErr
}

// Begin gives the queue to append to, with room for n bytes more; Commit takes
// it back and marks the connection for the flush at the end of the turn.
// Nothing else may happen to the connection between the two.
func (c *Conn) Begin(n int) []byte {
	if c.layer != nil {
		return c.layer.begin(c.w, n)
	}
	return c.room(n)
}

// room is the socket's queue, with room for n bytes more.
func (c *Conn) room(n int) []byte {
	if c.out == nil {
		return c.w.bufs.get(max(n, queueSize))
	}
	if c.outOff > 0 && cap(c.out)-len(c.out) < n {
		c.out = c.out[:copy(c.out, c.out[c.outOff:])]
		c.outOff = 0
	}
	if cap(c.out)-len(c.out) < n {
		bigger := append(c.w.bufs.get(max(len(c.out)+n, 2*cap(c.out))), c.out...)
		c.w.bufs.put(c.out)
		return bigger
	}
	return c.out
}

// Commit ends what Begin began.
func (c *Conn) Commit(out []byte) {
	over := c.closed || c.finished || c.writeErr != nil
	switch l := c.layer; {
	case l != nil && over:
		c.w.FreeBuffer(out)
		l.plain = nil
	case l != nil:
		l.plain = out
		c.mark()
	case over:
		c.w.FreeBuffer(out)
		c.out, c.outOff = nil, 0
	default:
		c.out = out
		c.mark()
	}
}

// mark has the queue written at the end of the turn.
func (c *Conn) mark() {
	if !c.dirty {
		c.dirty = true
		c.w.dirty = append(c.w.dirty, c)
	}
}

// Send writes p at once if nothing waits before it, and queues what the socket
// does not take. p may be used again afterwards.
func (c *Conn) Send(p []byte) error { return c.SendTwo(p, nil) }

// SendTwo is Send of a and then b, in one system call and without joining them.
func (c *Conn) SendTwo(a, b []byte) error {
	if err := c.writeState(); err != nil {
		return err
	}
	if c.layer != nil {
		return c.sendSealed(a, b)
	}
	n := 0
	if c.Unsent() == 0 && c.writable && !c.connecting {
		c.w.count.Writes++
		var errno syscall.Errno
		if len(b) == 0 {
			n, errno = c.w.k.write(c.fd, a)
		} else {
			n, errno = c.w.k.writev(c.fd, a, b)
		}
		if errno != 0 && errno != syscall.EAGAIN {
			return c.writeFailed(sysError("write", errno))
		}
		if n == len(a)+len(b) {
			return nil
		}
		c.writable, c.begun = false, n > 0
	}
	out := c.Begin(len(a) + len(b) - n)
	if n < len(a) {
		out = append(out, a[n:]...)
		n = len(a)
	}
	c.out = append(out, b[n-len(a):]...)
	if c.writable && !c.connecting {
		c.mark()
	}
	return nil
}

// Flush writes the queue as far as the socket takes it. The loop calls it at
// the end of each turn in which something was queued, and when the socket
// takes more.
func (c *Conn) Flush() {
	if c.layer != nil {
		c.seal()
	}
	if c.outOff < len(c.out) && c.writable && !c.connecting && !c.closed {
		c.w.count.Writes++
		c.wrote(c.w.k.write(c.fd, c.out[c.outOff:]))
		return
	}
	c.flushed()
}

// wrote takes what a write of the whole queue has brought: what the socket did
// not take waits until it takes more.
func (c *Conn) wrote(n int, errno syscall.Errno) {
	if errno != 0 && errno != syscall.EAGAIN {
		_ = c.writeFailed(sysError("write", errno))
		return
	}
	if c.outOff += n; c.outOff < len(c.out) {
		c.writable = false
		c.begun = c.begun || n > 0
	}
	c.flushed()
}

// flushed is what follows a write: an empty queue goes back, and whoever
// waited for it is told.
func (c *Conn) flushed() {
	if c.outOff == len(c.out) && c.out != nil {
		c.w.bufs.put(c.out)
		c.out, c.outOff, c.begun = nil, 0, false
		if c.finished && !c.closed {
			c.w.k.shutdownWrite(c.fd)
			if c.lingering && c.eof {
				c.end(false)
			}
		}
	}
	if c.writer.Waiting() && c.Unsent() <= c.drainTo {
		c.writer.Wake(c.w)
	}
}

// writeFailed keeps the error for whoever writes next and wakes those who
// wait: the peer is gone.
func (c *Conn) writeFailed(err error) error {
	c.writeErr = err
	c.untaken = !c.begun
	c.w.FreeBuffer(c.out)
	c.out, c.outOff = nil, 0
	if l := c.layer; l != nil {
		c.w.FreeBuffer(l.plain)
		l.plain, l.more = nil, true
	}
	c.writer.Wake(c.w)
	// What it sent before it went can still be read, and says why.
	if !c.closed {
		c.readable, c.hup = true, true
		if c.reader.Waiting() {
			co := c.reader.co
			c.reader.co = nil
			c.readErr = nil
			c.w.ready.push(task{co: co})
		} else if c.handler != nil {
			c.enqueue()
		}
	}
	return c.writeErr
}

// Unsent is how many bytes are queued.
func (c *Conn) Unsent() int {
	n := len(c.out) - c.outOff
	if c.layer != nil {
		n += len(c.layer.plain)
	}
	return n
}

// Untaken reports whether the write that failed was the first of what was
// queued: the peer has nothing of it.
func (c *Conn) Untaken() bool { return c.untaken }

// WriteError is what the last write that failed said, or nil.
func (c *Conn) WriteError() error { return c.writeErr }

// Drain yields until at most n bytes are queued, the write deadline passes, or
// the connection breaks. For coroutines only.
func (c *Conn) Drain(n int) error {
	for c.Unsent() > n && c.writeErr == nil && !c.closed {
		if c.writable {
			if c.Flush(); c.Unsent() <= n {
				break
			}
			continue
		}
		if c.until[1] == passed {
			c.until[1] = 0
			return ErrTimeout
		}
		c.drainTo = n
		c.writer.Wait(c.w)
	}
	if c.closed {
		return ErrClosed
	}
	return c.writeErr
}

// CloseWrite ends this side of the connection after what is queued: the peer
// reads an end, and can still send.
func (c *Conn) CloseWrite() {
	if c.finished || c.closed {
		return
	}
	c.farewell()
	c.finished = true
	if c.Unsent() == 0 {
		c.w.k.shutdownWrite(c.fd)
	}
}
