package decompress

// A body that is decompressed as it is read.

import (
	"errors"
	"io"

	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// piece is how many bytes are given at a time, at most.
const piece = 16 << 10

// maxFree bounds the readers that a worker keeps for later.
const maxFree = 16

// errCut is why a body that is longer than it may become is not read on.
var errCut = errors.New("decompressed to more than max_inflate_ratio allows")

// reading is the body; the library pulls what it needs through source.
type reading struct {
	f       *Filter
	l       *local
	n       *direction
	tail    filter.Fields
	request bool
	source  source
	z       reader
	begun   bool
	broken  bool
	out     uint64
	buf     []byte
}

func (f *Filter) read(r *filter.Request, l *local, of filter.Body, tail filter.Fields, n *direction, request bool) *reading {
	b := &reading{f: f, l: l, n: n, tail: tail, request: request, source: source{of: of}}
	b.z = l.reader(f)
	r.Defer(b)
	return b
}

// Next gives what the next pieces become.
func (b *reading) Next() (part []byte, last bool, err error) {
	if b.buf == nil {
		b.buf = make([]byte, piece)
	}
	before := b.source.in
	n, err := b.pull()
	b.n.in += b.source.in - before
	b.n.out += uint64(n)
	switch {
	case err == nil:
		return b.buf[:n], false, nil
	case err == io.EOF:
		b.f.report(b.tail, b.source.in, b.out)
		return b.buf[:n], true, nil
	case b.source.err != nil:
		return nil, false, b.source.err
	}
	b.broken = true
	b.l.broken.count(err)
	if b.request {
		return nil, false, refusal()
	}
	return nil, false, err
}

// pull reads at least a byte, or to the end: io.EOF with what was left.
func (b *reading) pull() (n int, err error) {
	if !b.begun {
		b.begun = true
		if b.source.empty() {
			return 0, orEnd(b.source.err)
		}
		if err := b.z.Reset(&b.source); err != nil {
			return 0, unexpected(err)
		}
	}
	for n == 0 && err == nil {
		n, err = b.z.Read(b.buf)
	}
	b.out += uint64(n)
	switch {
	case b.out > uint64(b.f.cfg.MaxRatio)*b.source.in:
		return 0, errCut
	case err == io.EOF:
		return n, b.drain()
	case err != nil:
		return 0, unexpected(err)
	}
	return n, nil
}

// drain reads what follows the compressed data, which no one is given, so that the
// trailers are there.
func (b *reading) drain() error {
	for !b.source.empty() {
		if len(b.source.rest) > 0 {
			b.l.broken.redundant++
		}
		b.source.rest = nil
	}
	return orEnd(b.source.err)
}

// orEnd is err, or the end.
func orEnd(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// unexpected keeps the end of what was read amid the data from being taken for its
// end.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// End keeps the reader for another body.
func (b *reading) End(*filter.Request, outcome.Outcome) {
	b.z.forget()
	if len(b.l.free) < maxFree && !b.broken {
		b.l.free = append(b.l.free, b.z)
	}
}

// source is what a library reads: a byte at a time or more, and never ahead of
// what it needs.
type source struct {
	of   filter.Body
	rest []byte
	last bool
	in   uint64 // bytes that came
	err  error
}

// empty says that nothing follows; it waits to know.
func (s *source) empty() bool {
	for len(s.rest) == 0 && !s.last && s.err == nil {
		s.rest, s.last, s.err = s.of.Next()
		s.in += uint64(len(s.rest))
	}
	return len(s.rest) == 0
}

// Read gives what there is.
func (s *source) Read(p []byte) (int, error) {
	if s.empty() {
		return 0, orEnd(s.err)
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// ReadByte gives the next byte: gzip reads no further than its end with it.
func (s *source) ReadByte() (byte, error) {
	if s.empty() {
		return 0, orEnd(s.err)
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	return c, nil
}
