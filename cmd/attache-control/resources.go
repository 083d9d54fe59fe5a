package main

// Ambassadors that are resources of the cluster, beside those of the file. One
// that is refused harms no other: its last good version stays in use, and its
// status says why.

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/attache-mesh/attache/discovery/kube"
	"github.com/attache-mesh/attache/discovery/kube/ambassadors"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// resources are nil without --ambassadors.
type resources struct {
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

// followResources begins to follow the resources, if they are asked for. stop
// ends that, and waits.
func (p *program) followResources(ctx context.Context) (stop func(), err error) {
	if p.f.ambassadors == "" {
		return func() {}, nil
	}
	connection, err := (&kube.Config{Kubeconfig: p.f.kubeconfig}).Connection()
	if err != nil {
		return nil, fmt.Errorf("--ambassadors: %w", err)
	}
	conf := ambassadors.Config{REST: connection, Log: p.log, Resource: schema.GroupVersionResource{
		Group: ambassador.ResourceGroup, Version: ambassador.ResourceVersion, Resource: ambassador.ResourcePlural,
	}}
	if p.f.ambassadors != "all" {
		conf.Namespaces = strings.Split(p.f.ambassadors, ",")
	}
	watcher, err := ambassadors.New(conf)
	if err != nil {
		return nil, fmt.Errorf("--ambassadors: %w", err)
	}
	p.resources = &resources{watcher: watcher, log: p.log, listed: make(chan struct{})}
	p.resources.kept.Store(&map[string]*kept{})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	leading, err := p.lead(ctx, connection, &running)
	if err != nil {
		cancel()
		return nil, err
	}
	running.Go(func() { watcher.Run(ctx, p.takeResources) })
	running.Go(func() { p.tellResources(ctx, leading) })
	return func() { cancel(); running.Wait() }, nil
}

// wait waits until the resources are known: before, a sidecar could be given
// what another ambassador of the file says.
func (r *resources) wait(ctx context.Context) {
	if r == nil {
		return
	}
	for remind := time.NewTicker(15 * time.Second); ; {
		select {
		case <-ctx.Done():
		case <-r.listed:
		case <-remind.C:
			r.log.Warn("the port stays closed: the API server has not said which Ambassadors there are", "reason", r.watcher.Trouble())
			continue
		}
		remind.Stop()
		return
	}
}

// takeResources makes the resources as they are now what is served, with the
// file.
func (p *program) takeResources() {
	p.taking.Lock()
	p.take(p.withResources(p.base))
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
func (r *resources) judge(o ambassadors.Object, base *ambassador.Config, m mounts, open func(string) error) *kept {
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
