package loop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// The loop's own scenarios: what it promises to those who run on it.

// stage is a world with a server's and a client's worker.
type stage struct {
	*Sim
	t              testing.TB
	server, client *Worker
}

func newStage(t testing.TB, seed uint64) *stage {
	s := NewSim(seed, nil)
	return &stage{s, t, s.Worker("server"), s.Worker("client")}
}

// dial is Dial of the client, which must succeed.
func (g *stage) dial(a config.Address) *Conn {
	c, err := g.client.Dial(a, time.Minute, config.Keepalive{})
	must(g.t, err)
	return c
}

// play runs the client's part and waits until it and its consequences are over.
func (g *stage) play(f func()) {
	g.t.Helper()
	done := false
	g.client.Go(func() { f(); done = true })
	must(g.t, g.Run(func() bool { return done }, time.Hour))
	must(g.t, g.Run(g.Quiet, time.Hour))
}

// funcs is a handler made of functions; those that are nil close, or do nothing.
type funcs struct {
	ready, expired, closed func(*Conn)
}

func (h *funcs) Ready(c *Conn) { h.ready(c) }
func (h *funcs) Expired(c *Conn) {
	if h.expired == nil {
		c.Close()
		return
	}
	h.expired(c)
}

func (h *funcs) Closed(c *Conn) {
	if h.closed != nil {
		h.closed(c)
	}
}

// drop reads everything and closes at the end.
func drop() *funcs {
	return &funcs{ready: func(c *Conn) {
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}}
}

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

