package tcpproxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// What happens to bytes, ends and resets, in all weathers.

// noise gives n bytes that only the generator's state decides.
func noise(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// talk writes p in pieces and ends its side, while it reads to the end what
// comes.
func talk(w *loop.Worker, c *loop.Conn, p []byte) (got []byte, err error) {
	var written loop.Waiter
	over := false
	w.Go(func() {
		defer func() { over = true; written.Wake(w) }()
		for len(p) > 0 {
			n := min(len(p), 1+w.Rand().IntN(5000))
			if _, err := c.Write(p[:n]); err != nil {
				return
			}
			p = p[n:]
			if c.Drain(w.Rand().IntN(4000)) != nil {
				return
			}
			if w.Rand().IntN(8) == 0 {
				w.Sleep(time.Duration(w.Rand().IntN(3)) * time.Millisecond)
			}
		}
		c.CloseWrite()
	})
	got, err = io.ReadAll(c)
	if !over {
		written.Wait(w)
	}
	return got, err
}

// Both ways at once, fragmented, in partial writes and against small buffers:
// each end reads what the other wrote, then its end, and nothing is left.
func TestSimBytesAreKeptBothWays(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		cluster := clusterConfig("hosts", "10.0.1.1:80")
		g.bufferLimit = []int{0, 1000, 1 << 20}[seed%3]
		cluster.BufferLimit = []uint32{1 << 20, 0, 5000}[seed/3%3]
		g.cluster(cluster)
		g.open(config.TCP{IdleTimeout: time.Hour})
		requests, replies := make([][]byte, 3), make([][]byte, 3)
		for i := range requests {
			requests[i] = append([]byte{byte(i)}, noise(g.Rand(), g.Rand().IntN(6000))...)
			replies[i] = noise(g.Rand(), g.Rand().IntN(6000))
		}
		g.serve("10.0.1.1:80", func(c *loop.Conn) {
			first, err := c.Next()
			if err != nil {
				t.Errorf("seed %d: the server's first read: %v", seed, err)
				c.Close()
				return
			}
			i := first[0]
			got, err := talk(g.server, c, replies[i])
			if err != nil || !bytes.Equal(got, requests[i]) {
				t.Errorf("seed %d: the server read %d of %d bytes, %v", seed, len(got), len(requests[i]), err)
			}
			_ = c.Drain(0)
			c.Close()
		})
		left := len(requests)
		for i := range requests {
			g.client.Go(func() {
				defer func() { left-- }()
				c := g.dial()
				got, err := talk(g.client, c, requests[i])
				if err != nil || !bytes.Equal(got, replies[i]) {
					t.Errorf("seed %d: the client read %d of %d bytes, %v", seed, len(got), len(replies[i]), err)
				}
				_ = c.Drain(0)
				c.Close()
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, 24*time.Hour))
		g.settle()
		if rx := g.stat("downstream_cx_rx_bytes_total"); rx != total(requests) {
			t.Errorf("seed %d: %d bytes counted, %d sent", seed, rx, total(requests))
		}
	}
}

func total(list [][]byte) (n uint64) {
	for _, p := range list {
		n += uint64(len(p))
	}
	return n
}

// A server that speaks first is heard before the client has said anything.
func TestSimServerSpeaksFirst(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{})
		g.serve("10.0.1.1:80", func(c *loop.Conn) {
			_, _ = c.Write([]byte("220 hello\r\n"))
			c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		})
		g.play(func() {
			c := g.dial()
			got, err := io.ReadAll(c)
			if string(got) != "220 hello\r\n" || err != nil {
				t.Errorf("seed %d: got %q, %v", seed, got, err)
			}
			c.Close()
		})
		g.settle()
	}
}

// An end is passed on alone: the other direction goes on for as long as it
// likes, whichever side ends first.
func TestSimHalfCloseIsKept(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{IdleTimeout: time.Hour})
		early, late := noise(g.Rand(), g.Rand().IntN(6000)), noise(g.Rand(), g.Rand().IntN(6000))
		// first says its part and ends; second hears the end, waits, and answers.
		first := func(w *loop.Worker, c *loop.Conn) {
			_, _ = c.Write(early)
			c.CloseWrite()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, late) {
				t.Errorf("seed %d: first read %d of %d bytes, %v", seed, len(got), len(late), err)
			}
			_ = c.Drain(0)
			c.Close()
		}
		second := func(w *loop.Worker, c *loop.Conn) {
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, early) {
				t.Errorf("seed %d: second read %d of %d bytes, %v", seed, len(got), len(early), err)
			}
			w.Sleep(10 * time.Minute)
			_, _ = c.Write(late)
			_ = c.Drain(0)
			c.Close()
		}
		if seed%2 == 0 {
			first, second = second, first
		}
		g.serve("10.0.1.1:80", func(c *loop.Conn) { second(g.server, c) })
		g.play(func() { first(g.client, g.dial()) })
		g.settle()
	}
}

