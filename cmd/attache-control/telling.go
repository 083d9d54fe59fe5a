package main

// What the resources are told: whether they are accepted, and how many sidecars
// have them.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/discovery/kube/ambassadors"
	"github.com/attache-mesh/attache/xds/server"
)

const (
	// lookAtSidecars is how often sidecars are counted. A count is told when two
	// looks agree: sidecars that are just being sent something do not lag.
	lookAtSidecars = 2 * time.Second
	// tellAgain is between two writes about one generation of a resource, so that
	// sidecars that come and go do not become writes.
	tellAgain = 5 * time.Second
	// failAgain is between two that failed.
	failAgain = 3 * time.Second
)

// told is what was last said, or is about to be, of one resource.
type told struct {
	status     ambassadors.Status
	at         time.Time
	generation int64
}

// tellResources writes status while leading says so, until ctx is done.
func (p *program) tellResources(ctx context.Context, leading func() bool) {
	p.resources.wait(ctx)
	tick := time.NewTicker(lookAtSidecars)
	defer tick.Stop()
	told := map[string]*told{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if leading() {
			p.tellOnce(ctx, told)
		} else {
			clear(told)
		}
	}
}

// tellOnce looks at everything once.
func (p *program) tellOnce(ctx context.Context, before map[string]*told) {
	kept := p.keptResources()
	counts := p.allSidecars(ctx)
	for uid, k := range kept {
		now := statusOf(k, counts[k.object.String()])
		was := before[uid]
		if was == nil {
			was = &told{}
			before[uid] = was
		}
		settled := was.status.Same(now)
		was.status = now
		fresh := was.generation != k.object.Generation
		if !fresh && (!settled || time.Since(was.at) < tellAgain) {
			continue
		}
		wrote, err := p.resources.watcher.WriteStatus(ctx, &k.object, now)
		if err != nil {
			was.at, was.generation = time.Now().Add(failAgain-tellAgain), k.object.Generation // tell the rest first
			p.log.Warn("the status of an Ambassador is not written", "resource", k.object.String(), "error", err)
			continue
		}
		if wrote || fresh {
			was.at, was.generation = time.Now(), k.object.Generation
		}
	}
	maps.DeleteFunc(before, func(uid string, _ *told) bool { return kept[uid] == nil })
}

// keptResources are those of now, by uid.
func (p *program) keptResources() map[string]*kept {
	return *p.resources.kept.Load()
}

// statusOf is what is said of a resource.
func statusOf(k *kept, count ambassadors.Sidecars) ambassadors.Status {
	accepted := ambassadors.Condition{Type: "Accepted", Status: "True", Reason: "Accepted", Message: strings.Join(k.warnings, "; ")}
	programmed := ambassadors.Condition{Type: "Programmed", Status: "True", Reason: "Programmed"}
	if len(k.problems) > 0 {
		accepted.Status, accepted.Reason, accepted.Message = "False", "Invalid", strings.Join(k.problems, "; ")
		programmed.Status, programmed.Reason, programmed.Message = "False", "Invalid", "nothing of it is served"
		if k.good != nil {
			programmed.Reason, programmed.Message = "LastGoodVersion", fmt.Sprintf("generation %d is served", k.goodGeneration)
		}
	} else if count.Refused > 0 {
		programmed.Status, programmed.Reason, programmed.Message = "False", "Refused", count.LastRefusal
	} else if count.Synced < count.Connected {
		programmed.Status, programmed.Reason = "False", "Pending"
		programmed.Message = fmt.Sprintf("%d of %d sidecars have taken it", count.Synced, count.Connected)
	}
	return ambassadors.Status{
		ObservedGeneration: k.object.Generation, Sidecars: count,
		Conditions: []ambassadors.Condition{accepted, programmed},
	}
}

// ownSidecars counts the sidecars of this replica, by their ambassador's name.
func (p *program) ownSidecars() map[string]ambassadors.Sidecars {
	of := map[string]string{} // ambassador, by group
	loop, _ := p.loop.Status()
	for _, g := range loop.Groups {
		of[g.Name] = g.Ambassador
	}
	return countSidecars(p.server.Clients(), p.server.Quarantined(), of)
}

// countSidecars counts nodes: a node may have several streams. A node goes
// without something if it refuses it, or if its like did (a quarantine).
func countSidecars(clients []server.ClientStatus, held []server.Quarantine, of map[string]string) map[string]ambassadors.Sidecars {
	type who struct{ group, client string }
	quarantined := map[who]bool{}
	alone := map[string]bool{} // by group and node
	words := map[string]ambassadors.Sidecars{}
	latest := map[string]time.Time{}
	refusal := func(group, text string, at time.Time) {
		name := of[group]
		if at.Before(latest[name]) {
			return
		}
		latest[name] = at
		words[name] = ambassadors.Sidecars{LastRefusal: text}
	}
	for _, q := range held {
		if q.Alone {
			alone[q.Group+"\x00"+q.Node] = true
		} else {
			quarantined[who{q.Group, q.Client}] = true
		}
		refusal(q.Group, fmt.Sprintf("%s %s, by %s (%s): %s", shortType(q.TypeURL), q.Name, q.Node, q.Client, q.Reason), q.Since)
	}
	states := map[[2]string]nodeState{} // by ambassador and node
	for _, c := range clients {
		key := [2]string{of[c.Group], c.Node}
		s := states[key]
		s.refused = s.refused || quarantined[who{c.Group, c.Program}] || alone[c.Group+"\x00"+c.Node]
		for _, t := range c.Types {
			if t.Error != "" {
				s.refused = true
				refusal(c.Group, fmt.Sprintf("%s, by %s (%s): %s", shortType(t.TypeURL), c.Node, c.Program, t.Error), t.NackedAt)
			}
			s.behind = s.behind || t.Acked != t.Version
		}
		states[key] = s
	}
	for key, s := range states {
		n := words[key[0]]
		n.Connected++
		switch {
		case s.refused:
			n.Refused++
		case !s.behind:
			n.Synced++
		}
		words[key[0]] = n
	}
	delete(words, "")
	return words
}

// nodeState is one sidecar's.
type nodeState struct{ refused, behind bool }

// resourceStatus is a resource as /status has it.
type resourceStatus struct {
	Name       string   `json:"name"`
	Generation int64    `json:"generation"`
	Served     int64    `json:"served_generation,omitempty"` // 0: nothing of it
	Problems   []string `json:"problems,omitempty"`
}

func (p *program) resourceStatus() (all []resourceStatus) {
	if p.f.ambassadors == "" {
		return nil
	}
	for _, k := range p.keptResources() {
		all = append(all, resourceStatus{k.object.String(), k.object.Generation, k.goodGeneration, k.problems})
	}
	slices.SortFunc(all, func(a, b resourceStatus) int { return strings.Compare(a.Name, b.Name) })
	return all
}
