package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Conn is a connection that a worker owns. Reading yields where it would
// block; writing queues and never yields. It is a net.Conn, so that any
// blocking codec runs on it. At most one coroutine reads and one writes.
// Worker only, all of it.
type Conn struct {
	w       *Worker
	fd      int
	peer    netip.AddrPort
	handler Handler
	// Data is what was learnt of the connection before its room had it; nil: nothing.
	Data any

	// Reading.
	readable bool   // a read may bring something
	hup      bool   // the peer has ended its side: read until the end
	eof      bool   // a read has said so
	paused   bool   // by Pause
	serving  bool   // a coroutine runs the handler
	queued   bool   // in the ready queue
	inline   bool   // the handler does not yield: no coroutine for it
	in       []byte // unread bytes kept from a partial message; in[inOff:]
	inOff    int
	fetched  *fetched // what a batch has read ahead; nil if nothing
	bulk     bool     // sends more at a time than a batch reads
	reader   Waiter
	readErr  error // what the waiting reader is told
	reads    int   // reads since the last turn that it waited for
	readTurn uint64

	// Writing.
	writable bool
	dirty    bool   // in Worker.dirty
	finished bool   // CloseWrite was called
	out      []byte // queued bytes; out[outOff:]
	outOff   int
	drainTo  int  // the writer waits until no more is queued
	begun    bool // the socket has taken a part of the queue
	untaken  bool // the write that failed was the queue's first
	writer   Waiter
	writeErr error

	layer  *layer  // nil: what is written is what is sent
	origin *origin // nil: there is nothing to say
	inside *inside // nil: no end of a pair

	// Life.
	connecting bool
	closed     bool
	lingering  bool
	until      [2]int64 // deadlines of reader and writer in ns; 0: none; passed
	timer      Timer
	closeErr   error
	onClosed   func() // nil: nobody else asks
}

// Handler serves connections. Its methods run on the worker.
type Handler interface {
	// Ready is called when bytes (or the end) came and nobody waits for them:
	// in a coroutine, or on the loop itself if the handler was set inline. It
	// reads until Fill brings nothing; when it returns with bytes unread it is
	// called again when more come.
	Ready(c *Conn)
	// Expired is called on the loop when the read deadline passes and nobody
	// waits. The deadline is taken away before.
	Expired(c *Conn)
	// Closed is called once, on the loop or in whatever closes the connection,
	// after it was closed from this side.
	Closed(c *Conn)
}

// Errors of connections. A time-out is os.ErrDeadlineExceeded.
var (
	// ErrClosed is what a use after Close gives; it is net.ErrClosed.
	ErrClosed = net.ErrClosed
	// ErrTimeout is what a wait past its deadline gives.
	ErrTimeout = os.ErrDeadlineExceeded
)

// adopt makes a connection of a socket and asks for its events.
func (w *Worker) adopt(fd int, peer netip.AddrPort) (*Conn, error) {
	c := &Conn{w: w, fd: fd, peer: peer, writable: true}
	c.timer.conn = c
	w.enter(fd, &entry{conn: c})
	if errno := w.k.register(fd, w.gen, false); errno != 0 {
		w.conns[fd] = nil
		w.k.close(fd, false)
		return nil, os.NewSyscallError("epoll_ctl", errno)
	}
	w.count.Conns++
	return c, nil
}

// Worker is whose connection this is.
func (c *Conn) Worker() *Worker { return c.w }

// Peer is the other side's address; not valid for unix sockets.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// SetOrigin makes the connection that of a client and a destination that a proxy
// has named: Peer and Local give them from now on, OriginTLVs what else was said.
func (c *Conn) SetOrigin(source, destination netip.AddrPort, tlvs []byte) {
	c.peer, c.origin = source, &origin{destination: destination, tlvs: tlvs, said: true, named: true, namespace: c.Namespace()}
}

// Proxied reports whether a proxy has said whose the connection is: SetOrigin.
func (c *Conn) Proxied() bool { return c.origin != nil && c.origin.named }

