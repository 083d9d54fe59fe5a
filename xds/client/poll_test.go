package client

// REST polling, of go-control-plane's own gateway and of servers that misbehave.

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// gateway is a control plane that is polled.
type gateway struct {
	stock   *stock
	address netip.AddrPort

	mu    sync.Mutex
	say   func(http.ResponseWriter, *http.Request) bool // in place of the gateway, if it says true
	asked map[string][]string                           // versions that were said, by path and names
	codes map[int]int
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{stock: newStock(t, "127.0.0.1:0"), asked: map[string][]string{}, codes: map[int]int{}}
	h := &serverv3.HTTPGateway{Server: serverv3.NewServer(t.Context(), g.stock.cache, nil)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.note(r)
		g.mu.Lock()
		say := g.say
		g.mu.Unlock()
		if say != nil && say(w, r) {
			return
		}
		body, code, _ := h.ServeHTTP(r)
		g.mu.Lock()
		g.codes[code]++
		g.mu.Unlock()
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	g.address = netip.MustParseAddrPort(s.Listener.Addr().String())
	return g
}

// note writes a request down, and lets it be read again.
func (g *gateway) note(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	var said struct {
		Version string          `json:"version_info"`
		Names   []string        `json:"resource_names"`
		Error   json.RawMessage `json:"error_detail"`
	}
	_ = json.Unmarshal(body, &said)
	if said.Error != nil {
		said.Version += " with an error"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/v3/discovery:") + fmt.Sprint(said.Names)
	g.asked[key] = append(g.asked[key], said.Version)
}

func (g *gateway) answers(say func(http.ResponseWriter, *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.say = say
}

// requests are the versions that were said when these names of a type were asked for.
func (g *gateway) requests(of string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked[of])
}

func (g *gateway) answered(code int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.codes[code]
}

func down(w http.ResponseWriter, _ *http.Request) bool {
	http.Error(w, "down", http.StatusServiceUnavailable)
	return true
}

// polling is a way of connecting beside those of modes.
var polling = mode{"polls", false, true, true}

var often = &config.Poll{Delay: 5 * time.Millisecond, Timeout: 5 * time.Second}

// options poll the gateway for everything.
func (g *gateway) options(applied *recorder) Options {
	o := polling.options(g.address, applied)
	o.CDS.API = &config.APISource{Servers: []config.XDSServer{{Cluster: "control"}}, Poll: often, Sum: "polls"}
	o.LDS = o.CDS
	return o
}

// rows are the client's statistics.
func rows(c *Client) map[string]string {
	sum := &stats.Sum{}
	c.Stats(sum)
	all := map[string]string{}
	for _, r := range sum.Rows() {
		if all[r.Name] = r.Text; r.Kind != stats.Text {
			all[r.Name] = fmt.Sprint(r.Value)
		}
	}
	return all
}

// A control plane as others write them is polled: everything comes, what changes
// changes alone, what is gone goes, and what has not changed is not sent again.
func TestPolled(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001), polling.cluster("b"), endpoints("b", 2001), polling.listener("l", 0, "r"), table("r", "a"))
	c := run(t, g.options(r))
	readySoon(t, c)
	if snap := r.last(); !is(ports(snap, "a"), 1001) || !is(ports(snap, "b"), 2001) || snap.Listener("l") == nil || snap.RouteTable("r") == nil {
		t.Fatalf("ready with %+v", snap)
	}
	before := r.last().Listener("l")
	eventually(t, "nothing new", func() bool { return g.answered(http.StatusNotModified) > 10 })

	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001, 1002), polling.cluster("b"), endpoints("b", 2001), polling.listener("l", 0, "r"), table("r", "a"))
	r.until(t, "the second endpoint", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1001, 1002) })
	if r.last().Listener("l") != before {
		t.Error("a change of endpoints made a new listener")
	}

	g.stock.set(t, polling.cluster("b"), endpoints("b", 2001), polling.listener("l", 0, "r"), table("r", "b"))
	r.until(t, "a gone", func(s *config.Snapshot) bool { return s.Cluster("a") == nil && s.Cluster("b") != nil })
	polls := len(g.requests("endpoints[a]"))
	eventually(t, "b polled on", func() bool { return len(g.requests("endpoints[b]")) > polls+5 })
	if n := len(g.requests("endpoints[a]")); n > polls+1 {
		t.Errorf("polled %d times for what nobody names", n-polls)
	}
	eventually(t, "the last version said", func() bool {
		got := g.requests("clusters[]")
		return got[0] == "" && got[len(got)-1] == "3"
	})
	if got := g.answered(http.StatusOK); got > 15 { // 3 snapshots of 4 to 5 subscriptions
		t.Errorf("%d answers with content", got)
	}
}

