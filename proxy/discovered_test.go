package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

// A connection manager that came by discovery, and those that follow it: connections stay with
// theirs, which follows its route table for as long, and go when their listener says so.
func TestConnectionsOutliveWhatCameByDiscovery(t *testing.T) {
	w, addr := newTown(t), free(t)
	manager := func(prefix, table string) *config.Extension {
		h := webListener("in", addr, table).Chains[0].Handler.(*config.HTTP)
		h.StatPrefix = prefix
		return &config.Extension{Name: "served", Type: "http", Config: h}
	}
	l := webListener("in", addr, "")
	l.StatPrefix = "in"
	l.Chains[0].Handler = nil
	l.Chains[0].Discovery = &config.FilterDiscovery{Name: "served", Of: config.NetworkFilters, Last: true, Types: []string{"http"}}
	w.now = config.Resources{
		Clusters:    []*config.Cluster{edsCluster("a"), edsCluster("b")},
		Endpoints:   []*config.Endpoints{endpointsAt("a", backend(t, "a")), endpointsAt("b", backend(t, "b"))},
		RouteTables: []*config.RouteTable{tableTo("t", "a"), tableTo("u", "a")},
		Listeners:   []*config.Listener{l}, Extensions: []*config.Extension{manager("one", "t")},
	}
	expect := func(of *line, want string) {
		t.Helper()
		if got := of.get(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	w.apply()
	one := dial(t, addr)
	expect(one, "200 afalse")

	w.now.Extensions = []*config.Extension{manager("two", "t")}
	w.apply()
	two := dial(t, addr)
	expect(two, "200 afalse")
	expect(one, "200 afalse")
	if n := figureOf(w.s, "http.one.downstream_rq_total"); n != 2 {
		t.Errorf("the first one has counted %d", n)
	}

	w.now.RouteTables = []*config.RouteTable{tableTo("t", "b"), tableTo("u", "b")}
	w.apply()
	expect(one, "200 bfalse")
	expect(two, "200 bfalse")

	w.now.Extensions = []*config.Extension{manager("two", "u")} // its table is not all that changes
	w.now.Extensions[0].Config.(*config.HTTP).MaxHeaders = 50
	w.now.RouteTables = w.now.RouteTables[1:]
	w.apply()
	w.now.Clusters[1] = edsCluster("b")
	w.now.Clusters[1].ConnectTimeout = 2 * time.Second
	w.apply()
	expect(one, "200 bfalse") // whose table nobody names any more
	expect(two, "200 bfalse")

	w.now.Extensions = []*config.Extension{{Name: "served", Missing: true}}
	w.apply()
	none := dial(t, addr)
	_ = none.c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := none.r.ReadByte(); err != io.EOF {
		t.Errorf("without a configuration: %v", err)
	}
	if n := figureOf(w.s, "listener.in.network_extension_config_missing"); n != 1 {
		t.Errorf("%d were closed for want of a configuration", n)
	}
	expect(one, "200 bfalse")

	static := webListener("in", addr, "u")
	static.StatPrefix = "in"
	w.now.Listeners = []*config.Listener{static}
	w.now.Extensions = nil
	w.apply()
	expect(dial(t, addr), "200 bfalse")
	for i, gone := range []*line{one, two} { // idle ones are closed
		_ = gone.c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := gone.r.ReadByte(); err != io.EOF {
			t.Errorf("connection %d, when its listener has another chain: %v", i, err)
		}
	}
}

// managed is a town whose one listener is served by the connection manager that served makes.
func managed(t *testing.T) (w *town, l *config.Listener, addr string, served func(prefix string, h *config.HTTP)) {
	w, addr = newTown(t), free(t)
	l = webListener("in", addr, "")
	l.StatPrefix = "in"
	l.Chains[0].Handler = nil
	l.Chains[0].Discovery = &config.FilterDiscovery{Name: "served", Of: config.NetworkFilters, Last: true, Types: []string{"http"}}
	w.now = config.Resources{
		Clusters:    []*config.Cluster{edsCluster("a"), edsCluster("b")},
		Endpoints:   []*config.Endpoints{endpointsAt("a", backend(t, "a")), endpointsAt("b", backend(t, "b"))},
		RouteTables: []*config.RouteTable{tableTo("t", "a")},
		Listeners:   []*config.Listener{l},
	}
	return w, l, addr, func(prefix string, h *config.HTTP) {
		h.StatPrefix = prefix
		w.now.Extensions = []*config.Extension{{Name: "served", Type: "http", Config: h}}
		w.apply()
	}
}

func managerOf(table string) *config.HTTP {
	return webListener("in", "127.0.0.1:1", table).Chains[0].Handler.(*config.HTTP)
}

// A filter before those that came by discovery goes on with what it has counted, whoever comes
// after it: also if its listener came once more in between.
func TestFixedFilterBeforeWhatComes(t *testing.T) {
	w, l, addr, served := managed(t)
	fixed := func() []config.NetworkFilter {
		return []config.NetworkFilter{{Name: "limit", Config: &config.ConnectionLimit{StatPrefix: "c", Max: 2}}}
	}
	l.Chains[0].Filters = fixed()
	served("one", managerOf("t"))
	one := dial(t, addr)
	one.get()

	again := *l
	again.Chains = []config.FilterChain{l.Chains[0]}
	again.Chains[0].Filters = fixed()
	w.now.Listeners = []*config.Listener{&again}
	w.apply()
	served("two", managerOf("t"))
	two := dial(t, addr)
	two.get()
	served("three", managerOf("t"))
	three := dial(t, addr)
	_ = three.c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := three.r.ReadByte(); err != io.EOF {
		t.Errorf("the third connection of two: %v", err)
	}
	if n := figureOf(w.s, "connection_limit.c.limited_connections"); n != 1 {
		t.Errorf("%d were refused", n)
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // until the third is closed here too
		n := figureOf(w.s, "connection_limit.c.active_connections")
		if n == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are open", n)
		}
	}
	one.get()
	two.get()
}

// A connection that is on its way to what is followed is served there. If it is so late that
// nobody looks after that any more, it is told to go.
func TestLateForWhatWasFollowed(t *testing.T) {
	for looks := range 3 {
		w, l, addr, served := managed(t)
		w.s.mu.Lock()
		w.s.tidying = true // here, and not when it is time
		w.s.mu.Unlock()
		w.secret(pki.New(t, "ca").Issue(pki.Leaf{CommonName: "a"}).Spec("cert"))
		secure(l, refs("cert"), nil)
		served("one", managerOf("t"))
		raw := dial(t, addr)
		for deadline := time.Now().Add(5 * time.Second); figureOf(w.s, "listener.in.downstream_cx_total") == 0; {
			if time.Now().After(deadline) {
				t.Fatal("it does not come in")
			}
		}
		served("two", managerOf("t"))
		for range looks {
			w.s.mu.Lock()
			w.s.forgetEmpty()
			w.s.mu.Unlock()
		}
		c := tls.Client(raw.c, &tls.Config{InsecureSkipVerify: true})
		late := &line{t, c, bufio.NewReader(c)}
		if got, want := late.get(), fmt.Sprint("200 a", looks == 2); got != want {
			t.Errorf("after %d looks: %q, want %q", looks, got, want)
		}
		if looks == 2 {
			continue
		}
		w.now.RouteTables = []*config.RouteTable{tableTo("t", "b")}
		w.apply()
		if got := late.get(); got != "200 bfalse" {
			t.Errorf("after %d looks, by another table: %q", looks, got)
		}
	}
}

// A connection manager that was followed misses a cluster that is gone, and takes one that comes,
// though its table wanted all of them when it came.
func TestFollowedWithoutItsCluster(t *testing.T) {
	w, _, addr, served := managed(t)
	h := managerOf("")
	h.Routes = tableTo("own", "b")
	h.Routes.ValidateClusters = true
	served("one", h)
	one := dial(t, addr)
	expect := func(want string) {
		t.Helper()
		if got := one.get(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect("200 bfalse")
	served("two", managerOf("t"))
	expect("200 bfalse")
	both, hosts := w.now.Clusters, w.now.Endpoints
	w.now.Clusters, w.now.Endpoints = both[:1], hosts[:1]
	w.apply()
	expect("503 false")
	w.now.Clusters, w.now.Endpoints = both, hosts
	w.apply()
	expect("200 bfalse")
}

func figureOf(s *Server, name string) uint64 {
	for _, row := range s.Figures().Rows() {
		if row.Name == name {
			return row.Value
		}
	}
	return 0
}
