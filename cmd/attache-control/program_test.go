package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.uber.org/goleak"
	statusv1 "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testConfig = `
server: {address: "127.0.0.1:0", wait_for_sources: 5s}
sources: {file: {kind: file, path: %s/services.yaml}}
plan: {max_moved_share: 0.3}
ambassadors:
- name: web
  sidecars: {cluster: web}
  ports:
  - {name: cache, port: 11211, protocol: memcached, service: "file://sessions"}
  - {name: shop, port: 8080, protocol: http, service: "file://shop"}
`
	testServices = `
services:
  sessions: [{id: s1, address: "127.0.0.1:1"}, {id: s2, address: "127.0.0.1:2"}, {id: s3, address: "127.0.0.1:3"}, {id: s4, address: "127.0.0.1:4"}]
  shop: ["127.0.0.1:8081"]
`
	cacheSet = "file://sessions#rendezvous"
)

// plane is the program under test, with files in a directory of its own.
type plane struct {
	t           *testing.T
	dir         string
	log         *lockedBuffer
	xds, status string
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// start runs the program with the test's configuration until the test is over;
// it must then end well.
func start(t *testing.T) *plane {
	t.Helper()
	p := &plane{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	p.write("control.yaml", fmt.Sprintf(testConfig, p.dir))
	p.run()
	return p
}

// run runs the program with what control.yaml says.
func (p *plane) run(more ...string) {
	t := p.t
	t.Helper()
	p.write("services.yaml", testServices)
	f, err := parseFlags(append([]string{
		"-c", filepath.Join(p.dir, "control.yaml"), "--status-address", "127.0.0.1:0",
		"--addresses-path", filepath.Join(p.dir, "addresses"), "--shutdown-time-s", "1",
	}, more...), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := loadFirst(f, p.log)
	if !ok {
		t.Fatal(p.log.text())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- newProgram(f, p.log).run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the program ended with %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	p.until("the addresses are written", func() bool {
		text, err := os.ReadFile(filepath.Join(p.dir, "addresses"))
		if err != nil {
			return false
		}
		_, err = fmt.Sscanf(string(text), "xds %s\nstatus %s\n", &p.xds, &p.status)
		return err == nil
	})
}

// write replaces a file as one should: whole.
func (p *plane) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.t.Fatal(err)
	}
}

// until polls for a condition.
func (p *plane) until(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if is() {
			return
		}
	}
	p.t.Fatalf("not so after 10s: %s\n%s", what, p.log.text())
}

func (p *plane) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get("http://" + p.status + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (p *plane) json() (s status) {
	p.t.Helper()
	_, body := p.get("/status")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		p.t.Fatalf("%v in %s", err, body)
	}
	return s
}

// pushes are how many pushes /metrics has measured.
func (p *plane) pushes() (n int) {
	p.t.Helper()
	_, text := p.get("/metrics")
	_, after, _ := strings.Cut(text, "\nattache_control_push_seconds_count ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// sidecar is a delta ADS client that writes down what it has.
type sidecar struct {
	p      *plane
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	heard  chan *discoveryv3.DeltaDiscoveryResponse
	has    map[string]map[string]*discoveryv3.Resource // type, name
	refuse func(*discoveryv3.Resource) string
}

func (p *plane) connect(node *corev3.Node) *sidecar {
	p.t.Helper()
	conn, err := grpc.NewClient(p.xds, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sidecar{p: p, heard: make(chan *discoveryv3.DeltaDiscoveryResponse, 100), has: map[string]map[string]*discoveryv3.Resource{}}
	if s.stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			resp, err := s.stream.Recv()
			if err != nil {
				return
			}
			s.heard <- resp
		}
	}()
	p.t.Cleanup(func() {
		cancel()
		conn.Close()
		<-ended
	})
	for _, typeURL := range []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType} {
		s.send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: typeURL, ResourceNamesSubscribe: []string{"*"}})
	}
	return s
}

func (s *sidecar) send(req *discoveryv3.DeltaDiscoveryRequest) {
	s.p.t.Helper()
	if err := s.stream.Send(req); err != nil {
		s.p.t.Fatal(err)
	}
}

// hears takes responses and answers them until the condition holds.
func (s *sidecar) hears(what string, is func() bool) {
	s.p.t.Helper()
	deadline := time.After(10 * time.Second)
	for !is() {
		select {
		case resp := <-s.heard:
			s.take(resp)
		case <-deadline:
			s.p.t.Fatalf("not heard after 10s: %s\n%s", what, s.p.log.text())
		}
	}
}

func (s *sidecar) take(resp *discoveryv3.DeltaDiscoveryResponse) {
	if s.has[resp.GetTypeUrl()] == nil {
		s.has[resp.GetTypeUrl()] = map[string]*discoveryv3.Resource{}
	}
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	for _, r := range resp.GetResources() {
		if s.refuse != nil && s.refuse(r) != "" {
			answer.ErrorDetail = &statusv1.Status{Code: 3, Message: s.refuse(r)}
			continue
		}
		s.has[resp.GetTypeUrl()][r.GetName()] = r
	}
	for _, name := range resp.GetRemovedResources() {
		delete(s.has[resp.GetTypeUrl()], name)
	}
	s.send(answer)
}

// endpoints are the addresses of a set as the sidecar has it; -1 without it.
func (s *sidecar) endpoints(name string) int {
	r := s.has[resource.EndpointType][name]
	if r == nil {
		return -1
	}
	var a endpointv3.ClusterLoadAssignment
	if err := r.GetResource().UnmarshalTo(&a); err != nil {
		s.p.t.Fatal(err)
	}
	n := 0
	for _, l := range a.GetEndpoints() {
		n += len(l.GetLbEndpoints())
	}
	return n
}

var webNode = &corev3.Node{Id: "web-1", Cluster: "web", UserAgentName: "attache", UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: "1.0"}}

// TestServes: a sidecar gets what its ambassador declares; an edit of the file of
// services reaches it; one of the file itself does, too; and a broken one changes
// nothing and is said.
func TestServes(t *testing.T) {
	p := start(t)
	s := p.connect(webNode)
	s.hears("all resources", func() bool {
		return len(s.has[resource.ListenerType]) == 2 && len(s.has[resource.ClusterType]) == 2 && len(s.has[resource.RouteType]) == 1 && s.endpoints(cacheSet) == 4
	})

	began := time.Now()
	p.write("services.yaml", strings.Replace(testServices, `["127.0.0.1:8081"]`, `["127.0.0.1:8081", "127.0.0.1:8082"]`, 1))
	s.hears("another instance of shop", func() bool { return s.endpoints("file://shop") == 2 })
	if took := time.Since(began); took > time.Second {
		t.Errorf("an edit took %v to a sidecar, want a second at most", took)
	}

	config := fmt.Sprintf(testConfig, p.dir)
	p.write("control.yaml", config+"  - {name: db, port: 5432, protocol: tcp, service: \"file://shop\"}\n")
	s.hears("another port", func() bool { return len(s.has[resource.ListenerType]) == 3 })

	p.write("control.yaml", config+"  - {name: db, port: 5432, protocl: tcp}\n")
	p.until("the broken file is said", func() bool { return len(p.json().Config.Refused) > 0 })
	if refused := p.json().Config.Refused; !strings.Contains(strings.Join(refused, "\n"), "did you mean protocol?") {
		t.Errorf("refused: %q", refused)
	}
	if got := len(p.json().Ambassadors[0].Ports); got != 3 {
		t.Errorf("%d ports with a broken file, want the 3 before", got)
	}
	p.write("control.yaml", config)
	s.hears("the port is taken back", func() bool { return len(s.has[resource.ListenerType]) == 2 })
	p.until("the file is good again", func() bool { return len(p.json().Config.Refused) == 0 })
}

// TestHeld: a change that moves too many keys waits for approval.
func TestHeld(t *testing.T) {
	p := start(t)
	s := p.connect(webNode)
	s.hears("all resources", func() bool {
		return len(s.has[resource.ListenerType]) == 2 && len(s.has[resource.ClusterType]) == 2 && len(s.has[resource.RouteType]) == 1 && s.endpoints(cacheSet) == 4
	})
	p.until("all is acknowledged", func() bool {
		all := p.json().Sidecars[0].Types
		return len(all) == 4 && !slices.ContainsFunc(all, func(one typeStatus) bool { return one.Acked != one.Version })
	})
	more := strings.Replace(testServices, `{id: s4, address: "127.0.0.1:4"}`,
		`{id: s4, address: "127.0.0.1:4"}, {id: s5, address: "127.0.0.1:5"}, {id: s6, address: "127.0.0.1:6"}, {id: s7, address: "127.0.0.1:7"}`, 1)
	p.write("services.yaml", more)
	held := func() *planStatus {
		for _, set := range p.json().Sets {
			if set.Name == cacheSet && set.Plan != nil && set.Plan.Held {
				return set.Plan
			}
		}
		return nil
	}
	p.until("the change is held", func() bool { return held() != nil })
	if plan := held(); plan.MovedShare < 0.4 || plan.MovedShare > 0.46 || plan.BetweenShare != 0 || !strings.Contains(plan.Reason, "max_moved_share") {
		t.Errorf("plan: %+v", plan)
	}
	if _, text := p.get("/metrics"); !strings.Contains(text, `attache_control_plan_held{set="`+cacheSet+`"} 1`) {
		t.Error("/metrics does not say that a change is held")
	}
	resp, err := http.Post("http://"+p.status+"/approve?set=nothing", "", nil)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("approval of nothing: %v %v", resp, err)
	}
	resp.Body.Close()
	if n := s.endpoints(cacheSet); n != 4 {
		t.Errorf("%d instances before the approval, want 4", n)
	}
	before := p.pushes()
	resp, err = http.Post("http://"+p.status+"/approve?set="+strings.ReplaceAll(cacheSet, "#", "%23"), "", nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("approval: %v %v", resp, err)
	}
	resp.Body.Close()
	s.hears("all seven", func() bool { return s.endpoints(cacheSet) == 7 })
	p.until("the push is measured", func() bool { return p.pushes() == before+1 })
}

// TestQuarantine: what a sidecar refuses is in the status with field and reason.
func TestQuarantine(t *testing.T) {
	p := start(t)
	s := p.connect(webNode)
	s.refuse = func(r *discoveryv3.Resource) string {
		if r.GetName() == "shop" && strings.HasSuffix(r.GetResource().GetTypeUrl(), ".Listener") {
			return `listener "shop": address: port is taken`
		}
		return ""
	}
	s.hears("the other listener", func() bool { return s.has[resource.ListenerType]["cache"] != nil })
	p.until("the refusal is said", func() bool { return len(p.json().Quarantine) > 0 })
	if q := p.json().Quarantine[0]; q.Name != "shop" || q.Type != "Listener" || q.Node != "web-1" || !strings.Contains(q.Reason, "port is taken") {
		t.Errorf("quarantine: %+v", q)
	}
	if _, text := p.get("/metrics"); !strings.Contains(text, `attache_control_refusals_total{type="Listener",program="attache/1.0"} 1`) {
		t.Error("/metrics does not count the refusal")
	}
}

// TestWhoIsNobodys: a node that no ambassador takes is told so.
func TestWhoIsNobodys(t *testing.T) {
	p := start(t)
	conn, err := grpc.NewClient(p.xds, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DiscoveryRequest{Node: &corev3.Node{Id: "x", Cluster: "db"}, TypeUrl: resource.ClusterType}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "no ambassador takes it") {
		t.Errorf("answer: %v", err)
	}
}

// TestStatusServer: pages, health, and who may not ask.
func TestStatusServer(t *testing.T) {
	p := start(t)
	if code, body := p.get("/ready"); code != http.StatusOK || body != "serving\n" {
		t.Errorf("/ready: %d %q", code, body)
	}
	conn, err := grpc.NewClient(p.xds, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v %v", h, err)
	}
	ask := func(method, path string, header ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.status+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := ask("GET", "/status", "Accept", "text/html"); code != http.StatusOK || !strings.Contains(body, "<code>file://sessions</code>") {
		t.Errorf("page: %d %s", code, body)
	}
	if code, _ := ask("GET", "/status", "Host", "evil.example.org"); code != http.StatusForbidden {
		t.Errorf("a name that resolves to us: %d, want 403", code)
	}
	if code, _ := ask("POST", "/approve?set=x", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("an approval from another site: %d, want 403", code)
	}
}

// TestCommands: validate and schema, and what is wrong on the command line.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(good, []byte(fmt.Sprintf(testConfig, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(fmt.Sprintf(testConfig, dir), "file://shop", "file://shop?tag=a", 1)
	if err := os.WriteFile(bad, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"validate", "-c", good}, exitOK, "OK"},
		{[]string{"--mode", "validate", "-c", good}, exitOK, "OK"},
		{[]string{"validate", "-c", bad}, exitFailed, "error: 10:55: ambassadors[0].ports[1].service: "},
		{[]string{"validate", "-c", filepath.Join(dir, "none")}, exitFailed, "no such file"},
		{[]string{"-c", good, "--mode", "x"}, exitUsage, "want serve or validate"},
		{[]string{}, exitUsage, "give -c FILE"},
		{[]string{"-c", good, "--listen", "x"}, exitUsage, "--listen"},
		{[]string{"-c", good, "more"}, exitUsage, `unexpected argument "more"`},
		{[]string{"schema"}, exitOK, `"$schema"`},
		{[]string{"--version"}, exitOK, "attache-control "},
		{[]string{"--help"}, exitOK, "--status-address"},
	} {
		var out bytes.Buffer
		if code := run(c.args, &out, &out); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v: exit %d and\n%s\nwant %d and %q", c.args, code, out.String(), c.code, c.says)
		}
	}
}
