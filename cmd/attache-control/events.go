package main

// Kubernetes Events of what sidecars refuse.

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/discovery/kube"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
)

// reporter writes Events while the configuration has a source of kind
// kubernetes, to the first by its scheme.
type reporter struct {
	*kube.Reporter
	source *kube.Source
	pod    kube.Object
	inPod  bool
	config *ambassador.Config
}

// newReporter is nil where there is no Kubernetes. One that is open already on
// the same source is taken over.
func newReporter(l *loaded, before *reporter) *reporter {
	for _, scheme := range slices.Sorted(maps.Keys(l.mounts)) {
		source, ok := l.mounts[scheme].Source.(*kube.Source)
		if !ok || source == nil {
			continue
		}
		r := &reporter{source: source, config: l.config}
		r.pod, r.inPod = kube.OwnPod()
		if before != nil && before.source == source {
			r.Reporter = before.Reporter
		} else {
			r.Reporter = source.NewReporter("attache-control")
		}
		return r
	}
	return nil
}

// report takes the place of the reporter before.
func (p *program) report(r *reporter) {
	if old := p.reporter.Swap(r); old != nil && (r == nil || old.Reporter != r.Reporter) {
		old.Close()
	}
}

// quarantined writes the Event of a resource that was refused: on the pod that
// attache-control is, or on the service that the resource is about. It is
// server.Events', and does not wait.
func (p *program) quarantined(q server.Quarantine) {
	r := p.reporter.Load()
	if r == nil {
		return
	}
	on := r.pod
	if !r.inPod {
		service, ok := serviceOf(r.config, q)
		if ok {
			on, ok = r.source.ObjectOf(service)
		}
		if !ok {
			return
		}
	}
	stays := "no version of it is in use"
	if q.Good != "" {
		stays = "its last good version " + q.Good + " stays"
	}
	r.Warn(on, "ResourceRefused", fmt.Sprintf("%s %s of %s is refused by sidecar %s (%s): %s; %s",
		shortType(q.TypeURL), q.Name, q.Group, q.Node, q.Client, q.Reason, stays))
}

// serviceOf is the service that a refused resource is about: whose endpoints it
// has, or which stands behind the port that it is of.
func serviceOf(c *ambassador.Config, q server.Quarantine) (discovery.Service, bool) {
	name := q.Name
	if path, ok := strings.CutPrefix(name, "xdstp://"); ok { // a member: AUTHORITY/TYPE/USE/…
		if parts := strings.Split(path, "/"); len(parts) > 2 {
			if use, err := url.PathUnescape(parts[2]); err == nil {
				name = use
			}
		}
	}
	reference, _, _ := strings.Cut(name, "#")
	if s, err := discovery.ParseService(reference); err == nil {
		return s, true
	}
	port, _, _ := strings.Cut(q.Name, "/")
	for _, a := range c.Ambassadors {
		for _, p := range a.Ports {
			if strings.HasPrefix(q.Group, a.Name+"/") && p.Name == port && p.Service.Source != "" {
				return p.Service, true
			}
		}
	}
	return discovery.Service{}, false
}
