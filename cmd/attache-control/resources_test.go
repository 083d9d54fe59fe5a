package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/discovery/kube/ambassadors"
	"github.com/attache-mesh/attache/xds/server"
)

// cluster is an API server. It has Ambassadors, whose methods are its own, and what
// else a test asks for.
type cluster struct {
	*collection
	http *httptest.Server

	mu   sync.Mutex
	more map[string]*collection // by the path of their list
}

// collection is the objects of one kind.
type collection struct {
	t                *testing.T
	list             string // path
	apiVersion, kind string

	mu      sync.Mutex
	version int
	objects map[string]map[string]any // by NAMESPACE/NAME
	changed chan struct{}
	events  []string // of all versions from 2 on, as a watch has them
	patches []string // NAMESPACE/NAME of status writes
	missing bool     // the kind is not defined
}

func newCollection(t *testing.T, list, apiVersion, kind string) *collection {
	return &collection{t: t, list: list, apiVersion: apiVersion, kind: kind, version: 1, objects: map[string]map[string]any{}, changed: make(chan struct{})}
}

func startCluster(t *testing.T) *cluster {
	own := newCollection(t, "/apis/attache.dev/v1alpha1/ambassadors", "attache.dev/v1alpha1", "Ambassador")
	c := &cluster{collection: own, more: map[string]*collection{own.list: own}}
	c.http = httptest.NewServer(c)
	t.Cleanup(func() {
		c.http.CloseClientConnections()
		c.http.Close()
	})
	return c
}

// has defines another kind.
func (c *cluster) has(list, apiVersion, kind string) *collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := newCollection(c.t, list, apiVersion, kind)
	c.more[list] = one
	return one
}

