package grpcstats

import (
	"fmt"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for path, want := range map[string]string{
		"/a.B/c": "a.B c true", "/a/b?c/d": "a b true", "//a//b/": "a b true",
		"/a": "a  false", "/": "  false", "/a/b/c": "a b false",
	} {
		service, method, ok := names([]byte(path))
		if got := fmt.Sprintf("%s %s %v", service, method, ok); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	c := &counters{}
	for _, s := range []string{"0", "16", "17", "00", "", "+1", strings.Repeat("x", maxStatus+1)} {
		c.ended([]byte(s))
	}
	for i := range 2 * maxForeign {
		c.ended(fmt.Append(nil, "s", i))
	}
	if c.status[0] != 1 || c.status[16] != 1 || c.success != 1 || c.total != 7+2*maxForeign || len(c.foreign) != maxForeign {
		t.Errorf("%+v", c)
	}
}

// What clients name is bounded; what was known before stays.
func TestBounds(t *testing.T) {
	l := &local{}
	first := l.of("web", []byte("s"), []byte("m"), true)
	if long := l.of("web", []byte("s"), make([]byte, maxName), true); long != l.of("web", nil, nil, false) {
		t.Error("a long name has counters of its own")
	}
	for i := range maxMethods {
		l.of("web", []byte("s"), fmt.Append(nil, "m", i), true)
	}
	if late := l.of("web", []byte("s"), []byte("late"), true); late != l.of("web", nil, nil, false) {
		t.Error("one too many has counters of its own")
	}
	if l.of("web", []byte("s"), []byte("m"), true) != first || len(l.all) != maxMethods+1 {
		t.Errorf("%d counters", len(l.all))
	}
	if late := l.of("web", []byte("listed"), []byte("m"), false); late == l.of("web", nil, nil, false) {
		t.Error("what configuration names has no counters")
	}
}

// A stream cut anywhere has the same messages.
func TestFrames(t *testing.T) {
	stream := "\x00\x00\x00\x00\x01a\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02bc\x02\x00\x00\x00\x02{}more"
	for _, step := range []int{1, 2, 3, 5, 7, len(stream)} {
		s, n := &frames{connect: true}, uint64(0)
		for at := 0; at < len(stream); at += step {
			n += s.take([]byte(stream[at:min(at+step, len(stream))]))
		}
		if n != 3 || s.count != 3 || !s.success() {
			t.Errorf("step %d: %d, %+v", step, n, s)
		}
	}
	long := &frames{connect: true}
	long.take([]byte("\x02\xff\xff\xff\xff"))
	for range 10 {
		long.take(make([]byte, maxEnd/2))
	}
	if len(long.last) != maxEnd+1 || long.success() {
		t.Errorf("%d bytes kept", len(long.last))
	}
}

func TestLookupIsFree(t *testing.T) {
	l, s, m := &local{}, []byte("service"), []byte("method")
	l.of("web", s, m, true)
	if n := testing.AllocsPerRun(100, func() { l.of("web", s, m, true) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
