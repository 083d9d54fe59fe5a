package httpproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// bytesHost takes a CONNECT and gives back in capitals what it has heard.
type bytesHost struct {
	*stage
	asked string
}

func (h *bytesHost) Changed(*h2.Conn)   {}
func (h *bytesHost) Lost(*h2.Conn)      {}
func (h *bytesHost) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }

func (h *bytesHost) Opened(st *h2.Stream, _ error) {
	for _, f := range st.Fields.Headers {
		if f.Name[0] == ':' {
			h.asked += string(f.Name) + "=" + string(f.Value) + " "
		}
	}
	h.backend.Go(func() {
		defer st.Close()
		if !st.Head() {
			return
		}
		st.Status(200)
		st.SendHead(false)
		heard, _ := readStream(st, 0)
		st.Send([]byte(strings.ToUpper(heard)), true)
	})
}

// An extended CONNECT for "bytestream" is a CONNECT with a path, which CONNECT's upgrade_configs allow (Envoy:
// Utility::isH2UpgradeRequest): as such it goes on in HTTP/2, and without its path in HTTP/1.1. Any other protocol
// needs an entry of its own name.
func TestSimByteStream(t *testing.T) {
	for _, c := range []struct {
		name     string
		up2      bool
		protocol string
		asked    string
		got      string
	}{
		{"to HTTP/2", true, "bytestream", ":method=CONNECT :scheme=http :authority=a:1 :path=/to :protocol=bytestream ", "200 HELLO"},
		{"to HTTP/1.1", false, "bytestream", "CONNECT a:1 HTTP/1.1", "200 HELLO"},
		{"unlisted", true, "connect-ip", "", "403 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testHTTP(prefix("/", toCluster("c")))
			cfg.Upgrades = []string{"connect"}
			cfg.HTTP2.AllowConnect = true
			k := testCluster("c", backendAddr)
			if c.up2 {
				k.HTTP.Protocol = config.UpstreamHTTP2
				k.HTTP.HTTP2.AllowConnect = true
			}
			g := newStage(t, 1, cfg, k)
			host := &bytesHost{stage: g}
			s := &h2Scenario{scenario: &scenario{stage: g}}
			o := config.H2Defaults()
			o.AllowConnect = true
			options := h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
			if c.up2 {
				l, err := g.backend.Listen(backendAddr, loop.ListenOptions{}, func(c *loop.Conn) { h2.Serve(c, options, host, &s.count, &s.spare[0]) })
				must(t, err)
				g.closing = append(g.closing, l.Close)
			} else {
				g.serve(backendAddr, func(c *loop.Conn) {
					text, ok := g.hearHead(c)
					if !ok {
						return
					}
					host.asked, _, _ = strings.Cut(text, "\r\n")
					_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
					heard, _ := hear(c)
					_, _ = c.Write([]byte(strings.ToUpper(heard)))
					_ = c.Drain(0)
					c.Close()
				})
			}
			var got string
			g.play(func() { got = g.byteStream(options, c.protocol) })
			g.end()
			if host.asked != c.asked || !strings.HasPrefix(got, c.got) {
				t.Errorf("the host was asked %q, the client got %q", host.asked, got)
			}
		})
	}
}

// hearHead reads a head.
func (g *stage) hearHead(c *loop.Conn) (string, bool) {
	text := ""
	for !strings.Contains(text, "\r\n\r\n") {
		b, err := c.Next()
		if err != nil {
			return text, false
		}
		text += string(b)
		c.Discard(len(b))
	}
	return text, true
}

// byteStream is a client of an extended CONNECT: status and data that came back.
func (g *stage) byteStream(o *h2.Options, protocol string) string {
	c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
	must(g.t, err)
	s := &h2Scenario{scenario: &scenario{stage: g}}
	h := h2.Connect(c, o, &guest{s: s}, &s.count, &s.spare[1])
	for !h.Settled() {
		g.client.Sleep(time.Millisecond)
	}
	st, err := h.Open()
	must(g.t, err)
	st.Head()
	st.Request([]byte("CONNECT"), []byte("http"), []byte("a:1"), []byte("/to"), []byte(protocol))
	st.SendHead(false)
	st.Send([]byte("hello"), true)
	for !st.Answered() {
		must(g.t, st.Wait(0))
	}
	text := string(st.Fields.Headers[0].Value) + " "
	rest, _ := readStream(st, 0)
	st.Close()
	h.Shut(http2.NoError, "")
	c.Close()
	return text + rest
}
