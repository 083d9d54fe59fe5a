package httpproxy

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

const wsRequest = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"

// An upgrade is a tunnel only after the host's 101: what the client sent ahead
// waits for that, and an end of one side leaves the other open.
func TestSimUpgrade(t *testing.T) {
	for seed := range loop.Seeds(t, 100) {
		cfg := testHTTP(prefix("/", toCluster("c")))
		cfg.Upgrades = []string{"websocket"}
		g := newStage(t, seed, cfg)
		g.Weather()
		early, heard := -1, ""
		g.serve(backendAddr, func(c *loop.Conn) {
			line, _, ok := readRequest(c)
			if !ok || line != "GET /chat" {
				t.Errorf("the host got %q", line)
			}
			g.backend.Sleep(50 * time.Millisecond)
			_, _ = c.Fill()
			early = c.Pending()
			_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"))
			b, _ := io.ReadAll(c)
			heard = string(b)
			_, _ = c.Write([]byte(strings.ToUpper(heard)))
			_ = c.Drain(0)
			c.Close()
		})
		g.play(func() {
			c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
			must(t, err)
			_, _ = c.Write([]byte(wsRequest + "ahead,"))
			g.client.Sleep(time.Second)
			_, _ = c.Write([]byte("later"))
			c.CloseWrite()
			got, err := io.ReadAll(c)
			head, rest, _ := strings.Cut(string(got), "\r\n\r\n")
			if err != nil || rest != "helloAHEAD,LATER" {
				t.Errorf("got %q, %v", rest, err)
			}
			if !strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\r\n") || !strings.Contains(head, "upgrade: websocket") {
				t.Errorf("got %q", head)
			}
			c.Close()
		})
		if early != 0 || heard != "ahead,later" {
			t.Errorf("%d bytes came before 101; then %q", early, heard)
		}
		g.end()
	}
}

// Any other answer ends it: what the client sent ahead is no request.
func TestSimUpgradeRefusedByHost(t *testing.T) {
	cfg := testHTTP(prefix("/", toCluster("c")))
	cfg.Upgrades = []string{"websocket"}
	g := newStage(t, 1, cfg)
	var s seen
	g.serve(backendAddr, s.record)
	got, closed := g.ask(wsRequest + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
	if v := statuses(got, closed); v != "200c" {
		t.Errorf("got %s", v)
	}
	if len(s.whole) != 1 || s.whole[0] != "GET /chat " {
		t.Errorf("the host saw %q", s.whole)
	}
	g.end()
}