// One connection that always has bytes does not keep another waiting.
func TestSimFairness(t *testing.T) {
	for _, inline := range []bool{false, true} {
		g := newStage(t, 1)
		g.SetLink(config.Address{}, Link{Buffer: 64 << 20})
		eaten, answered := 0, -1
		h := &funcs{}
		read := func(c *Conn) (int, error) { // of a handler that does not yield
			if c.Spent() {
				c.Again()
				return 0, nil
			}
			return c.Fill()
		}
		if !inline {
			read = func(c *Conn) (int, error) {
				b, err := c.Next()
				return len(b), err
			}
		}
		h.ready = func(c *Conn) {
			for {
				n, err := read(c)
				if bytes.HasPrefix(c.Buffered(), []byte("ping")) {
					answered = eaten
				} else {
					eaten += n
				}
				c.Discard(c.Pending())
				if err != nil {
					c.Close()
				}
				if err != nil || n == 0 {
					return
				}
			}
		}
		l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) { c.Serve(h, inline) })
		must(t, err)
		const flood = 48 << 20
		g.play(func() {
			a, b := g.dial(l.Addr()), g.dial(l.Addr())
			g.client.Sleep(10 * time.Millisecond)
			g.Freeze(g.server, true)
			_, _ = a.Write(make([]byte, flood))
			_, _ = b.Write([]byte("ping"))
			g.client.Sleep(10 * time.Millisecond)
			g.Freeze(g.server, false)
			a.CloseWrite()
			b.CloseWrite()
			_, _ = io.ReadAll(a)
			a.Close()
			b.Close()
		})
		if eaten != flood || answered < 0 || answered > 2*(readsPerTurn+1)*sharedSize {
			t.Errorf("inline %v: %d of %d bytes read, ping seen after %d of them", inline, eaten, flood, answered)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Out of file descriptors, accepting rests instead of spinning, and goes on as
// soon as one comes free.
func TestSimAcceptRestsWithoutDescriptors(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		l := serve(t, g.server, at("10.0.0.1:80"), echo{})
		g.LimitFDs(g.server, 5)
		var conns []*Conn
		g.play(func() {
			for range 10 {
				conns = append(conns, g.dial(l.Addr()))
			}
		})
		before := g.server.Counters()
		must(t, g.RunFor(10*time.Second))
		after := g.server.Counters()
		if n := after.Turns - before.Turns; n > 400 || l.Paused == 0 {
			t.Errorf("%d turns in 10 s without descriptors, paused %d times", n, l.Paused)
		}
		g.play(func() {
			for i, c := range conns { // each close makes room for one more
				began := g.client.Clock()
				_, _ = c.Write([]byte("x"))
				if b, err := c.Next(); string(b) != "x" || err != nil {
					t.Errorf("connection %d: %q, %v", i, b, err)
				}
				if took := time.Duration(g.client.Clock() - began); took > 5*time.Millisecond {
					t.Errorf("connection %d was served after %v", i, took)
				}
				c.Close()
				g.client.Sleep(5 * time.Millisecond)
			}
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

func TestSimTimersAreExact(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		spans := []int64{100, 10_000, 10_000_000, 40 * 24 * 3600 * 1000}
		left := 0
		for range 200 {
			d := time.Duration(1+g.Rand().Int64N(spans[g.Rand().IntN(len(spans))])) * time.Millisecond
			left++
			g.client.Go(func() {
				g.client.Sleep(d)
				if g.Now() != d {
					t.Errorf("seed %d: a sleep of %v ended after %v", seed, d, g.Now())
				}
				left--
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, 41*24*time.Hour))
		if n := g.client.Counters().Turns; n > 2000 {
			t.Errorf("200 timers took %d turns", n)
		}
		settle(t, g.Sim)
		g.Close()
	}
}

func TestSimDialOutcomes(t *testing.T) {
	a := at("10.0.0.9:80")
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		g.play(func() {
			try := func() error {
				c, err := g.client.Dial(a, 250*time.Millisecond, config.Keepalive{})
				if err == nil {
					c.Close()
				}
				return err
			}
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("nobody listens: %v", err)
			}
			g.Blackhole(a, true)
			began := g.Now()
			if err := try(); err != ErrTimeout {
				t.Errorf("black hole: %v", err)
			}
			if took := g.Now() - began; took < 250*time.Millisecond || took > 251*time.Millisecond {
				t.Errorf("time-out of 250ms after %v", took)
			}
			g.Blackhole(a, false)
			l := serve(t, g.server, a, drop())
			if err := try(); err != nil {
				t.Errorf("listening: %v", err)
			}
			g.Refuse(a, true)
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("refused: %v", err)
			}
			g.Refuse(a, false)
			g.LimitFDs(g.client, 1)
			c := g.dial(a)
			if err := try(); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("no descriptor: %v", err)
			}
			g.LimitFDs(g.client, 0)
			c.Close()
			l.Close()
			if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("listener closed: %v", err)
			}
		})
		settle(t, g.Sim)
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
			_, _ = c.Write(make([]byte, 4<<20))
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

// A client that neither reads nor ends costs no more than the time given.
func TestSimCloseAfterReplyEndsByTime(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
		_, _ = c.Next()
		_, _ = c.Write(make([]byte, 4<<20))
		c.CloseAfterReply(time.Second)
	}})
	g.play(func() {
		c := g.dial(l.Addr())
		_, _ = c.Write([]byte("x"))
		g.client.Sleep(900 * time.Millisecond)
		if n := g.server.Counters().Conns; n != 1 {
			t.Errorf("%d connections before the time, want 1", n)
		}
		g.client.Sleep(200 * time.Millisecond)
		if n := g.server.Counters().Conns; n != 0 {
			t.Errorf("%d connections after the time, want 0", n)
		}
		c.Close()
	})
	settle(t, g.Sim, l)
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

