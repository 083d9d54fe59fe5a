package memproxy

// What does one client see of the room, case by case?

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// fine makes a world on a perfect network with op_timeout 500 ms.
func fine(t *testing.T, shards int, change func(*config.Memcached)) *world {
	t.Helper()
	s := loop.NewSim(1, nil)
	t.Cleanup(s.Close)
	cfg := config.Memcached{OpTimeout: 500 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	return newWorld(t, s, shards, cfg, nil)
}

// keyOn finds a key that shard i keeps.
func (w *world) keyOn(i, n int) string {
	for ; ; n += 1000 {
		key := fmt.Sprintf("key-%d", n)
		if e := w.room.Explain(w.proxy, []byte(key)); e.Host != nil && e.Host.Address == shardAddr(i) {
			return key
		}
	}
}

func (w *world) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got %.300q, want %.300q", got, want)
	}
}

// Keys of live shards are answered without an error and as fast as ever,
// whatever has become of another shard; those of the dead one within the op
// timeout.
func TestSimDeadShardHarmsNoOther(t *testing.T) {
	hits := map[string]func(w *world, b *backend){
		"killed":     func(w *world, b *backend) { b.kill() },
		"black hole": func(w *world, b *backend) { w.Blackhole(b.addr, true) },
		"stalled":    func(w *world, b *backend) { w.Stall(b.addr, true) },
		"refusing":   func(w *world, b *backend) { w.Refuse(b.addr, true); w.ResetAll(b.addr) },
		"frozen":     func(w *world, b *backend) { w.Freeze(b.worker, true) },
	}
	for name, hit := range hits {
		t.Run(name, func(t *testing.T) {
			w := fine(t, 3, nil)
			keys := []string{w.keyOn(0, 1), w.keyOn(1, 2), w.keyOn(2, 3)}
			asking := 0
			client := func(shard int) {
				a := w.connect()
				for n := range 400 {
					began := w.Now()
					got := a.ask("get " + keys[shard] + "\r\n")
					took := w.Now() - began
					switch {
					case shard > 0 && (took > 5*time.Millisecond || !strings.HasSuffix(got, "\nEND\n")):
						t.Errorf("live shard %d, get %d: %v for %q", shard, n, took, got)
					case took > 502*time.Millisecond:
						t.Errorf("dead shard, get %d: %v for %q", n, took, got)
					case n == 399 && shard == 0 && !strings.HasPrefix(got, "SERVER_ERROR "):
						t.Errorf("dead shard: %q", got)
					}
					w.apps.Sleep(10 * time.Millisecond)
				}
				a.Conn.Close()
				asking--
			}
			w.run(func() {
				a := w.connect()
				for _, k := range keys {
					w.want(a.ask("set "+k+" 0 0 1\r\nv\r\n"), "STORED\n")
				}
				a.Conn.Close()
			})
			for i := range 6 {
				asking++
				w.apps.Go(func() { client(i % 3) })
			}
			w.After(100*time.Millisecond, func() { hit(w, w.shards[0]) })
			must(t, w.Run(func() bool { return asking == 0 }, time.Minute))
		})
	}
}

// A killed shard is used again soon after it is back, and nobody has to do
// anything for it.
func TestSimShardComesBack(t *testing.T) {
	w := fine(t, 2, nil)
	key := w.keyOn(0, 0)
	w.run(func() {
		a := w.connect()
		w.want(a.ask("set "+key+" 0 0 1\r\nv\r\n"), "STORED\n")
		w.shards[0].kill()
		w.apps.Sleep(2 * time.Second)
		w.want(a.ask("get "+key+"\r\n"), "SERVER_ERROR connection error (cluster shards)\n")
		w.shards[0].start()
		w.apps.Sleep(250 * time.Millisecond) // backoff's cap, and a little
		w.want(a.ask("get "+key+"\r\n"), "END\n")
		a.Conn.Close()
	})
	w.settle()
}

