package tcpproxy

import (
	"io"

	"github.com/attache-mesh/attache/proxy/loop"
)

// flow is one direction of a session. It runs on the loop itself, as the
// handler of the connection that it reads: bytes go from the worker's read
// buffer straight to the other socket, and only what that does not take is
// kept.
type flow struct {
	s        *session
	from, to *loop.Conn
	// limit is how many bytes may be queued on to before from is read no more.
	limit   int
	ended   bool    // from's end was passed on
	count   uint64  // of the bytes that were read
	seen    *uint64 // bytes, counted of the room
	counted *uint64 // bytes, counted of the cluster
	drain   func()
}

func (f *flow) begin() { f.drain = f.resumeDrained }

// turnBytes is how much one direction copies before the others run.
const turnBytes = 1 << 20

// leastRead keeps reads worth their system call when a queue is all but full;
// what is held may exceed the limit by as much.
const leastRead = 16 << 10

// Ready copies what has come. After the end it is called again with each event;
// Stream then says that there is nothing to read.
func (f *flow) Ready(c *loop.Conn) {
	if f.to == nil {
		f.s.first(c)
		return
	}
	for left := turnBytes; left > 0; {
		p, err := c.Stream(max(f.limit-f.to.Unsent(), leastRead))
		switch {
		case len(p) > 0:
			left -= len(p)
			if !f.pass(c, p) {
				return
			}
		case err == io.EOF && c.WriteError() == nil:
			f.end()
			return
		case err != nil || c.WriteError() != nil:
			f.broke()
			return
		default:
			return
		}
	}
	c.Again()
}

// pass sends what was read; false says to read no more now.
func (f *flow) pass(c *loop.Conn, p []byte) bool {
	err := f.to.Send(p)
	*f.seen += uint64(len(p))
	f.count += uint64(len(p))
	*f.counted += uint64(len(p))
	f.s.active = f.s.w.Now()
	switch {
	case err != nil:
		// The loop calls the other flow: it passes on what its end has said
		// before it broke, and then resets.
		c.Pause()
		return false
	case f.to.Unsent() > f.limit:
		f.hold(c)
		return false
	}
	return true
}

// hold reads no more until half of what is queued has gone.
func (f *flow) hold(c *loop.Conn) {
	c.Pause()
	if f == &f.s.request {
		f.s.local.count[pausedReading]++
	}
	f.s.w.Go(f.drain)
}

func (f *flow) resumeDrained() {
	if f.to.Drain(f.limit/2) != nil {
		return
	}
	if f == &f.s.request {
		f.s.local.count[resumedReading]++
	}
	f.s.active = f.s.w.Now()
	f.from.Resume()
}

// end passes the end of this direction on; the other one may go on.
func (f *flow) end() {
	if f.ended {
		return
	}
	f.ended = true
	f.s.active = f.s.w.Now()
	f.to.CloseWrite()
	if f.s.request.ended && f.s.reply.ended {
		f.s.finish()
	}
}

// broke is called when from was reset. If it had ended before, all that it said
// was passed on and stays good.
func (f *flow) broke() {
	s := f.s
	if s.ending {
		return
	}
	s.lost = s.lost || f == &s.reply
	if f.ended {
		s.finish()
		return
	}
	s.abort()
}

// close closes the connection that this direction writes to, after what is
// queued.
func (f *flow) close() {
	to := f.to
	if to.Unsent() == 0 {
		to.Close()
		return
	}
	if f == &f.s.request {
		f.s.local.count[flushTotal]++
	}
	f.s.w.Go(func() {
		if to.Drain(0) != nil {
			to.Reset()
			return
		}
		to.Close()
	})
}

// Expired is never called: the session's own timer watches both directions.
func (f *flow) Expired(*loop.Conn) {}

// Closed takes the connection out of the session.
func (f *flow) Closed(*loop.Conn) { f.s.closed() }
