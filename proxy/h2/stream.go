package h2

import (
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Stream is one request and its answer, with the vocabulary of loop.Conn: what
// came is Buffered until it is Discarded, and what is sent is queued and never
// yields. At most one coroutine reads and one writes. Whoever has it calls Close
// when it is done with it, and not again. Worker only.
type Stream struct {
	// Data is the room's own.
	Data any
	// Interims makes the 1xx heads of an answer wait for NextInterim; else they
	// are dropped. A client's, to be set before the request is sent.
	Interims bool
	// Broken, if not nil, is called when the stream ends before its time: reset,
	// or lost with its connection. In the reader: it must not yield.
	Broken func()
	// FlushTimeout bounds how long the stream, closed, may take to be sent to its end; 0
	// for ever. Options' until it is set.
	FlushTimeout time.Duration

	// Fields is the head that came: a server's when it is opened, a client's when
	// Answered. Trailers is what came behind the data, if Trailed.
	Fields, Trailers http2.Fields

	conn *Conn
	id   uint32

	// Receiving.
	head     bool   // Fields is there
	trailed  bool   // Trailers is
	ended    bool   // END_STREAM came
	in       []byte // data that nobody has used up; in[inOff:]
	inOff    int
	left     int64 // of the window that the peer has of this stream
	owed     int64
	length   int64          // what the head says that the data is, -1: nothing
	came     int64          // data so far
	interims int            // 1xx answers so far
	early    []http2.Fields // those that wait for NextInterim
	reader   loop.Waiter
	late     [2]bool // the reader's, the writer's time is over
	timer    [2]loop.Timer
	expire   [2]func()
	err      error

	// Sending.
	send     int64 // what the peer's window of this stream has left
	out      []byte
	outOff   int
	ends     bool           // END_STREAM follows what is queued
	tail     []http1.Header // trailers that go before it; copies
	endSent  bool
	answered bool // a head was sent
	over     bool // the head that came is over the limits: an answer to it is a refusal
	waits    bool // in Conn.blocked
	drainTo  int
	writer   loop.Waiter

	open   bool // in the protocol's sense: it counts against the limit
	closed bool // nobody has it any more; it is sent to its end and then gone
	began  int64
}

// Spare keeps streams of one worker for later. Its zero value is ready.
type Spare struct{ free []*Stream }

// maxSpare bounds them.
const maxSpare = 1024

func (p *Spare) take() *Stream {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		return s
	}
	s := &Stream{}
	s.expire[0] = func() { s.late[0] = true; s.reader.Wake(s.conn.w) }
	s.expire[1] = func() { s.late[1] = true; s.writer.Wake(s.conn.w) }
	return s
}

func (p *Spare) give(s *Stream) {
	s.Fields.Reset()
	s.Trailers.Reset()
	*s = Stream{Fields: s.Fields, Trailers: s.Trailers, expire: s.expire}
	if len(p.free) < maxSpare {
		p.free = append(p.free, s)
	}
}

// newStream makes a stream that is open; id is 0 for one of this side's, which is
// numbered when its head is sent: heads must go out in the order of the numbers
// (RFC 9113, 5.1.1), and the coroutines that send them run in any.
func (c *Conn) newStream(id uint32) *Stream {
	s := c.spare.take()
	s.conn, s.id = c, id
	if id == 0 {
		c.fresh = append(c.fresh, s)
	} else {
		c.streams.put(s)
	}
	s.left, s.send, s.length = int64(c.o.H2.StreamWindow), c.window, -1
	s.began, s.FlushTimeout = c.w.Now(), c.o.FlushTimeout
	s.open = true
	c.open++
	c.floods.Opened()
	c.count.Streams++
	c.count.Active++
	if c.Streams() == 1 {
		c.net.SetReadTimeout(0)
	}
	return s
}

// Open opens a stream to the server; its head is sent next. Errors: ErrLost,
// ErrUnprocessed if the connection takes no more. Clients only.
func (c *Conn) Open() (*Stream, error) {
	switch {
	case c.err != nil:
		return nil, ErrLost
	case c.Leaving() || !c.Room() || c.next > maxID:
		return nil, ErrUnprocessed
	}
	s := c.newStream(0)
	c.pingIfIdle()
	return s, nil
}

