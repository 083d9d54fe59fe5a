package httpproxy

// Bodies: where they end, and how they go from one connection to the other.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// body knows how much of a message's body is still to come.
type body struct {
	kind   http1.Body
	done   bool
	left   int64          // BodyLength
	count  uint64         // of the bytes that were passed on
	chunks *http1.Chunked // BodyChunked; stays for the next such body, few requests have one
	tap    *tap           // copies what passes; nil: nobody does
}

func (b *body) reset(kind http1.Body, n int64) {
	b.kind, b.left, b.done, b.count, b.tap = kind, n, kind == http1.BodyNone, 0, nil
	if kind != http1.BodyChunked {
		return
	}
	if b.chunks == nil {
		b.chunks = new(http1.Chunked)
	}
	b.chunks.Reset()
}

// mark is a place in a body.
type mark struct {
	body   body
	chunks http1.Chunked
}

// mark is where b is now; returnTo undoes each next since.
func (b *body) mark() (m mark) {
	if m.body = *b; b.kind == http1.BodyChunked {
		m.chunks = *b.chunks
	}
	return m
}

func (b *body) returnTo(m *mark) {
	if *b = m.body; b.kind == http1.BodyChunked {
		*b.chunks = m.chunks
	}
}

// next finds data at the beginning of buf and says how many bytes that took.
func (b *body) next(buf []byte, lim *http1.Limits) (data []byte, n int, err error) {
	switch b.kind {
	case http1.BodyLength:
		n = int(min(b.left, int64(len(buf))))
		b.left -= int64(n)
		b.count += uint64(n)
		b.done = b.left == 0
		return buf[:n], n, nil
	case http1.BodyChunked:
		data, n, b.done, err = b.chunks.Next(buf, lim)
		b.count += uint64(len(data))
		return data, n, err
	case http1.BodyUntilClose:
		b.count += uint64(len(buf))
		return buf, len(buf), nil
	}
	return nil, 0, nil
}

// relay passes on what src has of a body. Chunks and frames are made anew: how
// the data was cut, and chunk extensions, end here. The error is the codec's; dst
// keeps its own.
func (b *body) relay(dst, src *end, chunked, trailers bool, lim *http1.Limits) error {
	if src.s != nil {
		b.relayStream(dst, src.s, chunked, trailers)
		return nil
	}
	c := src.c
	for c.Pending() > 0 && !b.done {
		data, n, err := b.next(c.Buffered(), lim)
		if err != nil {
			return err
		}
		if len(data) > 0 {
			b.tapped(data)
			dst.put(data, chunked, b.done && b.kind == http1.BodyLength)
		}
		if b.done {
			b.end(dst, chunked, trailers)
		}
		if n == 0 {
			return nil
		}
		c.Discard(n)
	}
	return nil
}

// relayStream passes on what a stream has.
func (b *body) relayStream(dst *end, s *h2.Stream, chunked, trailers bool) {
	data, last := s.Buffered(), s.Last()
	if b.done || len(data) == 0 && !last {
		return
	}
	var lines []http1.Header
	if last && trailers && s.Trailed() {
		lines = s.Trailers.Headers
	}
	if len(data) > 0 {
		b.tapped(data)
		dst.put(data, chunked, last && len(lines) == 0)
		b.count += uint64(len(data))
		s.Discard(len(data))
	}
	if last {
		b.done = true
		dst.finish(chunked, lines)
	}
}

// tapped lets a tap have what passes.
func (b *body) tapped(data []byte) {
	if b.tap != nil {
		b.tap.take(data)
	}
}

// gathered is the size from which data is written at once instead of joined
// with what else goes out in this turn.
const gathered = 8 << 10

// put writes data of a body; dst remembers errors.
func put(dst *loop.Conn, data []byte, chunked bool) {
	switch {
	case !chunked && len(data) < gathered:
		dst.Commit(append(dst.Begin(len(data)), data...))
		return
	case !chunked:
		_ = dst.Send(data)
		return
	case len(data) < gathered:
		out := dst.Begin(len(data) + http1.MaxChunkHeader + 2)
		out = append(http1.AppendChunkHeader(out, len(data)), data...)
		dst.Commit(http1.AppendChunkEnd(out))
		return
	}
	var head [http1.MaxChunkHeader]byte
	dst.Flush()
	_ = dst.SendTwo(http1.AppendChunkHeader(head[:0], len(data)), data)
	dst.Commit(http1.AppendChunkEnd(dst.Begin(2)))
}

// end writes the end of a body that came over HTTP/1.1.
func (b *body) end(dst *end, chunked, trailers bool) {
	var lines []http1.Header
	if trailers && b.kind == http1.BodyChunked {
		lines = b.chunks.Trailers()
	}
	dst.finish(chunked, lines)
}
