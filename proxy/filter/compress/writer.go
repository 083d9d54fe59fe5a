package compress

// The libraries.

import (
	"io"
	"unique"

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

// library is config.Compression, compiled.
type library struct {
	key
	dictionary []byte // shared by all of its writers, which only read it
}

// key is what a writer was made for, in a form that is quick to look up.
type key struct {
	encoding string
	level    int
	checksum bool
	with     unique.Handle[string] // the dictionary
}

func libraryOf(c *config.Compression) library {
	return library{key{c.Encoding, c.Level, c.Checksum, unique.Make(c.Dictionary)}, []byte(c.Dictionary)}
}

// writer gives one that writes to w: one that was used before, if there is one.
func (l *local) writer(how library, w io.Writer) writer {
	if list := l.free[how.key]; len(list) > 0 {
		z := list[len(list)-1]
		l.free[how.key] = list[:len(list)-1]
		z.Reset(w)
		return z
	}
	if l.free == nil {
		l.free = map[key][]writer{}
	}
	return newWriter(how, w)
}

// newWriter makes one. Levels and dictionaries were checked when they were read, so that
// none of the libraries refuses one.
func newWriter(how library, w io.Writer) writer {
	switch how.encoding {
	case "br":
		return brotli.NewWriterLevel(w, how.level)
	case "zstd":
		options := []zstd.EOption{
			zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(how.level)), zstd.WithEncoderCRC(how.checksum),
		}
		if len(how.dictionary) > 0 {
			options = append(options, zstd.WithEncoderDict(how.dictionary))
		}
		z, err := zstd.NewWriter(w, options...)
		if err != nil {
			panic(err)
		}
		return z
	}
	z, err := gzip.NewWriterLevel(w, how.level)
	if err != nil {
		panic(err)
	}
	return z
}