// What a stream reports polls report, too: a bad resource among good ones, an answer
// that is none, and a server that is away change nothing that is in use.
func TestPollsThatFail(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001), polling.cluster("b"), endpoints("b", 2001))
	o := g.options(r)
	o.LDS = config.Source{} // the gateway says 304 to the first request for what there is none of
	c := run(t, o)
	readySoon(t, c)

	worse := polling.cluster("b")
	worse.LbPolicy = 99
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1002), worse, endpoints("b", 2002))
	r.until(t, "the others", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1002) && is(ports(s, "b"), 2002) })
	var state resourceState
	eventually(t, "b refused", func() bool {
		i := slices.IndexFunc(c.states(), func(s resourceState) bool { return s.kind == cds && s.name == "b" && s.refused != nil })
		if i >= 0 {
			state = c.states()[i]
		}
		return i >= 0
	})
	if f := state.failure(); !strings.Contains(f.GetDetails(), "lb_policy") || f.GetVersionInfo() != "2" || state.status != adminv3.ClientResourceStatus_NACKED || state.used.version != "1" {
		t.Errorf("%s: %v, in use %s", state.status, f, state.used.version)
	}
	asked := len(g.requests("clusters[]"))
	eventually(t, "another poll", func() bool { return len(g.requests("clusters[]")) > asked+2 })
	for _, version := range g.requests("clusters[]")[asked+1:] {
		if version != "1" {
			t.Errorf("said version %q after the refusal of 2", version)
		}
	}
	if got := rows(c); got["cluster_manager.cds.version_text"] != "1" || got["cluster_manager.cds.update_rejected"] == "0" {
		t.Errorf("%v", got)
	}

	g.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = io.WriteString(w, "{")
		return true
	})
	refused := rows(c)["control_plane.responses_refused_whole"]
	eventually(t, "refused whole", func() bool { return rows(c)["control_plane.responses_refused_whole"] != refused })

	g.answers(down)
	eventually(t, "not connected", func() bool {
		got := rows(c)
		return got["control_plane.connected_state"] == "0" && got["control_plane.connected_streams"] == "0" &&
			got["cluster_manager.cds.update_failure"] != "0" && got["cluster.a.update_failure"] != "0"
	})
	if s := r.last(); !is(ports(s, "a"), 1002) || s.Cluster("b") == nil {
		t.Errorf("in use: %+v", s)
	}

	g.answers(nil)
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1003), polling.cluster("b"), endpoints("b", 2003))
	r.until(t, "all mended", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1003) && is(ports(s, "b"), 2003) })
	eventually(t, "connected", func() bool {
		got := rows(c)
		return got["control_plane.connected_state"] == "1" && got["cluster_manager.cds.version_text"] == "3" && got["xds.refused_resources"] == "0"
	})
	if got := rows(c); got["control_plane.config_source"] != "control_plane" {
		t.Errorf("%v", got["control_plane.config_source"])
	}
}

// One that cannot be read in JSON is refused by its field, as one in binary is.
func TestPolledOneUnreadable(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	const of = `"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster"`
	g.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ":clusters") {
			return false
		}
		_, _ = io.WriteString(w, `{"version_info": "5", "resources": [{`+of+`, "name": "good", "of_later": 1}, {`+of+`, "name": "bad", "connect_timeout": "soon"}]}`)
		return true
	})
	o := g.options(r)
	o.LDS = config.Source{}
	c := run(t, o)
	readySoon(t, c)
	if s := r.last(); s.Cluster("good") == nil || s.Cluster("bad") != nil {
		t.Errorf("ready with %+v", s)
	}
	for _, s := range c.states() {
		if s.name == "bad" && (s.refused == nil || !strings.HasPrefix(s.refused.text, "connect_timeout: ")) {
			t.Errorf("%+v", s.refused)
		}
	}
	asked := len(g.requests("clusters[]"))
	eventually(t, "polled again", func() bool { return len(g.requests("clusters[]")) > asked+2 })
	if got := g.requests("clusters[]"); slices.ContainsFunc(got, func(v string) bool { return v != "" }) {
		t.Errorf("said %q", got)
	}
}

