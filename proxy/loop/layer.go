package loop

import (
	"io"
	"net"
	"time"
)

// A layer makes a connection's bytes other than its socket's: TLS. Whoever uses
// the connection sees only the plain ones, by the same calls:
//
//	Fill, Read, Stream ◀── Layer.Read ◀── wire.Read ◀── socket, or what a batch has read
//	Begin … Commit ─▶ plain ─ end of turn ─▶ Layer.Write ─▶ wire.Write ─▶ queue ─▶ socket
//	Send ───────────────────────────────────▶ at once
//
// The handshake alone waits, in a coroutine. Afterwards the wire never does: it
// says errNothing, which crypto/tls takes for no more than that (it is
// temporary), so that a connection on which nothing comes holds no coroutine,
// and no lock of the layer's is ever held over a wait.

// Layer is a record layer over a connection's Wire; *tls.Conn is one.
type Layer interface {
	// Handshake agrees on keys with the peer. It is called once, first.
	Handshake() error
	// Read gives plain bytes, at least one. An error of the wire that is
	// Temporary must come through as it is and leave the layer as it was; a
	// clean end is io.EOF.
	Read(p []byte) (int, error)
	// Write seals p for the wire, all of it.
	Write(p []byte) (int, error)
	// CloseWrite tells the peer that no more comes.
	CloseWrite() error
}

// layer is what a connection has of one.
type layer struct {
	Layer
	protocol string
	facts    any
	pace     func()
	shaking  bool   // Handshake has not ended well, or not yet
	more     bool   // the socket may have something; while shaking it is Conn.readable
	ended    bool   // the wire has told its end
	cut      bool   // and the layer had not
	err      error  // what Read said, once it has said that there is no more
	ahead    []byte // came before the layer did
	plain    []byte // queued, to be sealed
}

// Wire is the connection below its layer. It is for the layer alone.
func (c *Conn) Wire() net.Conn { return (*wire)(c) }

// Above gives the connection of a Wire, for a layer's callbacks that are told of
// the wire alone.
func Above(x net.Conn) *Conn { return (*Conn)(x.(*wire)) }

// Secure puts a layer, made on Wire, between the connection and its socket, and
// agrees on keys. What came before and was not discarded is the layer's to
// read; what was queued before goes out as it is. pace, if not nil, is called
// before each burst of work on what the peer has sent, but for the first if that
// is here already; it may yield. When Secure returns an error the connection is
// of no use any more but to be closed; an alert may be queued on it. The read
// deadline bounds its waits (ErrTimeout). For coroutines only; the connection
// must have no handler meanwhile, or a paused one.
func (c *Conn) Secure(l Layer, pace func()) error {
	if c.closed {
		return ErrClosed
	}
	y := &layer{Layer: l, pace: pace, shaking: true}
	if p := c.Buffered(); len(p) > 0 {
		y.ahead = append(c.w.bufs.get(len(p)), p...)
		c.Discard(len(p))
	}
	c.layer = y
	err := l.Handshake()
	switch {
	case c.closed:
		return ErrClosed
	case err != nil:
		c.dropShaking()
		return err
	}
	y.shaking, y.pace = false, nil
	y.more, c.readable = c.readable, true // the layer may have read more than the handshake
	return nil
}

// dropShaking reads what has come and is of no use any more: the kernel answers
// bytes that are unread at the end with a RST, which would overtake the alert.
func (c *Conn) dropShaking() {
	p := c.w.bufs.get(queueSize)
	for left := lingerBytes; left > 0 && c.readable && !c.layer.ended; {
		n, more, err := c.receive(p[:cap(p)])
		c.readable = more
		c.layer.ended = err != nil
		left -= n
	}
	c.w.FreeBuffer(p)
}

// Describe keeps what the handshake has agreed on: the protocol that is spoken
// above (ALPN, "" for none) and whatever Facts shall give.
func (c *Conn) Describe(protocol string, facts any) {
	c.layer.protocol, c.layer.facts = protocol, facts
}

// Protocol is what the peers have agreed to speak on a secured connection
// (ALPN); "" if nothing, or if it is not secured.
func (c *Conn) Protocol() string {
	if c.layer == nil {
		return ""
	}
	return c.layer.protocol
}

// Facts are those of Describe; nil if the connection is not secured.
func (c *Conn) Facts() any {
	if c.layer == nil {
		return nil
	}
	return c.layer.facts
}

// Truncated reports whether the peer's end, which was given as io.EOF, came
// without the layer's own word for it: somebody may have cut the stream. Who
// takes the end for the end of a message must ask (RFC 9112, 9.8).
func (c *Conn) Truncated() bool { return c.layer != nil && c.layer.cut }

// open is take of a secured connection: it fills p with what the layer has, to
// the end of what has come.
func (c *Conn) open(p []byte) (n int, err error) {
	l := c.layer
	if l.shaking {
		return 0, nil // these bytes are the handshake's
	}
	for l.err == nil && n < len(p) {
		var m int
		m, l.err = l.Read(p[n:])
		n += m
	}
	switch {
	case l.err == errNothing:
		l.err, c.readable = nil, false
	case n == 0:
		c.endOfLayer()
		return 0, c.endOfInput()
	}
	return n, nil
}

// endOfLayer sorts what Read said in the end.
func (c *Conn) endOfLayer() {
	l := c.layer
	c.eof = true
	if l.err == io.EOF {
		l.cut = l.ended
		return
	}
	if c.closeErr == nil {
		c.closeErr = l.err
	}
}

