package decompress

// The libraries.

import (
	"errors"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the most memory, in bytes, that a zstd frame may ask for (RFC 9659, 3).
const maxWindow = 8 << 20

// reader is what the libraries have in common.
type reader interface {
	io.Reader
	// Reset begins to read a new body.
	Reset(r io.Reader) error
	// forget lets go of the body.
	forget()
}

// reader gives one: one that was used before, if there is one.
func (l *local) reader(f *Filter) reader {
	if n := len(l.free); n > 0 {
		z := l.free[n-1]
		l.free = l.free[:n-1]
		return z
	}
	switch f.cfg.Encoding {
	case "br":
		return &brotliReader{}
	case "zstd":
		options := []zstd.DOption{
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecoderMaxMemory(1<<63 - 1),
		}
		for _, d := range f.dictionaries {
			options = append(options, zstd.WithDecoderDicts(d))
		}
		z, err := zstd.NewReader(nil, options...)
		if err != nil {
			panic(err)
		}
		return &zstdReader{z}
	}
	return &gzipReader{}
}

type gzipReader struct{ gzip.Reader }

// Reset reads the head; like zlib it stops at the end of the first member.
func (z *gzipReader) Reset(r io.Reader) error {
	err := z.Reader.Reset(r)
	z.Multistream(false)
	return err
}

func (z *gzipReader) forget() {}

type brotliReader struct{ brotli.Reader }

func (z *brotliReader) forget() {}

type zstdReader struct{ *zstd.Decoder }

func (z *zstdReader) forget() { _ = z.Decoder.Reset(nil) }

// count notes why a body was not read to its end.
func (n *faults) count(err error) {
	switch {
	case err == errCut:
		n.ratio++
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		n.memory++
	case errors.Is(err, zstd.ErrUnknownDictionary):
		n.dictionary++
	case errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, gzip.ErrChecksum):
		n.checksum++
	default:
		n.other++
	}
}
