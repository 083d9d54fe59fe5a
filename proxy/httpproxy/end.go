package httpproxy

// One side of an exchange, whichever protocol it speaks.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// end is the client's or the host's side: a connection that speaks HTTP/1.1, or
// a stream of one that speaks HTTP/2. One of the two is set while the exchange
// has that side, and what can be done with both is done through end, so that a
// body goes from any kind to any other by one piece of code.
type end struct {
	c *loop.Conn
	s *h2.Stream
}

// pending is how much came that is not used up.
func (e *end) pending() int {
	if e.s != nil {
		return e.s.Pending()
	}
	return e.c.Pending()
}

// buffered is what came.
func (e *end) buffered() []byte {
	if e.s != nil {
		return e.s.Buffered()
	}
	return e.c.Buffered()
}

// discard is done with n bytes. They may be gone: whoever was waited for has ended the
// connection.
func (e *end) discard(n int) {
	if n = min(n, e.pending()); n <= 0 {
		return
	}
	if e.s != nil {
		e.s.Discard(n)
		return
	}
	e.c.Discard(n)
}

// broken reports whether nothing can be sent to it any more.
func (e *end) broken() bool {
	if e.s != nil {
		return e.s.Err() != nil
	}
	return e.c.WriteError() != nil || e.c.Closed()
}

// cut ends it so that what came so far cannot be taken for the whole.
func (e *end) cut(code http2.ErrorCode) {
	if e.s != nil {
		e.s.Reset(code)
		return
	}
	e.c.Reset()
}

// put sends data of a body, as a chunk if chunked; last says that nothing
// follows. It never waits; e keeps its errors.
func (e *end) put(data []byte, chunked, last bool) {
	if e.s != nil {
		e.s.Send(data, last)
		return
	}
	put(e.c, data, chunked)
}

// finish sends the end of a body that is not known by its length: trailers, if
// there are any. A stream that has been told with its data knows already.
func (e *end) finish(chunked bool, trailers []http1.Header) {
	if e.s == nil {
		if chunked {
			size := 16
			for i := range trailers {
				size += len(trailers[i].Name) + len(trailers[i].Value) + 4
			}
			e.c.Commit(http1.AppendLastChunk(e.c.Begin(size), trailers))
		}
		return
	}
	for i := range trailers {
		if !trailers[i].Hop {
			e.s.SendTrailers(trailers)
			return
		}
	}
	if !e.s.Sent() {
		e.s.Send(nil, true)
	}
}

// closeWrite says that nothing more is sent: the half-close of a tunnel.
func (e *end) closeWrite() {
	if e.s != nil {
		e.s.Send(nil, true)
		return
	}
	e.c.CloseWrite()
}

// head is where a head is written: text, or the header block of a stream.
type head struct {
	text []byte
	s    *h2.Stream
}

func (h *head) add(name, value []byte, id http1.FieldID) {
	if h.s != nil {
		h.s.Field(name, value, id)
		return
	}
	h.text = http1.AppendHeader(h.text, name, value)
}

// Names that attache writes itself.
var (
	nameDate      = []byte("date")
	nameServer    = []byte("server")
	nameVia       = []byte("via")
	nameRequestID = []byte("x-request-id")
	nameSetCookie = []byte("set-cookie")
	nameLength    = []byte("content-length")
	nameUpgrade   = []byte("upgrade")
	valueZero     = []byte("0")
	methodConnect = []byte("CONNECT")
)
