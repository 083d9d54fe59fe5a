package clienthello

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// hello is what Go's client begins with.
func hello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	here, there := net.Pipe()
	cfg.InsecureSkipVerify = true
	go func() {
		_ = tls.Client(there, cfg).Handshake()
	}()
	head := make([]byte, recordHead)
	if _, err := io.ReadFull(here, head); err != nil {
		t.Fatal(err)
	}
	p := append(head, make([]byte, int(head[3])<<8|int(head[4]))...)
	if _, err := io.ReadFull(here, p[recordHead:]); err != nil {
		t.Fatal(err)
	}
	here.Close()
	there.Close()
	return p
}

// split puts a record's bytes into records of n.
func split(record []byte, n int) (all []byte) {
	for part := range slices.Chunk(record[recordHead:], n) {
		all = append(all, 22, 3, 1, byte(len(part)>>8), byte(len(part)))
		all = append(all, part...)
	}
	return all
}

// What Go's client asks for is found, wherever the bytes are cut and however they
// are spread over records.
func TestFound(t *testing.T) {
	long := strings.Repeat("a.", 120) + "example"
	for _, c := range []struct {
		cfg   *tls.Config
		name  string
		alpns []string
	}{
		{&tls.Config{ServerName: "Example.COM", NextProtos: []string{"h2", "http/1.1"}}, "example.com", []string{"h2", "http/1.1"}},
		{&tls.Config{MaxVersion: tls.VersionTLS12, ServerName: "x"}, "x", nil},
		{&tls.Config{NextProtos: []string{"h2"}}, "", []string{"h2"}},
		{&tls.Config{ServerName: long}, long, nil},
	} {
		record := hello(t, c.cfg)
		for _, text := range [][]byte{record, split(record, 1), split(record, 3), split(record, 100)} {
			for cut := range text {
				if _, v := Parse(text[:cut]); v != More {
					t.Fatalf("cut at %d of %d: %d", cut, len(text), v)
				}
			}
			h, v := Parse(append(slices.Clone(text), 23, 3, 3))
			if v != Found || h.ServerName != c.name || !slices.Equal(h.Protocols, c.alpns) {
				t.Errorf("%+v, %d; want %q %q", h, v, c.name, c.alpns)
			}
		}
	}
}

func TestNotFound(t *testing.T) {
	record := string(hello(t, &tls.Config{ServerName: "example.com", NextProtos: []string{"h2"}}))
	name := strings.Index(record, "example.com")
	for _, c := range []struct {
		text string
		want Verdict
	}{
		{"", More},
		{"GET / HTTP/1.1\r\n\r\n", Plain},
		{"\x16GET", Plain},
		{"\x80\x2e\x01\x00\x02", Plain}, // SSLv2
		{"\x16\x03\x01\x00\x00", Malformed},
		{"\x16\x03\x01\xff\xff", Malformed},
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x00", Malformed},     // another message
		{"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Malformed},     // an empty one
		{"\x16\x03\x01\x00\x04\x01\x01\x00\x00", TooLarge},      // 64 KiB
		{"\x16\x03\x01\x00\x02\x01\x00\x17\x03\x03", Malformed}, // another record amid the message
		{"\x16\x03\x01\x00\x04\x01\x00\x20\x00" + strings.Repeat("\x16\x03\x01\x00\x01x", 3*MaxSize), TooLarge},
		{record[:name-2] + "\xff" + record[name-1:], Malformed + 100},
	} {
		h, v := Parse([]byte(c.text))
		if c.want > 100 { // the name's length is wrong: no name
			if v != Found || h.ServerName != "" {
				t.Errorf("%+v %d", h, v)
			}
			continue
		}
		if v != c.want {
			t.Errorf("%.40q: %d, want %d", c.text, v, c.want)
		}
	}
	for _, bad := range []string{"exam\x00le.com", "exam le.com", "exam\xc3\xa4e.com"} {
		if h, v := Parse([]byte(record[:name] + bad[:11] + record[name+11:])); v != Found || h.ServerName != "" {
			t.Errorf("%q: %+v %d", bad, h, v)
		}
	}
}

func FuzzParse(f *testing.F) {
	record := hello(f, &tls.Config{ServerName: "example.com", NextProtos: []string{"h2"}})
	f.Add(record)
	f.Add(split(record, 7))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, v := Parse(p)
		if v == More && len(p) >= 2*MaxSize {
			t.Fatalf("more is wanted after %d bytes", len(p))
		}
		if v != Found {
			return
		}
		if h.ServerName != strings.ToLower(h.ServerName) || strings.ContainsRune(h.ServerName, 0) {
			t.Fatalf("%q", h.ServerName)
		}
		// Once found, more bytes change nothing.
		again, w := Parse(append(slices.Clone(p), "more"...))
		if w != v || again.ServerName != h.ServerName || !slices.Equal(again.Protocols, h.Protocols) {
			t.Fatalf("%+v became %+v", h, again)
		}
	})
}
