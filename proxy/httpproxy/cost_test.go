package httpproxy

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// The fast path over real sockets: after warm-up a GET on a kept connection
// costs four system calls (a read and a write on each side) and no allocation.

const getRequest = "GET /path?q=1 HTTP/1.1\r\nHost: service.local\r\nUser-Agent: test/1.0\r\nAccept: */*\r\n\r\n"

var okAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\n\r\n" + strings.Repeat("x", 100))

// fixedBackend answers each read with okAnswer.
type fixedBackend struct{}

func (fixedBackend) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if err != nil {
			c.Close()
			return
		}
		if n == 0 {
			return
		}
		c.Discard(c.Pending())
		_ = c.Send(okAnswer)
	}
}
func (fixedBackend) Expired(*loop.Conn) {}
func (fixedBackend) Closed(*loop.Conn)  {}

// realProxy runs a proxy on a worker of its own before a backend on another.
func realProxy(t testing.TB, cfg *config.HTTP) (proxy *loop.Worker, room *Room, addr string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	backend, err := loop.New(0, log)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err = loop.New(0, log)
	if err != nil {
		t.Fatal(err)
	}
	bl, err := backend.Listen(at("127.0.0.1:0"), loop.ListenOptions{}, func(c *loop.Conn) { c.Serve(fixedBackend{}, true) })
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := upstream.Open(testCluster("c", bl.Addr()), []*loop.Worker{proxy}, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(cfg.Routes, func(string) *upstream.Cluster { return cluster })
	if err != nil {
		t.Fatal(err)
	}
	room = New(cfg, table, Env{Workers: 1})
	pl, err := proxy.Listen(at("127.0.0.1:0"), loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, 0) })
	if err != nil {
		t.Fatal(err)
	}
	var ended [2]chan struct{}
	for i, w := range []*loop.Worker{backend, proxy} {
		done := make(chan struct{})
		ended[i] = done
		go func() {
			w.Run()
			close(done)
		}()
	}
	t.Cleanup(func() {
		proxy.Stop()
		backend.Stop()
		<-ended[0]
		<-ended[1]
	})
	return proxy, room, pl.Addr().String()
}

func counters(w *loop.Worker) loop.Counters {
	got := make(chan loop.Counters)
	w.Post(func() { got <- w.Counters() })
	return <-got
}

func roundTrip(t testing.TB, c net.Conn, in []byte, buf []byte) int {
	if _, err := c.Write(in); err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		n, err := c.Read(buf[total:])
		if err != nil {
			t.Fatal(err)
		}
		total += n
		if total > 100 && bytes.HasSuffix(buf[:total], okAnswer[len(okAnswer)-100:]) {
			return total
		}
	}
}

func TestFourSystemCallsPerRequest(t *testing.T) {
	proxy, _, addr := realProxy(t, testHTTP(prefix("/", toCluster("c"))))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 4096)
	for range 100 {
		roundTrip(t, c, []byte(getRequest), buf)
	}
	before := counters(proxy)
	const n = 300
	for range n {
		roundTrip(t, c, []byte(getRequest), buf)
	}
	after := counters(proxy)
	if r, w := after.Reads-before.Reads, after.Writes-before.Writes; r != 2*n || w != 2*n {
		t.Errorf("%d requests took %d reads and %d writes, want %d of each", n, r, w, 2*n)
	}
}

func TestNoAllocationPerRequest(t *testing.T) {
	_, _, addr := realProxy(t, testHTTP(prefix("/", toCluster("c"))))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf, in := make([]byte, 4096), []byte(getRequest)
	for range 200 {
		roundTrip(t, c, in, buf)
	}
	// Not AllocsPerRun: it leaves one processor, and three goroutines want one.
	const n = 300
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		roundTrip(t, c, in, buf)
	}
	runtime.ReadMemStats(&after)
	if got := after.Mallocs - before.Mallocs; got > n/20 {
		t.Errorf("%d allocations in %d requests", got, n)
	}
}

func BenchmarkGet(b *testing.B) {
	_, _, addr := realProxy(b, testHTTP(prefix("/", toCluster("c"))))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf, in := make([]byte, 4096), []byte(getRequest)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip(b, c, in, buf)
	}
}

// What the number of routes of a virtual host costs a whole request: every route is
// asked for in turn, so that none of them is in the cache alone.
func BenchmarkGetOfRoutes(b *testing.B) {
	for _, routes := range []int{10, 1000} {
		b.Run(strconv.Itoa(routes), func(b *testing.B) {
			var table []*config.Route
			var in [][]byte
			for i := range routes {
				path := fmt.Sprintf("/service-%04d/v%d/", i*7919%routes, i%3)
				table = append(table, prefix(path, toCluster("c")))
				in = append(in, []byte("GET "+path+"item HTTP/1.1\r\nHost: example.com\r\n\r\n"))
			}
			_, _, addr := realProxy(b, testHTTP(table...))
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 4096)
			for n := 0; b.Loop(); n++ {
				roundTrip(b, c, in[n%routes], buf)
			}
		})
	}
}
