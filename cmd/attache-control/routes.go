package main

// Routes of the Gateway API whose parents are Services: they become routes of the
// sidecars that use those. A bad one harms no other, and its status says why.

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery/kube/resources"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/gateway"
)

const (
	// maxRoutes bounds the routes of one kind, and maxGrants the ReferenceGrants:
	// the newest beyond are not read.
	maxRoutes = 5000
	maxGrants = 5000
)

// What is followed, in the order of routes.watchers.
const (
	httpRoutes = iota
	grpcRoutes
	referenceGrants
	services
	followed // how many
)

// routes are nil without --gateway-routes.
type routes struct {
	watchers [followed]*resources.Watcher
	log      *slog.Logger

	mu    sync.Mutex // held while routes are judged
	heard [followed]bool
	// parsed are the routes as they were read last, by uid, and known the Services,
	// by uid and version.
	parsed map[string]*gateway.Parsed
	known  map[string]knownService
	beyond bool // there are too many, and that was said

	table  atomic.Pointer[gateway.Table] // nil before all is listed
	judged atomic.Pointer[[]judged]
	listed chan struct{} // closed once all is
	once   sync.Once
}

// knownService is a Service as it was read.
type knownService struct {
	version string
	service gateway.Service
}

// judged is a route as the API server has it, and what is said of it.
type judged struct {
	verdict gateway.Verdict
	object  resources.Object
}

func newRoutes(connection *rest.Config, namespaces []string, log *slog.Logger) (*routes, error) {
	r := &routes{log: log, listed: make(chan struct{}), parsed: map[string]*gateway.Parsed{}, known: map[string]knownService{}}
	r.judged.Store(&[]judged{})
	kind := func(group, version, plural string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: version, Resource: plural}
	}
	for i, conf := range [followed]resources.Config{
		httpRoutes:      {Resource: kind(gateway.Group, "v1", "httproutes"), Most: maxRoutes},
		grpcRoutes:      {Resource: kind(gateway.Group, "v1", "grpcroutes"), Most: maxRoutes},
		referenceGrants: {Resource: kind(gateway.Group, "v1", "referencegrants"), Versions: []string{"v1", "v1beta1"}, Most: maxGrants},
		services:        {Resource: kind("", "v1", "services"), Slim: slimService},
	} {
		conf.REST, conf.Namespaces, conf.Log = connection, namespaces, log
		var err error
		if r.watchers[i], err = resources.New(conf); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// slimService keeps what gateway.ParseService reads.
func slimService(spec map[string]any) {
	for key := range spec {
		if key != "ports" && key != "type" {
			delete(spec, key)
		}
	}
}

// wait waits until the routes are known: before, a sidecar could be sent where a
// route does not let it go.
func (r *routes) wait(ctx context.Context) {
	if r == nil {
		return
	}
	waitFor(ctx, r.log, r.listed, "routes", func() string {
		for _, w := range r.watchers {
			if text := w.Trouble(); text != "" {
				return text
			}
		}
		return ""
	})
}

// takeRoutes makes the routes as they are now what is served, after a change of
// what watcher i follows.
func (p *program) takeRoutes(i int) {
	r := p.routes
	p.taking.Lock()
	defer p.taking.Unlock()
	if !r.hear(i) {
		return
	}
	before := r.table.Load()
	table := r.judge()
	if before == nil || !reflect.DeepEqual(before, table) {
		r.table.Store(table)
		p.take(p.whole(p.base))
	}
	r.once.Do(func() { close(r.listed) })
}

// hear notes that a watcher has listed; it reports whether all have.
func (r *routes) hear(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard[i] = true
	return r.heard == [followed]bool{true, true, true, true}
}

// judge reads everything anew that has changed, and says what becomes of it.
func (r *routes) judge() *gateway.Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	parsed, objects := r.parse()
	table, verdicts := gateway.Judge(parsed, r.world())
	all := make([]judged, len(verdicts))
	for i, v := range verdicts {
		all[i] = judged{v, objects[v.UID]}
	}
	r.judged.Store(&all)
	return table
}

func (r *routes) parse() (all []*gateway.Parsed, objects map[string]resources.Object) {
	now := map[string]*gateway.Parsed{}
	objects = map[string]resources.Object{}
	tooMany := 0
	for _, of := range []struct {
		kind  gateway.Kind
		which int
	}{{gateway.HTTPRoute, httpRoutes}, {gateway.GRPCRoute, grpcRoutes}} {
		list, beyond := r.watchers[of.which].Objects()
		tooMany += beyond
		for _, o := range list {
			read := r.parsed[o.UID]
			if read == nil || read.Generation != o.Generation {
				read = gateway.Parse(gateway.Object{
					Kind: of.kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID,
					Generation: o.Generation, Created: o.Created, Spec: o.Spec,
				})
			}
			now[o.UID], objects[o.UID] = read, o
			all = append(all, read)
		}
	}
	r.parsed = now
	if tooMany > 0 && !r.beyond {
		r.log.Error("there are too many routes: the newest are not served", "most", maxRoutes, "beyond", tooMany)
	}
	r.beyond = tooMany > 0
	return all, objects
}

func (r *routes) world() *gateway.World {
	w := &gateway.World{Services: map[gateway.ID]gateway.Service{}}
	now := map[string]knownService{}
	list, _ := r.watchers[services].Objects()
	for _, o := range list {
		one, ok := r.known[o.UID]
		if !ok || one.version != o.Version {
			one = knownService{o.Version, gateway.ParseService(o.Spec)}
		}
		now[o.UID] = one
		w.Services[gateway.ID{Namespace: o.Namespace, Name: o.Name}] = one.service
	}
	r.known = now
	list, _ = r.watchers[referenceGrants].Objects()
	for _, o := range list {
		w.Grants = append(w.Grants, gateway.ParseGrant(o.Namespace, o.Spec))
	}
	return w
}

// writer writes the status of routes of a kind.
func (r *routes) writer(kind gateway.Kind) *resources.Watcher {
	if kind == gateway.GRPCRoute {
		return r.watchers[grpcRoutes]
	}
	return r.watchers[httpRoutes]
}

// withRoutes is l with the routes. taking is held.
func (p *program) withRoutes(l *loaded) *loaded {
	if p.routes == nil {
		return l
	}
	with := *l
	with.config = l.config.WithRoutes(p.routes.table.Load(), func(scheme string) bool { return p.sameCluster(l.config, scheme) })
	return &with
}

// sameCluster says that a source asks the cluster that the routes are of.
func (p *program) sameCluster(c *ambassador.Config, scheme string) bool {
	s, ok := c.Sources[scheme].Settings.(*ambassador.KubernetesSource)
	return ok && s.Kubeconfig == p.f.kubeconfig && s.Context == ""
}
