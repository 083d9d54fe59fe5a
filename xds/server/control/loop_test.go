package control

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/goleak"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalog is one that a test speaks for.
type catalog struct {
	mu        sync.Mutex
	followers map[discovery.Service]func(discovery.State)
}

func (c *catalog) Follow(s discovery.Service, changed func(discovery.State)) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.followers == nil {
		c.followers = map[discovery.Service]func(discovery.State){}
	}
	c.followers[s] = changed
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.followers, s)
	}
}

func (c *catalog) services() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.followers {
		all = append(all, s.String())
	}
	slices.Sort(all)
	return all
}

// say reports instances by name; each has the address of its number.
func (c *catalog) say(t *testing.T, service, names string) {
	t.Helper()
	s, err := discovery.ParseService(service)
	if err != nil {
		t.Fatal(err)
	}
	var all []discovery.Instance
	for name := range strings.FieldsSeq(names) {
		addr := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:1", name[0]))
		all = append(all, discovery.Instance{ID: name, Addr: addr, Weight: 1})
	}
	set, _ := discovery.MakeSet("", all)
	c.mu.Lock()
	changed := c.followers[s]
	c.mu.Unlock()
	if changed == nil {
		t.Fatalf("nobody follows %s", service)
	}
	changed(discovery.State{Set: set, Kind: discovery.Fresh, Answered: time.Now()})
}

// wire is a publisher that writes down what it is told. Its clients answer at
// once.
type wire struct {
	loop *Loop

	mu   sync.Mutex
	log  []string
	last map[string]*server.Bundle
	gen  map[string]uint64
}

func (w *wire) Publish(group string, b *server.Bundle) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last, w.gen = map[string]*server.Bundle{}, map[string]uint64{}
	}
	w.last[group] = b
	w.gen[group]++
	w.log = append(w.log, "publish "+group)
	w.loop.Settled(server.Settled{Group: group, Generation: w.gen[group], Published: time.Now(), At: time.Now(), Watches: 1})
	return w.gen[group]
}

func (w *wire) Reselect()           { w.note("reselect") }
func (w *wire) Remove(group string) { w.note("remove " + group) }

func (w *wire) note(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, line)
}

func (w *wire) took() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.Join(w.log, ", ")
	w.log = nil
	return text
}

const twoServices = `
sources: {file: {kind: file, path: x}}
plan: {max_moved_share: 0.3, hold_for: 1h}
ambassadors:
- name: a
  sidecars: {cluster: a}
  ports: [{name: cache, port: 1, protocol: memcached, service: "file://cache"}]
- name: b
  sidecars: {cluster: b}
  ports: [{name: web, port: 2, protocol: http, service: "file://web"}]
`

func config(t *testing.T, doc string) *ambassador.Config {
	t.Helper()
	c, problems := ambassador.Load([]byte(doc), "x.yaml")
	if c == nil {
		t.Fatal(problems)
	}
	return c
}

// stage is a loop under test, in a bubble of virtual time.
type stage struct {
	*Loop
	wire    *wire
	catalog *catalog
	pushed  []Push
	planned []plan.Plan
}

// play runs the loop around body.
func play(t *testing.T, body func(s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{catalog: &catalog{}}
		s.Loop = New(Options{
			Pushed:  func(p Push) { s.pushed = append(s.pushed, p) },
			Planned: func(_ ambassador.Use, p plan.Plan) { s.planned = append(s.planned, p) },
		})
		s.wire = &wire{loop: s.Loop}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx, s.wire) })
		body(s)
		cancel()
		running.Wait()
	})
}