// origin is what is known of a connection beside the client. Immutable: those of a
// listener may share one.
type origin struct {
	destination netip.AddrPort
	tlvs        []byte
	said        bool // somebody has said destination
	named       bool // and that was a proxy
	namespace   string
}

// Namespace is the file of the network namespace that its listener listens in, as it was
// configured; "" for the program's own, and for connections that were not accepted.
func (c *Conn) Namespace() string {
	if c.origin == nil {
		return ""
	}
	return c.origin.namespace
}

// OriginTLVs are those of SetOrigin.
func (c *Conn) OriginTLVs() []byte {
	if c.origin == nil {
		return nil
	}
	return c.origin.tlvs
}

// OriginalDst asks the kernel where the connection was going before it was
// redirected to this listener (SO_ORIGINAL_DST); not valid where it was not.
func (c *Conn) OriginalDst() netip.AddrPort {
	if c.closed {
		return netip.AddrPort{}
	}
	return c.w.k.original(c.fd)
}

// Restore makes a its local address: where the client wanted to go.
func (c *Conn) Restore(a netip.AddrPort) {
	c.origin = &origin{destination: a, tlvs: c.OriginTLVs(), said: true, named: c.Proxied(), namespace: c.Namespace()}
}

// Restored is where the client wanted to go, if somebody has said so: Restore or
// SetOrigin; else it is not valid.
func (c *Conn) Restored() netip.AddrPort {
	if c.origin == nil {
		return netip.AddrPort{}
	}
	return c.origin.destination
}

// Local is this side's address; it asks the kernel.
func (c *Conn) Local() netip.AddrPort {
	if c.origin != nil && c.origin.said {
		return c.origin.destination
	}
	if c.closed {
		return netip.AddrPort{}
	}
	return c.w.k.sockname(c.fd)
}

// Serve sets who is called from now on; inline says that Ready never yields
// and saves the coroutine. If bytes wait already, Ready is called in this turn.
func (c *Conn) Serve(h Handler, inline bool) {
	c.handler, c.inline = h, inline
	if c.readable || c.Pending() > 0 {
		c.enqueue()
	}
}

// Pause stops calls of Ready until Resume: back-pressure. A waiting reader
// still wakes.
func (c *Conn) Pause() { c.paused = true }

// Resume undoes Pause; what came meanwhile is served in this turn.
func (c *Conn) Resume() {
	if !c.paused {
		return
	}
	c.paused = false
	if c.readable || c.Pending() > 0 {
		c.enqueue()
	}
}

// Paused reports whether Pause is in force.
func (c *Conn) Paused() bool { return c.paused }

// Again calls Ready once more in the next turn, after the others had theirs.
func (c *Conn) Again() {
	if !c.queued && !c.closed {
		c.queued = true
		c.w.nextTurn(task{conn: c})
	}
}

func (c *Conn) enqueue() {
	if !c.queued && !c.closed {
		c.queued = true
		c.w.ready.push(task{conn: c})
	}
}

// event takes what the kernel says of the socket.
func (c *Conn) event(ev uint32) {
	const in = evIn | evRDHup | evHup | evErr
	if ev&(evRDHup|evHup|evErr) != 0 {
		c.hup = true
	}
	if ev&(evOut|evHup|evErr) != 0 && (!c.writable || c.connecting) {
		c.writable = true
		if c.connecting {
			c.connecting = false
			c.readable = c.readable || ev&in != 0 // a server that speaks first
			c.writer.Wake(c.w)
			return
		}
		c.Flush()
	}
	if ev&in != 0 && !c.closed {
		c.arrived()
		if f := c.fetched; f != nil && f.own {
			f.full = true // this event is about bytes that came after those
		}
		if c.reader.Waiting() {
			c.wakeReader(nil)
			return
		}
		c.serve()
	}
}

// arrived notes that the socket may have something.
func (c *Conn) arrived() {
	c.readable = true
	if c.layer != nil {
		c.layer.more = true
	}
}

