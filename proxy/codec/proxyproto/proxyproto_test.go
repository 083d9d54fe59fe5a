package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func ports(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

var (
	four = Header{Source: ports("192.0.2.1:56324"), Destination: ports("198.51.100.1:443")}
	six  = Header{Source: ports("[2001:db8::1]:1"), Destination: ports("[2001:db8::2]:65535")}
)

// What is written is read again, wherever the bytes are cut.
func TestWriteRead(t *testing.T) {
	tlvs := AppendTLV(AppendTLV(nil, 0x02, []byte("example.com")), 0xea, nil)
	mixed := Header{Source: four.Source, Destination: six.Destination}
	for _, h := range []Header{four, six, mixed, {Local: true}} {
		for version := 1; version <= 2; version++ {
			h.Version = version
			if version == 2 && !h.Local {
				h.TLVs = tlvs
			}
			text := Append(nil, &h)
			for cut := range text {
				if _, n, err := Parse(text[:cut]); n != 0 || err != nil {
					t.Fatalf("%q cut at %d: %d, %v", text, cut, n, err)
				}
			}
			got, n, err := Parse(append(text, "GET /"...))
			if err != nil || n != len(text) {
				t.Fatalf("%q: %d, %v", text, n, err)
			}
			want := h
			if h.Source.Addr().Is4() && h.Destination.Addr().Is6() {
				want.Source = netip.AddrPortFrom(netip.AddrFrom16(h.Source.Addr().As16()), h.Source.Port())
			}
			if got.Version != want.Version || got.Local != want.Local || got.Source != want.Source || got.Destination != want.Destination || !bytes.Equal(got.TLVs, want.TLVs) {
				t.Errorf("%+v was read as %+v", want, got)
			}
		}
	}
	if got := string(Append(nil, &Header{Version: 1, Source: four.Source, Destination: four.Destination})); got != "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" {
		t.Errorf("%q", got)
	}
}

func TestMalformed(t *testing.T) {
	v2 := string(Append(nil, &four))
	for _, c := range []struct {
		text string
		want error
	}{
		{"GET / HTTP/1.1\r\n\r\n", ErrNone},
		{"PROXZ", ErrNone},
		{"\r\n\r\nX", ErrNone},
		{"PROXY \r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 198.51.100.1  443\r\n", ErrMalformed},
		{"PROXY TCP4 ::1 198.51.100.1 1 2\r\n", ErrMalformed},
		{"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", ErrMalformed},
		{"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", ErrMalformed},
		{"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", ErrMalformed},
		{"PROXY TCP4 " + strings.Repeat("1", MaxV1), ErrMalformed},
		{v2[:12] + "\x31" + v2[13:], ErrMalformed},        // version 3
		{v2[:12] + "\x22" + v2[13:], ErrMalformed},        // no such command
		{v2[:14] + "\x00\x0b" + v2[16:], ErrMalformed},    // shorter than its addresses
		{v2[:15] + "\x0e" + v2[16:] + "ab", ErrMalformed}, // half a TLV
		{v2[:15] + "\x0f" + v2[16:] + "\x01\x00\x01", ErrMalformed},
		{"PROXY TCP4 0.0.0.0 198.51.100.1 1 2\r\n", ErrMalformed}, // no connection has such an end
		{"PROXY TCP4 192.0.2.1 255.255.255.255 1 2\r\n", ErrMalformed},
		{"PROXY TCP4 224.0.0.1 198.51.100.1 1 2\r\n", ErrMalformed},
		{"PROXY TCP6 :: ::1 1 2\r\n", ErrMalformed},
		{"PROXY TCP6 ::1 ff02::1 1 2\r\n", ErrMalformed},
		{v2[:16] + "\xe0" + v2[17:], ErrMalformed},
		{v2[:13] + "\x31\x00\x00", ErrMalformed},   // a unix socket
		{v2[:13] + "\x00\x00\x00", ErrMalformed},   // UNSPEC
		{v2[:13] + "\x13" + v2[14:], ErrMalformed}, // neither stream nor datagram
		{"PROXY UNKNOWN ffff:f...f:ffff 65535\r\n", nil},
	} {
		h, n, err := Parse([]byte(c.text))
		if !errors.Is(err, c.want) || err == nil && (!h.Local || n != len(c.text)) {
			t.Errorf("%q: %d, %v, want %v", c.text, n, err, c.want)
		}
	}
}

// Datagrams are carried as streams are.
func TestDatagram(t *testing.T) {
	text := Append(nil, &four)
	text[13]++
	if h, n, err := Parse(text); err != nil || n != len(text) || h.Local || h.Source != four.Source {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
}

func TestBegins(t *testing.T) {
	for text, want := range map[string]int{
		"P": 1, "PROXY": 1, "PROXY TCP4": 1, "PRO_": 0, "POST": 0,
		"\r": 2, signature: 2, signature + "\x21": 2, "\r\n\r\nG": 0, "GET /": 0,
	} {
		if got := Begins([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TLVs that do not fit are left out whole.
func TestTooManyTLVs(t *testing.T) {
	h := four
	h.TLVs = AppendTLV(AppendTLV(nil, 1, make([]byte, 40_000)), 2, make([]byte, 40_000))
	got, n, err := Parse(Append(nil, &h))
	if err != nil || n > MaxV2 || len(got.TLVs) != 40_003 {
		t.Errorf("%d bytes, %d of TLVs, %v", n, len(got.TLVs), err)
	}
}

func FuzzV1(f *testing.F) {
	for _, h := range []Header{four, six, {Local: true}} {
		h.Version = 1
		f.Add(Append(nil, &h)[len("PROXY "):])
	}
	f.Add([]byte("UNKNOWN ffff:f...f:ffff 65535\r\n"))
	f.Fuzz(func(t *testing.T, rest []byte) {
		holds(t, rest)
		holds(t, append([]byte("PROXY "), rest...))
	})
}

func FuzzV2(f *testing.F) {
	for _, h := range []Header{four, six, {Local: true}} {
		h.Version = 2
		f.Add(Append(nil, &h)[len(signature):])
	}
	four := four
	four.TLVs = AppendTLV(AppendTLV(nil, 0x02, []byte("example.com")), 0xea, nil)
	f.Add(Append(nil, &four)[len(signature):])
	f.Fuzz(func(t *testing.T, rest []byte) {
		holds(t, append([]byte(signature), rest...))
	})
}

// holds checks what is true of all bytes: they are a header, a part of one, or
// none, however they are cut; and what is written again means the same.
func holds(t *testing.T, p []byte) {
	h, n, err := Parse(p)
	if err != nil || n == 0 {
		if n != 0 || len(p) >= MaxV2 && err == nil {
			t.Fatalf("%d, %v of %d bytes", n, err, len(p))
		}
		return
	}
	if n > len(p) {
		t.Fatalf("%d of %d bytes", n, len(p))
	}
	for cut := range n {
		if _, n, err := Parse(p[:cut]); n != 0 || err != nil {
			t.Fatalf("cut at %d: %d, %v", cut, n, err)
		}
	}
	again, _, err := Parse(Append(nil, &h))
	if err != nil || again.Local != h.Local || !h.Local && (again.Source.Port() != h.Source.Port() || !bytes.Equal(again.TLVs, h.TLVs)) {
		t.Fatalf("%+v, %v", again, err)
	}
	for range Each(h.TLVs) {
	}
}