// Nobody answers: the start goes on when initial_fetch_timeout is over, and takes what
// comes later.
func TestPolledFirstFetch(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001))
	g.answers(down)
	o := g.options(r)
	o.CDS.InitialFetchTimeout, o.LDS.InitialFetchTimeout = 100*time.Millisecond, 100*time.Millisecond
	c := run(t, o)
	readySoon(t, c)
	if got := rows(c); got["cluster_manager.cds.init_fetch_timeout"] != "1" || got["cluster_manager.cds.update_attempt"] == "0" || got["cluster_manager.cds.update_success"] != "0" {
		t.Errorf("%v", got)
	}
	g.answers(nil)
	r.until(t, "a", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1001) })
}

// A first answer that is none ends the wait, as in Envoy: for all of a kind, and for one
// resource.
func TestPolledFirstRefused(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	static := func(envoyv3.Runtime) config.Resources {
		o := g.options(r)
		return config.Resources{Clusters: []*config.Cluster{{Name: "a", Discovery: config.DiscoveryEDS, EDSName: "a", EDSSource: o.CDS}}}
	}
	g.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = io.WriteString(w, "ok\n")
		return true
	})
	o := g.options(r)
	o.Static = static
	begin := time.Now()
	c := run(t, o)
	readySoon(t, c)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("ready after %s", took)
	}
	got := rows(c)
	for _, scope := range []string{"cluster_manager.cds", "listener_manager.lds", "cluster.a"} {
		if got[scope+".update_rejected"] == "0" || got[scope+".init_fetch_timeout"] != "0" {
			t.Errorf("%s: %s rejected, %s time-outs", scope, got[scope+".update_rejected"], got[scope+".init_fetch_timeout"])
		}
	}
	g.answers(nil)
	g.stock.set(t, endpoints("a", 1001))
	r.until(t, "a", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1001) })
}

