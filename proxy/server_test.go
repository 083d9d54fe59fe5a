package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// asked is a configuration with one HTTP listener in front of hosts.
func asked(t *testing.T, name string, hosts ...string) *config.Snapshot {
	t.Helper()
	limits := config.Breakers{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}
	c := &config.Cluster{
		Name: "web", ConnectTimeout: time.Second, BufferLimit: 1 << 20, PanicThreshold: 50,
		Breakers: [2]config.Breakers{limits, limits},
	}
	l := config.Locality{}
	for _, h := range hosts {
		l.Endpoints = append(l.Endpoints, &config.Endpoint{Address: config.Address{IP: netip.MustParseAddrPort(h)}, Weight: 1})
	}
	c.Endpoints = config.Endpoints{Localities: []config.Locality{l}}
	routes := &config.RouteTable{VirtualHosts: []*config.VirtualHost{{
		Name: name, Domains: []string{"*"},
		Routes: []*config.Route{{Match: config.RouteMatch{Path: config.PathMatch{Value: "/"}}, Action: &config.Forward{Cluster: "web", Timeout: 5 * time.Second, NotFoundStatus: 503}}},
	}}}
	h := &config.HTTP{StatPrefix: "in", Routes: routes, MaxRequestHeadersKB: 60, MaxHeaders: 100, IdleTimeout: time.Hour, DrainTimeout: time.Second, DelayedCloseTimeout: time.Second}
	snap, _, problems := config.Assemble(nil, config.Resources{
		Clusters: []*config.Cluster{c},
		Listeners: []*config.Listener{{
			Name: "in", Address: config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")}, BindToPort: true, BufferLimit: 1 << 20,
			Chains: []config.FilterChain{{Handler: h}},
		}},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return snap
}

func backend(t *testing.T, says string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, says) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func serving1(t *testing.T, snap *config.Snapshot) (*Server, string) {
	t.Helper()
	s, err := New(Options{Concurrency: 2, Log: slog.New(slog.DiscardHandler), Resolver: upstream.SystemResolver{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if err := s.Apply(snap); err != nil {
		t.Fatal(err)
	}
	for _, addrs := range s.ListenerAddrs() {
		return s, addrs[0].String()
	}
	t.Fatal("no listener")
	return nil, ""
}

func get(t *testing.T, addr string) string {
	t.Helper()
	r, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(r.StatusCode, " ", string(b))
}

// An update changes hosts and routes under a listener that stays: same socket,
// same cluster, and what is asked next goes to what is new.
func TestApplySwapsUnderAListenerThatStays(t *testing.T) {
	a, b := backend(t, "a"), backend(t, "b")
	s, addr := serving1(t, asked(t, "one", a))
	before := s.Cluster("web")
	if got := get(t, addr); got != "200 a" {
		t.Errorf("first: %q", got)
	}
	if err := s.Apply(asked(t, "two", b)); err != nil {
		t.Fatal(err)
	}
	if got := get(t, addr); got != "200 b" {
		t.Errorf("after the update: %q", got)
	}
	if s.Cluster("web") != before {
		t.Error("the cluster was made anew")
	}
	if text, err := s.Explain("path=/x"); err != nil || !strings.Contains(text, "virtual host: two") {
		t.Errorf("explain: %q, %v", text, err)
	}
}

// A listener that is not asked for any more stops accepting; a cluster too goes.
func TestApplyRetires(t *testing.T) {
	s, addr := serving1(t, asked(t, "one", backend(t, "a")))
	empty, _, _ := config.Assemble(nil, config.Resources{})
	if err := s.Apply(empty); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("still accepts")
	}
	if s.Cluster("web") != nil {
		t.Error("the cluster is still there")
	}
}

// A port that is taken is named, and nothing shares it quietly.
func TestApplyNamesAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	snap := asked(t, "one", "127.0.0.1:1")
	snap.Listeners[0].Address.IP = taken.Addr().(*net.TCPAddr).AddrPort()
	s, err := New(Options{Concurrency: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if err := s.Apply(snap); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v, want one that names %s", err, taken.Addr())
	}
}

// Draining goes on accepting, says that connections end, and ends when nothing
// is in flight.
func TestDrain(t *testing.T) {
	s, addr := serving1(t, asked(t, "one", backend(t, "a")))
	ended := make(chan error, 1)
	go func() { ended <- s.Drain(context.Background(), Every, time.Second) }()
	for says := false; !says; { // as soon as the worker has been told, which Draining does not wait for
		r, err := http.Get("http://" + addr + "/")
		if err != nil {
			t.Fatalf("no answer while draining has said that the connection ends: %v", err)
		}
		r.Body.Close()
		says = r.Close
	}
	if !s.Draining() {
		t.Error("an answer says that the connection ends, and the server that it is not draining")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("accepts after the drain")
	}
}

// What was counted is summed over the workers under Envoy's names.
func TestFigures(t *testing.T) {
	s, addr := serving1(t, asked(t, "one", backend(t, "a")))
	for range 10 {
		get(t, addr)
	}
	found := map[string]uint64{}
	for _, row := range s.Figures().Rows() {
		found[row.Name] = row.Value
	}
	for name, want := range map[string]uint64{"cluster.web.upstream_rq_total": 10, "http.in.downstream_rq_2xx": 10, "cluster.web.membership_total": 1, "server.workers_silent": 0} {
		if got, ok := found[name]; !ok || got != want {
			t.Errorf("%s: %d (there: %v), want %d", name, got, ok, want)
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
