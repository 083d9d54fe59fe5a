package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func seedRequests(f *testing.F) {
	for _, c := range gallery {
		if len(c.in) < 1024 {
			f.Add([]byte(c.in), uint16(len(c.in)/2))
		}
	}
	for _, s := range readScripts(f, "testdata/requests.txt") {
		if in := s.bytes(f); len(in) <= longestInput {
			f.Add(in, uint16(3))
		}
	}
}

// longestInput bounds what is parsed byte by byte, which takes the square of its length: a worker of Go's fuzzer that
// has one input for ten seconds, on a machine that is busy with others, ends without a word of which it was.
const longestInput = 4 << 10

// FuzzRequest: no panic, limits kept, the same however it is cut, and what is accepted means the same to
// net/http.
func FuzzRequest(f *testing.F) {
	seedRequests(f)
	lim := Limits{MaxHeaderBytes: 512, MaxHeaders: 8, MaxTrailerBytes: 128, MaxChunkExtBytes: 16}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		if len(in) > longestInput {
			return
		}
		want := requests(in, lim)
		if got := requests(in, lim, int(cut)%(len(in)+1)); got != want {
			t.Fatalf("cut at %d:\n%s\nwhole:\n%s", cut, got, want)
		}
		if got := requests(in, lim, everyByte(in)...); got != want {
			t.Fatalf("byte by byte:\n%s\nwhole:\n%s", got, want)
		}
		if err := agreesWithNetHTTP(in); err != nil {
			t.Fatal(err)
		}
	})
}

// agreesWithNetHTTP checks that net/http reads out of in what we read out of it, if we accept it.
func agreesWithNetHTTP(in []byte) error {
	lim := DefaultLimits()
	var r Request
	n, err := r.Parse(in, &lim)
	if n == 0 || err != nil || r.MethodID == MethodConnect {
		return nil
	}
	body, ok := readBody(in[n:], &r.Head, &lim)
	if !ok {
		return nil
	}
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n")))))
	if err != nil {
		if strings.Contains(err.Error(), "invalid URL") || strings.Contains(err.Error(), "parse ") ||
			strings.Contains(err.Error(), "malformed HTTP version") || strings.Contains(err.Error(), "too many transfer encodings") {
			return nil // theirs to refuse
		}
		return fmt.Errorf("we accept what net/http does not: %w", err)
	}
	if theirs.Method != string(r.Method) || theirs.RequestURI != string(r.Target) {
		return fmt.Errorf("request line: theirs %q %q, ours %q %q", theirs.Method, theirs.RequestURI, r.Method, r.Target)
	}
	if r.Host != nil && theirs.Host != string(r.Host) {
		return fmt.Errorf("host: theirs %q, ours %q", theirs.Host, r.Host)
	}
	if err := sameFields(theirs.Header, &r); err != nil {
		return err
	}
	got, err := io.ReadAll(theirs.Body)
	if err != nil && strings.Contains(err.Error(), "suspiciously long trailer") {
		return nil // theirs to refuse: its limit is its read buffer, ours MaxTrailerBytes
	}
	if err != nil || !bytes.Equal(got, body) {
		return fmt.Errorf("body: theirs %q (%w), ours %q", got, err, body)
	}
	return nil
}

// sameFields compares all but what net/http keeps elsewhere, makes up, or we rewrite.
func sameFields(theirs http.Header, r *Request) error {
	ours := http.Header{}
	for _, h := range r.Headers {
		ours.Add(string(h.Name), string(h.Value))
	}
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer", "Te", "Content-Length", "Cache-Control"} {
		ours.Del(name)
		theirs.Del(name)
	}
	for name, values := range ours {
		if !slices.Equal(theirs[name], values) {
			return fmt.Errorf("%s: theirs %q, ours %q", name, theirs[name], values)
		}
	}
	if len(theirs) != len(ours) {
		return fmt.Errorf("fields: theirs %q, ours %q", theirs, ours)
	}
	return nil
}

func readBody(b []byte, h *Head, lim *Limits) (body []byte, ok bool) {
	switch h.Body {
	case BodyLength:
		if int64(len(b)) < h.ContentLength {
			return nil, false
		}
		return b[:h.ContentLength], true
	case BodyChunked:
		var c Chunked
		for !c.Done() {
			data, n, _, err := c.Next(b, lim)
			if err != nil || n == 0 {
				return nil, false
			}
			body = append(body, data...)
			b = b[n:]
		}
	}
	return body, true
}

