package httpproxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// gallery is what proxies were fooled by, sent through the room: the statuses
// of the answers in turn, "c" where the connection is then closed, and what the
// host saw: as many whole requests as there are answers 200.
var gallery = []struct {
	name, in, want string
}{
	{"ok-get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
	{"ok-chunked", chunkedHead + "5\r\nhello\r\n0\r\n\r\n", "200"},

	{"cl-te-both", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", "400c"},
	{"te-cl-both", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", "400c"},
	{"dup-cl-same", withLength("5\r\nContent-Length: 5"), "400c"},
	{"dup-cl-diff", withLength("5\r\nContent-Length: 6"), "400c"},
	{"cl-comma-same", withLength("5, 5"), "400c"},
	{"cl-leading-zeros", withLength("0005"), "200"},
	{"cl-plus", withLength("+5"), "400c"},
	{"cl-neg", withLength("-1"), "400c"},
	{"cl-overflow", withLength("18446744073709551621"), "400c"},
	{"cl-above-int64", withLength("9223372036854775808"), "400c"},
	{"cl-hex", withLength("0x5"), "400c"},
	{"cl-empty", withLength(""), "400c"},
	{"cl-internal-space", withLength("1 0"), "400c"},

	{"te-xchunked", withTE("xchunked"), "501c"},
	{"te-identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", "501c"},
	{"te-gzip-chunked", withTE("gzip, chunked"), "501c"},
	{"te-chunked-gzip", withTE("chunked, gzip"), "501c"},
	{"te-double-chunked", withTE("chunked, chunked"), "501c"},
	{"te-dup-hdr", withTE("chunked\r\nTransfer-Encoding: chunked"), "501c"},
	{"te-dup-identity", withTE("chunked\r\nTransfer-Encoding: identity"), "501c"},
	{"te-case", withTE("ChunKed"), "200"},
	{"te-tab-value", withTE("\tchunked\t"), "200"},
	{"te-vtab-value", withTE("\x0bchunked"), "400c"},
	{"te-trailing-comma", withTE("chunked,"), "501c"},
	{"te-params", withTE("chunked;a=b"), "501c"},
	{"te-empty", withTE(""), "400c"},
	{"te-sp-before-colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400c"},
	{"te-obsfold", withTE("\r\n chunked"), "400c"},
	{"te-http10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400c"},
	{"te-underscore", "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", "400c"},
	{"xff-underscore", withLine("X_Forwarded_For: 10.0.0.1"), "400c"},
	{"envoy-underscore", withLine("x_envoy_internal: true"), "400c"},
	{"other-underscore", withLine("user_agent: x"), "200"},

	{"obs-fold-hdr", withLine("X: a\r\n b"), "400c"},
	{"bare-lf-all", "GET / HTTP/1.1\nHost: a\n\n", "400c"},
	{"bare-lf-hdr", withLine("X: a\nY: b"), "400c"},
	{"bare-cr-value", withLine("X: a\rb"), "400c"},
	{"bare-cr-unfinished", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb", "400c"},
	{"nul-value", withLine("X: a\x00b"), "400c"},
	{"ctl-value", withLine("X: a\x01b"), "400c"},
	{"del-value", withLine("X: a\x7fb"), "400c"},
	{"8bit-value", withLine("X: caf\xe9"), "200"},
	{"hdr-space-name", withLine("X Y: a"), "400c"},
	{"hdr-sp-before-colon", withLine("X : a"), "400c"},
	{"hdr-no-colon", withLine("nonsense"), "400c"},
	{"hdr-nonascii-name", withLine("X\xe9: a"), "400c"},
	{"hdr-empty-name", withLine(": a"), "400c"},
	{"leading-sp-first-hdr", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400c"},

	{"no-host-11", "GET / HTTP/1.1\r\n\r\n", "400c"},
	{"empty-host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400c"},
	{"dup-host", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400c"},
	{"host-at", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400c"},
	{"host-comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "400c"},
	{"host-slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400c"},
	{"host-port", "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n", "200"},
	{"host-bad-port", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", "400c"},
	{"host-v6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "200"},
	{"host-v6-open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400c"},
	{"abs-uri", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
	{"abs-uri-mismatch", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"abs-uri-default-port", "GET http://A:80/x HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
	{"abs-uri-userinfo", "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"abs-uri-ftp", "GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "404c"},
	{"connect-no-port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"connect-cl", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello", "400c"},
	{"connect-te", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501c"},
	{"asterisk-get", withTarget("*"), "400c"},
	{"asterisk-options", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
	{"fragment", withTarget("/a#b"), "400c"},
	{"uri-8bit", withTarget("/caf\xe9"), "400c"},
	{"uri-space", withTarget("/a b"), "400c"},
	{"uri-ctl", withTarget("/a\x01b"), "400c"},
	{"uri-noslash", withTarget("foo"), "400c"},
	{"uri-dotdot", withTarget("/a/../b"), "200"}, // as it is: normalisation is off

	{"ver-09", "GET /\r\n\r\n", "400c"},
	{"ver-12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "200"},
	{"ver-20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505c"},
	{"ver-lower", "GET / http/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"ver-lead0", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", "400c"},
	{"ver-trailing-sp", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400c"},
	{"method-lower", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"method-paren", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"method-long", strings.Repeat("A", 8192) + " / HTTP/1.1\r\nHost: a\r\n\r\n", "431c"},
	{"leading-crlf", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
	{"leading-crlf-twice", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"leading-cr", "\rXGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"leading-lf", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},
	{"dblspace", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400c"},

	{"chunk-lf-ext", chunkedHead + "5;a\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-lf-size", chunkedHead + "5\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-lf-term", chunkedHead + "5\r\nhello\n0\r\n\r\n", "400c"},
	{"chunk-spill", chunkedHead + "5\r\nhelloX\r\n0\r\n\r\n", "400c"},
	{"chunk-spill-for-cr", chunkedHead + "5\r\nhelloX\n0\r\n\r\n", "400c"},
	{"chunk-0x", chunkedHead + "0x5\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-plus", chunkedHead + "+5\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-neg", chunkedHead + "-5\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-underscore", chunkedHead + "0_5\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-lead-sp", chunkedHead + " 5\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-trail-sp", chunkedHead + "5 \r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-empty-size", chunkedHead + "\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-overflow", chunkedHead + "10000000000000005\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-above-int64", chunkedHead + "8000000000000000\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-ext-ok", chunkedHead + "5;a=\"b c\"\r\nhello\r\n0;z\r\n\r\n", "200"},
	{"chunk-ext-cr", chunkedHead + "5;a\rb\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-ext-100k", chunkedHead + "5;" + strings.Repeat("a", 100<<10) + "\r\nhello\r\n0\r\n\r\n", "400c"},
	{"chunk-ext-100x1k", chunkedHead + strings.Repeat("5;"+strings.Repeat("a", 1<<10)+"\r\nhello\r\n", 100) + "0\r\n\r\n", "400c"},
	{"chunk-no-final-crlf", chunkedHead + "5\r\nhello\r\n0\r\n", "408c"}, // when stream_idle_timeout is over
	{"trailer-ok", chunkedHead + "0\r\nX-Sum: 1\r\n\r\n", "200"},
	{"trailer-cl", chunkedHead + "0\r\nContent-Length: 5\r\n\r\n", "400c"},
	{"trailer-te", chunkedHead + "0\r\nTransfer-Encoding: chunked\r\n\r\n", "400c"},
	{"trailer-host", chunkedHead + "0\r\nHost: b\r\n\r\n", "400c"},
	{"trailer-lf", chunkedHead + "0\r\nX: a\n\r\n", "400c"},
	{"trailer-fold", chunkedHead + "0\r\nX: a\r\n b\r\n\r\n", "400c"},
	{"trailer-64k", chunkedHead + "0\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431c"},
	{"trailer-101", chunkedHead + "0\r\n" + strings.Repeat("X: a\r\n", 101) + "\r\n", "431c"},

	{"get-cl-body+next", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "200+200"},
	{"pipeline2", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "200+200"},
	{"pipeline-error-after", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2\r\n\r\n", "200+400c"},
	{"expect-100", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "100+200"},
	{"expect-bogus", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", "417"},
	{"upgrade", withLine("Connection: upgrade\r\nUpgrade: websocket"), "403c"},
	{"h2c-upgrade", withLine("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"), "200"},
	{"h2-preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "0c"},
	{"conn-hdr-strip", withLine("Connection: close, X-Secret\r\nX-Secret: 1"), "200c"},
	{"conn-content-length", withLine("Connection: Content-Length"), "400c"},
	{"conn-host", withLine("Connection: host"), "400c"},
	{"conn-xff", withLine("Connection: X-Forwarded-For"), "400c"},
	{"conn-many", withLine("Connection: a, b, c, d, e, f, g, h, i, j"), "400c"},

	{"hdr-100", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 99) + "\r\n", "200"},
	{"hdr-101", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 100) + "\r\n", "431c"},
	{"hdr-1000", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 1000) + "\r\n", "431c"},
	{"hdr-val-8k", withLine("X: " + strings.Repeat("a", 8<<10)), "200"},
	{"hdr-val-64k", withLine("X: " + strings.Repeat("a", 64<<10)), "431c"},
	{"hdr-val-2m", withLine("X: " + strings.Repeat("a", 2<<20)), "431c"},
	{"url-16k", withTarget("/" + strings.Repeat("a", 16<<10)), "200"},
	{"tls-hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400c"},
}

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

func withLength(v string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + v + "\r\n\r\nhello"
}

func withTE(v string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + v + "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
}
func withLine(l string) string   { return "GET / HTTP/1.1\r\nHost: a\r\n" + l + "\r\n\r\n" }
func withTarget(t string) string { return "GET " + t + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// seen is what a recording host got.
type seen struct {
	whole []string // requests that were complete
	bytes int
}

// record answers like echo and keeps what came.
func (s *seen) record(c *loop.Conn) {
	for {
		if c.Pending() == 0 {
			if _, err := c.Next(); err != nil {
				c.Close()
				return
			}
		}
		s.bytes += c.Pending()
		line, data, ok := readRequest(c)
		if !ok {
			c.Close()
			return
		}
		s.whole = append(s.whole, line+" "+data)
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	}
}

// statuses words answers as the gallery does.
func statuses(got string, closed bool) string {
	var r http1.Response
	lim := http1.DefaultLimits()
	var list []string
	for got != "" {
		n, err := r.Parse([]byte(got), http1.MethodGet, &lim)
		if n == 0 || err != nil {
			return fmt.Sprintf("%v then %q", list, got)
		}
		list = append(list, fmt.Sprint(r.Status))
		got = got[n:]
		if r.ContentLength > 0 {
			got = got[r.ContentLength:]
		}
	}
	s := strings.Join(list, "+")
	if s == "" {
		s = "0"
	}
	if closed {
		s += "c"
	}
	return s
}

func TestSimGallery(t *testing.T) {
	for _, c := range gallery {
		t.Run(c.name, func(t *testing.T) {
			cfg := testHTTP(prefix("/", toCluster("c")))
			cfg.Codec = config.CodecHTTP1
			cfg.StreamIdleTimeout = 2 * time.Second
			g := newStage(t, 1, cfg)
			var s seen
			g.serve(backendAddr, s.record)
			got, closed := g.ask(c.in)
			if v := statuses(got, closed); v != c.want {
				t.Errorf("got %s, want %s\n%s", v, c.want, got)
			}
			if want := strings.Count(c.want, "200"); len(s.whole) != want {
				t.Errorf("the host saw %q, want %d requests", s.whole, want)
			}
			if !strings.Contains(c.in, "Transfer-Encoding: chunked\r\n\r\n") && !strings.Contains(c.want, "200") && s.bytes > 0 {
				t.Errorf("%d bytes went to the host", s.bytes)
			}
			g.end()
		})
	}
}

func TestSimPathRows(t *testing.T) {
	for _, c := range []struct {
		path, want, sees string
		change           func(*config.HTTP)
	}{
		{"/a/../b", "200", "GET /b ", func(h *config.HTTP) { h.NormalizePath = true }},
		{"/a/%2e%2e/b", "200", "GET /b ", func(h *config.HTTP) { h.NormalizePath = true }},
		{"//a///b", "200", "GET /a/b ", func(h *config.HTTP) { h.MergeSlashes = true }},
		{"/a%2fb", "400c", "", func(h *config.HTTP) { h.EscapedSlashes = config.EscapedSlashesReject }},
		{"/a%5Cb", "400c", "", func(h *config.HTTP) { h.EscapedSlashes = config.EscapedSlashesReject }},
		{"/a%2fb", "307", "", func(h *config.HTTP) { h.EscapedSlashes = config.EscapedSlashesRedirect }},
		{"/a%2Fb", "200", "GET /a/b ", func(h *config.HTTP) { h.EscapedSlashes = config.EscapedSlashesForward }},
		{"/a%00b", "400c", "", func(h *config.HTTP) { h.NormalizePath = true }},
		{"/a%2fb", "200", "GET /a%2fb ", func(*config.HTTP) {}},
	} {
		t.Run(c.path+" "+c.want, func(t *testing.T) {
			cfg := testHTTP(prefix("/", toCluster("c")))
			c.change(cfg)
			g := newStage(t, 1, cfg)
			var s seen
			g.serve(backendAddr, s.record)
			got, closed := g.ask(withTarget(c.path))
			if v := statuses(got, closed); v != c.want {
				t.Errorf("got %s, want %s", v, c.want)
			}
			if v := strings.Join(s.whole, ","); v != c.sees {
				t.Errorf("the host saw %q, want %q", v, c.sees)
			}
			if c.want == "307" && !strings.Contains(got, "location: /a/b\r\n") {
				t.Errorf("no location in %q", got)
			}
			g.end()
		})
	}
}
