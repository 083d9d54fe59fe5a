package loop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a connection does with bytes, ends and resets, in all weathers.

// A server that speaks first and hangs up at once is heard in full, however
// its bytes and its end coincide with the handshake's.
func TestSimServerSpeaksFirst(t *testing.T) {
	for seed := range Seeds(t, 1000) {
		g := newStage(t, seed)
		g.Weather()
		l, err := g.server.Listen(at("10.0.0.1:25"), ListenOptions{}, func(c *Conn) {
			c.Serve(drop(), false)
			_, _ = c.Write([]byte("220 hello\r\n"))
			c.CloseWrite()
		})
		must(t, err)
		g.play(func() {
			c := g.dial(l.Addr())
			got, err := io.ReadAll(c)
			if string(got) != "220 hello\r\n" || err != nil {
				t.Errorf("seed %d: got %q, %v", seed, got, err)
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

func TestSimHalfCloseBothWays(t *testing.T) {
	for seed := range Seeds(t, 300) {
		g := newStage(t, seed)
		g.Weather()
		var heard []byte
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			heard, _ = io.ReadAll(c)
			_, _ = c.Write(bytes.ToUpper(heard))
			c.CloseWrite()
			if _, err := c.Write([]byte("late")); err != ErrClosed {
				t.Errorf("a write after CloseWrite gave %v", err)
			}
			must(t, c.Drain(0))
			c.Close()
		}})
		want := strings.Repeat("abc", 1+g.Rand().IntN(2000))
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte(want))
			c.CloseWrite()
			got, err := io.ReadAll(c)
			if string(got) != strings.ToUpper(want) || err != nil {
				t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), len(want), err)
			}
			if !c.Ended() {
				t.Error("the end was read but Ended says no")
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Whoever waits for a peer's end hears of it when the peer is killed, and a
// writer that waits for room too.
func TestSimResetWakesReaderAndWriter(t *testing.T) {
	for seed := range Seeds(t, 300) {
		g := newStage(t, seed)
		g.Weather()
		var theirs *Conn
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) { theirs = c; c.Pause() }})
		g.play(func() {
			c := g.dial(l.Addr())
			var readErr error
			g.client.Go(func() { _, readErr = c.Next() })
			_, _ = c.Write(make([]byte, 1<<20))
			for theirs == nil {
				g.client.Sleep(time.Millisecond)
			}
			switch seed % 3 {
			case 0:
				g.server.Post(theirs.Reset)
			case 1:
				g.server.Post(func() { theirs.Close() })
			default:
				g.ResetAll(l.Addr())
				g.server.Post(func() { theirs.Close() })
			}
			if err := c.Drain(0); !isReset(err) {
				t.Errorf("seed %d: Drain gave %v", seed, err)
			}
			g.client.Sleep(time.Millisecond)
			if !isReset(readErr) {
				t.Errorf("seed %d: the reader was told %v", seed, readErr)
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// A reset is never taken for the end of a reply, even if a write has met it
// first and used up the socket's error.
func TestSimResetIsNotAnEnd(t *testing.T) {
	for seed := range Seeds(t, 300) {
		g := newStage(t, seed)
		g.Weather()
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			_, _ = c.Next()
			_, _ = c.Write([]byte("half of a re"))
			_ = c.Drain(0)
			g.server.Sleep(time.Duration(g.Rand().IntN(20)) * time.Millisecond)
			c.Reset()
		}})
		g.play(func() {
			c := g.dial(l.Addr())
			g.client.Go(func() {
				for {
					if _, err := c.Write([]byte("more")); err != nil {
						return
					}
					g.client.Sleep(time.Millisecond)
				}
			})
			if got, err := io.ReadAll(c); err == nil {
				t.Errorf("seed %d: a reset after %q was read as the end", seed, got)
			}
			c.Close()
			g.client.Sleep(2 * time.Millisecond) // the writer sees it
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A producer that drains keeps its queue bounded, and nothing is lost on the
// way to a consumer that is slow.
func TestSimBackPressure(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		w := g.Weather()
		total := 1 << 20
		if w.MaxSegment > 0 {
			total = 64 << 10
		}
		got := 0
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			buf := make([]byte, 3000)
			for {
				n, err := c.Read(buf)
				for _, b := range buf[:n] {
					if b != byte(got*7) {
						t.Fatalf("seed %d: wrong byte at %d", seed, got)
					}
					got++
				}
				if err != nil {
					break
				}
				if got%5 == 0 {
					g.server.Sleep(time.Millisecond)
				}
			}
			c.Close()
		}})
		g.play(func() {
			c := g.dial(l.Addr())
			const limit, chunk = 16 << 10, 4 << 10
			for sent := 0; sent < total; {
				out := c.Begin(chunk)
				for range chunk {
					out = append(out, byte(sent*7))
					sent++
				}
				c.Commit(out)
				if c.Unsent() > limit+chunk {
					t.Fatalf("seed %d: %d bytes queued", seed, c.Unsent())
				}
				must(t, c.Drain(limit))
			}
			c.CloseWrite()
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if got != total {
			t.Errorf("seed %d: %d of %d bytes came", seed, got, total)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A last reply arrives whole although the client still sends, has ended its
// side already, or reads slowly.
func TestSimCloseAfterReply(t *testing.T) {
	reply := bytes.Repeat([]byte("413 too large\n"), 4000)
	for seed := range Seeds(t, 300) {
		g := newStage(t, seed)
		w := g.Weather()
		want := reply
		if w.MaxSegment > 0 {
			want = reply[:5000]
		}
		closed := 0
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{
			ready: func(c *Conn) {
				if seed%5 == 0 { // the client's end is known before the reply is queued
					_, _ = io.ReadAll(c)
				}
				_, _ = c.Next()
				_, _ = c.Write(want)
				c.CloseAfterReply(time.Minute)
			},
			closed: func(*Conn) { closed++ },
		})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write(make([]byte, 1+g.Rand().IntN(20_000)))
			if seed%2 == 0 || seed%5 == 0 {
				c.CloseWrite()
			}
			g.client.Sleep(time.Duration(g.Rand().IntN(100)) * time.Millisecond)
			got, err := io.ReadAll(c)
			if !bytes.Equal(got, want) || err != nil {
				t.Errorf("seed %d: %d of %d bytes, %v", seed, len(got), len(want), err)
			}
			c.Close()
			began := g.Now()
			for g.server.Counters().Conns > 0 && g.Now()-began < 30*time.Second {
				g.client.Sleep(10 * time.Millisecond)
			}
		})
		if n := g.server.Counters().Conns; n != 0 || closed != 1 {
			t.Errorf("seed %d: %d connections linger after both ends, Closed was called %d times", seed, n, closed)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A client that neither reads nor ends costs no more than the time given, after the
// period in which its kernel has taken something.
func TestSimCloseAfterReplyEndsByTime(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
		_, _ = c.Next()
		_, _ = c.Write(make([]byte, 1<<20))
		c.CloseAfterReply(time.Second)
	}})
	g.play(func() {
		c := g.dial(l.Addr())
		_, _ = c.Write([]byte("x"))
		g.client.Sleep(900 * time.Millisecond)
		if n := g.server.Counters().Conns; n != 1 {
			t.Errorf("%d connections before the time, want 1", n)
		}
		g.client.Sleep(1200 * time.Millisecond)
		if n := g.server.Counters().Conns; n != 0 {
			t.Errorf("%d connections after the time, want 0", n)
		}
		c.Close()
	})
	settle(t, g.Sim, l)
}

// A client that reads slowly, but reads, is given all; one that stops is told by a reset
// that it has not got the whole.
func TestSimCloseAfterReplyToASlowReader(t *testing.T) {
	const size = 200 << 10
	for _, stops := range []bool{false, true} {
		g := newStage(t, 1)
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			_, _ = c.Next()
			_, _ = c.Write(make([]byte, size))
			c.CloseAfterReply(time.Second)
		}})
		g.SetLink(l.Addr(), Link{Buffer: 4096})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("x"))
			n, p := 0, make([]byte, 4096)
			for {
				m, err := c.Read(p)
				if n += m; err == io.EOF && n == size && !stops || err != nil && err != io.EOF && stops {
					break
				}
				if err != nil {
					t.Errorf("stops %v: %d of %d bytes, then %v", stops, n, size, err)
					break
				}
				g.client.Sleep(300 * time.Millisecond)
				if stops && n > size/2 {
					g.client.Sleep(3 * time.Second)
				}
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

func TestSimPauseResume(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		g.Weather()
		var theirs *Conn
		calls, got := 0, 0
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			if calls++; calls == 1 {
				theirs = c
				c.Pause()
				return
			}
			n, _ := io.Copy(io.Discard, c)
			got = int(n)
			c.Close()
		}})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write(make([]byte, 10_000))
			c.CloseWrite()
			g.client.Sleep(5 * time.Second)
			if calls != 1 || !theirs.Paused() {
				t.Errorf("seed %d: Ready called %d times, paused %v", seed, calls, theirs.Paused())
			}
			g.server.Post(theirs.Resume)
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if calls != 2 || got != 10_000 {
			t.Errorf("seed %d: Ready called %d times, %d bytes after Resume", seed, calls, got)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// frames reads messages with a length before them and keeps what is left of a
// partial one in the connection; it answers each with its own bytes.
func frames(c *Conn) error {
	for {
		n, err := c.Fill()
		for c.Pending() >= 4 {
			b := c.Buffered()
			size := 4 + int(binary.BigEndian.Uint32(b))
			if len(b) < size {
				break
			}
			_, _ = c.Write(b[:size])
			c.Discard(size)
		}
		if n == 0 || err != nil {
			return err
		}
	}
}

// Messages of many connections come in fragments that are interleaved, and
// some are larger than the shared buffer: their bytes never mix.
func TestSimPartialMessagesNeverMix(t *testing.T) {
	for seed := range Seeds(t, 200) {
		g := newStage(t, seed)
		big := g.Weather().MaxSegment == 0
		inline := seed%2 == 0
		h := &funcs{ready: func(c *Conn) {
			if err := frames(c); err != nil {
				c.Close()
			}
		}}
		if !inline {
			h.ready = func(c *Conn) {
				for {
					err := frames(c)
					if err == nil {
						err = c.Wait()
					}
					if err != nil {
						c.Close()
						return
					}
				}
			}
		}
		l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) { c.Serve(h, inline) })
		must(t, err)
		left := 6
		for i := range left {
			g.client.Go(func() {
				c := g.dial(l.Addr())
				for n := range 5 {
					size := g.Rand().IntN(200)
					if big && g.Rand().IntN(4) == 0 {
						size = g.Rand().IntN(3 * sharedSize)
					}
					msg := binary.BigEndian.AppendUint32(nil, uint32(size))
					for j := range size {
						msg = append(msg, byte(i*31+n*7+j))
					}
					cut := g.Rand().IntN(len(msg))
					_, _ = c.Write(msg[:cut])
					g.client.Sleep(time.Duration(g.Rand().IntN(3)) * time.Millisecond)
					_, _ = c.Write(msg[cut:])
					got := make([]byte, len(msg))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
						t.Errorf("seed %d: message of %d bytes: %v, equal %v", seed, size, err, bytes.Equal(got, msg))
					}
				}
				c.Close()
				left--
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, time.Hour))
		settle(t, g.Sim, l)
		g.Close()
	}
}
