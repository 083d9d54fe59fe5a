package memproxy

// What does a command cost in memory and in system calls?

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// echoShard has every key that begins with k, and stores nothing; it allocates
// nothing.
type echoShard struct{}

func (*echoShard) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if err != nil {
			c.Close()
			return
		}
		if n == 0 {
			return
		}
		buf, used, set := c.Buffered(), 0, false
		for i, ch := range buf {
			if ch != '\n' {
				continue
			}
			switch line := buf[used : i+1]; {
			case line[0] == 's':
				set = true
			case set:
				set = false
				c.Commit(append(c.Begin(8), "STORED\r\n"...))
			default:
				out := c.Begin(64)
				for key, rest := memcache.NextKey(line[len("get") : len(line)-2]); key != nil; key, rest = memcache.NextKey(rest) {
					if key[0] == 'k' {
						out = append(append(append(out, "VALUE "...), key...), " 0 5\r\nhello\r\n"...)
					}
				}
				c.Commit(append(out, "END\r\n"...))
			}
			used = i + 1
		}
		c.Discard(used)
	}
}
func (*echoShard) Expired(*loop.Conn) {}
func (*echoShard) Closed(*loop.Conn)  {}

// asker sends the same batch again when n bytes have come in answer.
type asker struct {
	batch     []byte
	want, has int
	rounds    int
}

func (a *asker) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		if err != nil {
			c.Close()
			return
		}
		if n == 0 {
			return
		}
		c.Discard(n)
		if a.has += n; a.has == a.want {
			a.has = 0
			if a.rounds--; a.rounds > 0 {
				c.Commit(append(c.Begin(len(a.batch)), a.batch...))
			}
		}
	}
}
func (*asker) Expired(*loop.Conn) {}
func (*asker) Closed(*loop.Conn)  {}

// bench makes a world of cheap shards and clients and gives a function that
// runs rounds of a batch on each of them.
func bench(t testing.TB, shards, clients int, batch string, want int) (w *world, run func(rounds int)) {
	s := loop.NewSim(1, nil)
	t.Cleanup(s.Close)
	w = &world{Sim: s, t: t, addr: at("10.0.0.1:11211")}
	w.proxy, w.apps = s.Worker("proxy"), s.Worker("apps")
	w.workers = []*loop.Worker{w.proxy}
	w.cluster = &config.Cluster{Name: "shards", Balance: config.Balance{Kind: config.RingHashLB}, Endpoints: endpoints(shards)}
	for i := range shards {
		b := s.Worker(fmt.Sprint("shard ", i))
		_, err := b.Listen(shardAddr(i), loop.ListenOptions{}, func(c *loop.Conn) { c.Serve(&echoShard{}, true) })
		must(t, err)
	}
	w.open()
	w.serve(config.Memcached{OpTimeout: time.Second})
	asks := []*asker{}
	conns := []*loop.Conn{}
	w.run(func() {
		for range clients {
			a := &asker{batch: []byte(batch), want: want}
			c := w.connect()
			c.Serve(a, true)
			asks, conns = append(asks, a), append(conns, c.Conn)
		}
	})
	done := func() bool {
		for _, a := range asks {
			if a.rounds > 0 {
				return false
			}
		}
		return true
	}
	return w, func(rounds int) {
		for i, c := range conns {
			asks[i].rounds = rounds
			_, _ = c.Write(asks[i].batch)
			c.Flush()
		}
		must(t, s.Run(done, time.Hour))
	}
}

const answerK = "VALUE k 0 5\r\nhello\r\nEND\r\n"

// keys are n words that begin so, each behind a space.
func keys(n int, first string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " %s-%02d", first, i)
	}
	return b.String()
}

// hits is how long the answer to n such keys is.
func hits(n int) int { return n*len("VALUE k-00 0 5\r\nhello\r\n") + len("END\r\n") }

// After warm-up no command allocates, in the proxy or in the simulator's own
// part of the work.
func TestNothingIsAllocated(t *testing.T) {
	for _, c := range []struct {
		name    string
		clients int
		batch   string
		want    int
	}{
		{"get", 1, "get k\r\n", len(answerK)},
		{"set", 1, "set k 0 0 5\r\nhello\r\n", len("STORED\r\n")},
		{"16 gets and sets of 8 clients", 8, strings.Repeat("get k\r\nset l 0 0 5\r\nhello\r\n", 8), 8 * len(answerK+"STORED\r\n")},
		{"multi-get of 32 keys", 4, "get" + keys(32, "k") + "\r\n", hits(32)},
		{"multi-get of 32 misses", 1, "get" + keys(32, "m") + "\r\n", len("END\r\n")},
		{"16 multi-gets", 4, strings.Repeat("get"+keys(8, "k")+"\r\n", 16), 16 * hits(8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, run := bench(t, 3, c.clients, c.batch, c.want)
			run(300)
			if n := testing.AllocsPerRun(5, func() { run(100) }); n > 2 {
				t.Errorf("%v allocations in 100 rounds", n)
			}
		})
	}
}

// A batch costs one read and one write on each connection that has a part in
// it, whatever the number of commands.
func TestWritesPerBatch(t *testing.T) {
	for _, c := range []struct {
		name          string
		batch         string
		want          int
		writes, reads uint64
	}{
		{"16 gets over 3 shards", gets(16), 16 * hits(1), 4, 4},
		{"16 gets of one key", strings.Repeat("get k\r\n", 16), 16 * len(answerK), 2, 2},
		{"multi-get of 32 keys", "get" + keys(32, "k") + "\r\n", hits(32), 4, 4},
		{"one get", "get k\r\n", len(answerK), 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, run := bench(t, 3, 1, c.batch, c.want)
			run(3)
			before := w.proxy.Counters()
			run(1)
			after := w.proxy.Counters()
			if n := after.Writes - before.Writes; n != c.writes {
				t.Errorf("%d writes, want %d", n, c.writes)
			}
			if n := after.Reads - before.Reads; n != c.reads {
				t.Errorf("%d reads, want %d", n, c.reads)
			}
		})
	}
}

func gets(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "get k-%02d\r\n", i)
	}
	return b.String()
}