// Who does not read stops who writes: the proxy holds the buffer limit and one
// small read at most, and loses nothing.
func TestSimSlowReaderBoundsMemory(t *testing.T) {
	const oneRead = leastRead
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		limit := []int{0, 4096, 64 << 10}[g.Rand().IntN(3)]
		g.bufferLimit = limit
		cluster := clusterConfig("hosts", "10.0.1.1:80")
		cluster.BufferLimit = uint32(limit)
		g.cluster(cluster)
		g.open(config.TCP{})
		g.SetLink(config.Address{}, loop.Link{Latency: time.Millisecond, Buffer: 4096 << g.Rand().IntN(5)})
		const size = 1 << 20
		sent := noise(g.Rand(), size)
		writer := func(w *loop.Worker, c *loop.Conn) {
			_, _ = c.Write(sent)
			c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
		reader := func(w *loop.Worker, c *loop.Conn) {
			var got []byte
			buf := make([]byte, 100<<10)
			for {
				w.Sleep(100 * time.Millisecond)
				n, err := c.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					if err != io.EOF || !bytes.Equal(got, sent) {
						t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), size, err)
					}
					break
				}
			}
			c.Close()
		}
		if seed%2 == 0 {
			writer, reader = reader, writer
		}
		g.serve("10.0.1.1:80", func(c *loop.Conn) { writer(g.server, c) })
		done, most := false, 0
		g.client.Go(func() { reader(g.client, g.dial()); done = true })
		must(t, g.Run(func() bool {
			for s := g.room.local[0].sessions.next; s.open > 0; s = s.next {
				if s.request.to != nil {
					most = max(most, s.request.to.Unsent(), s.reply.to.Unsent())
				}
			}
			return done
		}, 24*time.Hour))
		if most > limit+oneRead {
			t.Errorf("seed %d: %d bytes were held; the limit is %d", seed, most, limit)
		}
		g.settle()
	}
}

// A reset of either end resets the other: a part is never taken for the whole.
func TestSimResetsAreResets(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{IdleTimeout: time.Hour})
		breaker := func(w *loop.Worker, c *loop.Conn) {
			_, _ = c.Write([]byte("a part"))
			_, _ = c.Next()
			w.Sleep(time.Duration(w.Rand().IntN(20)) * time.Millisecond)
			c.Reset()
		}
		other := func(w *loop.Worker, c *loop.Conn) {
			_, _ = c.Write([]byte("something"))
			for {
				if _, err := c.Read(make([]byte, 100)); err != nil {
					if !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("seed %d: %v where a reset is due", seed, err)
					}
					break
				}
			}
			c.Close()
		}
		if seed%2 == 0 {
			breaker, other = other, breaker
		}
		heard := false
		g.serve("10.0.1.1:80", func(c *loop.Conn) { other(g.server, c); heard = true })
		g.play(func() { breaker(g.client, g.dial()) })
		must(t, g.Run(func() bool { return heard }, time.Minute))
		g.settle()
	}
}

// A server that answers, ends and closes while the client still sends: the
// client gets the whole answer.
func TestSimEarlyAnswerIsWhole(t *testing.T) {
	for seed := range loop.Seeds(t, 300) {
		g := newStage(t, seed, true)
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{IdleTimeout: time.Hour})
		answer := noise(g.Rand(), g.Rand().IntN(10000))
		g.serve("10.0.1.1:80", func(c *loop.Conn) {
			_, _ = c.Next()
			_, _ = c.Write(answer)
			c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		})
		g.play(func() {
			c := g.dial()
			over := false
			g.client.Go(func() {
				for !over {
					if _, err := c.Write(make([]byte, 1000)); err != nil {
						return
					}
					g.client.Sleep(time.Millisecond)
				}
			})
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, answer) {
				t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), len(answer), err)
			}
			over = true
			c.Close()
		})
		g.settle()
	}
}

// A server that has answered, ended and gone resets what the client sends
// afterwards; the answer, still on its way, is whole for all that.
func TestSimLateResetHarmsNoAnswer(t *testing.T) {
	for seed := range loop.Seeds(t, 100) {
		g := newStage(t, seed, false)
		g.SetLink(config.Address{}, loop.Link{Latency: time.Millisecond, Buffer: 4096})
		g.cluster(clusterConfig("hosts", "10.0.1.1:80"))
		g.open(config.TCP{IdleTimeout: time.Hour})
		answer := noise(g.Rand(), 20000+g.Rand().IntN(10000))
		g.serve("10.0.1.1:80", func(c *loop.Conn) {
			_, _ = c.Write(answer)
			_ = c.Drain(0)
			c.Close()
		})
		g.play(func() {
			c := g.dial()
			g.client.Sleep(time.Second)
			for range 2 { // the first one brings the reset, the second one meets it
				_, _ = c.Write([]byte("too late"))
				g.client.Sleep(time.Second)
			}
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, answer) {
				t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), len(answer), err)
			}
			c.Close()
		})
		g.settle()
	}
}
