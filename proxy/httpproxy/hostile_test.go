package httpproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Hosts that break the rules: what the client gets, and that the connection is
// never used again.

// says serves connections that answer each request with text; with then, it
// says more after a while; with cut, it ends so ("fin" or "rst").
func (g *stage) says(text, then, cut string) (conns, requests *int) {
	conns, requests = new(int), new(int)
	g.serve(backendAddr, func(c *loop.Conn) {
		*conns++
		for {
			if _, _, ok := readRequest(c); !ok {
				c.Close()
				return
			}
			*requests++
			_, _ = c.Write([]byte(text))
			_ = c.Drain(0)
			if then != "" {
				g.backend.Sleep(20 * time.Millisecond)
				_, _ = c.Write([]byte(then))
			}
			switch cut {
			case "fin":
				c.Close()
				return
			case "rst":
				g.backend.Sleep(5 * time.Millisecond)
				c.Reset()
				return
			}
		}
	})
	return conns, requests
}

const okTwo = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

var hostile = []struct {
	name, method     string
	text, then, cut  string
	want             string // statuses of two requests 100 ms apart
	conns, delivered int    // connections and requests that the host saw
}{
	{"kept alive", "GET", okTwo, "", "", "200+200", 1, 2},
	{"extra answer in the same write", "GET", okTwo + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "", "", "200+200", 2, 2},
	{"extra answer later", "GET", okTwo, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "", "200+200", 2, 2},
	{"close without answer, GET", "GET", "", "", "fin", "503+503", 2, 2},
	{"close without answer, POST", "POST", "", "", "fin", "503+503", 2, 2},
	{"reset without answer, GET", "GET", "", "", "rst", "503+503", 2, 2},
	{"reset without answer, POST", "POST", "", "", "rst", "503+503", 2, 2},
	{"closes after each answer", "POST", okTwo, "", "fin", "200+200", 2, 2},
	{"connection: close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "", "", "200+200", 2, 2},
	{"cut within a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "", "fin", "cut", 1, 1},
	{"cut within chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "", "fin", "cut", 1, 1},
	{"cut before the last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "", "fin", "cut", 1, 1},
	{"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n", "", "", "cut", 1, 1},
	{"reset instead of an end", "GET", "HTTP/1.1 200 OK\r\n\r\nok", "", "rst", "cut", 1, 1},
	{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nok", "", "fin", "200+200", 2, 2},
	{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", "", "", "200+200", 1, 2},
	{"length beside chunked", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", "", "502+502", 2, 2},
	{"repeated length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "", "", "502+502", 2, 2},
	{"length -1", "GET", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", "", "502+502", 2, 2},
	{"status 2000", "GET", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "", "", "502+502", 2, 2},
	{"bare CR", "GET", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", "", "", "502+502", 2, 2},
	{"101 unasked", "GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "", "", "502+502", 2, 2},
	{"ten 103", "GET", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10) + okTwo, "", "", "200+200", 1, 2},
	{"eleven 103", "GET", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 11) + okTwo, "", "", "502+502", 2, 2},
	{"204 with body", "GET", "HTTP/1.1 204 No Content\r\n\r\nevil", "", "", "204+204", 2, 2},
	{"304 with body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil", "", "", "304+304", 2, 2},
	{"HEAD with body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "", "", "200+200", 2, 2},
	{"end amid the head", "GET", "HTTP/1.1 200 OK\r\nContent-Le", "", "fin", "502+502", 2, 2},
	{"header bomb", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 64<<10), "", "", "502+502", 2, 2},
	{"not HTTP", "GET", "SSH-2.0-OpenSSH_9.2\r\n", "", "", "502+502", 2, 2},
}

func TestSimHostileUpstreams(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			for _, seed := range []uint64{1, 2, 3, 4, 5} {
				g := newStage(t, seed, testHTTP(prefix("/", toCluster("c"))))
				if seed > 2 {
					g.SetLink(config.Address{}, loop.Link{Latency: 50 * time.Microsecond, MaxSegment: 100})
				}
				conns, requests := g.says(h.text, h.then, h.cut)
				var got []string
				g.play(func() {
					c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
					must(t, err)
					for range 2 {
						_, _ = c.Write([]byte(h.method + " / HTTP/1.1\r\nHost: a\r\n\r\n"))
						s, data, whole := hearAnswer(c, h.method)
						if !whole {
							s = "cut"
						} else if strings.Contains(data, "evil") {
							s += " evil"
						}
						if got = append(got, s); !whole {
							break
						}
						g.client.Sleep(100 * time.Millisecond)
					}
					c.Close()
				})
				if v := strings.Join(got, "+"); v != h.want {
					t.Errorf("seed %d: got %s, want %s", seed, v, h.want)
				}
				if *conns != h.conns || *requests != h.delivered {
					t.Errorf("seed %d: %d requests over %d connections, want %d over %d", seed, *requests, *conns, h.delivered, h.conns)
				}
				g.end()
			}
		})
	}
}
