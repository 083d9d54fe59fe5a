package main

// What routes are told: an entry for each Service among their parents, beside
// those of other controllers.

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/attache-mesh/attache/xds/server/gateway"
)

// controllerName is ours in the status of routes (RouteParentStatus).
const controllerName = "attache.dev/control"

const (
	// lookAtRoutes is how often what is said of routes is compared with what the
	// API server has.
	lookAtRoutes = time.Second
	// maxParents is of one status (RouteStatus).
	maxParents = 32
)

// routeParent is an entry of status.parents.
type routeParent struct {
	ParentRef      any              `json:"parentRef"`
	ControllerName string           `json:"controllerName"`
	Conditions     []routeCondition `json:"conditions"`
}

type routeCondition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	ObservedGeneration int64  `json:"observedGeneration"`
	LastTransitionTime string `json:"lastTransitionTime"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
}

// tellRoutes writes status while leading says so, until ctx is done.
func (p *program) tellRoutes(ctx context.Context, leading func() bool) {
	p.routes.wait(ctx)
	tick := time.NewTicker(lookAtRoutes)
	defer tick.Stop()
	failed := map[string]time.Time{} // by uid
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if leading() {
			p.tellRoutesOnce(ctx, failed)
		}
	}
}

// tellRoutesOnce writes what differs. A route that others have written to
// meanwhile is told the next time, as it then is.
func (p *program) tellRoutesOnce(ctx context.Context, failed map[string]time.Time) {
	there := map[string]bool{}
	for _, one := range *p.routes.judged.Load() {
		uid := one.object.UID
		there[uid] = true
		parents, differs := routeStatus(&one, time.Now())
		if !differs || time.Since(failed[uid]) < failAgain {
			continue
		}
		if _, err := p.routes.writer(one.verdict.Kind).WriteStatus(ctx, &one.object, map[string]any{"parents": parents}, true); err != nil {
			failed[uid] = time.Now()
			p.log.Warn("the status of a route is not written", "route", one.verdict.String(), "error", err)
		}
	}
	for uid := range failed {
		if !there[uid] {
			delete(failed, uid)
		}
	}
}

// routeStatus is status.parents as it is to be, and whether it is another.
func routeStatus(one *judged, now time.Time) (parents []any, differs bool) {
	var before struct{ Parents []json.RawMessage }
	_ = json.Unmarshal(one.object.Status, &before) // what is not there is not ours
	var ours []routeParent
	parents = []any{}
	for _, raw := range before.Parents {
		var had routeParent
		if json.Unmarshal(raw, &had) == nil && had.ControllerName == controllerName {
			ours = append(ours, had)
		} else {
			parents = append(parents, raw)
		}
	}
	var said []routeParent
	for _, of := range one.verdict.Parents {
		if len(parents) < maxParents {
			entry := entryOf(&of, one.object.Generation, ours, now)
			said, parents = append(said, entry), append(parents, entry)
		}
	}
	return parents, !reflect.DeepEqual(said, ours)
}

// entryOf is one parent's. A time goes on while the condition's status does.
func entryOf(of *gateway.Parent, generation int64, before []routeParent, now time.Time) routeParent {
	entry := routeParent{ParentRef: of.Ref, ControllerName: controllerName, Conditions: []routeCondition{}}
	var had []routeCondition
	for _, b := range before {
		if reflect.DeepEqual(b.ParentRef, of.Ref) {
			had = b.Conditions
		}
	}
	for _, c := range of.Conditions {
		said := routeCondition{c.Type, c.Status, generation, now.UTC().Format(time.RFC3339), c.Reason, c.Message}
		for _, old := range had {
			if old.Type == c.Type && old.Status == c.Status && old.LastTransitionTime != "" {
				said.LastTransitionTime = old.LastTransitionTime
			}
		}
		entry.Conditions = append(entry.Conditions, said)
	}
	return entry
}

// routeStatusOf is a route as /status has it.
type routeStatusOf struct {
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Generation int64    `json:"generation"`
	Accepted   bool     `json:"accepted"` // by one parent at least
	Problems   []string `json:"problems,omitempty"`
}

// routeStatuses are those of routes with a Service among their parents.
func (p *program) routeStatuses() (all []routeStatusOf) {
	if p.routes == nil {
		return nil
	}
	for _, one := range *p.routes.judged.Load() {
		if len(one.verdict.Parents) == 0 {
			continue
		}
		s := routeStatusOf{Kind: string(one.verdict.Kind), Name: one.object.String(), Generation: one.object.Generation}
		for _, parent := range one.verdict.Parents {
			for _, c := range parent.Conditions {
				s.Accepted = s.Accepted || c.Type == "Accepted" && c.Status == "True"
				if bad := c.Status == "False" || c.Type == "PartiallyInvalid"; bad {
					s.Problems = append(s.Problems, strings.TrimSuffix(c.Reason+": "+c.Message, ": "))
				}
			}
		}
		all = append(all, s)
	}
	return all
}