func (c *Conn) wakeReader(err error) {
	c.readErr = err
	if co := c.reader.co; co != nil {
		c.reader.co = nil
		if c.w.current == nil {
			c.w.resume(co)
			return
		}
		c.w.ready.push(task{co: co})
	}
}

// serve calls the handler, unless it is at work or held back.
func (c *Conn) serve() {
	if c.handler == nil || c.serving || c.paused || c.closed {
		return
	}
	if c.inline {
		c.serveInline()
		return
	}
	co := c.w.coroutine()
	co.conn = c
	c.serving = true
	if c.w.current == nil {
		c.w.resume(co)
		return
	}
	c.w.ready.push(task{co: co})
}

func (c *Conn) serveInline() {
	c.serving = true
	defer c.served()
	defer c.w.caught(c)
	c.handler.Ready(c)
}

// served is called when the handler has returned: if it left something that
// can be read it is called again, after the others.
func (c *Conn) served() {
	c.serving = false
	if c.until[0] == passed && !c.closed {
		c.expire()
	}
	if c.readable && !c.paused && !c.closed {
		c.Again()
	}
}

// deadline is called when the connection's timer fires: for the reader, for
// the writer, or too early because the deadline was moved.
func (c *Conn) deadline() {
	now := c.w.now
	if c.until[1] > 0 && c.until[1] <= now {
		c.until[1] = passed
		c.writer.Wake(c.w)
	}
	if c.until[0] > 0 && c.until[0] <= now {
		c.until[0] = passed
		switch {
		case c.reader.Waiting():
			c.until[0] = 0
			c.wakeReader(ErrTimeout)
		case c.handler != nil && !c.serving:
			c.expire()
		}
	}
	if !c.closed {
		c.arm()
	}
}

// passed is a deadline that has passed while nobody waited: the next wait is
// told, or Expired when the handler returns without one.
const passed = -1

func (c *Conn) expire() {
	c.until[0] = 0
	defer c.w.caught(c)
	c.handler.Expired(c)
}

// arm sets the timer for the next deadline, if it is not set for one before.
// Deadlines mostly move away, so the timer is left and looks again when it
// fires: moving a deadline is a store.
func (c *Conn) arm() {
	at := c.until[0]
	if at <= 0 || (c.until[1] > 0 && c.until[1] < at) {
		at = c.until[1]
	}
	if at <= 0 || (c.timer.set && c.timer.at*tick <= at) {
		return
	}
	c.w.wheel.add(&c.timer, at)
}

// SetReadTimeout bounds the waits for bytes, d from now; 0 takes the bound
// away. When it passes a waiting reader gets ErrTimeout, else the handler's
// Expired is called; a handler at work is told at its next wait.
func (c *Conn) SetReadTimeout(d time.Duration) { c.setUntil(0, d) }

// SetWriteTimeout bounds the waits of Drain, d from now; 0 takes it away.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.setUntil(1, d) }

func (c *Conn) setUntil(i int, d time.Duration) {
	if d <= 0 {
		c.until[i] = 0
		return
	}
	c.until[i] = c.w.now + int64(d)
	c.arm()
}

// SetDeadline is net.Conn's; t is wall-clock time.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(0, t) }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(1, t) }

func (c *Conn) setDeadline(i int, t time.Time) error {
	if c.closed {
		return ErrClosed
	}
	d := time.Duration(0)
	if !t.IsZero() {
		d = max(time.Until(t), 1)
	}
	c.setUntil(i, d)
	return nil
}

// LocalAddr is net.Conn's.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.Local()) }

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// Closed reports whether the connection was closed from this side.
func (c *Conn) Closed() bool { return c.closed }

// Close writes what is queued as far as the socket takes it at once, and ends
// the connection. Waiting coroutines get ErrClosed. It is well to close twice.
func (c *Conn) Close() error {
	if c.closed {
		return nil
	}
	c.farewell()
	if c.Unsent() > 0 && c.writable && !c.connecting && c.writeErr == nil {
		c.Flush()
	}
	c.end(false)
	return nil
}

