package httpproxy

import (
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/loop"
)

// echo answers every request of a connection with its method, path and body.
func echo(c *loop.Conn) {
	for {
		req, body, ok := readRequest(c)
		if !ok {
			c.Close()
			return
		}
		text := req + " " + body
		out := http1.AppendStatusLine(nil, 200, nil)
		out = http1.AppendContentLength(out, int64(len(text)))
		out = http1.AppendHeadEnd(out)
		_, _ = c.Write(append(out, text...))
	}
}

// readRequest reads one request: its method and path, and its body.
func readRequest(c *loop.Conn) (line, data string, ok bool) {
	var r http1.Request
	lim := http1.DefaultLimits()
	lim.MaxHeaders = 200
	for {
		n, err := r.Parse(c.Buffered(), &lim)
		if err != nil {
			return "", "", false
		}
		if n > 0 {
			line = string(r.Method) + " " + string(r.Path)
			c.Discard(n)
			break
		}
		if _, err := c.Next(); err != nil {
			return "", "", false
		}
	}
	var b body
	b.reset(r.Body, r.ContentLength)
	var text strings.Builder
	for !b.done {
		p, n, err := b.next(c.Buffered(), &lim)
		if err != nil {
			return "", "", false
		}
		text.Write(p)
		c.Discard(n)
		if n == 0 && !b.done {
			if _, err := c.Next(); err != nil {
				return "", "", false
			}
		}
	}
	return line, text.String(), true
}

func TestSimGetAndPostOverOneConnection(t *testing.T) {
	g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
	g.serve(backendAddr, echo)
	got, closed := g.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
	want := ""
	for _, text := range []string{"GET /a ", "POST /b hello", "POST /c abcde"} {
		want += "HTTP/1.1 200 OK\r\ncontent-length: " + string(appendInt(nil, int64(len(text)))) +
			"\r\nx-envoy-upstream-service-time: 0\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\nserver: attache\r\n\r\n" + text
	}
	if got != want || closed {
		t.Errorf("got %q, %v\nwant %q", got, closed, want)
	}
	g.end()
}