// What one worker has found, that a shard is back, holds for the next command of every
// other: none answers with the error of before while it waits for its own next attempt.
func TestSimShardComesBackForAllWorkers(t *testing.T) {
	for seed := range loop.Seeds(t, 50) {
		s := loop.NewSim(seed, nil)
		w := newWorld(t, s, 2, config.Memcached{}, func(c *config.Cluster) {
			c.Backoff = config.Backoff{Base: 25 * time.Millisecond, Cap: time.Minute}
		})
		w.up.Close()
		w.workers = append(w.workers, w.apps) // the apps' worker is a second one of the proxy
		w.open()
		w.serve(config.Memcached{OpTimeout: 500 * time.Millisecond})
		w.addr = at("10.0.0.2:11211")
		beside, err := w.apps.Listen(w.addr, loop.ListenOptions{}, func(c *loop.Conn) { w.room.Accept(c, w.limit) })
		must(t, err)
		key := w.keyOn(0, 0)
		w.run(func() {
			b := w.connect()
			w.addr = at("10.0.0.1:11211")
			a := w.connect()
			for _, c := range []*app{a, b} {
				w.want(c.ask("set "+key+" 0 0 1\r\nv\r\n"), "STORED\n")
			}
			w.shards[0].kill()
			w.apps.Sleep(10 * time.Minute)
			w.want(b.ask("get "+key+"\r\n"), "SERVER_ERROR connection error (cluster shards)\n")
			w.shards[0].start()
			for a.ask("get "+key+"\r\n") != "END\n" {
				w.apps.Sleep(10 * time.Millisecond)
			}
			w.want(b.ask("get "+key+"\r\n"), "END\n")
			a.Conn.Close()
			b.Conn.Close()
		})
		beside.Close()
		w.settle()
		s.Close()
	}
}

func TestSimFailedReadsAreMissesIfAskedFor(t *testing.T) {
	w := fine(t, 2, func(c *config.Memcached) { c.MissOnFailure = true })
	dead, live := w.keyOn(0, 0), w.keyOn(1, 0)
	w.run(func() {
		a := w.connect()
		w.want(a.ask("set "+live+" 0 0 1\r\nv\r\n"), "STORED\n")
		w.shards[0].kill()
		w.apps.Sleep(time.Second)
		w.want(a.ask("get "+dead+"\r\n"), "END\n")
		w.want(a.ask("get "+dead+" "+live+"\r\n"), "VALUE "+live+" 0 1\nv\nEND\n")
		w.want(a.ask("set "+dead+" 0 0 1\r\nv\r\n"), "SERVER_ERROR connection error (cluster shards)\n")
		a.Conn.Close()
	})
}

func TestSimMultiGetWithADeadShard(t *testing.T) {
	w := fine(t, 2, nil)
	dead, live := w.keyOn(0, 0), w.keyOn(1, 0)
	w.run(func() {
		a := w.connect()
		w.want(a.ask("set "+live+" 0 0 1\r\nv\r\n"), "STORED\n")
		w.Stall(w.shards[0].addr, true)
		began := w.Now()
		w.want(a.ask("get "+dead+" "+live+"\r\nversion\r\n"), "VALUE "+live+" 0 1\nv\nSERVER_ERROR timeout (cluster shards)\n")
		if took := w.Now() - began; took > 502*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		w.want(a.line(), "VERSION 1.6.18-attache")
		a.Conn.Close()
	})
}

func TestSimPrefixRoutes(t *testing.T) {
	w := fine(t, 1, func(c *config.Memcached) {
		c.Routes = []config.PrefixRoute{
			{Prefix: "a:", Cluster: "shards", RemovePrefix: true},
			{Prefix: "a:b:", Cluster: "elsewhere"},
			{Prefix: "k:", Cluster: "shards"},
		}
	})
	w.run(func() {
		a := w.connect()
		w.want(a.ask("set a:x 0 0 1\r\nv\r\n"), "STORED\n")
		w.want(a.ask("set k:y 0 0 1\r\nw\r\n"), "STORED\n")
		w.want(a.ask("get a:x\r\n"), "VALUE a:x 0 1\nv\nEND\n")
		w.want(a.ask("get a:x a:z k:y a:x\r\n"), "VALUE a:x 0 1\nv\nVALUE k:y 0 1\nw\nVALUE a:x 0 1\nv\nEND\n")
		w.want(a.ask("get a:b:x\r\n"), "SERVER_ERROR unavailable (cluster elsewhere)\n")
		w.want(a.ask("get other\r\n"), "SERVER_ERROR no route\n")
		w.want(a.ask("get a:x other\r\n"), "VALUE a:x 0 1\nv\nSERVER_ERROR no route\n")
		w.want(a.ask("get a:\r\n"), "CLIENT_ERROR bad command line format\n")
		w.want(a.ask("get a:x a:\r\n"), "CLIENT_ERROR bad command line format\n")
		a.Conn.Close()
	})
	if _, ok := w.shards[0].store["x"]; !ok || len(w.shards[0].store) != 2 {
		t.Errorf("the shard has %v", w.shards[0].store)
	}
	w.settle()
}

