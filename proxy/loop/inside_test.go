package loop

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// What one end of a pair says the other one hears, then its end; a reset is a reset,
// whatever was read before; what was passed on is there when the other end is taken.
func TestSimInside(t *testing.T) {
	name := config.Address{Inside: "in"}
	for seed := range Seeds(t, 200) {
		g := newStage(t, seed)
		said, answer, reset := make([]byte, g.Rand().IntN(40_000)), []byte("answer"), seed%3 == 0
		for i := range said {
			said[i] = byte(g.Rand().Uint32())
		}
		var l *Listener
		g.client.Go(func() {
			l = g.client.ListenInside("in", func(c *Conn) {
				if !c.Inside() || c.Passed() != "beside" {
					t.Errorf("seed %d: passed %v", seed, c.Passed())
				}
				g.client.Go(func() {
					got, err := io.ReadAll(c)
					switch {
					case reset && !errors.Is(err, syscall.ECONNRESET):
						t.Errorf("seed %d: %v where a reset is due", seed, err)
					case !reset && (err != nil || !bytes.Equal(got, said)):
						t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), len(said), err)
					}
					_, _ = c.Write(answer)
					_ = c.Drain(0)
					c.Close()
				})
			})
		})
		g.play(func() {
			c, err := g.client.Dial(name, 0, config.Keepalive{})
			must(t, err)
			c.PassOn("beside")
			_, _ = c.Write(said)
			_ = c.Drain(0)
			if reset {
				c.Reset()
				return
			}
			c.CloseWrite()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, answer) {
				t.Errorf("seed %d: answer %q, %v", seed, got, err)
			}
			c.Close()
		})
		g.play(func() {
			l.Close()
			if _, err := g.client.Dial(name, 0, config.Keepalive{}); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("seed %d: %v where nobody listens", seed, err)
			}
		})
	}
}

// The kernel's own pair does the same.
func TestInsideOnLinux(t *testing.T) {
	w := running(t)
	done := make(chan error, 1)
	w.Post(func() {
		w.ListenInside("in", func(c *Conn) { c.Serve(echo{}, false) })
		w.Go(func() {
			c, err := w.Dial(config.Address{Inside: "in"}, 0, config.Keepalive{})
			if err == nil {
				_, _ = c.Write([]byte("hello"))
				c.CloseWrite()
				var got []byte
				if got, err = io.ReadAll(c); err == nil && string(got) != "hello" {
					err = errors.New("got " + string(got))
				}
				c.Close()
			}
			done <- err
		})
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
