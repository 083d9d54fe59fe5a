package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// greet listens at a and tells each client the namespace that its listener is in; with a
// proxy's word for it as well.
func greet(t *testing.T, w *Worker, a config.Address) *Listener {
	t.Helper()
	var l *Listener
	on(w, func() {
		var err error
		if l, err = w.Listen(a, ListenOptions{}, func(c *Conn) {
			kernels := c.Local()
			c.Restore(netip.MustParseAddrPort("192.0.2.1:80"))
			c.SetOrigin(netip.MustParseAddrPort("192.0.2.2:1"), kernels, nil)
			_, _ = io.WriteString(c, c.Namespace()+" "+c.Local().String())
			c.Close()
		}); err != nil {
			t.Error(err)
		}
	})
	if l == nil {
		t.FailNow()
	}
	return l
}

// One address in two namespaces and in the program's own: workers share each, and a client
// reaches the listener of its own network.
func TestListenInNamespaces(t *testing.T) {
	one, two := nstest.New(t), nstest.New(t)
	w, x := running(t), running(t)
	at := greet(t, w, anyPort()).Addr()
	for _, namespace := range []string{one, two} {
		there := at
		there.Namespace = namespace
		for _, worker := range []*Worker{w, x} {
			if got := greet(t, worker, there).Addr(); got != there {
				t.Errorf("it listens at %s, want %s", got.Place(), there.Place())
			}
		}
		for range 20 {
			c, err := nstest.Dial(namespace, at.IP)
			if err != nil {
				t.Fatal(err)
			}
			if said := all(t, c); said != namespace+" "+at.IP.String() {
				t.Errorf("in %s the listener says %q", namespace, said)
			}
		}
		if err := w.CheckFree(there); err == nil || !strings.Contains(err.Error(), there.Place()) {
			t.Errorf("that %s is taken: %v", there.Place(), err)
		}
		there.IP = netip.AddrPortFrom(there.IP.Addr(), there.IP.Port()^1)
		if err := w.CheckFree(there); err != nil {
			t.Errorf("that %s is free: %v", there.Place(), err)
		}
	}
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	if said := all(t, c); said != " "+at.IP.String() {
		t.Errorf("in the program's own network the listener says %q", said)
	}
}

func all(t *testing.T, c net.Conn) string {
	t.Helper()
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// A worker that listens on a socket of another process knows the namespace as well.
func TestListenOnInNamespace(t *testing.T) {
	there := anyPort()
	there.Namespace = nstest.New(t)
	w, x := running(t), running(t)
	var fd int
	var l, next *Listener
	on(w, func() {
		var err error
		if l, err = w.Listen(there, ListenOptions{}, func(c *Conn) { c.Close() }); err != nil {
			t.Error(err)
			return
		}
		if fd, err = l.Duplicate(); err != nil {
			t.Error(err)
		}
		l.Close()
	})
	on(x, func() {
		var err error
		if next, err = x.ListenOn(fd, there, ListenOptions{}, func(c *Conn) {
			_, _ = io.WriteString(c, c.Namespace())
			c.Close()
		}); err != nil {
			t.Error(err)
		}
	})
	if next == nil {
		t.FailNow()
	}
	if next.Addr().Namespace != there.Namespace {
		t.Errorf("it listens at %s", next.Addr().Place())
	}
	c, err := nstest.Dial(there.Namespace, next.Addr().IP)
	if err != nil {
		t.Fatal(err)
	}
	if said := all(t, c); said != there.Namespace {
		t.Errorf("it says %q", said)
	}
}

// A namespace that is not there is named, and nothing listens.
func TestListenInNoNamespace(t *testing.T) {
	w := running(t)
	there := anyPort()
	there.Namespace = filepath.Join(t.TempDir(), "none")
	on(w, func() {
		for _, shared := range []*SharedSocket{nil, {}} {
			_, err := w.Listen(there, ListenOptions{Shared: shared}, func(*Conn) {})
			if want := "127.0.0.1:0: network namespace " + there.Namespace + ": there is no such file"; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// Connections are made in the namespace that they are to come from, and nothing else is.
func TestDialFromNamespace(t *testing.T) {
	namespace := nstest.New(t)
	there, err := nstest.Listen(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	go func() {
		for {
			c, err := there.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "from "+c.RemoteAddr().(*net.TCPAddr).IP.String())
			c.Close()
		}
	}()
	to := config.Address{IP: netip.MustParseAddrPort(there.Addr().String())}
	w := running(t)
	dial := func(from *config.LocalAddress) (string, error) {
		var text []byte
		var err error
		done := make(chan struct{})
		w.Post(func() {
			w.Go(func() {
				defer close(done)
				var c *Conn
				if c, err = w.DialFrom(from, to, 5*time.Second, config.Keepalive{}, nil); err == nil {
					text, err = io.ReadAll(c)
					c.Close()
				}
			})
		})
		<-done
		return string(text), err
	}
	for range 20 {
		if said, err := dial(&config.LocalAddress{Namespace: namespace, Address: netip.MustParseAddrPort("127.0.0.9:0")}); said != "from 127.0.0.9" || err != nil {
			t.Errorf("%q, %v", said, err)
		}
	}
	for _, elsewhere := range []*config.LocalAddress{nil, {}, {Namespace: nstest.New(t)}} {
		if said, err := dial(elsewhere); err == nil && said == "from 127.0.0.1" {
			t.Errorf("%+v: it is reached", elsewhere)
		}
	}
	var failed *NamespaceError
	if _, err := dial(&config.LocalAddress{Namespace: filepath.Join(t.TempDir(), "none")}); !errors.As(err, &failed) || !strings.Contains(err.Error(), "there is no such file") {
		t.Errorf("from a namespace that is not there: %v", err)
	}
	if _, err := dial(&config.LocalAddress{Namespace: namespace, Address: netip.MustParseAddrPort("192.0.2.1:0")}); err == nil || !strings.HasPrefix(err.Error(), "bind: ") {
		t.Errorf("from an address that the namespace does not have: %v", err)
	}
}