// rest lets all that is under way come to its end.
func rest() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func (s *stage) client(t *testing.T, cluster string) string {
	t.Helper()
	name, err := s.Select(&corev3.Node{Id: "x", Cluster: cluster, UserAgentName: "attache"}, true)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOnlyWhatIsConcernedIsPublished(t *testing.T) {
	play(t, func(s *stage) {
		s.Apply(config(t, twoServices), s.catalog, nil)
		if got := s.catalog.services(); !slices.Equal(got, []string{"file://cache", "file://web"}) {
			t.Fatalf("followed: %v", got)
		}
		s.client(t, "a")
		s.client(t, "b")
		if _, err := s.Select(&corev3.Node{Id: "x", Cluster: "c"}, true); err == nil || !strings.Contains(err.Error(), `cluster "c"`) {
			t.Errorf("a node that no ambassador takes: %v", err)
		}
		rest()
		s.wire.took()
		s.pushed = nil
		s.catalog.say(t, "file://web", "a b")
		rest()
		if got := s.wire.took(); got != "publish b/attache" {
			t.Errorf("web changed: %s", got)
		}
		if len(s.pushed) != 1 || !slices.Equal(s.pushed[0].Services, []string{"file://web"}) || len(s.pushed[0].Groups) != 1 {
			t.Errorf("pushes: %+v", s.pushed)
		}
		s.catalog.say(t, "file://web", "a")
		s.catalog.say(t, "file://web", "a b c")
		s.catalog.say(t, "file://cache", "a b c")
		rest()
		if got := s.wire.took(); got != "publish a/attache, publish b/attache" {
			t.Errorf("three changes within one debounce: %s", got)
		}
	})
}

func TestDebounce(t *testing.T) {
	play(t, func(s *stage) {
		s.Apply(config(t, twoServices), s.catalog, nil)
		s.client(t, "b")
		rest()
		began := time.Now()
		s.catalog.say(t, "file://web", "a")
		rest()
		last := s.pushed[len(s.pushed)-1]
		if took := last.Ended.Sub(last.Began); last.Began != began || took > 20*time.Millisecond {
			t.Errorf("from %v, it took %v, want at most 20ms from %v", last.Began, took, began)
		}
	})
}

func TestHeldChange(t *testing.T) {
	play(t, func(s *stage) {
		s.Apply(config(t, twoServices), s.catalog, nil)
		s.client(t, "a")
		s.catalog.say(t, "file://cache", "a b")
		rest()
		s.wire.took()
		s.catalog.say(t, "file://cache", "a b c")
		rest()
		if got := s.wire.took(); got != "" || len(s.planned) != 1 || !s.planned[0].Held {
			t.Fatalf("a third of the keys would move: published %q, plans %+v", got, s.planned)
		}
		status, _ := s.Status()
		if u := status.Uses[0]; u.Name != "file://cache#rendezvous" || u.Plan == nil || !u.Plan.Held || u.Sent["healthy"] != 2 {
			t.Errorf("status: %+v", u)
		}
		if s.Approve("file://web") {
			t.Error("nothing of web is held, and it was approved")
		}
		if !s.Approve("file://cache#rendezvous") || s.wire.took() != "publish a/attache" {
			t.Error("the change is not published on approval")
		}
		s.catalog.say(t, "file://cache", "a")
		rest()
		if got := s.wire.took(); got != "" {
			t.Fatalf("two thirds would move: published %q", got)
		}
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if got := s.wire.took(); got != "" {
			t.Fatalf("before its time: published %q", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.wire.took(); got != "publish a/attache" {
			t.Errorf("after its time: published %q", got)
		}
	})
}

func TestAnotherConfiguration(t *testing.T) {
	play(t, func(s *stage) {
		s.Apply(config(t, twoServices), s.catalog, nil)
		s.client(t, "a")
		s.client(t, "b")
		s.catalog.say(t, "file://cache", "a b")
		s.catalog.say(t, "file://web", "a b")
		rest()
		s.wire.took()
		s.Apply(config(t, `
sources: {file: {kind: file, path: x}}
ambassadors:
- name: b
  sidecars: {cluster: b}
  ports: [{name: web, port: 3, protocol: http, service: "file://web"}]
- name: c
  sidecars: {cluster: a}
  ports: [{name: web, port: 3, protocol: http, service: "file://other"}]
`), s.catalog, nil)
		if got := s.wire.took(); got != "publish b/attache, reselect, remove a/attache" {
			t.Errorf("another configuration: %s", got)
		}
		if got := s.catalog.services(); !slices.Equal(got, []string{"file://other", "file://web"}) {
			t.Errorf("followed: %v", got)
		}
		const endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
		if s.wire.last["b/attache"].Resource(endpoints, "file://web") == nil {
			t.Error("what was known of web is forgotten")
		}
		if got := s.client(t, "a"); got != "c/attache" {
			t.Errorf("cluster a now belongs to %s", got)
		}
		rest()
		if got := s.wire.took(); got != "publish c/attache" {
			t.Errorf("a client of a new group: %s", got)
		}
		if s.wire.last["c/attache"].Resource(endpoints, "file://other") != nil {
			t.Error("endpoints of a service of which nothing is known")
		}
		other := &catalog{}
		s.Apply(s.config.Load(), other, nil)
		if len(s.catalog.services()) != 0 || len(other.services()) != 2 {
			t.Errorf("another catalog: %v and %v are followed", s.catalog.services(), other.services())
		}
	})
}

func TestEndedLoop(t *testing.T) {
	s := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ctx, &wire{})
	if s.Apply(nil, nil, nil) {
		t.Error("a loop that has ended takes a configuration")
	}
	if _, ok := s.Status(); ok {
		t.Error("a loop that has ended has a status")
	}
}
