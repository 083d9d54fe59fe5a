package memproxy

// Does a real client library, over real sockets, find three real memcached
// servers behind the room?

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// memcached is a server process of this test.
type memcached struct {
	t       testing.TB
	addr    string
	process *exec.Cmd
}

// start runs it, and waits until it listens; after kill again on the same port.
func (m *memcached) start() {
	m.t.Helper()
	if m.addr == "" {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		must(m.t, err)
		m.addr = free.Addr().String()
		free.Close()
	}
	_, port, _ := net.SplitHostPort(m.addr)
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "1", "-m", "64"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	m.process = exec.Command("memcached", args...)
	if err := m.process.Start(); err != nil {
		m.t.Fatalf("memcached: %v (make test installs it)", err)
	}
	soon(m.t, "memcached listens", func() bool {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (m *memcached) kill() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

// soon asks again until it is so.
func soon(t testing.TB, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		if so() {
			return
		}
		<-again.C
	}
	t.Fatalf("not within 10 s: %s", what)
}

// realRoom runs a room on real workers before real servers and returns its
// address.
func realRoom(t testing.TB, servers []*memcached, workers int) string {
	t.Helper()
	c := &config.Cluster{
		Name: "cache", ConnectTimeout: time.Second, Balance: config.Balance{Kind: config.RingHashLB},
		Backoff: config.Backoff{Base: 25 * time.Millisecond, Cap: 100 * time.Millisecond},
	}
	var l config.Locality
	for _, m := range servers {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: config.Address{IP: netip.MustParseAddrPort(m.addr)}, Weight: 1})
	}
	c.Endpoints.Localities = []config.Locality{l}
	var ws []*loop.Worker
	for i := range workers {
		w, err := loop.New(i, slog.New(slog.DiscardHandler))
		must(t, err)
		ws = append(ws, w)
	}
	up, err := upstream.Open(c, ws, slog.New(slog.DiscardHandler), nil)
	must(t, err)
	room, err := New(&config.Memcached{CatchAll: "cache", OpTimeout: time.Second}, func(string) *upstream.Cluster { return up }, workers)
	must(t, err)
	at := config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")}
	var running sync.WaitGroup
	for _, w := range ws {
		ln, err := w.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) { room.Accept(c, 0) })
		must(t, err)
		at = ln.Addr()
		running.Go(w.Run)
	}
	t.Cleanup(func() {
		up.Close()
		for _, w := range ws {
			w.Stop()
		}
		running.Wait()
	})
	return at.String()
}

func realServers(t testing.TB, n int) (servers []*memcached) {
	for range n {
		m := &memcached{t: t}
		m.start()
		t.Cleanup(m.kill)
		servers = append(servers, m)
	}
	return servers
}

func TestGomemcacheThroughTheRoom(t *testing.T) {
	servers := realServers(t, 3)
	c := gomemcache.New(realRoom(t, servers, 2))
	c.Timeout = 5 * time.Second
	var keys []string
	for i := range 1000 {
		k := fmt.Sprintf("key:%d", i)
		keys = append(keys, k)
		must(t, c.Set(&gomemcache.Item{Key: k, Value: []byte("value of " + k), Flags: uint32(i)}))
	}
	all, err := c.GetMulti(keys[:500])
	must(t, err)
	for i, k := range keys {
		it := all[k]
		if i >= 500 {
			it, err = c.Get(k)
			must(t, err)
		}
		if it == nil || string(it.Value) != "value of "+k || it.Flags != uint32(i) {
			t.Fatalf("%s: %+v", k, it)
		}
	}
	for _, m := range servers {
		direct, err := gomemcache.New(m.addr).GetMulti(keys)
		must(t, err)
		if len(direct) < 150 || len(direct) > 550 {
			t.Errorf("a server has %d of 1000 keys", len(direct))
		}
	}
	it, err := c.Get("key:1")
	must(t, err)
	it.Value = []byte("10")
	must(t, c.CompareAndSwap(it))
	if err := c.CompareAndSwap(it); err != gomemcache.ErrCASConflict {
		t.Errorf("second cas: %v", err)
	}
	n, err := c.Increment("key:1", 5)
	if err != nil || n != 15 {
		t.Errorf("increment: %d, %v", n, err)
	}
	must(t, c.Touch("key:1", 100))
	must(t, c.Append(&gomemcache.Item{Key: "key:1", Value: []byte("!")}))
	must(t, c.Delete("key:1"))
	if _, err := c.Get("key:1"); err != gomemcache.ErrCacheMiss {
		t.Errorf("after delete: %v", err)
	}
	if err := c.Add(&gomemcache.Item{Key: "key:2"}); err != gomemcache.ErrNotStored {
		t.Errorf("add: %v", err)
	}
	big := &gomemcache.Item{Key: "big", Value: []byte(strings.Repeat("b", 1_000_000))}
	must(t, c.Set(big))
	it, err = c.Get("big")
	if err != nil || string(it.Value) != string(big.Value) {
		t.Errorf("1 MB value: %v", err)
	}
	must(t, c.Ping())
}

// One server is killed and started while many clients read and write: no value
// is ever that of another key, and the keys of the others never fail.
func TestRealServerKilledUnderLoad(t *testing.T) {
	servers := realServers(t, 3)
	addr := realRoom(t, servers, 2)
	var failed, answered [3]int // by server
	where := map[string]int{}
	var keys []string
	c := gomemcache.New(addr)
	c.Timeout = 5 * time.Second
	for i := range 300 {
		k := fmt.Sprintf("k%d", i)
		keys = append(keys, k)
		must(t, c.Set(&gomemcache.Item{Key: k, Value: []byte(k)}))
	}
	for i, m := range servers {
		got, err := gomemcache.New(m.addr).GetMulti(keys)
		must(t, err)
		for k := range got {
			where[k] = i
		}
	}
	var mu sync.Mutex
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			c := gomemcache.New(addr)
			c.Timeout = 5 * time.Second
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				k := keys[rng.IntN(len(keys))]
				it, err := c.Get(k)
				if err == gomemcache.ErrCacheMiss {
					err = c.Set(&gomemcache.Item{Key: k, Value: []byte(k)})
				}
				mu.Lock()
				answered[where[k]]++
				if err != nil {
					failed[where[k]]++
				}
				mu.Unlock()
				if it != nil && err == nil && it.Key == k && len(it.Value) > 0 && string(it.Value) != k {
					t.Errorf("%s: %q", k, it.Value)
				}
			}
		})
	}
	count := func() (good, bad int) {
		mu.Lock()
		defer mu.Unlock()
		return answered[0] - failed[0], failed[0]
	}
	served := func() {
		was, _ := count()
		soon(t, "the server's keys are answered", func() bool { good, _ := count(); return good > was+100 })
	}
	for range 3 {
		served()
		_, before := count()
		servers[0].kill()
		soon(t, "the dead server's keys fail", func() bool { _, bad := count(); return bad > before+10 })
		servers[0].start()
	}
	served()
	close(stop)
	clients.Wait()
	if failed[1]+failed[2] != 0 || answered[1] == 0 || answered[2] == 0 {
		t.Errorf("failed %v of %v", failed, answered)
	}
	t.Logf("failed %v of %v", failed, answered)
}