const maxID = 1<<31 - 1

// Room reports whether the server takes one more stream now. Clients only.
func (c *Conn) Room() bool {
	return c.open < int(min(c.maxStreams, c.o.H2.MaxStreams)) && c.next+2*uint32(len(c.fresh)) <= maxID
}

// Conn is the stream's connection.
func (s *Stream) Conn() *Conn { return s.conn }

// Began is when it was opened, in the worker's time.
func (s *Stream) Began() int64 { return s.began }

// Answered reports whether the answer's head is in Fields.
func (s *Stream) Answered() bool { return s.head }

// NextInterim gives the head of the next interim answer, nil if none waits.
func (s *Stream) NextInterim() *http2.Fields {
	if len(s.early) == 0 {
		return nil
	}
	f := s.early[0]
	s.early = s.early[1:]
	return &f
}

// Trailed reports whether Trailers are there.
func (s *Stream) Trailed() bool { return s.trailed }

// Pending is how much data came that is not discarded.
func (s *Stream) Pending() int { return len(s.in) - s.inOff }

// Buffered is that data, borrowed until the next wait.
func (s *Stream) Buffered() []byte { return s.in[s.inOff:] }

// Last reports whether nothing follows what is Buffered but Trailers.
func (s *Stream) Last() bool { return s.ended }

// Err is why the stream is over before its time: ErrLost, ErrUnprocessed, or an
// http2.Error, whose Code is what the peer's RST_STREAM said, or this side's.
func (s *Stream) Err() error { return s.err }

// Discard uses up the first n bytes of Buffered; the peer may send as many more.
func (s *Stream) Discard(n int) {
	if s.inOff += n; s.inOff == len(s.in) && s.in != nil {
		s.conn.w.FreeBuffer(s.in)
		s.in, s.inOff = nil, 0
	}
	s.credit(n)
}

// SetLength says how much data the head has promised; more or less is the peer's
// error (RFC 9113, 8.1.1).
func (s *Stream) SetLength(n int64) {
	s.length = n
	s.checkLength()
}

// checkLength resets a stream that is longer or shorter than it should be.
func (s *Stream) checkLength() {
	if s.length >= 0 && s.err == nil && (s.came > s.length || s.ended && s.came != s.length) {
		s.fault(errLength)
	}
}

// Wait yields until something new came, the stream is over, or d has passed (0:
// never), which is ErrTimeout. For coroutines only.
func (s *Stream) Wait(d time.Duration) error {
	if s.err != nil {
		return s.err
	}
	return s.wait(0, &s.reader, d)
}

func (s *Stream) wait(side int, at *loop.Waiter, d time.Duration) error {
	w := s.conn.w
	s.late[side] = false
	if d > 0 {
		w.SetTimer(&s.timer[side], d, s.expire[side])
	}
	at.Wait(w)
	w.ClearTimer(&s.timer[side])
	if s.err != nil {
		return s.err
	}
	if s.late[side] {
		return ErrTimeout
	}
	return nil
}

// came takes data.
func (s *Stream) take(p []byte) {
	if s.in == nil {
		s.in = append(s.conn.w.Buffer(len(p)), p...)
	} else {
		s.in = s.room(s.in, &s.inOff, len(p))
		s.in = append(s.in, p...)
	}
	s.came += int64(len(p))
}

// room makes room for n bytes more behind b[off:].
func (s *Stream) room(b []byte, off *int, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	if *off > 0 && cap(b)-(len(b)-*off) >= n {
		b = b[:copy(b, b[*off:])]
		*off = 0
		return b
	}
	w := s.conn.w
	bigger := append(w.Buffer(max(len(b)-*off+n, 2*cap(b))), b[*off:]...)
	w.FreeBuffer(b)
	*off = 0
	return bigger
}