// So does one that does not say what was asked for, or says it so that it cannot be taken,
// however long the wait would be.
func TestPolledFirstWithout(t *testing.T) {
	const (
		endpoints = `{"version_info": "1", "resources": [{"@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", `
		tables    = `{"version_info": "1", "resources": [{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", `
	)
	for name, says := range map[string][2]string{
		"nothing":        {`{"version_info": "1"}`, `{"version_info": "1"}`},
		"something else": {endpoints + `"cluster_name": "b"}]}`, tables + `"name": "b"}]}`},
		"refused":        {endpoints + `"cluster_name": "a", "endpoints": [{"priority": 500}]}]}`, tables + `"name": "r", "virtual_hosts": [{"name": "v"}]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			g, r := newGateway(t), newRecorder()
			g.stock.set(t, polling.listener("l", 0, "r"))
			g.answers(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, ":endpoints"):
					_, _ = io.WriteString(w, says[0])
				case strings.HasSuffix(r.URL.Path, ":routes"):
					_, _ = io.WriteString(w, says[1])
				default:
					return false
				}
				return true
			})
			o := g.options(r)
			o.CDS.InitialFetchTimeout, o.LDS.InitialFetchTimeout = 0, 0
			from := o.CDS
			o.CDS = config.Source{}
			o.Static = func(envoyv3.Runtime) config.Resources {
				return config.Resources{Clusters: []*config.Cluster{{Name: "a", Discovery: config.DiscoveryEDS, EDSName: "a", EDSSource: from}}}
			}
			readySoon(t, run(t, o))
			if s := r.last(); s.Cluster("a") == nil || s.Listener("l") == nil || len(ports(s, "a")) > 0 {
				t.Errorf("ready with %+v", s)
			}
		})
	}
}

// With a cache on disk a start does not wait for a server that is away.
func TestPolledFromDisk(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001))
	o := g.options(r)
	o.LDS, o.Cache = config.Source{}, cacheIn(t.TempDir())
	first, stop := ran(t, o)
	readySoon(t, first)
	stop() // writes what has not been written yet

	g.answers(down)
	again := newRecorder()
	o.Apply = again.apply
	c := run(t, o)
	readySoon(t, c)
	if s := again.last(); !is(ports(s, "a"), 1001) || rows(c)["control_plane.config_source"] != "disk" {
		t.Errorf("ready with %+v", s)
	}
}

// Secrets are polled each by itself.
func TestPolledSecrets(t *testing.T) {
	ca := pki.New(t, "ca")
	one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	g, r := newGateway(t), newRecorder()
	o := g.options(r)
	from := o.CDS
	o.CDS, o.LDS = config.Source{}, config.Source{}
	static := config.Resources{Clusters: []*config.Cluster{secure("a", refTo(from, "pair"), refTo(from, "roots"))}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	g.stock.set(t, pairSecret("pair", one.ChainPEM(), one.KeyPEM()), rootSecret("roots", ca.PEM()))
	c := run(t, o)
	readySoon(t, c)
	if got := shown(r.last(), "a"); got != serial(one) {
		t.Fatalf("ready with %s", got)
	}
	g.stock.set(t, pairSecret("pair", two.ChainPEM(), two.KeyPEM()), rootSecret("roots", ca.PEM()))
	r.until(t, "the second certificate", func(s *config.Snapshot) bool { return shown(s, "a") == serial(two) })
	if len(g.requests("secrets[pair]")) == 0 || len(g.requests("secrets[roots]")) == 0 {
		t.Error("not asked for one by one")
	}
	eventually(t, "statistics", func() bool { return rows(c)["sds.pair.update_success"] != "" })
}

// The other kinds: a runtime layer, scopes with their tables, and a filter's configuration.
func TestPolledKinds(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	o := g.options(r)
	from := o.CDS
	o.Layers = []Layer{{Name: "live", Source: from}}
	heard := make(chan map[string]*structpb.Struct, 100)
	o.Runtime = func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem) {
		heard <- layers
		return envoyv3.Runtime{}, nil
	}
	filtered := limited(from, "envoy.extensions.filters.http.buffer.v3.Buffer")
	o.Static = func(envoyv3.Runtime) config.Resources {
		return config.Resources{Listeners: []*config.Listener{filtered}}
	}
	layer, err := structpb.NewStruct(map[string]any{"part": 10.0})
	if err != nil {
		t.Fatal(err)
	}
	g.stock.set(t, &runtimev3.Runtime{Name: "live", Layer: layer}, polling.cluster("a"), endpoints("a", 1001),
		scopedListener(polling, "scoped"), scope("one", "x", "r1"), table("r1", "a"), extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)}))
	readySoon(t, run(t, o))
	if layers := <-heard; layers["live"].GetFields()["part"].GetNumberValue() != 10 {
		t.Errorf("the runtime is %v", layers)
	}
	if s := r.last(); limit(s) != 5 || s.Listener("scoped") == nil || s.RouteTable("r1") == nil {
		t.Errorf("ready with %+v", s)
	}
	for _, of := range []string{"runtime[live]", "scoped-routes[]", "routes[r1]", "extension_configs[limit]"} {
		if len(g.requests(of)) == 0 {
			t.Errorf("not asked for %s", of)
		}
	}
}

// A poll waits for the verdict on the answer before it, however long Apply takes.
func TestPollWaitsForVerdict(t *testing.T) {
	g, r := newGateway(t), newRecorder()
	o := g.options(r)
	o.LDS = config.Source{}
	hold, held := make(chan struct{}), make(chan struct{}, 100)
	o.Apply = func(s *config.Snapshot) error {
		if s.Cluster("a") != nil {
			held <- struct{}{}
			<-hold
		}
		return r.apply(s)
	}
	g.stock.set(t, polling.cluster("a"), endpoints("a", 1001))
	c := run(t, o)
	<-held
	asked := len(g.requests("clusters[]"))
	<-time.After(50 * time.Millisecond) // ten polls
	if n := len(g.requests("clusters[]")); n > asked {
		t.Errorf("%d polls before the verdict", n-asked)
	}
	close(hold)
	readySoon(t, c)
	eventually(t, "the version", func() bool { return slices.Contains(g.requests("clusters[]"), "1") })
}

// A cluster that there is not cannot be polled.
func TestPolledUnknown(t *testing.T) {
	o := newGateway(t).options(newRecorder())
	o.Planes = nil
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "cluster_names: unknown cluster 'control'") {
		t.Errorf("got %v", err)
	}
}
