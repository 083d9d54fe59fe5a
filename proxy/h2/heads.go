package h2

// Header blocks: requests, answers, trailers (RFC 9113, section 8.1).

import (
	"github.com/attache-mesh/attache/proxy/codec/http2"
)

// headers takes HEADERS: a request, an answer, or trailers.
func (c *Conn) headers(f *http2.Frame) error {
	if f.Stream&1 == 0 || !c.server && f.Stream >= c.next {
		return errStreamID
	}
	block, self, err := f.Block()
	if err != nil {
		return err
	}
	end := f.Flags.Has(http2.FlagEndStream)
	if f.Flags.Has(http2.FlagEndHeaders) {
		return c.head(f.Stream, end, self, block)
	}
	c.joining = joining{stream: f.Stream, end: end, self: self, block: append(c.joining.block[:0], block...)}
	return nil
}

// continuation adds to a header block, whose size is bounded whatever its fields
// are.
func (c *Conn) continuation(f *http2.Frame) error {
	j := &c.joining
	if j.stream == 0 {
		return errNoBlock
	}
	if len(j.block)+len(f.Payload) > c.o.Limits.MaxHeaderBytes+initialFrame {
		return errBlockSize
	}
	j.block = append(j.block, f.Payload...)
	if !f.Flags.Has(http2.FlagEndHeaders) {
		return nil
	}
	id := j.stream
	j.stream = 0
	err := c.head(id, j.end, j.self, j.block)
	if cap(j.block) > 2*initialFrame {
		j.block = nil
	}
	return err
}

// head takes a whole header block.
func (c *Conn) head(id uint32, end, self bool, block []byte) error {
	s := c.streams.get(id)
	if s == nil {
		if c.server && id > c.last {
			return c.opened(id, end, self, block)
		}
		if err := c.skipBlock(block); err != nil {
			return err
		}
		switch {
		case c.wasReset(id):
			return nil
		case c.server && c.resetAt <= recent: // then wasReset knows all that were
			if id == c.last {
				return errReopened
			}
			return errStreamID
		}
		c.reset(id, http2.StreamClosed)
		return c.resetForFault()
	}
	switch {
	case s.ended:
		if err := c.skipBlock(block); err != nil {
			return err
		}
		s.fault(errClosed)
	case !s.head:
		return c.answered(s, end, block)
	default:
		return c.trailers(s, end, block)
	}
	return nil
}

// skipBlock decodes what nobody wants: the table must stay the peer's.
func (c *Conn) skipBlock(block []byte) error {
	err := c.dec.Decode(&c.dropped, block, &c.o.Limits)
	c.dropped.Reset()
	return connError(err)
}

// connError gives an error that ends the connection: only those of the
// compression do.
func connError(err error) error {
	if e, ok := err.(*http2.Error); ok {
		return e
	}
	return nil
}

// opened takes a new stream of the client's.
func (c *Conn) opened(id uint32, end, self bool, block []byte) error {
	c.last = id
	if c.goingAway && id > c.final || c.open >= int(c.o.H2.MaxStreams) {
		if err := c.skipBlock(block); err != nil {
			return err
		}
		c.count.Refused++
		c.reset(id, http2.RefusedStream)
		return c.resetForFault()
	}
	s := c.newStream(id)
	s.head, s.ended = true, end
	err := c.dec.Decode(&s.Fields, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	if self {
		s.closed = true
		s.fault(errSelf)
		return nil
	}
	if s.over = err != nil; s.over {
		if e := c.oversize(&s.Fields); e != nil {
			return e
		}
	}
	c.owner.Opened(s, err)
	return nil
}

// oversize counts a list of fields that is over a limit.
func (c *Conn) oversize(f *http2.Fields) error {
	return c.floods.Oversize(f.Size, c.o.Limits.MaxHeaderBytes, c.w.Now())
}

// answered takes the head of an answer.
func (c *Conn) answered(s *Stream, end bool, block []byte) error {
	s.Fields.Reset()
	err := c.dec.Decode(&s.Fields, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	if err != nil {
		s.fault(errHead)
		return c.oversize(&s.Fields)
	}
	if isInterim(s.Fields.Headers) {
		s.interim(end)
		return nil
	}
	s.head = true
	c.ended(s, end)
	s.reader.Wake(c.w)
	return nil
}

// interim takes the head of an interim answer, which is in Fields: it is dropped,
// as an expectation was answered here, or kept apart for the reader, whom the
// answer itself may overtake.
func (s *Stream) interim(end bool) {
	switch s.interims++; {
	case end, s.interims > maxInterim && !s.Interims, len(s.early) == maxInterim:
		s.fault(errInterim)
	case s.Interims:
		s.early = append(s.early, s.Fields)
		s.Fields = http2.Fields{}
		s.reader.Wake(s.conn.w)
	}
}

// maxInterim is how many 1xx answers are borne before the real one, or wait to be
// read.
const maxInterim = 10

func (c *Conn) trailers(s *Stream, end bool, block []byte) error {
	err := c.dec.Decode(&s.Trailers, block, &c.o.Limits)
	if e := connError(err); e != nil {
		return e
	}
	switch {
	case !end:
		s.fault(errTrailers)
		return nil
	case err == nil:
		err = http2.ReadTrailers(&s.Trailers)
	}
	if err != nil {
		s.fault(errTrailer)
		return c.oversize(&s.Trailers)
	}
	s.trailed = true
	c.ended(s, true)
	s.reader.Wake(c.w)
	return nil
}

// ended notes the peer's end of a stream.
func (c *Conn) ended(s *Stream, end bool) {
	if end {
		s.ended = true
		s.checkLength()
		s.half()
	}
}
