package main

// Ambassadors that are resources of the cluster, beside those of the file. One
// that is refused harms no other: its last good version stays in use, and its
// status says why.

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery/kube/ambassadors"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// ambassadorResources are nil without --ambassadors.
type ambassadorResources struct {
	watcher *ambassadors.Watcher
	log     *slog.Logger

	listed chan struct{} // closed once they are known
	known  sync.Once

	// kept is what became of each, by uid; the map is replaced, never changed, by
	// who holds Program.taking.
	kept atomic.Pointer[map[string]*kept]
}

// kept is one resource as it was judged. It is immutable.
type kept struct {
	object ambassadors.Object
	base   *ambassador.Config // what it was checked against
	// problems are why the spec is refused, nil if it is not; warnings are not
	// why.
	problems, warnings []string
	// good is what is served, of this generation and spec; nil: nothing.
	good           *ambassador.Addition
	goodSpec       []byte
	goodGeneration int64
}

// newResources follows nothing yet.
func newResources(connection *rest.Config, namespaces []string, log *slog.Logger) (*ambassadorResources, error) {
	watcher, err := ambassadors.New(ambassadors.Config{
		REST: connection, Log: log, Namespaces: namespaces,
		Resource: schema.GroupVersionResource{Group: ambassador.ResourceGroup, Version: ambassador.ResourceVersion, Resource: ambassador.ResourcePlural},
	})
	if err != nil {
		return nil, err
	}
	r := &ambassadorResources{watcher: watcher, log: log, listed: make(chan struct{})}
	r.kept.Store(&map[string]*kept{})
	return r, nil
}

// wait waits until the resources are known: before, a sidecar could be given
// what another ambassador of the file says.
func (r *ambassadorResources) wait(ctx context.Context) {
	if r != nil {
		waitFor(ctx, r.log, r.listed, "Ambassadors", r.watcher.Trouble)
	}
}

// takeResources makes the resources as they are now what is served, with the
// file.
func (p *program) takeResources() {
	p.taking.Lock()
	p.take(p.whole(p.base))
	p.taking.Unlock()
	p.resources.known.Do(func() { close(p.resources.listed) })
}

// withResources is the file's content and what is good of the resources. taking
// is held.
func (p *program) withResources(base *loaded) *loaded {
	r := p.resources
	if r == nil {
		return base
	}
	merged := &loaded{mounts: maps.Clone(base.mounts), sum: base.sum, at: base.at}
	open := func(scheme string) error { return merged.mounts.open(base.config, p.file.config(), scheme) }
	objects, beyond := r.watcher.Objects()
	var good []*ambassador.Addition
	now := map[string]*kept{}
	for _, o := range objects {
		k := r.judge(o, base.config, merged.mounts, open)
		now[o.UID] = k
		if k.good != nil {
			good = append(good, k.good)
		}
	}
	if beyond > 0 {
		r.log.Error("there are too many Ambassadors: the newest are not served", "most", ambassadors.MaxObjects, "beyond", beyond)
	}
	r.kept.Store(&now)
	merged.config = base.config.With(good)
	return merged
}

// judge is what becomes of a resource: what was said of the same spec and file
// still holds.
func (r *ambassadorResources) judge(o ambassadors.Object, base *ambassador.Config, m mounts, open func(string) error) *kept {
	before := (*r.kept.Load())[o.UID]
	if before != nil && before.object.Generation == o.Generation && before.base == base &&
		(before.good == nil || len(openAll(before.good, m, open)) == 0) {
		k := *before
		k.object = o // its status may be another
		return &k
	}
	k := &kept{object: o, base: base}
	k.good, k.problems, k.warnings = read(o, o.Spec, base, m, open)
	if k.good != nil {
		k.goodSpec, k.goodGeneration = o.Spec, o.Generation
		return k
	}
	if before != nil && before.goodSpec != nil {
		if good, _, _ := read(o, before.goodSpec, base, m, open); good != nil {
			k.good, k.goodSpec, k.goodGeneration = good, before.goodSpec, before.goodGeneration
		}
	}
	r.log.Warn("an Ambassador is refused", "resource", o.String(), "generation", o.Generation, "problems", k.problems, "served_generation", k.goodGeneration)
	return k
}

// read makes an addition of a spec, or says why not.
func read(o ambassadors.Object, spec []byte, base *ambassador.Config, m mounts, open func(string) error) (good *ambassador.Addition, refused, warnings []string) {
	a, problems := base.ReadResource(o.Namespace, o.Name, spec)
	if a != nil {
		problems = append(problems, openAll(a, m, open)...)
	}
	if a != nil && !load.Refused(problems) {
		problems = append(problems, a.CheckServices(m.check)...)
	}
	for _, one := range problems {
		text := one.Path + ": " + one.Text // lines are of no file
		if one.Path == "" {
			text = one.Text
		}
		if one.Warning {
			warnings = append(warnings, text)
		} else {
			refused = append(refused, text)
		}
	}
	if len(refused) > 0 {
		return nil, refused, warnings
	}
	return a, nil, warnings
}

// openAll makes the sources that only a resource names.
func openAll(a *ambassador.Addition, m mounts, open func(string) error) (problems []ambassador.Problem) {
	for _, scheme := range a.Schemes() {
		if _, there := m[scheme]; there {
			continue
		}
		if err := open(scheme); err != nil {
			problems = append(problems, ambassador.Problem{Path: "spec", Text: fmt.Sprintf("source %s: %v", scheme, err)})
		}
	}
	return problems
}

// open adds a source, as it is if it is open.
func (m mounts) open(c *ambassador.Config, before *loaded, scheme string) error {
	one := m.twin(c.Sources[scheme])
	if one.Source == nil {
		var err error
		if one, err = openSource(c.Sources[scheme], before, scheme); err != nil {
			return err
		}
	}
	m[scheme] = one
	return nil
}
