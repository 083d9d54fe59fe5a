package plan

// The gate: what of a changed set goes on to the sidecars now.

import (
	"fmt"
	"slices"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// Budget bounds what a change may move.
type Budget struct {
	MaxMovedShare float64       // 1 holds nothing back
	HoldFor       time.Duration // then what was held goes on; 0 waits for Approve
}

// Plan is one change of a hashed set: what it does to the keys, and whether it
// was let through.
type Plan struct {
	Movement
	// Joining, Leaving and Reweighted are ids, sorted.
	Joining, Leaving, Reweighted []string
	// Health says that no membership changed: instances came or went by their
	// health alone, which is never held back.
	Health bool
	// Held says that the change waits, and Reason why. Since is when it was first
	// held, Until when it goes on by itself; zero for never.
	Held         bool
	Reason       string
	Since, Until time.Time
}

// Gate stands before one hashed set. It lets facts through and holds plans back:
// an instance's health, address and metadata are facts, and so is that it was
// hashed over before; an instance that comes, goes, or weighs something else is a
// plan, which moves keys and may wait. While a plan waits, sidecars have the
// instances that they had, each as healthy as it is now, an instance that has
// gone as it was last seen, and none that is new. One goroutine.
type Gate struct {
	table    Table
	offered  *discovery.Set // last
	passed   *discovery.Set // last
	members  []discovery.Instance
	plan     *Plan // the last one
	approved bool
}

// NewGate makes the gate of a set hashed as t says.
func NewGate(t Table) *Gate { return &Gate{table: t} }

// Plan is the last change that was planned; nil before the first.
func (g *Gate) Plan() *Plan { return g.plan }

// Held reports whether a change waits.
func (g *Gate) Held() bool { return g.plan != nil && g.plan.Held }

// Approve lets what waits through at the next Offer. It reports whether anything
// waits.
func (g *Gate) Approve() bool {
	g.approved = g.Held()
	return g.approved
}

// Offer gives the gate the set as it is now. It answers with the set to send,
// the same pointer as long as nothing in it changes, and the plan if this offer
// changed who gets keys or whether a change waits. A set of which nothing is
// known is nil. With an error there is no plan, and the set goes on unplanned.
func (g *Gate) Offer(set *discovery.Set, budget Budget, now time.Time) (*discovery.Set, *Plan, error) {
	if set == nil || g.passed == nil {
		g.pass(set)
		return set, nil, nil
	}
	if set == g.offered && !g.Held() {
		return g.passed, nil, nil
	}
	kept := g.kept(set)
	before, after := taking(kept), taking(set.Instances)
	if !g.Held() && g.same(before, after) {
		return g.facts(set)
	}
	plan, err := g.planned(before, after)
	if err != nil {
		g.pass(set)
		return set, nil, err
	}
	if g.holds(plan, budget, len(before), now) {
		return g.hold(set, kept, plan)
	}
	g.pass(set)
	g.plan = plan
	return set, plan, nil
}

// facts passes a set on whose membership is as before.
func (g *Gate) facts(set *discovery.Set) (*discovery.Set, *Plan, error) {
	before, after := taking(g.passed.Instances), taking(set.Instances)
	g.pass(set)
	if g.same(before, after) {
		return set, nil, nil
	}
	plan, err := g.planned(before, after)
	if err != nil {
		return set, nil, err
	}
	plan.Health = true
	g.plan = plan
	return set, plan, nil
}

// pass lets set through: its instances that take keys, and those that did
// before and still stand in it, are members from now on.
func (g *Gate) pass(set *discovery.Set) {
	g.offered, g.passed, g.approved = set, set, false
	if set == nil {
		return
	}
	known := g.weights(g.members)
	g.members = nil
	for i := range set.Instances {
		in := &set.Instances[i]
		if _, member := known[g.table.key(in)]; member || in.Health == discovery.Healthy {
			g.members = append(g.members, *in)
		}
	}
}

// kept are the members with the weights and priorities that they have, and the
// facts of set.
func (g *Gate) kept(set *discovery.Set) []discovery.Instance {
	now := map[string]discovery.Instance{}
	for i := range set.Instances {
		now[g.table.key(&set.Instances[i])] = set.Instances[i]
	}
	all := slices.Clone(g.members)
	for i, m := range all {
		if in, ok := now[g.table.key(&m)]; ok {
			in.Weight, in.Priority = m.Weight, m.Priority
			all[i] = in
		}
	}
	return all
}

func (g *Gate) planned(before, after []discovery.Instance) (*Plan, error) {
	m, err := Compare(g.table, before, after)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p := &Plan{Movement: m}
	was, is := g.weights(before), g.weights(after)
	for _, in := range after {
		if w, ok := was[g.table.key(&in)]; !ok {
			p.Joining = append(p.Joining, in.ID)
		} else if w != in.Weight {
			p.Reweighted = append(p.Reweighted, in.ID)
		}
	}
	for _, in := range before {
		if _, ok := is[g.table.key(&in)]; !ok {
			p.Leaving = append(p.Leaving, in.ID)
		}
	}
	return p, nil
}

// holds decides, and carries over since when a change waits. Where no instance
// takes keys there is nothing to protect.
func (g *Gate) holds(p *Plan, b Budget, before int, now time.Time) bool {
	if g.approved || before == 0 || p.Moved <= b.MaxMovedShare {
		return false
	}
	p.Since = now
	if g.Held() {
		p.Since = g.plan.Since
	}
	if b.HoldFor > 0 {
		p.Until = p.Since.Add(b.HoldFor)
		if !now.Before(p.Until) {
			return false
		}
	}
	p.Held = true
	p.Reason = fmt.Sprintf("%.1f %% of the keys would move, more than max_moved_share %.1f %%", 100*p.Moved, 100*b.MaxMovedShare)
	return true
}

// hold sends the members as they are now, and leaves out what is new.
func (g *Gate) hold(set *discovery.Set, kept []discovery.Instance, p *Plan) (*discovery.Set, *Plan, error) {
	news := !g.Held() || set != g.offered
	g.offered = set
	g.members = kept
	held, _ := discovery.MakeSet("", slices.Clone(kept))
	if !held.Equal(g.passed) {
		g.passed = held
	}
	if !news {
		return g.passed, nil, nil
	}
	g.plan = p
	return g.passed, p, nil
}

// taking are the instances that a data plane hashes over: of the first priority
// that has a healthy one, those that are healthy, or all in panic, when fewer
// than half are (Envoy's healthy_panic_threshold).
func taking(all []discovery.Instance) (hashed []discovery.Instance) {
	best, found := uint32(0), false
	for _, in := range all {
		if in.Health == discovery.Healthy && (!found || in.Priority < best) {
			best, found = in.Priority, true
		}
	}
	level := 0
	for _, in := range all {
		if in.Priority != best {
			continue
		}
		level++
		if in.Health == discovery.Healthy {
			hashed = append(hashed, in)
		}
	}
	if 2*len(hashed) >= level {
		return hashed
	}
	hashed = nil
	for _, in := range all {
		if in.Priority == best {
			hashed = append(hashed, in)
		}
	}
	return hashed
}

// same says that both lists place the same keys with the same weights.
func (g *Gate) same(a, b []discovery.Instance) bool {
	x, y := g.weights(a), g.weights(b)
	if len(x) != len(y) {
		return false
	}
	for id, w := range x {
		if other, ok := y[id]; !ok || other != w {
			return false
		}
	}
	return true
}

func (g *Gate) weights(all []discovery.Instance) map[string]uint32 {
	m := make(map[string]uint32, len(all))
	for i := range all {
		m[g.table.key(&all[i])] = all[i].Weight
	}
	return m
}
