package loop

import (
	"io"
	"strings"
	"testing"
	"time"
)

// first looks at what comes before the handler does, may wait and may refuse; the
// handler then hears all of it.
func TestSimFirst(t *testing.T) {
	for seed := range Seeds(t, 300) {
		g := newStage(t, seed)
		g.Weather()
		refuses, waits, sends := g.Rand().IntN(4) == 0, g.Rand().IntN(2) == 0, g.Rand().IntN(4) > 0
		var order []string
		seen, heard, expired := "", "", 0
		l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) {
			c.Serve(&funcs{
				ready: func(c *Conn) {
					order = append(order, "handler")
					b, _ := io.ReadAll(c)
					heard = string(b)
					_, _ = c.Write([]byte("bye"))
					_ = c.Drain(0)
					c.Close()
				},
				expired: func(c *Conn) {
					expired++
					c.SetReadTimeout(time.Hour)
				},
			}, false)
			c.SetReadTimeout(5 * time.Millisecond)
			c.First(func() {
				order, seen = append(order, "first"), string(c.Buffered())
				if waits {
					g.server.Sleep(time.Second)
				}
				if refuses {
					c.Close()
				}
			})
		})
		must(t, err)
		g.play(func() {
			c := g.dial(l.Addr())
			g.client.Sleep(time.Second) // the deadline is the handler's
			if sends {
				_, _ = c.Write([]byte("hello"))
			}
			c.CloseWrite()
			got, _ := io.ReadAll(c)
			if refuses != (string(got) == "") {
				t.Errorf("seed %d: got %q, refused: %v", seed, got, refuses)
			}
			c.Close()
		})
		want := "first handler"
		if refuses {
			want = "first"
		}
		if got := strings.Join(order, " "); got != want || expired != 1 {
			t.Errorf("seed %d: %s, want %s; %d times expired", seed, got, want, expired)
		}
		if sends && (seen == "" || !strings.HasPrefix("hello", seen)) || !sends && seen != "" || !refuses && sends && heard != "hello" {
			t.Errorf("seed %d: first saw %q, the handler %q", seed, seen, heard)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Whoever asked hears of the end, once, the last first, whoever serves it by then.
func TestSimOnClosed(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		var told []string
		ours := g.Rand().IntN(2) == 0
		l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) {
			c.OnClosed(func() { told = append(told, "a") })
			c.Serve(&funcs{ready: func(c *Conn) {
				_, _ = c.Next()
				c.OnClosed(func() { told = append(told, "b") })
				c.Serve(drop(), false)
				if ours {
					c.Close()
					c.Close()
				}
			}}, false)
		})
		must(t, err)
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("x"))
			g.client.Sleep(time.Second)
			if len(told) > 0 != ours {
				t.Errorf("seed %d: told %v, closed: %v", seed, told, ours)
			}
			c.Close()
		})
		must(t, g.RunFor(time.Second))
		if strings.Join(told, "") != "ba" {
			t.Errorf("seed %d: told %v", seed, told)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}
