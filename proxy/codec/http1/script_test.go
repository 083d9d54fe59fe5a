package http1

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

// script is one case of a file in testdata: "=== title", input, "---", result. Each line of input ends with
// CRLF but for one that ends with a backslash; \r \n \t \xNN stand for those bytes; "ten<1000" repeats ten
// 1000 times.
type script struct {
	title, input, result string
}

func readScripts(t testing.TB, file string) []script {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []script
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		title, rest, _ := strings.Cut(part, "\n")
		input, result, ok := strings.Cut(rest, "---\n")
		if !ok {
			t.Fatalf("%s: %s: no line of dashes", file, title)
		}
		out = append(out, script{title, input, strings.TrimSuffix(result, "\n") + "\n"})
	}
	return out
}

// bytes is the input as it goes over the wire.
func (s script) bytes(t testing.TB) []byte {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(s.input) {
		line, end := strings.TrimSuffix(line, "\n"), "\r\n"
		if l, ok := strings.CutSuffix(line, `\`); ok {
			line, end = l, ""
		}
		if word, times, ok := strings.Cut(line, "<"); ok {
			if n, err := strconv.Atoi(times); err == nil {
				line = strings.Repeat(word, n)
			}
		}
		raw, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("%s: %q: %v", s.title, line, err)
		}
		b.WriteString(raw + end)
	}
	return []byte(b.String())
}

// kinds are the files of scripts and what makes their transcripts.
var kinds = []struct {
	file string
	read func(title string, in []byte, cuts ...int) string
}{
	{"testdata/requests.txt", func(_ string, in []byte, cuts ...int) string { return requests(in, DefaultLimits(), cuts...) }},
	{"testdata/chunked.txt", func(_ string, in []byte, cuts ...int) string { return chunks(in, DefaultLimits(), cuts...) }},
	{"testdata/responses.txt", func(title string, in []byte, cuts ...int) string {
		return responses(in, methodIn(title), DefaultLimits(), cuts...)
	}},
}

// methodIn is the method that a title says the response is to.
func methodIn(title string) MethodID {
	for word := range strings.FieldsSeq(title) {
		if m := LookupMethod([]byte(strings.TrimSuffix(word, ":"))); m != MethodOther {
			return m
		}
	}
	return MethodGet
}

func TestScripts(t *testing.T) {
	for _, k := range kinds {
		var b strings.Builder
		for _, s := range readScripts(t, k.file) {
			got := k.read(s.title, s.bytes(t))
			b.WriteString("=== " + s.title + "\n" + s.input + "---\n" + got + "\n")
			if !*update && got != s.result {
				t.Errorf("%s: %s: -want +got\n%s", k.file, s.title, cmp.Diff(s.result, got))
			}
		}
		if *update {
			if err := os.WriteFile(k.file, []byte(strings.TrimSuffix(b.String(), "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCutEverywhere: what a stream means does not depend on how its bytes came.
func TestCutEverywhere(t *testing.T) {
	check := func(name string, in []byte, read func([]byte, ...int) string) {
		t.Helper()
		if len(in) > 4096 {
			return // TestLongHeadsByteByByte
		}
		want := read(in)
		for i := range len(in) + 1 {
			if got := read(in, i); got != want {
				t.Fatalf("%s: cut at %d:\n%s", name, i, cmp.Diff(want, got))
			}
		}
		if got := read(in, everyByte(in)...); got != want {
			t.Fatalf("%s: byte by byte:\n%s", name, cmp.Diff(want, got))
		}
	}
	for _, k := range kinds {
		for _, s := range readScripts(t, k.file) {
			check(s.title, s.bytes(t), func(in []byte, cuts ...int) string { return k.read(s.title, in, cuts...) })
		}
	}
	lim := DefaultLimits()
	for _, c := range gallery {
		check(c.name, []byte(c.in), func(in []byte, cuts ...int) string { return requests(in, lim, cuts...) })
	}
	for _, c := range hostileUpstreams {
		check(c.name, []byte(c.in), func(in []byte, cuts ...int) string { return responses(in, c.method, lim, cuts...) })
	}
	// Limits that fall within the samples.
	for bytes := 16; bytes < 90; bytes++ {
		small := Limits{MaxHeaderBytes: bytes, MaxHeaders: 2, MaxTrailerBytes: bytes, MaxChunkExtBytes: 8}
		for _, c := range gallery {
			if len(c.in) > 200 {
				continue
			}
			want := requests([]byte(c.in), small)
			if got := requests([]byte(c.in), small, everyByte([]byte(c.in))...); got != want {
				t.Fatalf("%s with %d bytes: %s", c.name, bytes, cmp.Diff(want, got))
			}
		}
	}
}

func everyByte(in []byte) []int {
	cuts := make([]int, len(in))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// TestLongHeadsByteByByte: a head that comes byte by byte is parsed again when a line ends, not at each byte.
func TestLongHeadsByteByByte(t *testing.T) {
	lim := DefaultLimits()
	for _, c := range []struct {
		in     string
		want   error
		parses int // beginning, line ends, and past the limit
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 59<<10) + "\r\n\r\n", nil, 6},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("\t", 59<<10) + "\r\n\r\n", nil, 6},
		{"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("a", 500)+"\r\n", 99) + "\r\n", nil, 104},
		{strings.Repeat("a", 61<<10), ErrHeadersTooLarge, 3},
	} {
		var r Request
		var n, parses int
		var err error
		in := []byte(c.in)
		for i := 0; i <= len(in) && n == 0 && err == nil; i++ {
			if !r.waiting(in[:i], lim.MaxHeaderBytes) {
				parses++
			}
			n, err = r.Parse(in[:i:i], &lim)
		}
		if err != c.want || err == nil && n != len(c.in) {
			t.Errorf("%.40q…: %d, %v", c.in, n, err)
		}
		if parses > c.parses {
			t.Errorf("%.40q…: parsed %d times, want at most %d", c.in, parses, c.parses)
		}
	}
}

// TestResetForgetsTheMessageBefore: extensions are counted per message, trailers are this message's.
func TestResetForgetsTheMessageBefore(t *testing.T) {
	lim := DefaultLimits()
	long := []byte("1;" + strings.Repeat("a", 3<<10) + "\r\nx\r\n0\r\n")
	var c Chunked
	for i, tail := range []string{"X: a\r\n\r\n", "\r\n", "Y: b\r\n\r\n"} {
		c.Reset()
		for rest := append(long[:len(long):len(long)], tail...); !c.Done(); {
			_, n, _, err := c.Next(rest, &lim)
			if err != nil || n == 0 {
				t.Fatalf("message %d: %d, %v", i, n, err)
			}
			rest = rest[n:]
		}
		if got, want := len(c.Trailers()), strings.Count(tail, ":"); got != want {
			t.Errorf("message %d: %d trailers, want %d", i, got, want)
		}
	}

	var r Request
	if n, err := r.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\n"), &lim); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	r.Reset()
	if r.Method != nil || r.Target != nil || len(r.Headers) != 0 || r.Headers[:1][0].Name != nil {
		t.Errorf("after Reset: %+v", r)
	}
	in := []byte("GET /another HTTP/1.1\r\nHost: b\r\n\r\n")
	if n, err := r.Parse(in, &lim); n != len(in) || err != nil || string(r.Host) != "b" {
		t.Errorf("after Reset: %d, %v, %q", n, err, r.Host)
	}
}
