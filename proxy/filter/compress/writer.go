package compress

// The libraries.

import (
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/attache-mesh/attache/proxy/config"
)

// writer is what the libraries have in common.
type writer interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// writer gives one that writes to w: one that was used before, if there is one.
func (l *local) writer(how config.Compression, w io.Writer) writer {
	if list := l.free[how]; len(list) > 0 {
		z := list[len(list)-1]
		l.free[how] = list[:len(list)-1]
		z.Reset(w)
		return z
	}
	if l.free == nil {
		l.free = map[config.Compression][]writer{}
	}
	return newWriter(how, w)
}

// newWriter makes one. Levels were checked when they were read, so that none of
// the libraries refuses one.
func newWriter(how config.Compression, w io.Writer) writer {
	switch how.Encoding {
	case "br":
		return brotli.NewWriterLevel(w, how.Level)
	case "zstd":
		level := zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(how.Level))
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), level)
		if err != nil {
			panic(err)
		}
		return z
	}
	z, err := gzip.NewWriterLevel(w, how.Level)
	if err != nil {
		panic(err)
	}
	return z
}
