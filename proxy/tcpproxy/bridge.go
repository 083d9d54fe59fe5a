package tcpproxy

// A stream as a connection: bytes of one end of a pair are a stream's DATA, both
// ways, with their ends and resets.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// span is a bridge: c is the end of the pair that is the stream's.
type span struct {
	s     *session
	st    *h2.Stream
	c     *loop.Conn
	limit int // bytes that wait on either side
	open  int // coroutines at work
	heard bool
}

// bridge joins a stream and a connection until both directions are over.
func bridge(s *session, st *h2.Stream, c *loop.Conn, limit int) {
	b := &span{s: s, st: st, c: c, limit: limit, open: 2}
	c.OnPart(b.left)
	s.w.Go(b.send)
	s.w.Go(b.receive)
}

// left is called when the session has closed its end: what the host still says is
// wanted no more.
func (b *span) left() {
	if !b.heard {
		b.st.Reset(http2.Cancel)
	}
}

// send passes the session's bytes on.
func (b *span) send() {
	defer b.over()
	for {
		p, err := b.c.Next()
		if len(p) > 0 {
			b.st.Send(p, false)
			b.c.Discard(len(p))
			if b.st.Unsent() > b.limit && b.st.Drain(b.limit/2, 0) != nil {
				return
			}
		}
		switch {
		case b.st.Err() != nil:
			return
		case err != nil && b.c.Ended() && !b.c.Torn():
			b.st.Send(nil, true)
			return
		case err != nil:
			b.st.Reset(http2.Cancel)
			return
		}
	}
}

// receive passes the host's bytes on.
func (b *span) receive() {
	defer b.over()
	st := b.st
	for {
		if p := st.Buffered(); len(p) > 0 {
			_, _ = b.c.Write(p)
			st.Discard(len(p))
			if b.c.Drain(b.limit) != nil {
				st.Reset(http2.Cancel)
				return
			}
		}
		switch {
		case st.Last() && st.Pending() == 0:
			b.heard = true
			if st.Trailed() {
				b.trailed(st.Trailers.Headers)
			}
			b.c.CloseWrite()
			return
		case st.Wait(0) != nil:
			b.c.Reset()
			return
		}
	}
}

func (b *span) trailed(lines []http1.Header) {
	if b.s.room.tunnel.asked.KeepTrailers && b.s.log != nil {
		b.s.keep(tunnelTrailers, lines)
	}
}

// over gives both back once neither direction is at work.
func (b *span) over() {
	if b.open--; b.open == 0 {
		b.st.Close()
		_ = b.c.Drain(0)
		b.c.Close()
	}
}
