package listener

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// workers are two that run until the test ends.
func workers(t *testing.T) (all []*loop.Worker) {
	var done sync.WaitGroup
	for id := range 2 {
		w, err := loop.New(id, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		done.Go(w.Run)
		all = append(all, w)
	}
	t.Cleanup(func() {
		for _, w := range all {
			w.Stop()
		}
		done.Wait()
	})
	return all
}

// bye ends each connection.
type bye struct{}

func (bye) Accept(c *loop.Conn, _ int) { c.Close() }

func meet(t *testing.T, l *Listener) {
	for range 20 {
		c, err := net.Dial("tcp", l.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		_, _ = c.Read(b[:]) // until it is over
		c.Close()
	}
}

func total(l *Listener) (n uint64) {
	for _, w := range l.workers {
		do(w, func() { n += l.On(w).Counters().CxTotal })
	}
	return n
}

// Without enable_reuse_port there is one socket: both workers accept from it, one
// duplicate goes to the process that comes after, and nobody else gets the port.
func TestOneSocket(t *testing.T) {
	ws := workers(t)
	plan := &Plan{Chains: []Chain{{Room: bye{}}}}
	asked := &config.Listener{Name: "one", BindToPort: true, OneSocket: true, Address: config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")}}
	l, err := Open(asked, plan, ws, nil)
	if err != nil {
		t.Fatal(err)
	}
	meet(t, l)
	if n := total(l); n != 20 {
		t.Errorf("%d connections of 20", n)
	}
	for _, one := range []bool{true, false} {
		again := *asked
		again.Address, again.OneSocket = l.Addrs()[0], one
		if other, err := Open(&again, plan, ws, nil); err == nil {
			t.Errorf("two have the port, one socket %v", one)
			other.Close()
		}
	}
	given, err := l.Sockets()
	if err != nil || len(given) != 1 || len(given[0].FDs) != 1 {
		t.Fatalf("%+v, %v are given on", given, err)
	}
	before := &Inherited{}
	before.Add(given[0].Key, given[0].FDs...)
	next, err := Open(asked, plan, ws, before)
	if err != nil || next.Addrs()[0] != l.Addrs()[0] {
		t.Fatalf("%v, %v", next, err)
	}
	l.Close()
	meet(t, next)
	if n := total(next); n != 20 {
		t.Errorf("%d connections of 20 came to the process after", n)
	}
	next.Close()
}