// A panic costs the connection that it happened on, wherever it happens.
func TestSimPanicIsolation(t *testing.T) {
	var log strings.Builder
	for _, where := range []string{"ready", "inline", "expired", "closed", "both", "accept", "timer", "post", "offload"} {
		t.Run(where, func(t *testing.T) {
			log.Reset()
			g := newStage(t, 1)
			defer g.Close()
			g.server.log = g.logger(slog.New(slog.NewTextHandler(&log, nil)))
			boom := func(*Conn) { panic("asked to") }
			var timer Timer
			h := &funcs{ready: func(c *Conn) {
				_, _ = c.Fill()
				c.Discard(c.Pending())
				switch where {
				case "ready", "inline", "both":
					boom(c)
				case "expired":
					c.SetReadTimeout(time.Millisecond)
				case "closed":
					c.Close()
				case "timer":
					g.server.SetTimer(&timer, time.Millisecond, func() { defer c.Close(); boom(c) })
				case "post":
					g.server.Post(func() { defer c.Close(); boom(c) })
				case "offload":
					g.server.Offload(func() { boom(c) })
				}
			}}
			switch where {
			case "expired":
				h.expired = boom
			case "closed", "both":
				h.closed = boom
			}
			l, err := g.server.Listen(at("10.0.0.1:80"), ListenOptions{}, func(c *Conn) {
				c.Serve(h, where == "inline")
				if where == "accept" {
					boom(c)
				}
			})
			must(t, err)
			ok := serve(t, g.server, at("10.0.0.1:81"), echo{})
			g.play(func() {
				good := g.dial(ok.Addr())
				// Where the accept panics the RST may come with the handshake.
				if bad, err := g.client.Dial(l.Addr(), time.Minute, config.Keepalive{}); err == nil {
					_, _ = bad.Write([]byte("x"))
					_, _ = io.ReadAll(bad)
					bad.Close()
				}
				_, _ = good.Write([]byte("hello"))
				if b, err := good.Next(); string(b) != "hello" || err != nil {
					t.Errorf("the other connection got %q, %v", b, err)
				}
				good.Close()
			})
			if n := g.server.Counters().Panics; n == 0 || !strings.Contains(log.String(), "asked to") {
				t.Errorf("%d panics counted; log: %s", n, &log)
			}
			settle(t, g.Sim, l, ok)
		})
	}
}

func TestSimPostFromOtherWorkers(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		var got []int
		for i := range 3 {
			w := g.Worker("poster")
			w.Go(func() {
				for n := range 20 {
					g.server.Post(func() { got = append(got, i*100+n) })
					if n%3 == 0 {
						w.Sleep(time.Millisecond)
					}
				}
			})
		}
		must(t, g.Run(func() bool { return len(got) == 60 }, time.Second))
		for i := range 3 {
			mine := slices.DeleteFunc(slices.Clone(got), func(v int) bool { return v/100 != i })
			if len(mine) != 20 || !slices.IsSorted(mine) {
				t.Errorf("seed %d: poster %d's functions ran as %v", seed, i, mine)
			}
		}
		settle(t, g.Sim)
		g.Close()
	}
}