func TestSimHashTagsKeepKeysTogether(t *testing.T) {
	w := fine(t, 3, func(c *config.Memcached) { c.EnableHashtagging = true })
	at := w.room.Explain(w.proxy, []byte("user"))
	for i := range 50 {
		e := w.room.Explain(w.proxy, fmt.Appendf(nil, "%d{user}.x%d", i, i))
		if e.Host != at.Host || e.Hashed != "user" {
			t.Fatalf("%+v; user is on %v", e, at.Host.Address)
		}
	}
}

// A shard that dies within a long value that the client has begun to receive
// costs the client its connection; if it was not its turn yet, only an error.
func TestSimShardDiesWithinALongValue(t *testing.T) {
	w := fine(t, 2, nil)
	long, other := w.keyOn(0, 0), w.keyOn(1, 0)
	v := strings.Repeat("v", 100_000)
	half := func(answer []byte) []byte {
		w.After(10*time.Millisecond, w.shards[0].kill)
		return answer[:len(answer)/2]
	}
	w.run(func() {
		a, b := w.connect(), w.connect()
		w.want(a.ask(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", long, len(v), v)), "STORED\n")
		w.shards[0].halt = half
		w.shards[1].delay = 50 * time.Millisecond
		b.say("get " + other + "\r\nget " + long + "\r\n")
		w.want(b.ask("version\r\n"), "END\n")
		w.want(b.line(), "SERVER_ERROR remote error (cluster shards)")
		w.want(b.line(), "VERSION 1.6.18-attache")
		b.Conn.Close()

		w.shards[0].start()
		w.apps.Sleep(300 * time.Millisecond)
		w.shards[0].halt = nil
		w.want(a.ask(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", long, len(v), v)), "STORED\n")
		w.shards[0].halt = half
		a.say("get " + long + "\r\n")
		w.want(a.line(), fmt.Sprintf("VALUE %s 0 %d", long, len(v)))
		if _, err := a.data(len(v)); err == nil {
			t.Error("the value was whole")
		}
		a.Conn.Close()
	})
}

// Whatever a shard says that is no answer costs its connection and is an error
// to those who waited.
func TestSimNonsenseFromAShard(t *testing.T) {
	for _, nonsense := range []string{
		"VALUE other 0 1\r\nx\r\nEND\r\n", "hello\r\n", "STORED\r\n", "END\r\nEND\r\n", "VALUE key 0 1\r\nxx\r\nEND\r\n",
		"VALUE key 0 1\r\nx\r\nVALUE key 0 1\r\nx\r\nEND\r\n", "VALUE key 0 99999999999\r\n", "\r\n", "VERSION 1\r\n", "END\n",
	} {
		w := fine(t, 1, nil)
		w.run(func() {
			a := w.connect()
			w.shards[0].halt = func([]byte) []byte { return []byte(nonsense) }
			got := a.ask("get key\r\n")
			ok := strings.HasSuffix(got, "SERVER_ERROR bad value (cluster shards)\n")
			if nonsense == "END\r\nEND\r\n" {
				ok = got == "END\n"
			}
			if !ok {
				t.Errorf("%q: got %q", nonsense, got)
			}
			w.shards[0].halt = nil
			w.apps.Sleep(100 * time.Millisecond)
			w.want(a.ask("get key\r\n"), "END\n")
			a.Conn.Close()
		})
		if n := w.up.On(w.proxy).Pool.Connections; n < 2 {
			t.Errorf("%q: %d connections", nonsense, n)
		}
		w.settle()
	}
}

// A reply that comes after the op timeout meets nobody.
func TestSimLateReplyMeetsNobody(t *testing.T) {
	w := fine(t, 1, nil)
	w.run(func() {
		a := w.connect()
		w.want(a.ask("set k 0 0 1\r\n1\r\n"), "STORED\n")
		w.shards[0].delay = 600 * time.Millisecond
		w.want(a.ask("get k\r\n"), "SERVER_ERROR timeout (cluster shards)\n")
		w.shards[0].delay = 0
		w.apps.Sleep(50 * time.Millisecond)
		w.want(a.ask("get other\r\n"), "END\n")
		w.apps.Sleep(time.Second)
		w.want(a.ask("get other\r\n"), "END\n")
		a.Conn.Close()
	})
	w.settle()
}

// quit and a half-close end the connection after the answers that are owed.
func TestSimEndsAfterTheAnswers(t *testing.T) {
	w := fine(t, 2, nil)
	for _, b := range w.shards {
		b.delay = 20 * time.Millisecond
	}
	w.run(func() {
		a := w.connect()
		a.say("set k 0 0 1 noreply\r\nv\r\nget k\r\nquit\r\nget k\r\n")
		w.want(a.line(), "VALUE k 0 1")
		w.want(a.line()+a.line(), "vEND")
		w.want(a.line(), "<closed>")
		b := w.connect()
		b.say("get k\r\nversion\r\nget k")
		b.CloseWrite()
		w.want(b.line()+b.line()+b.line(), "VALUE k 0 1vEND")
		w.want(b.line(), "VERSION 1.6.18-attache")
		w.want(b.line(), "<closed>")
		a.Conn.Close()
		b.Conn.Close()
	})
	w.settle()
}

func TestSimDrainClosesIdleClientsAndWaitsForOthers(t *testing.T) {
	w := fine(t, 1, nil)
	w.shards[0].delay = 30 * time.Millisecond
	w.run(func() {
		idle, busy := w.connect(), w.connect()
		w.want(idle.ask("get k\r\n"), "END\n")
		busy.say("get k\r\n")
		w.apps.Sleep(10 * time.Millisecond)
		open := -1
		w.proxy.Post(func() { open = w.room.Drain(w.proxy) })
		w.want(idle.line(), "<closed>")
		w.want(busy.line(), "END")
		w.want(busy.line(), "<closed>")
		if open != 2 { // the idle one lingers until the client has closed too
			t.Errorf("%d open", open)
		}
		idle.Conn.Close()
		busy.Conn.Close()
		w.apps.Sleep(10 * time.Millisecond)
		w.proxy.Post(func() { open = w.room.Drain(w.proxy) })
		w.apps.Sleep(10 * time.Millisecond)
		if open != 0 {
			t.Errorf("%d open", open)
		}
	})
	w.settle()
}

// A connection that the shard has closed while nobody used it is made again
// without an error for anybody.
func TestSimIdleCloseIsNotNoticed(t *testing.T) {
	w := fine(t, 1, nil)
	w.run(func() {
		a := w.connect()
		for range 20 {
			w.want(a.ask("get k\r\n"), "END\n")
			for _, c := range w.shards[0].open {
				c.CloseWrite()
			}
			w.apps.Sleep(time.Millisecond)
		}
		a.Conn.Close()
	})
	w.settle()
}

func TestSimStatsAreCounted(t *testing.T) {
	w := fine(t, 1, func(c *config.Memcached) { c.StatPrefix = "cache" })
	w.run(func() {
		a := w.connect()
		w.want(a.ask("get k\r\n"), "END\n")
		w.want(a.ask("get k l\r\n"), "END\n")
		w.want(a.ask("nonsense\r\n"), "ERROR\n")
		got := map[string]uint64{}
		w.room.Stats(w.proxy, func(name string, v uint64) { got[name] = v })
		for name, want := range map[string]uint64{
			"downstream_cx_total": 1, "downstream_cx_active": 1, "downstream_rq_total": 3,
			"downstream_rq_refused": 1, "command.get.total": 2, "command.set.total": 0,
		} {
			if v, ok := got["memcached.cache."+name]; !ok || v != want {
				t.Errorf("%s is %d, want %d", name, v, want)
			}
		}
		a.Conn.Close()
	})
}

// The first client of a worker finds a connection to every shard: no first
// command waits for a connect.
func TestSimConnectsBeforeItIsAsked(t *testing.T) {
	w := fine(t, 3, nil)
	w.run(func() {
		a := w.connect()
		w.apps.Sleep(50 * time.Millisecond)
		for i, s := range w.shards {
			if len(s.open) != 1 {
				t.Errorf("shard %d has %d connections before the first command, want 1", i, len(s.open))
			}
		}
		a.Conn.Close()
	})
	w.settle()
}
