package memcache

// What does an owner see that the scripts do not show: streaming, discarding,
// limits, words, and that nothing is allocated?

import (
	"bytes"
	"strings"
	"testing"
)

func TestLongValueIsStreamedAndDiscarded(t *testing.T) {
	limits := DefaultLimits()
	p := NewParser(&limits)
	var c Command
	in := []byte("set k 1 2 50000 noreply\r\n" + strings.Repeat("v", 50000) + "\r\nversion\r\n")
	n, ev := p.Next(in[:1000], &c)
	if ev != Header || string(c.Key) != "k" || c.Bytes != 50000 || c.Data != nil || !c.NoReply {
		t.Fatalf("event %d, %+v", ev, c)
	}
	m, ev := p.Next(in[n:1000], &c)
	if ev != Body || n+m != 1000 || len(c.Data) != m {
		t.Fatalf("event %d, %d bytes, data %d", ev, m, len(c.Data))
	}
	p.Discard()
	n, ev = p.Next(in[1000:], &c)
	if ev != Ready || c.Op != Version || 1000+n != len(in) {
		t.Fatalf("event %d, op %s, used %d", ev, c.Op, n)
	}
}

func TestStreamedValueWithTheWrongEndAbortsUpstream(t *testing.T) {
	limits := DefaultLimits()
	p := NewParser(&limits)
	var c Command
	in := []byte("set k 1 2 50000\r\n" + strings.Repeat("v", 50001) + "\r\nversion\r\n")
	var events []Event
	for len(in) > 0 {
		n, ev := p.Next(in[:min(len(in), 20000)], &c)
		in = in[n:]
		if ev == Refused {
			if c.Refusal != (Refusal{Reply: LineBadChunk, Reason: ReasonChunk, Aborted: true}) {
				t.Fatalf("refusal %+v", c.Refusal)
			}
		}
		events = append(events, ev)
	}
	want := []Event{Header, Body, Body, Body, Refused, Ready}
	if string(eventBytes(events)) != string(eventBytes(want)) {
		t.Fatalf("events %v, want %v", events, want)
	}
}

func eventBytes(events []Event) (b []byte) {
	for _, ev := range events {
		b = append(b, byte(ev))
	}
	return b
}

func TestWantSavesCalls(t *testing.T) {
	limits := DefaultLimits()
	p := NewParser(&limits)
	var c Command
	line := "set k 0 0 1000\r\n"
	if n, ev := p.Next([]byte(line), &c); n != 0 || ev != More || p.Want() != len(line)+1001 {
		t.Fatalf("%d used, event %d, wants %d", n, ev, p.Want())
	}
	short := append([]byte(line), bytes.Repeat([]byte("v"), 1000)...)
	if n, ev := p.Next(append(short, 'x'), &c); n != len(short) || ev != Refused {
		t.Fatalf("the wrong end was not seen at its first byte: %d used, event %d", n, ev)
	}
}

func TestKeyEndFindsEveryBadByteEverywhere(t *testing.T) {
	for bad := range 256 {
		for at := range 20 {
			key := bytes.Repeat([]byte{0xff}, 20)
			key[at] = byte(bad)
			if at > 0 {
				key[at-1] = 0x80
			}
			want := len(key)
			if bad <= 0x20 || bad == 0x7f {
				want = at
			}
			if got := keyEnd(key, 0); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", bad, at, got, want)
			}
		}
	}
}

