package control

// One turn: from what came in to what is published.

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// use is a service as some ports use it.
type use struct {
	budget plan.Budget
	gate   *plan.Gate // nil: not hashed
	state  discovery.State
	sent   *discovery.Set
	groups map[*group]bool
}

// group is alike clients, and what they were last sent.
type group struct {
	ambassador.Group
	uses       []ambassador.Use
	secrets    []ambassador.Secret
	generation uint64
	published  time.Time
	counts     map[string]int // resources by type URL
}

// turn takes what came in, and publishes the groups that it concerns.
func (l *Loop) turn() {
	states, secrets, groups := l.inbox.take()
	concerned := map[*group]bool{}
	names := map[string]bool{} // of services and secrets that changed
	first := time.Time{}
	for service, a := range states {
		for u, of := range l.uses {
			if u.Service != service {
				continue
			}
			of.state = a.state
			if !l.offer(u, of) {
				continue
			}
			names[service.String()] = true
			if first.IsZero() || a.at.Before(first) {
				first = a.at
			}
			maps.Copy(concerned, of.groups)
		}
	}
	l.takeNew(secrets, concerned, names, &first)
	for _, g := range groups {
		if added := l.add(g); added != nil {
			concerned[added] = true
		}
	}
	l.publish(concerned, names, first)
	l.schedule()
}

// offer takes a use's state through its gate; it reports whether what is sent
// changes.
func (l *Loop) offer(u ambassador.Use, of *use) bool {
	before := of.sent
	of.sent = of.state.Set
	if of.gate != nil {
		sent, planned, err := of.gate.Offer(of.state.Set, of.budget, time.Now())
		if err != nil {
			l.options.Log.Warn("change is not planned", "use", u.String(), "error", err)
		}
		of.sent = sent
		if planned != nil {
			l.say(u, planned)
		}
	}
	return of.sent != before
}

// say tells of a plan.
func (l *Loop) say(u ambassador.Use, p *plan.Plan) {
	l.options.Planned(u, *p)
	text := "membership change"
	if p.Health {
		text = "instances changed by their health"
	}
	args := []any{
		"use", u.String(), "moved", p.Moved, "least", p.Least, "between", p.Between,
		"instances", len(p.After.Hosts), "max_over_mean", p.After.MaxOverMean,
		"joining", brief(p.Joining), "leaving", brief(p.Leaving), "reweighted", brief(p.Reweighted),
	}
	if p.Held {
		l.options.Log.Warn("membership change held back", append(args, "reason", p.Reason, "until", p.Until)...)
		return
	}
	l.options.Log.Info(text, args...)
}

// brief is a list for a log line.
func brief(ids []string) string {
	const few = 8
	if len(ids) > few {
		return strings.Join(ids[:few], " ") + " …"
	}
	return strings.Join(ids, " ")
}

// add makes a group of the configuration that stands, which may be a newer one
// than it was asked for by; nil if it is there or its ambassador is gone.
func (l *Loop) add(g ambassador.Group) *group {
	name := g.String()
	if l.groups[name] != nil {
		return nil
	}
	for _, a := range l.config.Load().Ambassadors {
		if a.Name == g.Ambassador.Name {
			g.Ambassador = a
			added := &group{Group: g}
			l.groups[name] = added
			l.join(added)
			return added
		}
	}
	l.inbox.forget(name)
	return nil
}

// join enters the group with the uses that it depends on.
func (l *Loop) join(g *group) {
	g.uses, g.secrets = g.Uses(), g.Secrets()
	for _, u := range g.uses {
		if of := l.uses[u]; of != nil {
			of.groups[g] = true
		}
	}
}

// publish builds and publishes groups; first is when the first of the changes of
// services and secrets, those names, came in.
func (l *Loop) publish(groups map[*group]bool, changed map[string]bool, first time.Time) {
	if len(groups) == 0 {
		return
	}
	push := &Push{Began: first, Turned: time.Now()}
	if first.IsZero() {
		push.Began = push.Turned
	}
	push.Services = slices.Sorted(maps.Keys(changed))
	names := slices.SortedFunc(maps.Keys(groups), func(a, b *group) int { return strings.Compare(a.String(), b.String()) })
	l.pushes.begin(push)
	for _, g := range names {
		b := l.builder.Build(g.Group, func(u ambassador.Use) discovery.State {
			of := l.uses[u]
			state := of.state
			state.Set = of.sent
			return state
		}, l.secretOf)
		g.counts = map[string]int{}
		for _, typeURL := range b.Types() {
			g.counts[typeURL] = b.Count(typeURL)
		}
		generation := l.publisher.Publish(g.String(), b)
		if generation != g.generation {
			g.generation, g.published = generation, time.Now()
			l.pushes.published(push, g.String(), generation)
		}
	}
	l.pushes.all(push)
}

// expire lets go of what was held for its time.
func (l *Loop) expire() {
	concerned, names := map[*group]bool{}, map[string]bool{}
	for u, of := range l.uses {
		if of.gate != nil && of.gate.Held() && l.offer(u, of) {
			maps.Copy(concerned, of.groups)
			names[u.Service.String()] = true
		}
	}
	l.publish(concerned, names, time.Time{})
	l.schedule()
}

// schedule sets the alarm for the next held change that goes on by itself.
func (l *Loop) schedule() {
	var next time.Time
	for _, of := range l.uses {
		if of.gate == nil || !of.gate.Held() {
			continue
		}
		if until := of.gate.Plan().Until; !until.IsZero() && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	l.holds.Stop()
	if !next.IsZero() {
		l.holds.Reset(max(time.Until(next), 0))
	}
}

// Approve lets a held change of a use, given by its name, go on. It reports
// whether one was held.
func (l *Loop) Approve(name string) (held bool) {
	l.do(func() {
		for u, of := range l.uses {
			if u.String() != name || of.gate == nil || !of.gate.Approve() {
				continue
			}
			held = true
			l.options.Log.Info("held change approved", "use", name)
			if l.offer(u, of) {
				l.publish(of.groups, map[string]bool{u.Service.String(): true}, time.Time{})
			}
			l.schedule()
		}
	})
	return held
}