// kubeconfig is a file for it.
func (c *cluster) kubeconfig() string {
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("clusters: [{name: t, cluster: {server: %q}}]\ncontexts: [{name: t, context: {cluster: t, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: t\n", c.http.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// put makes or changes a resource.
func (c *collection) put(namespace, name, spec string) {
	c.t.Helper()
	var value map[string]any
	if err := yaml.Unmarshal([]byte(spec), &value); err != nil {
		c.t.Fatal(err)
	}
	key := namespace + "/" + name
	c.change(key, func() {
		o := c.objects[key]
		if o == nil {
			o = map[string]any{
				"apiVersion": c.apiVersion, "kind": c.kind,
				"metadata": map[string]any{"name": name, "namespace": namespace, "uid": key, "generation": 0, "creationTimestamp": time.Now().UTC().Format(time.RFC3339)},
			}
			c.objects[key] = o
		}
		o["spec"] = value
		metadata := o["metadata"].(map[string]any)
		metadata["generation"] = metadata["generation"].(int) + 1
	})
}

func (c *collection) remove(key string) { c.change(key, func() { delete(c.objects, key) }) }

// change does what f does to an object, and tells those who watch.
func (c *collection) change(key string, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.objects[key]
	f()
	c.version++
	kind, o := "MODIFIED", c.objects[key]
	switch {
	case o == nil:
		kind, o = "DELETED", before
	case before == nil:
		kind = "ADDED"
	}
	o["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(c.version)
	text, _ := json.Marshal(map[string]any{"type": kind, "object": o})
	c.events = append(c.events, string(text))
	close(c.changed)
	c.changed = make(chan struct{})
}

// watch sends what has changed since a version, for as long as somebody listens.
func (c *collection) watch(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for {
		c.mu.Lock()
		changed, events := c.changed, c.events[min(max(since-1, 0), len(c.events)):]
		c.mu.Unlock()
		for _, text := range events {
			fmt.Fprintln(w, text)
		}
		since += len(events)
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// status is what was last written.
func (c *collection) status(key string) (s ambassadors.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := json.Marshal(c.objects[key]["status"])
	_ = json.Unmarshal(text, &s)
	return s
}

func (c *collection) writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.patches)
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	of := c.collection
	for list, one := range c.more {
		group, plural := filepath.Split(list)
		if strings.HasPrefix(r.URL.Path, group) && (r.URL.Path == list || strings.Contains(r.URL.Path, "/"+plural+"/")) {
			of = one
		}
	}
	c.mu.Unlock()
	of.ServeHTTP(w, r)
}

func (c *collection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	c.mu.Lock()
	missing := c.missing
	c.mu.Unlock()
	switch {
	case missing || r.Method == http.MethodGet && r.URL.Path != c.list:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
	case r.URL.Query().Get("watch") != "":
		c.watch(w, r)
	case r.Method == http.MethodGet:
		c.mu.Lock()
		defer c.mu.Unlock()
		items := slices.Collect(maps.Values(c.objects))
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": c.kind + "List", "apiVersion": c.apiVersion, "items": items,
			"metadata": map[string]any{"resourceVersion": fmt.Sprint(c.version)},
		})
	default:
		c.patch(w, r)
	}
}

func (c *collection) patch(w http.ResponseWriter, r *http.Request) {
	var body struct{ Status any }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	parts := strings.Split(r.URL.Path, "/") // /apis/GROUP/VERSION/namespaces/NS/ambassadors/NAME/status
	if len(parts) != 9 || parts[8] != "status" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	key := parts[5] + "/" + parts[7]
	c.mu.Lock()
	there := c.objects[key] != nil
	c.mu.Unlock()
	if !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.change(key, func() {
		c.objects[key]["status"] = body.Status
		c.patches = append(c.patches, key)
		_ = json.NewEncoder(w).Encode(c.objects[key])
	})
}

const shopSpec = `
ports:
- {name: cache, port: 11211, protocol: memcached, service: "file://sessions"}
`

// pod is the node of a sidecar that the injector made.
func pod(namespace, ambassador string) *corev3.Node {
	m, _ := structpb.NewStruct(map[string]any{"namespace": namespace, "labels": map[string]any{"app": ambassador}})
	return &corev3.Node{Id: ambassador + "-1." + namespace, Cluster: ambassador, Metadata: m, UserAgentName: "attache"}
}

func startWith(t *testing.T, c *cluster) *plane {
	t.Helper()
	p := &plane{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	p.write("control.yaml", fmt.Sprintf(testConfig, p.dir))
	p.run("--ambassadors", "all", "--kubeconfig", c.kubeconfig())
	return p
}

func (s *sidecar) listens(name string) bool { return s.has[resource.ListenerType][name] != nil }

// drain answers what is there.
func (s *sidecar) drain() {
	for {
		select {
		case resp := <-s.heard:
			s.take(resp)
		default:
			return
		}
	}
}

func conditions(s ambassadors.Status) string {
	var all []string
	for _, c := range s.Conditions {
		all = append(all, c.Type+"="+c.Status+"/"+c.Reason)
	}
	return strings.Join(all, " ")
}

// TestResources follows one resource through its life beside another that is
// never touched.
func TestResources(t *testing.T) {
	c := startCluster(t)
	c.put("shop", "web", shopSpec)
	c.put("bank", "all", "podSelector: {}\n"+shopSpec)
	p := startWith(t, c)
	s := p.connect(pod("shop", "web"))
	s.hears("the port of the resource", func() bool { return s.listens("cache") && !s.listens("shop") })
	p.until("the status counts the sidecar", func() bool {
		s.drain()
		s := c.status("shop/web")
		return s.Sidecars.Connected == 1 && s.Sidecars.Synced == 1 && conditions(s) == "Accepted=True/Accepted Programmed=True/Programmed" && s.ObservedGeneration == 1
	})
	other := c.status("bank/all")

	c.put("shop", "web", strings.Replace(shopSpec, "file:", "gone:", 1))
	p.until("the status says what is wrong", func() bool {
		s := c.status("shop/web")
		return s.ObservedGeneration == 2 && conditions(s) == "Accepted=False/Invalid Programmed=False/LastGoodVersion" &&
			strings.Contains(s.Conditions[0].Message, "spec.ports[0].service: gone://: there is no such source") && s.Conditions[1].Message == "generation 1 is served"
	})
	again := p.connect(pod("shop", "web"))
	again.hears("the last good version", func() bool { return again.listens("cache") })
	if s := p.json(); len(s.Resources) != 2 || s.Resources[1].Served != 1 || len(s.Resources[1].Problems) != 1 {
		t.Errorf("%+v", s.Resources)
	}
	if _, text := p.get("/metrics"); !strings.Contains(text, `attache_control_resources{state="refused"} 1`) {
		t.Error("no metric of what is refused")
	}

	c.put("shop", "web", strings.Replace(shopSpec, "name: cache", "name: kept", 1))
	s.hears("the new port", func() bool { return s.listens("kept") && !s.listens("cache") })
	c.remove("shop/web")
	s.hears("what the file says, which is next", func() bool { return s.listens("shop") })
	if now := c.status("bank/all"); !now.Same(other) {
		t.Errorf("the other was written: %+v, before %+v", now, other)
	}
}

// TestResourcesAreNotDefined: a cluster without the kind has no resources, and
// the file is served.
func TestResourcesAreNotDefined(t *testing.T) {
	c := startCluster(t)
	c.collection.missing = true
	p := startWith(t, c)
	s := p.connect(pod("shop", "web"))
	s.hears("what the file says", func() bool { return s.listens("shop") })
	c.collection.mu.Lock()
	c.collection.missing = false
	c.collection.mu.Unlock()
	c.put("shop", "web", shopSpec)
	s.hears("the resource's", func() bool { return !s.listens("shop") })
}

// TestRefusalsAreTold: what a sidecar refuses is in the status, and a status that
// would say the same is not written.
func TestRefusalsAreTold(t *testing.T) {
	c := startCluster(t)
	c.put("shop", "web", shopSpec)
	p := startWith(t, c)
	s := p.connect(pod("shop", "web"))
	refused := false
	s.refuse = func(r *discoveryv3.Resource) string {
		if r.GetResource().GetTypeUrl() != resource.ListenerType {
			return ""
		}
		refused = true
		return r.GetName() + ": no such filter"
	}
	s.hears("a listener", func() bool { return refused })
	p.until("the refusal is told", func() bool {
		s.drain()
		s := c.status("shop/web")
		return s.Sidecars.Refused == 1 && s.Sidecars.Synced == 0 && strings.Contains(conditions(s), "Programmed=False/Refused") &&
			strings.Contains(s.Sidecars.LastRefusal, "web-1.shop")
	})
	before := c.writes()
	if _, text := p.get("/sidecars"); !strings.Contains(text, `"shop/web"`) {
		t.Error(text)
	}
	c.put("bank", "new", shopSpec)
	p.until("another is told", func() bool { s.drain(); return c.status("bank/new").ObservedGeneration == 1 })
	c.put("bank", "new", shopSpec)
	p.until("and again", func() bool { s.drain(); return c.status("bank/new").ObservedGeneration == 2 })
	if now := c.writes(); now > before+3 { // two of the other, and at most one that had not settled
		t.Errorf("%d writes more", now-before)
	}
}

func TestCountSidecars(t *testing.T) {
	of := map[string]string{"a/x/attache": "a/x", "a/x/envoy": "a/x"}
	client := func(node, group, program string, types ...server.TypeStatus) server.ClientStatus {
		return server.ClientStatus{Client: server.Client{Node: node, Group: group, Program: program}, Types: types}
	}
	good := server.TypeStatus{Version: "2", Acked: "2"}
	late := server.TypeStatus{Version: "2", Acked: "1"}
	bad := server.TypeStatus{TypeURL: resource.ClusterType, Version: "2", Acked: "1", Nacked: "2", Error: "no such thing", NackedAt: time.Unix(2, 0)}
	counts := countSidecars([]server.ClientStatus{
		client("n1", "a/x/attache", "attache/1", good), client("n1", "a/x/attache", "attache/1", good), // two streams
		client("n2", "a/x/attache", "attache/1", late), client("n3", "a/x/attache", "attache/1", bad),
		client("n4", "a/x/envoy", "envoy/1", good), client("n5", "nobody's", "envoy/1", good),
	}, []server.Quarantine{{Group: "a/x/envoy", Client: "envoy/1", TypeURL: resource.ListenerType, Name: "l", Reason: "odd", Node: "n9", Since: time.Unix(1, 0)}}, of)
	want := ambassadors.Sidecars{Connected: 4, Synced: 1, Refused: 2, LastRefusal: "Cluster, by n3 (attache/1): no such thing"}
	if len(counts) != 1 || counts["a/x"] != want {
		t.Errorf("%+v, want %+v", counts, want)
	}
}