func TestAgreesWithNetHTTP(t *testing.T) {
	for _, c := range gallery {
		if err := agreesWithNetHTTP([]byte(c.in)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// FuzzWritten: what is written of a request is read back the same, and holds nothing for this hop only.
func FuzzWritten(f *testing.F) {
	seedRequests(f)
	lim := DefaultLimits()
	f.Fuzz(func(t *testing.T, in []byte, _ uint16) {
		var r, again Request
		if n, err := r.Parse(in, &lim); n == 0 || err != nil || r.Form != FormOrigin || r.Version < 11 {
			return
		}
		out := AppendRequestLine(nil, r.Method, r.Path)
		out = AppendFields(out, r.Headers)
		out = AppendFraming(out, r.Body)
		out = AppendHeadEnd(out)
		n, err := again.Parse(out, &lim)
		if err != nil || n != len(out) {
			t.Fatalf("%q: %d, %v", out, n, err)
		}
		if again.Body != r.Body || again.ContentLength != r.ContentLength || !bytes.Equal(again.Target, r.Path) ||
			!bytes.Equal(again.Host, r.Host) || !again.KeepAlive || again.Upgrade != nil {
			t.Fatalf("%q became %q", in, out)
		}
		twice := AppendRequestLine(nil, again.Method, again.Path)
		twice = AppendHeadEnd(AppendFraming(AppendFields(twice, again.Headers), again.Body))
		if !bytes.Equal(out, twice) {
			t.Fatalf("%q became %q", out, twice)
		}
	})
}

// FuzzResponse: no panic, limits kept, the same however it is cut, and HEAD, 204 and 304 have no body.
func FuzzResponse(f *testing.F) {
	for _, c := range hostileUpstreams {
		if len(c.in) < 1024 {
			f.Add([]byte(c.in), uint8(c.method), uint16(7))
		}
	}
	for _, s := range readScripts(f, "testdata/responses.txt") {
		f.Add(s.bytes(f), uint8(methodIn(s.title)), uint16(3))
	}
	lim := Limits{MaxHeaderBytes: 512, MaxHeaders: 8, MaxTrailerBytes: 128, MaxChunkExtBytes: 16}
	f.Fuzz(func(t *testing.T, in []byte, method uint8, cut uint16) {
		if len(in) > longestInput {
			return
		}
		m := MethodID(method % (uint8(MethodPatch) + 1))
		want := responses(in, m, lim)
		if got := responses(in, m, lim, int(cut)%(len(in)+1)); got != want {
			t.Fatalf("cut at %d:\n%s\nwhole:\n%s", cut, got, want)
		}
		if got := responses(in, m, lim, everyByte(in)...); got != want {
			t.Fatalf("byte by byte:\n%s\nwhole:\n%s", got, want)
		}
		var r Response
		if n, err := r.Parse(in, m, &lim); n > 0 && err == nil && r.Body != BodyNone &&
			(m == MethodHead || r.Status < 200 || r.Status == 204 || r.Status == 304) {
			t.Fatalf("%d to %d has body %d", r.Status, m, r.Body)
		}
	})
}

// FuzzChunked: the same however it is cut; what is accepted, net/http's decoder reads alike; what it reads is
// what a writer would have written.
func FuzzChunked(f *testing.F) {
	for _, s := range readScripts(f, "testdata/chunked.txt") {
		f.Add(s.bytes(f), uint16(3))
	}
	lim := Limits{MaxHeaderBytes: 512, MaxHeaders: 8, MaxTrailerBytes: 128, MaxChunkExtBytes: 16}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		if len(in) > longestInput {
			return
		}
		want := chunks(in, lim)
		if got := chunks(in, lim, int(cut)%(len(in)+1)); got != want {
			t.Fatalf("cut at %d:\n%s\nwhole:\n%s", cut, got, want)
		}
		if got := chunks(in, lim, everyByte(in)...); got != want {
			t.Fatalf("byte by byte:\n%s\nwhole:\n%s", got, want)
		}
		if err := agreesWithNetHTTP(append([]byte(chunkedHead), in...)); err != nil {
			t.Fatal(err)
		}
		body, ok := readBody(in, &Head{Body: BodyChunked}, &lim)
		if !ok || len(body) == 0 {
			return
		}
		out := AppendChunkEnd(append(AppendChunkHeader(nil, len(body)), body...))
		again, ok := readBody(AppendLastChunk(out, nil), &Head{Body: BodyChunked}, &lim)
		if !ok || !bytes.Equal(again, body) {
			t.Fatalf("%q became %q", body, again)
		}
	})
}

// FuzzCanonicalPath: doing it twice changes nothing more, and with Normalize no dot segment is left.
func FuzzCanonicalPath(f *testing.F) {
	for _, c := range canonicalPaths {
		f.Add([]byte(c.in), uint8(c.opts.EscapedSlashes), c.opts.Normalize, c.opts.MergeSlashes)
	}
	f.Fuzz(func(t *testing.T, in []byte, slashes uint8, normalize, merge bool) {
		opts := PathOptions{EscapedSlashes(slashes % 4), normalize, merge}
		before := bytes.Clone(in)
		once, action := AppendCanonicalPath(nil, in, opts)
		if !bytes.Equal(in, before) {
			t.Fatalf("%q was changed", before)
		}
		if action == PathReject {
			return
		}
		if again, second := AppendCanonicalPath(nil, once, opts); second != PathSame {
			t.Fatalf("%q: %q, then %q (%d)", in, once, again, second)
		}
		if len(in) == 0 || in[0] != '/' {
			return
		}
		if once[0] != '/' {
			t.Fatalf("%q became %q", in, once)
		}
		path, _, _ := strings.Cut(string(once), "?")
		for segment := range strings.SplitSeq(path[1:], "/") {
			if normalize && (segment == "." || segment == ".." || strings.Contains(strings.ToLower(segment), "%2e")) {
				t.Fatalf("%q became %q", in, once)
			}
		}
		if merge && strings.Contains(path, "//") {
			t.Fatalf("%q became %q", in, once)
		}
	})
}
