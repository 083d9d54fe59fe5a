package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// town is resources that change, and the server that follows them.
type town struct {
	t      testing.TB
	s      *Server
	now    config.Resources
	before *config.Snapshot
}

func newTown(t *testing.T) *town {
	t.Helper()
	s, err := New(Options{Concurrency: 2, Log: quiet(), Resolver: upstream.SystemResolver{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return &town{t: t, s: s}
}

// apply makes the resources live; what is pending or wrong is an error.
func (w *town) apply() {
	w.t.Helper()
	snap, pending, problems := config.Assemble(w.before, w.now)
	if len(pending)+len(problems) > 0 {
		w.t.Fatal(pending, problems)
	}
	w.before = snap
	if err := w.s.Apply(snap); err != nil {
		w.t.Fatal(err)
	}
}

func edsCluster(name string) *config.Cluster {
	limits := config.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	return &config.Cluster{
		Name: name, ConnectTimeout: time.Second, BufferLimit: 1 << 20, PanicThreshold: 50,
		Breakers: [2]config.Breakers{limits, limits}, Discovery: config.DiscoveryEDS, EDSName: name,
	}
}

func endpointsAt(name string, hosts ...string) *config.Endpoints {
	l := config.Locality{}
	for _, h := range hosts {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: config.Address{IP: netip.MustParseAddrPort(h)}, Weight: 1})
	}
	return &config.Endpoints{Cluster: name, Localities: []config.Locality{l}, OverprovisioningFactor: 140}
}

func tableTo(name, cluster string) *config.RouteTable {
	return &config.RouteTable{Name: name, VirtualHosts: []*config.VirtualHost{{
		Name: cluster, Domains: []string{"*"},
		Routes: []*config.Route{{Match: config.RouteMatch{Path: config.PathMatch{Value: "/"}}, Action: &config.Forward{Cluster: cluster, Timeout: 5 * time.Second, NotFoundStatus: 503}}},
	}}}
}

func webListener(name, at, table string) *config.Listener {
	return &config.Listener{
		Name: name, Address: config.Address{IP: netip.MustParseAddrPort(at)}, BindToPort: true, BufferLimit: 1 << 20,
		Chains: []config.FilterChain{{Handler: &config.HTTP{
			StatPrefix: name, RouteTableName: table, RouteSource: config.Source{Kind: config.SourceADS},
			MaxRequestHeadersKB: 60, MaxHeaders: 100, IdleTimeout: time.Hour, DrainTimeout: time.Second, DelayedCloseTimeout: time.Second,
		}}},
	}
}

// free is a port that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// line is one client connection that stays.
type line struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *line {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &line{t, c, bufio.NewReader(c)}
}

func (l *line) get() string {
	l.t.Helper()
	_ = l.c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(l.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		l.t.Fatal(err)
	}
	r, err := http.ReadResponse(l.r, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprint(r.StatusCode, " ", string(b), r.Close)
}

// shop is a town with listener in, table t, clusters a and b.
func shop(t *testing.T) (w *town, addr string) {
	w, addr = newTown(t), free(t)
	w.now = config.Resources{
		Clusters:    []*config.Cluster{edsCluster("a"), edsCluster("b")},
		Endpoints:   []*config.Endpoints{endpointsAt("a", backend(t, "a")), endpointsAt("b", backend(t, "b"))},
		RouteTables: []*config.RouteTable{tableTo("t", "a")},
		Listeners:   []*config.Listener{webListener("in", addr, "t")},
	}
	w.apply()
	return w, addr
}

// A connection that stands follows the new table with its next request.
func TestRouteTableIsSwappedUnderLiveConnections(t *testing.T) {
	w, addr := shop(t)
	l := dial(t, addr)
	if got := l.get(); got != "200 afalse" {
		t.Fatal(got)
	}
	room := w.s.listeners["in"].rooms[0]
	w.now.RouteTables = []*config.RouteTable{tableTo("t", "b")}
	w.apply()
	if got := l.get(); got != "200 bfalse" {
		t.Errorf("after the swap: %q", got)
	}
	if w.s.listeners["in"].rooms[0] != room || len(w.s.retired) > 0 {
		t.Error("the room was built again")
	}
}

// The same for a table that stands in the listener.
func TestInlineTableIsSwappedUnderLiveConnections(t *testing.T) {
	w, addr := shop(t)
	inline := func(cluster string) *config.Listener {
		l := webListener("in", addr, "")
		l.Chains[0].Handler.(*config.HTTP).Routes = tableTo("own", cluster)
		return l
	}
	l := dial(t, addr)
	for _, cluster := range []string{"a", "b", "a"} {
		w.now.Listeners = []*config.Listener{inline(cluster)}
		w.apply()
		if got := l.get(); got != "200 "+cluster+"false" {
			t.Errorf("routed to %s: %q", cluster, got)
		}
	}
	if len(w.s.retired) > 0 {
		t.Error("a room was retired")
	}
}

// New endpoints of one cluster leave the other alone, and the hosts that stay.
func TestEndpointsChangeOneCluster(t *testing.T) {
	w, addr := shop(t)
	l := dial(t, addr)
	l.get()
	host := func() (h *upstream.Host) {
		for e := range w.s.Cluster("a").Entries {
			return e.Host
		}
		return nil
	}
	a, b, before := w.s.Cluster("a").Config(), w.s.Cluster("b").Config(), host()
	more := endpointsAt("a", before.Address.String(), backend(t, "a"))
	w.now.Endpoints = []*config.Endpoints{more, w.now.Endpoints[1]}
	w.apply()
	if w.s.Cluster("a").Config() == a || w.s.Cluster("a").Hosts() != 2 {
		t.Error("the new host is not there")
	}
	if w.s.Cluster("b").Config() != b {
		t.Error("the other cluster was touched")
	}
	if host() != before || before.Removed() {
		t.Error("the host that stays is another one")
	}
	if got := l.get(); got != "200 afalse" {
		t.Error(got)
	}
}

// A cluster that is gone stays while a table names it, and goes after.
func TestRemovedClusterOutlivesTheTableThatNamesIt(t *testing.T) {
	w, addr := shop(t)
	l := dial(t, addr)
	all := w.now.Clusters
	w.now.Clusters = all[1:]
	w.apply()
	if got := l.get(); got != "200 afalse" || len(w.before.Kept) != 1 {
		t.Errorf("%q, kept %v", got, w.before.Kept)
	}
	w.now.RouteTables = []*config.RouteTable{tableTo("t", "b")}
	w.apply()
	if w.s.Cluster("a") != nil || len(w.s.leaving) > 0 {
		t.Error("still there")
	}
	if got := l.get(); got != "200 bfalse" {
		t.Error(got)
	}
	w.now.Clusters = all
	w.now.RouteTables = []*config.RouteTable{tableTo("t", "a")}
	w.apply()
	if got := l.get(); got != "200 afalse" {
		t.Errorf("back again: %q", got)
	}
}

// A table that names a cluster that does not exist answers for it, and finds it
// once it is there.
func TestTableFindsAClusterThatComesLater(t *testing.T) {
	w, addr := shop(t)
	w.now.RouteTables = []*config.RouteTable{tableTo("t", "c")}
	w.apply()
	l := dial(t, addr)
	if got := l.get(); !strings.HasPrefix(got, "503") {
		t.Errorf("without the cluster: %q", got)
	}
	w.now.Clusters = append(w.now.Clusters, edsCluster("c"))
	w.now.Endpoints = append(w.now.Endpoints, endpointsAt("c", backend(t, "c")))
	w.apply()
	if got := l.get(); got != "200 cfalse" {
		t.Errorf("with it: %q", got)
	}
}

// Listeners change their name, their address, and their addresses with each
// other; connections stay, and at every moment somebody listens.
func TestListenersMove(t *testing.T) {
	w, one := shop(t)
	two := free(t)
	for _, step := range []struct {
		name  string
		asked []*config.Listener
		at    []string
	}{
		{"another address", []*config.Listener{webListener("in", two, "t")}, []string{two}},
		{"another name", []*config.Listener{webListener("renamed", two, "t")}, []string{two}},
		{"two", []*config.Listener{webListener("renamed", two, "t"), webListener("in", one, "t")}, []string{one, two}},
		{"change places", []*config.Listener{webListener("renamed", one, "t"), webListener("in", two, "t")}, []string{one, two}},
	} {
		w.now.Listeners = step.asked
		w.apply()
		for _, addr := range step.at {
			if got := dial(t, addr).get(); got != "200 afalse" {
				t.Errorf("%s: %s answers %q", step.name, addr, got)
			}
		}
	}
}

// Once listeners were told to close, no update opens one, whatever it changes;
// connections that are there are served on, by what comes.
func TestClosedListenersStayClosed(t *testing.T) {
	w, one := shop(t)
	two := free(t)
	l := dial(t, one)
	if got := l.get(); got != "200 afalse" {
		t.Fatal(got)
	}
	w.s.CloseListeners(Every)
	for _, asked := range [][]*config.Listener{
		{webListener("in", one, "t")},
		{webListener("in", two, "t")},
		{webListener("in", one, "t"), webListener("more", two, "t")},
		{webListener("more", one, "t")},
		{webListener("in", two, "t"), webListener("more", one, "t")},
	} {
		w.now.Listeners = asked
		w.apply()
		for _, addr := range []string{one, two} {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				t.Errorf("%s accepts", addr)
			}
		}
	}
}

// A listener that cannot have its new address keeps the old one.
func TestListenerThatCannotMoveStays(t *testing.T) {
	w, addr := shop(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	moved := webListener("in", addr, "t")
	moved.Additional = []config.Address{{IP: netip.MustParseAddrPort(l.Addr().String())}}
	w.now.Listeners = []*config.Listener{moved}
	snap, _, _ := config.Assemble(w.before, w.now)
	problems := Problems(w.s.Apply(snap))
	if len(problems) != 1 || problems[0].Resource != "listener in" || !strings.Contains(problems[0].Text, l.Addr().String()) {
		t.Errorf("problems %v", problems)
	}
	if got := dial(t, addr).get(); got != "200 afalse" {
		t.Error(got)
	}
	l.Close()
	if err := w.s.Apply(snap); err != nil {
		t.Errorf("again: %v", err)
	}
	if got := dial(t, l.Addr().String()).get(); got != "200 afalse" {
		t.Error(got)
	}
}

// Whatever changes, a hundred times a second, no request fails.
func TestManyAppliesLoseNoRequest(t *testing.T) {
	w, addr := shop(t)
	hosts := []string{backend(t, "x"), backend(t, "y"), backend(t, "z")}
	w.now.Endpoints[0] = endpointsAt("a", hosts...)
	w.apply()
	var stop atomic.Bool
	var asked, failed atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for !stop.Load() {
				l, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				talk(t, l, &stop, &asked, &failed)
			}
		})
	}
	clusters, endpoints := w.now.Clusters, w.now.Endpoints
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 300 {
		<-tick.C
		w.now.Endpoints = append([]*config.Endpoints{endpointsAt("a", hosts[i%3], hosts[(i+1)%3])}, endpoints[1:]...)
		w.now.RouteTables = []*config.RouteTable{tableTo("t", []string{"a", "b"}[i%2])}
		w.now.Clusters = clusters[i/10%2*(i%2):] // a comes and goes
		if i%50 == 49 {
			changed := webListener("in", addr, "t")
			changed.Chains[0].Handler.(*config.HTTP).ServerName = fmt.Sprint("s", i)
			w.now.Listeners = []*config.Listener{changed}
		}
		w.apply()
	}
	stop.Store(true)
	clients.Wait()
	if asked.Load() < 1000 || failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	w.s.tidy()
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.s.retired) > 2 {
		t.Errorf("%d rooms are still kept", len(w.s.retired))
	}
}

// talk asks over one connection until it is told to end it.
func talk(t *testing.T, c net.Conn, stop *atomic.Bool, asked, failed *atomic.Int64) {
	defer c.Close()
	r := bufio.NewReader(c)
	for !stop.Load() {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		asked.Add(1)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			return // closed while idle
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return // the same, seen later
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 {
			failed.Add(1)
			t.Errorf("answer %d %q, %v", answer.StatusCode, body, err)
		}
		if answer.Close {
			return
		}
	}
}
