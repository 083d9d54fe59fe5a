package memproxy

// Who pays for a client that reads or writes slowly?

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// An answer of 1 MiB goes to a client that reads slowly, a bit at a time, while
// another client of the same shard is served at once.
func TestSimSlowReaderHoldsUpNobody(t *testing.T) {
	w := fine(t, 1, nil)
	w.limit = 64 << 10
	big := strings.Repeat("v", 1<<20)
	w.run(func() {
		a := w.connect()
		w.want(a.ask(fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", len(big), big)), "STORED\n")
		w.SetLink(w.addr, loop.Link{Latency: time.Millisecond, Buffer: 4096})
		slow := w.connect()
		const times = 40
		slow.say(strings.Repeat("get big\r\n", times))
		for range 20 {
			began := w.Now()
			w.want(a.ask("get none\r\n"), "END\n")
			if took := w.Now() - began; took > 60*time.Millisecond {
				t.Errorf("the other client waited %v", took)
			}
			w.apps.Sleep(20 * time.Millisecond)
		}
		whole, refused := 0, 0
		for range times {
			if l := slow.line(); l == "SERVER_ERROR overloaded (cluster shards)" {
				refused++
				continue
			} else if l != "VALUE big 0 1048576" {
				t.Fatalf("got %.80q", l)
			}
			if d, err := slow.data(1 << 20); err != nil || d != big {
				t.Fatalf("value: %v", err)
			}
			w.want(slow.line(), "END")
			whole++
		}
		if whole < times/2 || refused+whole != times {
			t.Errorf("%d whole answers, %d refused", whole, refused)
		}
		t.Logf("%d whole answers, %d refused", whole, refused)
		a.Conn.Close()
		slow.Conn.Close()
	})
	w.settle()
}

// A client that sends a value slowly holds up nobody either.
func TestSimSlowWriterHoldsUpNobody(t *testing.T) {
	w := fine(t, 1, nil)
	w.run(func() {
		a, slow := w.connect(), w.connect()
		slow.say("set s 0 0 100000\r\n" + strings.Repeat("s", 50000))
		w.apps.Sleep(100 * time.Millisecond)
		w.want(a.ask("set k 0 0 1\r\nv\r\n"), "STORED\n")
		if n := len(w.shards[0].asked); n != 1 {
			t.Errorf("the shard was asked %d commands", n)
		}
		w.want(slow.ask(strings.Repeat("s", 50000)+"\r\n"), "STORED\n")
		a.Conn.Close()
		slow.Conn.Close()
	})
	w.settle()
}

// A client that asks for ever and never reads costs a bounded number of bytes.
func TestSimGreedyClientIsBounded(t *testing.T) {
	for _, size := range []int{10, 3000, 200_000} {
		w := fine(t, 2, nil)
		w.limit = 32 << 10
		v := strings.Repeat("v", size)
		w.run(func() {
			a := w.connect()
			for i := range 2 {
				w.want(a.ask(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", w.keyOn(i, 0), size, v)), "STORED\n")
			}
			w.SetLink(w.addr, loop.Link{Buffer: 4096})
			greedy := w.connect()
			batch := strings.Repeat("get "+w.keyOn(0, 0)+"\r\nget "+w.keyOn(1, 0)+"\r\nget "+w.keyOn(0, 0)+" "+w.keyOn(1, 0)+"\r\n", 3000)
			greedy.say(batch)
			most, slots := 0, 0
			for range 200 {
				w.apps.Sleep(5 * time.Millisecond)
				for k := w.room.local[0].clients; k != nil; k = k.next {
					most, slots = max(most, k.load+k.held+k.conn.Unsent()), max(slots, k.slots)
				}
			}
			if bound := holdLimits*w.limit + 1<<20 + size; most > bound || slots > maxSlots+1 {
				t.Errorf("values of %d: %d bytes and %d commands held, bound %d", size, most, slots, bound)
			}
			t.Logf("values of %d: %d bytes, %d commands", size, most, slots)
			a.Conn.Close()
			greedy.Reset()
		})
		w.settle()
	}
}

// Values that there is no room for are left out, and the last line says so.
func TestSimAnswerBeyondTheBound(t *testing.T) {
	w := fine(t, 2, nil)
	w.limit = 1024
	big := strings.Repeat("v", 1<<20)
	one, two := w.keyOn(0, 0), w.keyOn(1, 0)
	w.run(func() {
		a := w.connect()
		for _, k := range []string{one, two} {
			w.want(a.ask(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", k, len(big), big)), "STORED\n")
		}
		got := a.ask("get " + one + " " + two + "\r\n")
		if strings.Count(got, "VALUE ") != 1 || strings.Count(got, big) != 1 || !strings.HasSuffix(got, "\nSERVER_ERROR overloaded (cluster shards)\n") {
			t.Errorf("got %d bytes, %.60q…", len(got), got)
		}
		w.want(a.ask("get "+one+"\r\n"), fmt.Sprintf("VALUE %s 0 %d\n%s\nEND\n", one, len(big), big))
		a.Conn.Close()
	})
	w.settle()
}