func TestSimOffload(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	g.play(func() {
		began, other, v := g.Now(), false, 0
		g.client.Go(func() { other = true })
		g.client.Offload(func() { v = 42 })
		if v != 42 || !other || g.Now() == began {
			t.Errorf("v %d, others ran %v, took %v", v, other, g.Now()-began)
		}
	})
	settle(t, g.Sim)
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

// A deadline that passes while the handler is at something else is not lost:
// its next wait is told, or Expired is called when it returns without one.
func TestSimDeadlinePassesWhileBusy(t *testing.T) {
	for _, waits := range []bool{true, false} {
		g := newStage(t, 1)
		told := ""
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{
			ready: func(c *Conn) {
				_, _ = c.Next()
				c.Discard(c.Pending())
				c.SetReadTimeout(10 * time.Millisecond)
				c.SetWriteTimeout(10 * time.Millisecond)
				g.server.Sleep(20 * time.Millisecond)
				if !waits {
					return
				}
				_, _ = c.Write(make([]byte, 4<<20))
				if err := c.Drain(0); err != ErrTimeout {
					t.Errorf("Drain after its deadline gave %v", err)
				}
				if _, err := c.Next(); err == ErrTimeout {
					told += "Next"
				}
				c.Close()
			},
			expired: func(c *Conn) { told += "Expired"; c.Close() },
		})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("x"))
			g.client.Sleep(30 * time.Millisecond)
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if want := map[bool]string{true: "Next", false: "Expired"}[waits]; told != want {
			t.Errorf("waits %v: told %q, want %q", waits, told, want)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

func TestSimReadDeadlines(t *testing.T) {
	g := newStage(t, 1)
	defer g.Close()
	expired := 0
	l := serve(t, g.server, at("10.0.0.1:80"), &funcs{
		ready: func(c *Conn) {
			_, _ = c.Next()
			c.Discard(c.Pending())
			c.SetReadTimeout(50 * time.Millisecond) // idle: Expired
		},
		expired: func(c *Conn) {
			if expired++; expired == 2 {
				c.Close()
				return
			}
			c.SetReadTimeout(30 * time.Millisecond)
		},
	})
	g.play(func() {
		c := g.dial(l.Addr())
		wait := func(d, want time.Duration) {
			t.Helper()
			began := g.Now()
			c.SetReadTimeout(d)
			_, err := c.Next()
			took := g.Now() - began
			if err != ErrTimeout || took < want || took > want+time.Millisecond {
				t.Errorf("a wait of %v gave %v after %v", d, err, took)
			}
		}
		wait(20*time.Millisecond, 20*time.Millisecond)
		wait(10*time.Millisecond, 10*time.Millisecond)
		// Moved away while it waits, then taken nearer again.
		g.After(5*time.Millisecond, func() { g.client.Post(func() { c.SetReadTimeout(50 * time.Millisecond) }) })
		g.After(15*time.Millisecond, func() { g.client.Post(func() { c.SetReadTimeout(10 * time.Millisecond) }) })
		wait(10*time.Millisecond, 25*time.Millisecond)
		// Taken away: only the server's Expired ends the wait, at 50 and 80 ms.
		c.SetReadTimeout(time.Millisecond)
		c.SetReadTimeout(0)
		_, _ = c.Write([]byte("x"))
		began := g.Now()
		if _, err := c.Next(); err != io.EOF || expired != 2 {
			t.Errorf("got %v, Expired called %d times", err, expired)
		}
		if took := g.Now() - began; took < 80*time.Millisecond || took > 83*time.Millisecond {
			t.Errorf("the server's deadlines took %v, want 80ms", took)
		}
		c.Close()
	})
	settle(t, g.Sim, l)
}

// A Drain that ran out of time has lost nothing: what is queued and what
// others queue meanwhile still arrives.
func TestSimWriteDeadlineLosesNothing(t *testing.T) {
	for seed := range Seeds(t, 50) {
		g := newStage(t, seed)
		got := 0
		l := serve(t, g.server, at("10.0.0.1:80"), &funcs{ready: func(c *Conn) {
			g.server.Sleep(time.Second)
			n, _ := io.Copy(io.Discard, c)
			got = int(n)
			c.Close()
		}})
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write(make([]byte, 2<<20))
			began := g.Now()
			c.SetWriteTimeout(100 * time.Millisecond)
			// Another's timer at the same tick queues more while the writer is
			// about to be told.
			var other Timer
			g.client.SetTimer(&other, 100*time.Millisecond, func() { c.Commit(append(c.Begin(5), "other"...)) })
			if err := c.Drain(0); err != ErrTimeout {
				t.Errorf("Drain gave %v", err)
			}
			if took := g.Now() - began; took < 100*time.Millisecond || took > 101*time.Millisecond {
				t.Errorf("Drain's time-out of 100ms took %v", took)
			}
			c.SetWriteTimeout(0)
			must(t, c.Drain(0))
			c.CloseWrite()
			_, _ = io.ReadAll(c)
			c.Close()
		})
		if want := 2<<20 + 5; got != want {
			t.Errorf("seed %d: %d of %d bytes came", seed, got, want)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A worker that is stopped gives everything back, whatever its coroutines do
// while they are told: dial again, start others.
func TestSimStopGivesEverythingBack(t *testing.T) {
	for seed := range Seeds(t, 100) {
		g := newStage(t, seed)
		l := serve(t, g.server, at("10.0.0.1:80"), echo{})
		for range 5 {
			var again func()
			again = func() {
				defer g.client.Go(func() {})
				if c, err := g.client.Dial(l.Addr(), time.Second, config.Keepalive{}); err == nil {
					_, _ = c.Next()
					c.Close()
				}
				g.client.Go(again)
				g.client.Yield()
			}
			g.client.Go(again)
		}
		must(t, g.RunFor(time.Duration(g.Rand().IntN(2000))*time.Microsecond))
		g.client.Stop()
		must(t, g.RunFor(time.Second))
		if n := g.client.Counters().Coroutines; n != 0 {
			t.Errorf("seed %d: %d coroutines are left", seed, n)
		}
		settle(t, g.Sim, l)
		g.Close()
	}
}

// Work that never runs out of followers takes no more memory with time.
func TestSimQueueStaysSmall(t *testing.T) {
	var q queue[int]
	for range 10 {
		q.push(0)
	}
	for range 100_000 {
		q.push(q.pop())
	}
	if cap(q.items) > 1000 {
		t.Errorf("a queue of 10 takes room for %d", cap(q.items))
	}
}
