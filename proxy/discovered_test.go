package proxy

import (
	"io"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
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

func figureOf(s *Server, name string) uint64 {
	for _, row := range s.Figures().Rows() {
		if row.Name == name {
			return row.Value
		}
	}
	return 0
}