// Reset ends the stream at once and tells the peer why. Close is still to be
// called.
func (s *Stream) Reset(code http2.ErrorCode) {
	if s.err != nil {
		return
	}
	if (!s.endSent || !s.ended) && s.id != 0 {
		s.conn.reset(s.id, code)
	}
	s.drop(&http2.Error{Code: code, Stream: s.id})
	s.reader.Wake(s.conn.w)
	s.writer.Wake(s.conn.w)
}

// fault ends the stream for what the peer did on it.
func (s *Stream) fault(e *http2.Error) {
	s.conn.count.ProtocolErrors++
	s.conn.reset(s.id, e.Code)
	s.drop(e)
	s.tell()
}

// Close gives the stream back. What is queued is still sent, if it ends the
// stream; a stream that is not at its end is reset, with NO_ERROR if only the
// peer had more to say (RFC 9113, 8.1).
func (s *Stream) Close() {
	c := s.conn
	s.Broken, s.Data = nil, nil
	s.closed = true
	s.credit(s.Pending())
	switch {
	case s.err != nil:
		c.spare.give(s.emptied())
	case s.ends && !s.endSent:
		s.dropIn()
		if d := s.FlushTimeout; d > 0 {
			c.w.SetTimer(&s.timer[0], d, func() { s.giveUp() })
		}
	default:
		s.finish()
	}
}

// mute throws away what is queued, and what is sent from now on.
func (s *Stream) mute() {
	w := s.conn.w
	w.FreeBuffer(s.out)
	s.out, s.outOff, s.tail, s.ends = nil, 0, nil, false
	if s.waits {
		s.conn.unblock(s)
	}
	if !s.endSent {
		s.endSent = true
		s.half()
	}
	if s.closed {
		s.finish()
		return
	}
	s.writer.Wake(w)
}

// half is what follows the end of either half: after both, the stream is closed
// to the protocol, whoever still looks at it.
func (s *Stream) half() {
	if s.open && s.ended && s.endSent {
		s.open = false
		s.conn.open--
		s.conn.owner.Changed(s.conn)
	}
}

// giveUp resets a stream whose peer does not take what is left for it.
func (s *Stream) giveUp() {
	if s.closed && s.err == nil && s.conn != nil {
		s.conn.count.FlushTimeouts++
		s.conn.reset(s.id, http2.Cancel)
		s.drop(errGaveUp)
		s.conn.spare.give(s.emptied())
	}
}

// finish takes a closed stream off the connection.
func (s *Stream) finish() {
	c := s.conn
	switch {
	case s.id == 0:
	case !s.endSent:
		c.reset(s.id, http2.Cancel)
	case !s.ended:
		c.reset(s.id, http2.NoError)
	}
	s.drop(errDone)
	c.spare.give(s.emptied())
}

// drop takes the stream off the connection; err is what it is asked from now on.
func (s *Stream) drop(err error) {
	c := s.conn
	s.err = err
	switch {
	case s.id == 0 && c.unfresh(s):
	case s.id != 0 && c.streams.get(s.id) == s:
		c.streams.remove(s)
	default:
		return
	}
	if c.server && c.calm == nil {
		c.calm = c.floods.Closed(c.w.Now()-s.began, s.answered && !s.over)
	}
	c.streamEnded(s)
}

// broken ends the stream with its connection.
func (s *Stream) broken(err error) {
	s.err = err
	s.conn.count.Active--
	s.tell()
}

// tell wakes whoever waits on a stream that is over.
func (s *Stream) tell() {
	if s.closed {
		s.conn.spare.give(s.emptied())
		return
	}
	s.reader.Wake(s.conn.w)
	s.writer.Wake(s.conn.w)
	if s.Broken != nil {
		s.Broken()
	}
}

func (s *Stream) dropIn() {
	s.conn.w.FreeBuffer(s.in)
	s.in, s.inOff = nil, 0
}

// emptied gives back the stream's memory.
func (s *Stream) emptied() *Stream {
	w := s.conn.w
	s.dropIn()
	w.FreeBuffer(s.out)
	s.out, s.outOff = nil, 0
	for i := range s.timer {
		w.ClearTimer(&s.timer[i])
	}
	if s.waits {
		s.conn.unblock(s)
	}
	return s
}
