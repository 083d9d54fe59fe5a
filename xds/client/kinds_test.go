package client

// RTDS, files, time-outs, what is kept while something names it.

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// A route that a runtime value turns on and off follows RTDS.
func TestRuntimeIsReadAgain(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			routes := table("r", "a")
			routes.VirtualHosts[0].Routes[0].Match.RuntimeFraction = &corev3.RuntimeFractionalPercent{
				RuntimeKey: "part", DefaultValue: &typev3.FractionalPercent{Numerator: 100},
			}
			layer := func(percent float64) *runtimev3.Runtime {
				v, err := structpb.NewStruct(map[string]any{"part": percent})
				if err != nil {
					t.Fatal(err)
				}
				return &runtimev3.Runtime{Name: "live", Layer: v}
			}
			all := func(percent float64) {
				s.set(t, layer(percent), m.cluster("a"), endpoints("a", 1001), m.listener("l", 0, "r"), routes)
			}
			all(10)
			o := m.options(s.address, r)
			o.Layers = []Layer{{Name: "live", Source: o.CDS}}
			o.Runtime = func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem) {
				return envoyv3.ReadRuntime("layered_runtime", &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
					Name: "live", LayerSpecifier: &bootstrapv3.RuntimeLayer_RtdsLayer_{RtdsLayer: &bootstrapv3.RuntimeLayer_RtdsLayer{Name: "live"}},
				}}}, layers)
			}
			c := run(t, o)
			readySoon(t, c)
			part := func() any { return r.last().RouteTable("r").VirtualHosts[0].Routes[0].Match }
			ten := part()
			all(70)
			eventually(t, "the new value", func() bool { return !deepEqual(part(), ten) })
			all(10)
			eventually(t, "the old value", func() bool { return deepEqual(part(), ten) })
		})
	}
}

// Files: read at the start, again when another is moved into place, also by
// Kubernetes' links; a broken one changes nothing.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "."+name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "."+name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	cds := func(names ...string) string {
		text := "version_info: \"1\"\nresources:\n"
		for _, n := range names {
			text += "- {\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: " + n + ", connect_timeout: 1s, type: EDS,\n" +
				"   eds_cluster_config: {eds_config: {path_config_source: {path: " + filepath.Join(dir, "eds.json") + "}}}}\n"
		}
		return text
	}
	write("eds.json", `{"resources": [{"@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name": "a",
		"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 7}}}}]}]}]}`)
	write("cds.yaml", cds("a"))
	r := newRecorder()
	o := modes[0].options(address0, r)
	o.ADS, o.LDS = nil, config.Source{}
	o.CDS = config.Source{Kind: config.SourcePath, Path: filepath.Join(dir, "cds.yaml"), InitialFetchTimeout: 15 * time.Second}
	c := run(t, o)
	readySoon(t, c)
	if !is(ports(r.last(), "a"), 7) {
		t.Fatal("the endpoints in the file are not there")
	}
	if from, _ := c.Source(); from != "file" {
		t.Errorf("source %s", from)
	}
	write("cds.yaml", "resources: [oops")
	eventually(t, "the broken file is counted", func() bool { return rejected(c) == 1 })
	if r.last().Cluster("a") == nil {
		t.Error("a broken file took a away")
	}
	write("cds.yaml", cds("a", "b"))
	eventually(t, "b waits for its endpoints", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.pending["cluster b"] != ""
	})
	if r.last().Cluster("a") == nil {
		t.Error("a is gone")
	}
}

func rejected(c *Client) uint64 {
	sum := &stats.Sum{}
	c.Stats(sum)
	for _, row := range sum.Rows() {
		if row.Name == "cluster_manager.cds.update_rejected" {
			return row.Value
		}
	}
	return 0
}

// Without a control plane the wait ends after initial_fetch_timeout, kind by
// kind; with 0 it does not end.
func TestInitialFetchTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
		readyAt time.Duration // 0: never
	}{
		{"15 s for clusters, then 15 s for listeners", 15 * time.Second, 30 * time.Second},
		{"for ever", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder()
				o := modes[0].options(address0, r)
				o.CDS.InitialFetchTimeout, o.LDS.InitialFetchTimeout = c.timeout, c.timeout
				client, stop := ran(t, o)
				defer stop()
				begin := time.Now()
				select {
				case <-client.Ready():
					if took := time.Since(begin); c.readyAt == 0 || took != c.readyAt {
						t.Errorf("ready after %s", took)
					}
				case <-time.After(time.Hour):
					if c.readyAt != 0 {
						t.Error("not ready")
					}
				}
			})
		})
	}
}

// A cluster that the control plane takes away stays as long as a route names it.
func TestClusterStaysWhileNamed(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			both := table("r", "a")
			both.VirtualHosts[0].Routes = append([]*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/b"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "b"}}},
			}}, both.VirtualHosts[0].Routes...)
			s.set(t, m.cluster("a"), m.cluster("b"), endpoints("a", 1), endpoints("b", 2), m.listener("l", 0, "r"), both)
			c := run(t, m.options(s.address, r))
			readySoon(t, c)
			s.set(t, m.cluster("a"), endpoints("a", 3), m.listener("l", 0, "r"), both)
			r.until(t, "a's new endpoint", func(s *config.Snapshot) bool { return is(ports(s, "a"), 3) })
			eventually(t, "b is kept", func() bool { return len(r.last().Kept) == 1 && is(ports(r.last(), "b"), 2) })
			s.set(t, m.cluster("a"), endpoints("a", 3), m.listener("l", 0, "r"), table("r", "a"))
			r.until(t, "b is gone", func(s *config.Snapshot) bool { return s.Cluster("b") == nil && len(s.Kept) == 0 })
		})
	}
}

// A listener that names a cluster which comes later is taken when it has come.
func TestRefusedForLackIsTriedAgain(t *testing.T) {
	m := modes[2]
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	s.set(t, m.cluster("a"), endpoints("a", 1))
	c := run(t, m.options(s.address, r))
	readySoon(t, c)
	lds := tcpListener("t", "b")
	s.set(t, m.cluster("a"), endpoints("a", 1), lds)
	eventually(t, "the NACK", func() bool { return len(s.refusals()) == 1 })
	s.set(t, m.cluster("a"), m.cluster("b"), endpoints("a", 1), endpoints("b", 2), lds)
	r.until(t, "the listener", func(s *config.Snapshot) bool { return s.Listener("t") != nil })
	for _, x := range c.states() {
		if x.refused != nil {
			t.Errorf("%s is still said to be refused", x.name)
		}
	}
}
