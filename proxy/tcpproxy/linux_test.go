package tcpproxy

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// proxied is a proxy on a real worker before a real server; it gives where it
// listens.
func proxied(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	back, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() {
		for {
			c, err := back.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	w, err := loop.New(0, log)
	must(t, err)
	k, err := upstream.Open(clusterConfig("hosts", back.Addr().String()), []*loop.Worker{w}, log, nil)
	must(t, err)
	room, err := New(&config.TCP{StatPrefix: "t", IdleTimeout: time.Hour, Clusters: []config.WeightedCluster{{Name: "hosts"}}},
		func(string) *upstream.Cluster { return k }, Env{Workers: 1})
	must(t, err)
	l, err := w.Listen(at("127.0.0.1:0"), loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, 1<<20) })
	must(t, err)
	ran := make(chan struct{})
	go func() { w.Run(); close(ran) }()
	t.Cleanup(func() {
		back.Close()
		k.Close()
		w.Stop()
		<-ran
	})
	return l.Addr().String()
}

// exchange writes give and ends its side, reads to the end what comes, and
// closes when both are done.
func exchange(t *testing.T, who string, c net.Conn, give, want []byte) {
	defer c.Close()
	var writer sync.WaitGroup
	writer.Go(func() {
		_, _ = c.Write(give) // the other side checks
		_ = c.(*net.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d of %d bytes, %v", who, len(got), len(want), err)
	}
	writer.Wait()
}

// Real sockets, several clients at once: megabytes both ways at the same time,
// and each side's end after its last byte.
func TestRealSocketsBothWays(t *testing.T) {
	const clients = 8
	rng := rand.New(rand.NewPCG(1, 2))
	request, reply := noise(rng, 3<<20), noise(rng, 5<<20)
	var all sync.WaitGroup
	all.Add(clients) // for the server's parts
	addr := proxied(t, func(c net.Conn) {
		defer all.Done()
		exchange(t, "server", c, reply, request)
	})
	for range clients {
		c, err := net.Dial("tcp", addr)
		must(t, err)
		all.Go(func() { exchange(t, "client", c, request, reply) })
	}
	all.Wait()
}

// allocations is testing.AllocsPerRun, which sets GOMAXPROCS to 1, where a
// worker that waits leaves no processor to its clients.
func allocations(runs int, f func()) uint64 {
	var before, after runtime.MemStats
	f()
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / uint64(runs)
}

// A session at work allocates nothing.
func TestCopyingDoesNotAllocate(t *testing.T) {
	addr := proxied(t, func(c net.Conn) {
		buf := make([]byte, 1<<20)
		for {
			n, err := c.Read(buf)
			if err != nil {
				c.Close()
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	for _, size := range []int{64, 40000} {
		c, err := net.Dial("tcp", addr)
		must(t, err)
		buf := make([]byte, size)
		if n := allocations(500, func() {
			_, err := c.Write(buf)
			must(t, err)
			_, err = io.ReadFull(c, buf)
			must(t, err)
		}); n != 0 {
			t.Errorf("%v allocations for a message of %d bytes there and back", n, size)
		}
		c.Close()
	}
}