// Reset ends the connection at once; the peer gets a RST and so cannot take
// what it has for the whole. Unix sockets know no RST: there it reads an end.
func (c *Conn) Reset() {
	if !c.closed {
		c.end(true)
	}
}

func (c *Conn) end(reset bool) {
	if c.closed { // Flush in Close may have found the end itself
		return
	}
	w := c.w
	c.closed = true
	w.wheel.remove(&c.timer)
	if w.shared.owner == c {
		w.shared.owner = nil
	}
	c.dropFetched()
	w.FreeBuffer(c.in)
	w.FreeBuffer(c.out)
	c.in, c.out, c.inOff, c.outOff = nil, nil, 0, 0
	if c.layer != nil {
		c.layer.forget(w)
	}
	c.readable, c.writable = false, false
	w.conns[c.fd] = nil
	w.k.close(c.fd, reset)
	if c.inside != nil {
		c.part(reset)
	}
	w.count.Conns--
	if c.readErr == nil {
		c.readErr = ErrClosed
	}
	c.reader.Wake(w)
	c.writer.Wake(w)
	if c.handler != nil {
		c.tellClosed()
	}
	if c.onClosed != nil {
		c.tellOthers()
	}
	w.resumeAccepting()
}

func (c *Conn) tellClosed() {
	defer c.w.caught(c)
	c.handler.Closed(c)
}

func (c *Conn) tellOthers() {
	defer c.w.caught(c)
	c.onClosed()
}

// lingerer reads and drops what a peer still sends after the last reply, so
// that the kernel does not answer it with a RST that could overtake the reply
// (RFC 9112, 9.6).
type lingerer struct{ left int }

// lingerBytes is how much of an unwanted request is read before the end.
const lingerBytes = 256 << 10

// CloseAfterReply ends the connection when what is queued has been sent and the
// peer has closed its side, sent 256 KiB more, or let d pass, by periods of d, without
// taking anything. What it has not taken by then is lost, and a reset says so: it cannot be taken for the whole.
// The handler's Closed is called then; its Ready no more. Envoy's delayed_close_timeout
// (ConnectionImpl::onWriteReady begins it anew with each write).
func (c *Conn) CloseAfterReply(d time.Duration) {
	if c.closed || c.lingering {
		return
	}
	if c.Unsent() > 0 {
		c.Flush() // what is left then is what the peer does not take
	}
	if d <= 0 || c.writeErr != nil || c.closeErr != nil || (c.eof && c.Unsent() == 0) {
		c.Close()
		return
	}
	c.lingering = true
	c.Discard(c.Pending())
	c.CloseWrite()
	c.handler = &lingering{lingerer{lingerBytes}, c.handler, d, c.Unsent()}
	c.inline, c.paused = true, false
	c.SetReadTimeout(d)
	if c.readable {
		c.Again()
	}
}

type lingering struct {
	lingerer
	before Handler
	d      time.Duration
	unsent int // when d began
}

func (l *lingering) Ready(c *Conn) {
	for {
		n, err := c.Fill()
		c.Discard(c.Pending())
		l.left -= n
		if err == io.EOF && c.Unsent() > 0 {
			return // Flush closes when the reply is out
		}
		if err != nil || l.left <= 0 {
			c.Close()
			return
		}
		if n == 0 {
			return
		}
	}
}

func (l *lingering) Expired(c *Conn) {
	switch n := c.Unsent(); {
	case n < l.unsent:
		l.unsent = n
		c.SetReadTimeout(l.d)
	case n > 0:
		c.Reset()
	default:
		c.Close()
	}
}

func (l *lingering) Closed(c *Conn) {
	if l.before != nil {
		l.before.Closed(c)
	}
}

// sysError names the call that failed; the peer's end is io.EOF.
func sysError(call string, errno syscall.Errno) error {
	if errno == 0 {
		return io.EOF
	}
	return os.NewSyscallError(call, errno)
}
