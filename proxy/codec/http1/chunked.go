// Where the data of a chunked body is, and what its trailers are.

package http1

// Chunked finds the data in a chunked body (RFC 9112 7.1), whatever the cuts. It copies nothing and holds no
// data. The zero Chunked is ready for one body; Reset makes it ready for the next.
//
//	size [";" ext] CR LF ──> data ──> CR LF ──┐
//	 ▲                                        │
//	 └────────────────────────────────────────┘   0 CR LF ──> fields CR LF ──> done
type Chunked struct {
	left   uint64 // of the current chunk: its size so far, then its data to come
	ext    int    // bytes of extensions in this message
	state  chunkState
	digits uint8
	tail   Head // the trailer section
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailers
	chunkDone
)

// Reset makes c ready for another body.
func (c *Chunked) Reset() {
	c.left, c.ext, c.state, c.digits = 0, 0, chunkSize, 0
	c.tail.scanned = 0
	c.tail.Headers = c.tail.Headers[:0]
}

// Done says that the whole body, trailers included, was seen.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Trailers are the trailer fields, once done. Those marked Hop (credentials, routing, x-envoy-*, what
// describes the content) are to be dropped; none is ever to be merged into the headers (RFC 9110 6.5.1). They
// borrow the buffer of the last Next.
func (c *Chunked) Trailers() []Header { return c.tail.Headers }

// Next consumes n bytes of buf, among which is at most one run of data, a part of buf. Call it again with
// buf[n:] and more until done; the first byte after buf[:n] is then the next message's.
//
//	n > 0            go on; data may be empty
//	n == 0, err nil  what is in buf is not enough: read more behind it. Only a trailer section needs this
//	                 with a buf that is not empty, so a buffer must have room for Limits.MaxTrailerBytes.
//	err              an Error; what was consumed before it is lost for framing: close
//
// A chunk's data may be told before what follows it turns out to be wrong; then err comes from the next call.
func (c *Chunked) Next(buf []byte, lim *Limits) (data []byte, n int, done bool, err error) {
	i := 0
	for i < len(buf) && c.state != chunkDone {
		switch c.state {
		case chunkData:
			if data != nil {
				return data, i, false, nil
			}
			k := int(min(c.left, uint64(len(buf)-i)))
			data = buf[i : i+k : i+k]
			i += k
			if c.left -= uint64(k); c.left == 0 {
				c.state = chunkDataCR
			}
		case chunkTrailers:
			k, e := c.trailers(buf[i:], lim)
			if e != nil {
				return data, i, false, keepFor(data, e)
			}
			if k == 0 {
				return data, i, false, nil
			}
			i += k
		default:
			if e := c.step(buf[i], lim); e != noError {
				return data, i, false, keepFor(data, e)
			}
			i++
		}
	}
	return data, i, c.state == chunkDone, nil
}

// keepFor holds an error back while there is data to tell; the bytes that caused it were not consumed, so it
// comes again.
func keepFor(data []byte, err error) error {
	if data != nil {
		return nil
	}
	return err
}

// step takes one byte outside data and trailers.
func (c *Chunked) step(b byte, lim *Limits) Error {
	switch c.state {
	case chunkSize:
		return c.stepSize(b)
	case chunkExt:
		return c.stepExt(b, lim)
	case chunkSizeLF:
		if b != '\n' {
			return ErrChunkSize
		}
		c.digits = 0
		if c.state = chunkData; c.left == 0 {
			c.state = chunkTrailers
		}
	case chunkDataCR:
		if b != '\r' {
			return ErrChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return ErrChunkEnd
		}
		c.state = chunkSize
	}
	return noError
}

// stepSize takes 1 to 16 hex digits up to 2^63-1, then CR or ';'. White space before either is refused.
func (c *Chunked) stepSize(b byte) Error {
	if d := unhex(b); d < 16 {
		if c.digits == 16 || c.left > (1<<63-1)>>4 {
			return ErrChunkSize
		}
		c.digits++
		c.left = c.left<<4 | uint64(d)
		return noError
	}
	switch {
	case c.digits == 0:
		return ErrChunkSize
	case b == '\r':
		c.state = chunkSizeLF
	case b == ';':
		c.state = chunkExt
		c.ext++
	default:
		return ErrChunkSize
	}
	return noError
}

// stepExt skips extensions. A control character is refused even within quotes: CR and LF there are how two
// parsers come to disagree.
func (c *Chunked) stepExt(b byte, lim *Limits) Error {
	switch {
	case b == '\r':
		c.state = chunkSizeLF
		return noError
	case b < 0x20 && b != '\t' || b == 0x7f:
		return ErrChunkExtension
	case c.ext >= lim.MaxChunkExtBytes:
		return ErrChunkExtension
	}
	c.ext++
	return noError
}

// unhex is a hex digit's value, or 16 and more for what is none.
func unhex(b byte) byte {
	switch {
	case b >= '0' && b <= '9':
		return b - '0'
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 255
}

// trailers parses a whole trailer section, or 0 bytes of one that is unfinished.
func (c *Chunked) trailers(buf []byte, lim *Limits) (int, error) {
	h := &c.tail
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' { // none, as almost always
		c.state = chunkDone
		return 2, nil
	}
	if h.waiting(buf, lim.MaxTrailerBytes) {
		return 0, nil
	}
	b := buf[:min(len(buf), lim.MaxTrailerBytes)]
	h.begin()
	n, e := h.fields(b, 0, lim, noteTrailer)
	if e == noError {
		e = h.checkTrailers()
	}
	n, err := h.settle(buf, b, n, e)
	if n > 0 && err == nil {
		c.state = chunkDone
	}
	return n, err
}

// noteTrailer refuses look-alikes; checkTrailers sees to the rest when all lines are in.
func noteTrailer(_ *Head, hd *Header) Error {
	if hd.ID == FieldOther && lookupUnderscored(hd.Name).trusted() {
		return ErrUnderscore
	}
	return noError
}

// checkTrailers refuses what frames or routes a message and marks what must not come after the fact
// (RFC 9110 6.5.1).
func (h *Head) checkTrailers() Error {
	for i := range h.Headers {
		hd := &h.Headers[i]
		if hd.ID.FramesMessage() {
			return ErrTrailerField
		}
		hd.Hop = hd.ID.LateInTrailer()
	}
	return noError
}

func lateInTrailer(id FieldID) bool {
	switch id {
	case FieldAuthorization, FieldWWWAuthenticate, FieldCookie, FieldSetCookie,
		FieldContentType, FieldContentEncoding, FieldContentRange, FieldRange,
		FieldCacheControl, FieldPragma, FieldAge, FieldExpires, FieldDate, FieldVary, FieldLocation, FieldRetryAfter,
		FieldIfMatch, FieldIfNoneMatch, FieldIfModifiedSince, FieldIfUnmodifiedSince, FieldIfRange:
		return true
	}
	return false
}
