package admin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/lifecycle"
	"github.com/attache-mesh/attache/proxy/stats"
)

// fake is a composition that remembers what admin asked of it.
type fake struct {
	mu     sync.Mutex
	state  State
	levels map[string]string
	calls  []string
}

func (f *fake) called(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

// take gives the calls since the last take.
func (f *fake) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

var started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newFake() (*fake, Views) {
	f := &fake{levels: map[string]string{"admin": "info", "main": "info"}}
	return f, Views{
		About: About{
			Version: "attache/1.0 <dev>",
			Started: started,
			Node:    Node{ID: "n1", Cluster: "shop", Zone: "z", Metadata: map[string]any{"role": "edge"}},
			Options: map[string]any{"concurrency": 2, "config_path": "envoy.yaml", "mode": "Serve"},
		},
		State: f.currentState,
		Lifecycle: func() lifecycle.View {
			return lifecycle.View{
				Step:     lifecycle.Step{State: lifecycle.Draining, Since: started.Add(time.Hour), Why: "signal terminated", Deadline: started.Add(time.Hour + 10*time.Second)},
				WaitsFor: []string{"the application"},
				Before:   []lifecycle.Step{{State: lifecycle.Starting, Since: started, Why: "the program was started"}},
			}
		},
		Stats:      f.stats,
		Clusters:   fakeClusters,
		Listeners:  fakeListeners,
		ConfigDump: fakeDump,
		Loggers:    f.loggers,
		Certs:      fakeCerts,
		SetLogLevel: func(name, level string) bool {
			f.called("SetLogLevel %q %s", name, level)
			return true
		},
		ReopenLogs: func() { f.called("ReopenLogs") },
		Drain:      func(d Drain) { f.called("Drain %+v", d) },
		Quit:       func() { f.called("Quit") },
		SetHealthy: f.setHealthy,
		Explain: func(q string) (string, error) {
			if q == "" {
				return "", errors.New("usage: /explain?path=")
			}
			return "explained " + q + "\n", nil
		},
	}
}

func (f *fake) currentState() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *fake) setHealthy(healthy bool) {
	f.called("SetHealthy %t", healthy)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = Draining
	if healthy {
		f.state = Live
	}
}

func (f *fake) loggers() []LoggerView {
	return []LoggerView{{"admin", "info"}, {"main", "warning"}}
}

func (f *fake) stats() []stats.Row {
	var s stats.Sum
	s.Add("server.live", stats.Gauge, 1)
	s.Add("cluster.cache.upstream_rq_total", stats.Counter, 12)
	s.Add("cluster.web.upstream_rq_total", stats.Counter, 0)
	s.Add("cluster.<script>.upstream_rq_total", stats.Counter, 3)
	var h stats.Histogram
	h.Record(3)
	s.Record("cluster.cache.upstream_rq_time", &h)
	return s.Rows()
}

func fakeClusters() []ClusterView {
	limits := [2]config.Breakers{{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024, MaxRetries: 3}, {MaxConnections: 1}}
	return []ClusterView{
		{Name: "web", StatName: "web_stats", AddedViaAPI: true, Limits: limits},
		{Name: "cache", Limits: limits, Hosts: []HostView{
			{
				Address: config.Address{IP: netip.MustParseAddrPort("127.0.0.1:11311")}, Weight: 1,
				Stats: HostStats{CxActive: 2, CxConnectFail: 1, CxTotal: 5, RqTotal: 1 << 60},
			},
			{
				Address: config.Address{Path: "/run/cache\n.sock"}, Hostname: "cache-2", Weight: 7, Priority: 1,
				Health: config.HealthDraining, Ejected: true, FailedCheck: true,
				Region: "eu", Zone: "eu-1", SubZone: "a", Canary: true,
			},
		}},
	}
}

func fakeListeners() []ListenerView {
	return []ListenerView{
		{Name: "memcached", Addresses: []config.Address{
			{IP: netip.MustParseAddrPort("127.0.0.1:11211")},
			{IP: netip.MustParseAddrPort("[::1]:11211")},
			{IP: netip.MustParseAddrPort("127.0.0.1:11211"), Namespace: "/run/netns/a"},
		}},
		{Name: "web", Addresses: []config.Address{{Path: "@web"}}},
	}
}

func fakeCerts() []*config.Material {
	cert := func(serial int64, days int, names ...string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), DNSNames: names,
			NotBefore: started, NotAfter: started.Add(time.Duration(days)*24*time.Hour + 2*time.Hour),
		}
	}
	leaf := cert(0xabcdef, 30, "a.example", "b.example")
	leaf.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/a"}}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	return []*config.Material{
		{
			Certificates: []*config.Certificate{{Leaf: leaf, Path: "/etc/a.pem", OCSP: []byte{1}, OCSPExpires: started.Add(time.Hour)}},
			Validation:   &config.Validation{Path: "<inline>", Roots: []*x509.Certificate{cert(1, 300), cert(2, -1)}},
		},
		{Missing: "never-came"},
	}
}

func fakeDump(bool) ([][]byte, error) {
	return [][]byte{
		[]byte("{\n \"@type\": \"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump\",\n \"bootstrap\": {}\n}"),
		[]byte(`{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"}`),
	}, nil
}
