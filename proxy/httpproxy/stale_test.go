package httpproxy

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// A host that closes a connection at the moment it is used again: what is safe
// to repeat goes out once more and the client hears nothing of it; what is not
// is answered 503, and never carried out twice.
func TestSimHostClosesAsItIsUsed(t *testing.T) {
	for _, c := range []struct {
		name, in, method, want string
		resent                 uint64
	}{
		{"GET", "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "200", 1},
		{"PUT with a small body", "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "PUT", "200", 1},
		{"POST", "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "POST", "503", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newStage(t, 1, testHTTP(prefix("/", toCluster("c"))))
			g.SetLink(g.addr, loop.Link{Latency: 100 * time.Microsecond})
			g.SetLink(backendAddr, loop.Link{Latency: 10 * time.Millisecond})
			conns, second := 0, 0
			g.serve(backendAddr, func(up *loop.Conn) {
				conns++
				for {
					line, _, ok := readRequest(up)
					if !ok {
						up.Close()
						return
					}
					if line != "GET /1" {
						second++
					}
					_, _ = up.Write([]byte(okTwo))
					if conns == 1 {
						_ = up.Drain(0)
						g.backend.Sleep(2 * time.Millisecond)
						up.Close()
						return
					}
				}
			})
			g.play(func() {
				cl, err := g.client.Dial(g.addr, 0, config.Keepalive{})
				must(t, err)
				_, _ = cl.Write([]byte("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"))
				hearAnswer(cl, "GET")
				_, _ = cl.Write([]byte(c.in)) // before the end has come to the proxy
				if s, _, _ := hearAnswer(cl, c.method); s != c.want {
					t.Errorf("got %s, want %s", s, c.want)
				}
				cl.Close()
			})
			if n := g.room.Counters(g.proxy).RqRetryStale; n != c.resent || second != int(c.resent) {
				t.Errorf("sent again %d times, carried out %d times, want %d", n, second, c.resent)
			}
			g.end()
		})
	}
}
