package compress

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/attache-mesh/attache/proxy/config"
)

// FuzzDictionary takes any dictionary that a configuration may have: what is written with it is what is read with it.
func FuzzDictionary(f *testing.F) {
	d, err := base64.StdEncoding.DecodeString("N6Qw7AcAAAAQsGes2k0EwEJkk900NJMPDHDiPhE8TRNosR9wzjDpAQAAAAQAAAAIAAAAeyJuYW1lIjoiYm9vayIsImF1dGhvciI6InNvbWVib2R5Iiwic2hlbGYiOjcsIndvcmRzIjoiYSB0YWxlIG9mIGNpdGllcyBhbmQifQ==")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d, []byte("{\"name\":\"book 41\",\"author\":\"somebody else\",\"shelf\":7,\"words\":\"a tale of two cities and one\"}"), 3)
	f.Fuzz(func(t *testing.T, d, body []byte, level int) {
		if _, err := zstd.InspectDictionary(d); err != nil {
			return
		}
		how := config.Compression{Encoding: "zstd", Level: 1 + int(uint(level)%8), Checksum: level < 0, Dictionary: string(d)}
		var out bytes.Buffer
		var l local
		w := l.writer(libraryOf(&how), &out)
		for _, part := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderDicts(d))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := r.DecodeAll(out.Bytes(), nil); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%q became %q: %v", body, got, err)
		}
	})
}
