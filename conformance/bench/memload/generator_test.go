package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func waiting(exchanges ...exchange) (*generator, *conn) {
	c := &conn{window: make([]wait, len(exchanges))}
	for i := range exchanges {
		c.window[i] = wait{&exchanges[i], time.Now()}
	}
	c.n = len(exchanges)
	return &generator{open: c.n}, c
}

func TestMatchAcceptsRightRepliesHoweverTheyAreCut(t *testing.T) {
	a, b := get(1, 2, 30), get(7, 1, 30)
	whole := append(append([]byte{}, a.reply...), b.reply...)
	for at := range whole {
		g, c := waiting(a, b)
		for _, part := range [][]byte{whole[:at], whole[at:]} {
			if err := g.match(c, part); err != nil {
				t.Fatalf("cut at %d: %v", at, err)
			}
		}
		if g.replies != 2 || g.open != 0 {
			t.Fatalf("cut at %d: %d replies, %d still open; want 2 and 0", at, g.replies, g.open)
		}
	}
}

func TestMatchRefusesWrongReplies(t *testing.T) {
	right := get(7, 1, 30)
	for name, got := range map[string][]byte{
		"another key's reply":   get(8, 1, 30).reply,
		"another key's value":   bytes.Replace(right.reply, []byte(value(7, 30)), []byte(value(8, 30)), 1),
		"a miss":                []byte("END\r\n"),
		"an error":              []byte("SERVER_ERROR x\r\n"),
		"one reply too many":    append(append([]byte{}, right.reply...), "END\r\n"...),
		"a reply with a header": append([]byte("\r\n"), right.reply...),
	} {
		g, c := waiting(right)
		if g.match(c, got) == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestPreloadSetsEveryKeyOnce(t *testing.T) {
	s := newScript(options{keys: 100, value: 10, preload: true})
	seen := map[string]bool{}
	for e, ok := s.next(); ok; e, ok = s.next() {
		seen[strings.Fields(string(e.request))[1]] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d keys set, want 100", len(seen))
	}
	if _, ok := s.next(); ok {
		t.Error("a finished preload hands out another command")
	}
}
