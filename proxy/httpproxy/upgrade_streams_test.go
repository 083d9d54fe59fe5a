package httpproxy

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// tunnelHost is a host's side of WebSocket over HTTP/2 (RFC 8441): it checks the
// request, says hello, and gives back in capitals what it has heard to the end.
type tunnelHost struct {
	*stage
	heard string
}

func (h *tunnelHost) Changed(*h2.Conn)   {}
func (h *tunnelHost) Lost(*h2.Conn)      {}
func (h *tunnelHost) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }

func (h *tunnelHost) Opened(st *h2.Stream, err error) {
	var req http1.Request
	if e := http2.ReadRequest(&req, &st.Fields, st.Last(), true); err != nil || e != nil {
		h.t.Errorf("the host got %v, %v", err, e)
	}
	if string(req.Upgrade) != "websocket" || string(req.Path) != "/chat" || string(req.Host) != "a" {
		h.t.Errorf("the host got %q %q %q", req.Upgrade, req.Path, req.Host)
	}
	for _, f := range req.Headers {
		if f.ID == http1.FieldSecWebSocketKey || f.ID == http1.FieldUpgrade || f.ID == http1.FieldConnection {
			h.t.Errorf("the host got %s: %s", f.Name, f.Value)
		}
	}
	h.backend.Go(func() {
		defer st.Close()
		h.backend.Sleep(50 * time.Millisecond)
		if n := st.Pending(); n != 0 {
			h.t.Errorf("%d bytes came before the tunnel stood", n)
		}
		if !st.Head() {
			return
		}
		st.Status(200)
		st.SendHead(false)
		st.Send([]byte("hello"), false)
		h.heard, _ = readStream(st, 0)
		st.Send([]byte(strings.ToUpper(h.heard)), true)
	})
}

// chat1 is a client that speaks HTTP/1.1: what it got behind the head.
func (g *stage) chat1() (head, rest string) {
	c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
	must(g.t, err)
	_, _ = c.Write([]byte(wsRequest + "ahead,"))
	g.client.Sleep(time.Second)
	_, _ = c.Write([]byte("later"))
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil {
		g.t.Error(err)
	}
	c.Close()
	head, rest, _ = strings.Cut(string(got), "\r\n\r\n")
	return head, rest
}

// chat2 is one that speaks HTTP/2.
func (g *stage) chat2() (head, rest string) {
	c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
	must(g.t, err)
	o := config.H2Defaults()
	var count h2.Counters
	s := &h2Scenario{scenario: &scenario{stage: g}}
	h := h2.Connect(c, h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute), &guest{s: s}, &count, &s.spare[1])
	for !h.Settled() {
		g.client.Sleep(time.Millisecond)
	}
	if !h.Connects() {
		g.t.Error("extended CONNECT is not announced")
	}
	st, err := h.Open()
	must(g.t, err)
	defer st.Close()
	st.Head()
	st.Request([]byte("CONNECT"), []byte("http"), []byte("a"), []byte("/chat"), []byte("websocket"))
	st.SendHead(false)
	st.Send([]byte("ahead,"), false)
	g.client.Sleep(time.Second)
	st.Send([]byte("later"), true)
	for !st.Answered() {
		must(g.t, st.Wait(0))
	}
	for _, f := range st.Fields.Headers {
		head += fmt.Sprintf("%s: %s\r\n", f.Name, f.Value)
	}
	rest, whole := readStream(st, 0)
	if !whole {
		g.t.Errorf("cut: %v", st.Err())
	}
	h.Shut(http2.NoError, "")
	c.Close()
	return head, rest
}

// chatHost is a host that speaks HTTP/1.1.
func (g *stage) chatHost(heard *string) {
	g.serve(backendAddr, func(c *loop.Conn) {
		text := ""
		for !strings.Contains(text, "\r\n\r\n") {
			b, err := c.Next()
			if err != nil {
				g.t.Error(err)
				return
			}
			text += string(b)
			c.Discard(len(b))
		}
		head, ahead, _ := strings.Cut(text, "\r\n\r\n")
		low := strings.ToLower(head)
		if !strings.HasPrefix(head, "GET /chat HTTP/1.1\r\n") || !strings.Contains(low, "upgrade: websocket") ||
			!strings.Contains(low, "sec-websocket-key: ") || strings.Contains(low, "transfer-encoding") || ahead != "" {
			g.t.Errorf("the host got %q, then %q", head, ahead)
		}
		g.backend.Sleep(50 * time.Millisecond)
		if _, _ = c.Fill(); c.Pending() != 0 {
			g.t.Errorf("%d bytes came before 101", c.Pending())
		}
		_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello"))
		b, _ := io.ReadAll(c)
		*heard = string(b)
		_, _ = c.Write([]byte(strings.ToUpper(*heard)))
		_ = c.Drain(0)
		c.Close()
	})
}

// WebSocket between any two versions: what the client sends ahead is held back
// until the host agrees, and an end of one side leaves the other open.
func TestSimUpgradeAcrossVersions(t *testing.T) {
	for seed := range loop.Seeds(t, 120) {
		down2, up2 := seed&1 == 1, seed&2 == 2
		cfg := testHTTP(prefix("/", toCluster("c")))
		cfg.Upgrades = []string{"websocket"}
		cfg.HTTP2.AllowConnect = true
		k := testCluster("c", backendAddr)
		if up2 {
			k.HTTP.Protocol = config.UpstreamHTTP2
			k.HTTP.HTTP2.AllowConnect = true
		}
		g := newStage(t, seed, cfg, k)
		g.clusters["c"].Filter(passesBy(seed))
		g.Weather()
		heard := ""
		host := &tunnelHost{stage: g}
		if up2 {
			s := &h2Scenario{scenario: &scenario{stage: g}}
			o := config.H2Defaults()
			o.AllowConnect = true
			l, err := g.backend.Listen(backendAddr, loop.ListenOptions{}, func(c *loop.Conn) {
				h2.Serve(c, h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute), host, &s.count, &s.spare[0])
			})
			must(t, err)
			g.closing = append(g.closing, l.Close)
		} else {
			g.chatHost(&heard)
		}
		var head, rest string
		g.play(func() {
			if down2 {
				head, rest = g.chat2()
			} else {
				head, rest = g.chat1()
			}
		})
		if up2 {
			heard = host.heard
		}
		if heard != "ahead,later" || rest != "helloAHEAD,LATER" {
			t.Errorf("down 2: %v, up 2: %v: the host heard %q, the client %q", down2, up2, heard, rest)
		}
		low := strings.ToLower(head)
		switch {
		case down2 && (!strings.HasPrefix(low, ":status: 200\r\n") || strings.Contains(low, "upgrade")):
			t.Errorf("got %q", head)
		case !down2 && (!strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\r\n") || !strings.Contains(low, "upgrade: websocket")):
			t.Errorf("got %q", head)
		case !down2 && up2 && !strings.Contains(low, "sec-websocket-accept: cai0hfwl7dehzkyhxdyv1pn3r6m="):
			t.Errorf("got %q: no answer to the key", head)
		}
		g.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
