package memproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// conversation runs one client through commands and compares what it hears.
func conversation(t *testing.T, shards int, cfg config.Memcached, steps ...string) *world {
	t.Helper()
	s := loop.NewSim(1, nil)
	t.Cleanup(s.Close)
	w := newWorld(t, s, shards, cfg, nil)
	w.run(func() {
		a := w.connect()
		for i := 0; i < len(steps); i += 2 {
			if got := a.ask(steps[i]); got != steps[i+1] {
				t.Errorf("%.60q: got\n%swant\n%s", steps[i], got, steps[i+1])
			}
		}
		a.Conn.Close()
	})
	w.settle()
	return w
}

func TestEveryCommandThroughTheRoom(t *testing.T) {
	conversation(t, 3, config.Memcached{OpTimeout: time.Second},
		"get a\r\n", "END\n",
		"set a 5 0 3\r\nabc\r\n", "STORED\n",
		"get a\r\n", "VALUE a 5 3\nabc\nEND\n",
		"gets a\r\n", "VALUE a 5 3 1\nabc\nEND\n",
		"gat 10 a\r\n", "VALUE a 5 3\nabc\nEND\n",
		"gats 10 a\r\n", "VALUE a 5 3 1\nabc\nEND\n",
		"add a 0 0 1\r\nx\r\n", "NOT_STORED\n",
		"replace a 0 0 1\r\n7\r\n", "STORED\n",
		"append a 0 0 1\r\n1\r\n", "STORED\n",
		"prepend a 0 0 1\r\n1\r\n", "STORED\n",
		"incr a 1\r\n", "172\n",
		"decr a 2\r\n", "170\n",
		"touch a 9\r\n", "TOUCHED\n",
		"cas a 0 0 1 99999\r\nx\r\n", "EXISTS\n",
		"set b 0 0 1 noreply\r\nB\r\nget b\r\n", "VALUE b 0 1\nB\nEND\n",
		"delete a\r\n", "DELETED\n",
		"delete a\r\n", "NOT_FOUND\n",
		"incr b 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\n",
		"version\r\n", "VERSION 1.6.18-attache\n",
		"verbosity 1\r\n", "OK\n",
		"verbosity 1 noreply\r\nversion\r\n", "VERSION 1.6.18-attache\n",
		"set c 0 99999999999 1\r\nx\r\n", "CLIENT_ERROR bad command line format\n",
		"quit\r\n", "<closed>\n",
	)
}

func TestMultiGetIsAnsweredInTheOrderAsked(t *testing.T) {
	steps := []string{}
	for _, k := range []string{"a", "b", "c", "d", "e", "f"} {
		steps = append(steps, "set "+k+" 0 0 1\r\n"+strings.ToUpper(k)+"\r\n", "STORED\n")
	}
	value := func(k string) string { return "VALUE " + k + " 0 1\n" + strings.ToUpper(k) + "\n" }
	steps = append(steps,
		"get f e d c b a\r\n", value("f")+value("e")+value("d")+value("c")+value("b")+value("a")+"END\n",
		"get a x b a y f f\r\n", value("a")+value("b")+value("a")+value("f")+value("f")+"END\n",
		"get x y z u v w\r\n", "END\n",
	)
	w := conversation(t, 3, config.Memcached{OpTimeout: time.Second}, steps...)
	for i, b := range w.shards {
		if len(b.store) == 0 {
			t.Errorf("shard %d has no key", i)
		}
	}
}
