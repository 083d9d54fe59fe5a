package loop

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// running starts a worker and stops it when the test ends.
func running(t testing.TB) *Worker {
	t.Helper()
	w, err := New(0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(w.Run)
	t.Cleanup(func() {
		w.Stop()
		done.Wait()
		if c := w.Counters(); c.Coroutines != 0 || c.Conns != 0 {
			t.Errorf("worker ended with %d coroutines and %d connections", c.Coroutines, c.Conns)
		}
	})
	return w
}

// on runs f on the worker and waits for it.
func on(w *Worker, f func()) {
	done := make(chan struct{})
	w.Post(func() { f(); close(done) })
	<-done
}

type echo struct{}

func (echo) Ready(c *Conn) {
	for {
		b, err := c.Next()
		if err != nil {
			_ = c.Drain(0)
			c.Close()
			return
		}
		_, _ = c.Write(b)
		c.Discard(len(b))
		if bytes.Contains(b, []byte("panic")) {
			panic("asked to")
		}
		if err := c.Drain(1 << 20); err != nil {
			c.Close()
			return
		}
	}
}
func (echo) Expired(c *Conn) { c.Close() }
func (echo) Closed(*Conn)    {}

func listenEcho(t testing.TB, w *Worker) string {
	t.Helper()
	var addr config.Address
	on(w, func() {
		l, err := w.Listen(config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")}, ListenOptions{}, func(c *Conn) {
			c.Serve(echo{}, false)
		})
		if err != nil {
			t.Error(err)
			return
		}
		addr = l.Addr()
	})
	return addr.String()
}

func TestEchoOverRealSockets(t *testing.T) {
	w := running(t)
	addr := listenEcho(t, w)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := bytes.Repeat(fmt.Appendf(nil, "connection %d ", i), 1+i*1000)
			go func() { _, _ = c.Write(want) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("connection %d: %v, equal %v", i, err, bytes.Equal(got, want))
			}
		})
	}
	wg.Wait()
}

// A panic costs its own connection; the others and the worker go on.
func TestPanicHarmsOneConnection(t *testing.T) {
	w := running(t)
	addr := listenEcho(t, w)
	good, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	bad, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	fmt.Fprint(bad, "panic")
	if _, err := io.ReadAll(bad); err == nil {
		t.Error("the connection of the panic ended cleanly, want a reset")
	}
	fmt.Fprint(good, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(good, got); err != nil || string(got) != "hello" {
		t.Errorf("other connection got %q, %v", got, err)
	}
	var n uint64
	on(w, func() { n = w.Counters().Panics })
	if n != 1 {
		t.Errorf("counted %d panics, want 1", n)
	}
}

func TestDialRefusedAndTimers(t *testing.T) {
	w := running(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := gone.Addr().(*net.TCPAddr).AddrPort()
	gone.Close()
	result := make(chan error, 1)
	var slept time.Duration
	on(w, func() {
		w.Go(func() {
			start := time.Now()
			w.Sleep(20 * time.Millisecond)
			slept = time.Since(start)
			c, err := w.Dial(config.Address{IP: addr}, time.Second, config.Keepalive{})
			if err == nil {
				c.Close()
			}
			result <- err
		})
	})
	if err := <-result; err == nil {
		t.Error("dialling a closed port succeeded")
	}
	if slept < 20*time.Millisecond || slept > time.Second {
		t.Errorf("slept %v, want 20ms", slept)
	}
}

func TestOffload(t *testing.T) {
	w := running(t)
	result := make(chan int, 1)
	on(w, func() {
		w.Go(func() {
			v := 0
			w.Offload(func() { v = 42 })
			result <- v
		})
	})
	if v := <-result; v != 42 {
		t.Errorf("offloaded work gave %d", v)
	}
}

// An echo of one small message allocates nothing once warm, and takes one
// read and one write.
func TestEchoBudget(t *testing.T) {
	w := running(t)
	addr := listenEcho(t, w)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	msg, got := []byte("hello"), make([]byte, 5)
	turn := func() {
		_, _ = c.Write(msg)
		_, _ = io.ReadFull(c, got)
	}
	for range 100 {
		turn()
	}
	var before, after Counters
	on(w, func() { before = w.Counters() })
	allocs := testing.AllocsPerRun(1000, turn)
	on(w, func() { after = w.Counters() })
	if allocs != 0 {
		t.Errorf("%v allocations per echo", allocs)
	}
	if r, wr := after.Reads-before.Reads, after.Writes-before.Writes; r != 1001 || wr != 1001 {
		t.Errorf("1001 echoes took %d reads and %d writes", r, wr)
	}
}