func TestValidKey(t *testing.T) {
	for key, want := range map[string]bool{
		"": false, "k": true, "k k": false, "k\r\n": false, "k\x7f": false, "\xff": true,
		strings.Repeat("k", 250): true, strings.Repeat("k", 251): false,
	} {
		if got := ValidKey([]byte(key)); got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
}

func TestLimitsAreValidated(t *testing.T) {
	limits := DefaultLimits()
	if err := limits.Validate(); err != nil {
		t.Fatal(err)
	}
	limits.KeyBytes = 251
	if err := limits.Validate(); err == nil || !strings.Contains(err.Error(), "key bytes is 251") {
		t.Fatalf("got %v", err)
	}
}

func TestWriters(t *testing.T) {
	for _, tc := range []struct{ name, got, want string }{
		{"value with another key", string(AppendValueAs(nil, []byte("VALUE k 0 2\r\nhi\r\nEND\r\n"), 1, []byte("p:k"))), "VALUE p:k 0 2\r\nhi\r\nEND\r\n"},
		{"version", string(AppendVersion(nil, "attache 1")), "VERSION attache 1\r\n"},
		{"version command", string(AppendVersionCommand(nil)), "version\r\n"},
		{"error", string(AppendServerError(nil, "no\r\nroute")), "SERVER_ERROR no??route\r\n"},
		{"multi-get", string(AppendCRLF(AppendWord(AppendWord(AppendRetrieval(nil, Gats, []byte("5")), []byte("a")), []byte("b")))), "gats 5 a b\r\n"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
		}
	}
	if got := len(AppendServerError(nil, strings.Repeat("x", 5000))); got != len("SERVER_ERROR ")+maxErrorText+2 {
		t.Errorf("long error has %d bytes", got)
	}
}

// onPath are the inputs of the forwarding path.
var onPath = []struct{ name, in string }{
	{"get", "get key\r\n"},
	{"get60", "get user:1234567890:profile:settings:abcdefghijklmnopqrstuvwxyz\r\n"},
	{"get32keys", "get" + strings.Repeat(" user:1234567890", 32) + "\r\n"},
	{"set", "set key 0 0 100\r\n" + strings.Repeat("v", 100) + "\r\n"},
	{"incr", "incr key 1\r\n"},
	{"refused", "get k\x01y\r\n"},
	{"swallowed", "set k\x01y 0 0 2\r\nhi\r\n"},
}

func TestForwardingAllocatesNothing(t *testing.T) {
	limits := DefaultLimits()
	dst := make([]byte, 0, 4096)
	for _, tc := range onPath {
		p, in := NewParser(&limits), []byte(tc.in)
		if got := testing.AllocsPerRun(100, func() {
			var c Command
			_, ev := p.Next(in, &c)
			if ev == Ready {
				dst = AppendCommand(dst[:0], &c, c.Key, true)
			}
			p = NewParser(&limits)
		}); got != 0 {
			t.Errorf("%s: %v allocations", tc.name, got)
		}
	}
	key, in := []byte("key"), []byte("VALUE key 0 100\r\n"+strings.Repeat("v", 100)+"\r\nEND\r\n")
	if got := testing.AllocsPerRun(100, func() {
		value, n, _ := ScanReply(in, Get, key, &limits)
		dst = AppendValueAs(append(dst[:0], in[:n]...), in[:value], len(key), key)
		p := NewReplyParser(&limits)
		var r Reply
		p.Next(in, Get, key, &r)
	}); got != 0 {
		t.Errorf("replies: %v allocations", got)
	}
}

func BenchmarkCommand(b *testing.B) {
	limits := DefaultLimits()
	for _, tc := range onPath[:5] {
		in := []byte(tc.in)
		b.Run(tc.name, func(b *testing.B) {
			p := NewParser(&limits)
			var c Command
			b.ReportAllocs()
			for b.Loop() {
				if _, ev := p.Next(in, &c); ev != Ready {
					b.Fatal(ev)
				}
			}
		})
	}
}

func BenchmarkReply(b *testing.B) {
	limits := DefaultLimits()
	key, in := []byte("key"), []byte("VALUE key 0 100\r\n"+strings.Repeat("v", 100)+"\r\nEND\r\n")
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if _, _, found := ScanReply(in, Get, key, &limits); found != Hit {
				b.Fatal(found)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		p := NewReplyParser(&limits)
		var r Reply
		for b.Loop() {
			n, _ := p.Next(in, Get, key, &r)
			if _, ev := p.Next(in[n:], Get, key, &r); ev != ReplyEnd {
				b.Fatal(ev)
			}
		}
	})
	b.Run("stored", func(b *testing.B) {
		p := NewReplyParser(&limits)
		var r Reply
		stored := []byte("STORED\r\n")
		for b.Loop() {
			if _, ev := p.Next(stored, Set, nil, &r); ev != ReplyLine {
				b.Fatal(ev)
			}
		}
	})
}

func BenchmarkAppendCommand(b *testing.B) {
	limits := DefaultLimits()
	p := NewParser(&limits)
	var c Command
	p.Next([]byte("get key\r\n"), &c)
	dst := make([]byte, 0, 4096)
	for b.Loop() {
		dst = AppendCommand(dst[:0], &c, c.Key, true)
	}
}
