package http1

import (
	"strings"
	"testing"
)

const typicalRequest = "GET /api/v1/items/42?fields=name HTTP/1.1\r\nHost: items.default.svc:8080\r\n" +
	"User-Agent: curl/8.5.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n" +
	"X-Request-Id: 5f0c1f6e-2d3b-4c55-9a52\r\n\r\n"

const typicalResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 21 Nov 2024 03:30:00 GMT\r\n" +
	"Content-Type: application/json\r\nContent-Length: 128\r\nConnection: keep-alive\r\n\r\n"

const browserRequest = "GET /static/app.js HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
	"sec-ch-ua-platform: \"Linux\"\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\n" +
	"Sec-Fetch-Dest: script\r\nReferer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en\r\n\r\n"

// TestNothingAllocates: neither the good path nor the attackers' costs memory.
func TestNothingAllocates(t *testing.T) {
	lim := DefaultLimits()
	var r Request
	var a Response
	var c Chunked
	dst := make([]byte, 0, 64<<10)
	check := func(name string, f func()) {
		t.Helper()
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, g := range gallery {
		in := []byte(g.in)
		check(g.name, func() {
			n, err := r.Parse(in, &lim)
			if n == 0 || err != nil {
				return
			}
			c.Reset()
			for b := in[n:]; r.Body == BodyChunked && !c.Done(); {
				_, k, _, err := c.Next(b, &lim)
				if err != nil || k == 0 {
					break
				}
				b = b[k:]
			}
			dst = AppendRequestLine(dst[:0], r.Method, r.Path)
			dst = AppendLastChunk(AppendHeadEnd(AppendFraming(AppendFields(dst, r.Headers), r.Body)), c.Trailers())
			_, _ = AppendCanonicalPath(dst[:0], r.Path, all)
		})
	}
	for _, u := range hostileUpstreams {
		in := []byte(u.in)
		check(u.name, func() { _, _ = a.Parse(in, u.method, &lim) })
	}
	check("status lines", func() { dst = AppendStatusLine(AppendStatusLine(dst[:0], 503, nil), 200, nil) })
	path := []byte("/a/../b//c%2fd")
	check("path", func() { _, _ = AppendCanonicalPath(dst[:0], path, all) })
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct{ name, in string }{{"typical", typicalRequest}, {"browser", browserRequest}, {"bare", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}} {
		b.Run(c.name, func(b *testing.B) {
			lim := DefaultLimits()
			in := []byte(c.in)
			var r Request
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := r.Parse(in, &lim); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	lim := DefaultLimits()
	in := []byte(typicalResponse)
	var r Response
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Parse(in, MethodGet, &lim); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	lim := DefaultLimits()
	in := []byte(strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 4) + "0\r\n\r\n")
	var c Chunked
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		for rest := in; !c.Done(); {
			_, n, _, err := c.Next(rest, &lim)
			if err != nil || n == 0 {
				b.Fatal(n, err)
			}
			rest = rest[n:]
		}
	}
}

func BenchmarkAppendFields(b *testing.B) {
	lim := DefaultLimits()
	var r Request
	if _, err := r.Parse([]byte(typicalRequest), &lim); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHeadEnd(AppendFields(AppendRequestLine(dst[:0], r.Method, r.Path), r.Headers))
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for _, c := range []struct{ name, in string }{{"same", "/api/v1/items/42?fields=name"}, {"changed", "/api/../v1//items/%34%32?fields=name"}} {
		b.Run(c.name, func(b *testing.B) {
			in, dst := []byte(c.in), make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = AppendCanonicalPath(dst, in, all)
			}
		})
	}
}
