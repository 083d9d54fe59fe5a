package loop

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

func at(addr string) config.Address {
	return config.Address{IP: netip.MustParseAddrPort(addr)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve listens on a and gives every connection to h.
func serve(t testing.TB, w *Worker, a config.Address, h Handler) *Listener {
	t.Helper()
	l, err := w.Listen(a, ListenOptions{}, func(c *Conn) { c.Serve(h, false) })
	must(t, err)
	return l
}

// settle closes what the test opened, lets the network come to rest and asks
// for leaks.
func settle(t testing.TB, s *Sim, ls ...*Listener) {
	t.Helper()
	for _, l := range ls {
		l.Close()
	}
	must(t, s.Run(s.Quiet, time.Hour))
	if err := s.Leaks(); err != nil {
		t.Error(err)
	}
}

// echoScenario runs a few clients against an echo through foul weather and
// gives the trace.
func echoScenario(t testing.TB, seed uint64, log *slog.Logger) *Sim {
	s := NewSim(seed, log)
	s.Weather()
	server, client := s.Worker("server"), s.Worker("client")
	l := serve(t, server, at("10.0.0.1:0"), echo{})
	left := 5
	for i := range left {
		size := 1 + s.Rand().IntN(3000)
		client.Go(func() {
			c, err := client.Dial(l.Addr(), time.Minute, config.Keepalive{})
			must(t, err)
			want := bytes.Repeat([]byte{byte('a' + i)}, size)
			for n := range 3 {
				want[0] = byte('0' + n)
				_, err := c.Write(want)
				must(t, err)
				got := make([]byte, size)
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("seed %d: echo of %d bytes: %v, equal %v", seed, size, err, bytes.Equal(got, want))
				}
			}
			c.Close()
			left--
		})
	}
	must(t, s.Run(func() bool { return left == 0 }, time.Hour))
	settle(t, s, l)
	return s
}

func TestSimEchoInAllWeathers(t *testing.T) {
	for seed := range Seeds(t, 1000) {
		echoScenario(t, seed, nil).Close()
	}
}

// The same seed gives the same run, log lines included; another one differs.
func TestSimIsDeterministic(t *testing.T) {
	run := func(seed uint64) string {
		var log bytes.Buffer
		s := echoScenario(t, seed, slog.New(slog.NewTextHandler(&log, nil)))
		defer s.Close()
		s.workers[0].w.Go(func() { panic("to have a log line") })
		must(t, s.Run(s.Quiet, time.Second))
		return fmt.Sprintf("%x %v %+v\n%s", s.TraceHash(), s.Now(), s.Stats(), &log)
	}
	seen := map[string]uint64{}
	for seed := range Seeds(t, 100) {
		first := run(seed)
		if again := run(seed); again != first {
			t.Fatalf("two runs of one seed:\n%s\n%s", first, again)
		}
		if other, is := seen[first]; is {
			t.Fatalf("seeds %d and %d ran alike: %s", seed, other, first)
		}
		seen[first] = seed
	}
}

// Small requests and replies on a few connections: what the simulator costs.
func BenchmarkSimRequests(b *testing.B) {
	s := NewSim(1, nil)
	defer s.Close()
	server, client := s.Worker("server"), s.Worker("client")
	l := serve(b, server, at("10.0.0.1:80"), echo{})
	msg, left := []byte("get some_key\r\n"), b.N
	for range 16 {
		client.Go(func() {
			c, err := client.Dial(l.Addr(), time.Minute, config.Keepalive{})
			must(b, err)
			buf := make([]byte, len(msg))
			for ; left > 0; left-- {
				_, _ = c.Write(msg)
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Error(err)
				}
			}
			c.Close()
		})
	}
	b.ReportAllocs()
	must(b, s.Run(func() bool { return left <= 0 }, 1000*time.Hour))
}

// Close leaves no stack behind, wherever a coroutine waits, and what it defers
// has no effect on the world.
func TestSimCloseUnwindsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	for seed := range Seeds(t, 50) {
		s := NewSim(seed, nil)
		server, client := s.Worker("server"), s.Worker("client")
		l := serve(t, server, at("10.0.0.1:80"), echo{})
		unwound := 0
		for i := range 4 {
			client.Go(func() {
				defer func() { unwound++; client.Go(func() { t.Error("ran after the end") }) }()
				c, err := client.Dial(l.Addr(), 0, config.Keepalive{})
				must(t, err)
				defer c.Close()
				switch i {
				case 0:
					_, _ = c.Next()
				case 1:
					_, _ = c.Write(make([]byte, 4<<20))
					_ = c.Drain(0)
				case 2:
					client.Sleep(time.Hour)
				default:
					var x Waiter
					x.Wait(client)
				}
			})
		}
		must(t, s.RunFor(time.Duration(s.Rand().IntN(1000))*time.Microsecond))
		hash := s.TraceHash()
		s.Close()
		if unwound != 4 || s.TraceHash() != hash {
			t.Errorf("seed %d: %d of 4 coroutines unwound, the world moved: %v", seed, unwound, s.TraceHash() != hash)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}