// begin is Begin of a secured connection.
func (l *layer) begin(w *Worker, n int) []byte {
	switch {
	case l.plain == nil:
		return w.bufs.get(max(n, queueSize))
	case cap(l.plain)-len(l.plain) < n:
		bigger := append(w.bufs.get(max(len(l.plain)+n, 2*cap(l.plain))), l.plain...)
		w.bufs.put(l.plain)
		return bigger
	}
	return l.plain
}

// Records are of at most recordSize plain bytes and that much more for the wire.
const (
	recordSize     = 16 << 10
	recordOverhead = 64
)

// seal hands what is gathered to the layer, which queues it for the socket.
func (c *Conn) seal() {
	l := c.layer
	p := l.plain
	if len(p) == 0 || l.shaking {
		return
	}
	l.plain = nil
	_ = c.encode(p)
	c.w.FreeBuffer(p)
}

func (c *Conn) encode(p []byte) error {
	if c.writeErr != nil || len(p) == 0 {
		return c.writeErr
	}
	c.out = c.room(len(p) + (1+len(p)/recordSize)*recordOverhead)
	if _, err := c.layer.Write(p); err != nil && c.writeErr == nil {
		return c.writeFailed(err)
	}
	return c.writeErr
}

// sendSealed is SendTwo of a secured connection. What is small is joined, so
// that it makes one record.
func (c *Conn) sendSealed(a, b []byte) error {
	l := c.layer
	first := c.outOff == len(c.out) && len(l.plain) == 0
	if len(l.plain)+len(b) > 0 && len(l.plain)+len(a)+len(b) <= recordSize {
		l.plain = append(append(l.begin(c.w, len(a)+len(b)), a...), b...)
		a, b = nil, nil
	}
	c.seal()
	for _, p := range [2][]byte{a, b} {
		if err := c.encode(p); err != nil {
			return err
		}
	}
	if first && c.writable {
		c.Flush()
		return c.writeErr
	}
	c.mark()
	return nil
}

// farewell queues the layer's word for the end behind everything else.
func (c *Conn) farewell() {
	if l := c.layer; l != nil && !l.shaking && !c.finished && c.writeErr == nil {
		c.seal()
		_ = l.CloseWrite() // an error of the wire's is in writeErr
	}
}

// forget gives the layer's buffers back.
func (l *layer) forget(w *Worker) {
	w.FreeBuffer(l.plain)
	w.FreeBuffer(l.ahead[:0])
	l.plain, l.ahead = nil, nil
}

// wire is a Conn as its layer sees it.
type wire Conn

// errNothing says that nothing is there now. It must be a net.Error that is
// Temporary: any other error ends a *tls.Conn for good.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "loop: nothing came" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Read gives what the socket has; it waits only during the handshake.
func (x *wire) Read(p []byte) (int, error) {
	c := (*Conn)(x)
	l := c.layer
	switch {
	case c.closed:
		return 0, ErrClosed
	case len(l.ahead) > 0:
		n := copy(p, l.ahead)
		if l.ahead = l.ahead[n:]; len(l.ahead) == 0 {
			l.ahead = nil
		}
		return n, nil
	case l.shaking:
		return c.readShaking(p)
	case l.ended:
		return 0, c.wireEnd()
	case !l.more:
		return 0, errNothing
	}
	n, more, err := c.receive(p)
	l.more = more
	switch {
	case err != nil:
		l.ended = true
	case n == 0:
		return 0, errNothing
	}
	return n, err
}

// wireEnd is what a socket that has ended says again.
func (c *Conn) wireEnd() error {
	if c.closeErr != nil {
		return c.closeErr
	}
	return io.EOF
}

// readShaking waits for the peer's next words.
func (c *Conn) readShaking(p []byte) (int, error) {
	l := c.layer
	waited := false
	for {
		if l.ended {
			return 0, c.wireEnd()
		}
		if c.readable {
			n, more, err := c.receive(p)
			c.readable = more
			if err != nil {
				l.ended = true
				return 0, err
			}
			if n > 0 {
				return n, c.paced(waited)
			}
		}
		if err := c.Wait(); err != nil {
			return 0, err
		}
		waited = true
	}
}

// paced waits for the connection's turn to work on what came.
func (c *Conn) paced(waited bool) error {
	if waited && c.layer.pace != nil {
		c.layer.pace()
	}
	if c.closed {
		return ErrClosed
	}
	return nil
}

// Write queues a record.
func (x *wire) Write(p []byte) (int, error) {
	c := (*Conn)(x)
	if err := c.writeState(); err != nil {
		return 0, err
	}
	c.out = append(c.room(len(p)), p...)
	c.mark()
	return len(p), nil
}

func (x *wire) Close() error         { return (*Conn)(x).Close() }
func (x *wire) LocalAddr() net.Addr  { return (*Conn)(x).LocalAddr() }
func (x *wire) RemoteAddr() net.Addr { return (*Conn)(x).RemoteAddr() }

// The deadlines are the connection's, set by whoever uses it; those of a layer
// mean waits that there are none of.
func (x *wire) SetDeadline(time.Time) error      { return nil }
func (x *wire) SetReadDeadline(time.Time) error  { return nil }
func (x *wire) SetWriteDeadline(time.Time) error { return nil }
