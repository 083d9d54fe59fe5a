package listener

import (
	"net/netip"
	"os"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// A network namespace that has lost its path (ip netns del) lives on in its sockets: the
// process that comes after takes them. One that has got another's path is let go.
func TestInheritedNamespace(t *testing.T) {
	for _, oneSocket := range []bool{false, true} {
		ws := workers(t)
		plan := &Plan{Chains: []Chain{{Room: bye{}}}}
		path := nstest.New(t)
		there, err := os.Readlink(path)
		if err != nil {
			t.Fatal(err)
		}
		asked := &config.Listener{Name: "l", BindToPort: true, OneSocket: oneSocket, Address: config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0"), Namespace: path}}
		l, err := Open(asked, plan, ws, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := &Inherited{}
		give := func(l *Listener) {
			given, err := l.Sockets()
			if err != nil || len(given) != 1 {
				t.Fatalf("%+v, %v are given on", given, err)
			}
			before.Add(given[0].Key, given[0].FDs...)
		}
		give(l)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		next, err := Open(asked, plan, ws, before)
		if err != nil {
			t.Fatalf("one socket %v: %v", oneSocket, err)
		}
		if next.Addrs()[0] != l.Addrs()[0] {
			t.Errorf("one socket %v: at %+v, want %+v", oneSocket, next.Addrs()[0], l.Addrs()[0])
		}
		l.Close()
		c, err := nstest.Dial(there, next.Addrs()[0].IP)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		_, _ = c.Read(b[:]) // until it is over
		c.Close()
		if n := total(next); n != 1 {
			t.Errorf("one socket %v: %d connections of 1", oneSocket, n)
		}

		give(next)
		nstest.At(t, path)
		if fds := before.take(key("l", 0, asked.Address), path); fds != nil {
			t.Errorf("one socket %v: sockets %v of the namespace before are kept", oneSocket, fds)
		}
		next.Close()
	}
}
