package upstream

// Picking a host for a retry (Envoy retry host predicates and retry priorities).

import (
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Tried is what a retry remembers of the attempts before. Worker only.
type Tried struct {
	// Hosts are those of the attempts, the same one perhaps twice.
	Hosts    []*Host
	excluded []bool // priorities that previous_priorities leaves out
	loads    loads  // over the others; no percentages: as they are
}

// Reset forgets the attempts; what was allocated stays.
func (t *Tried) Reset() {
	clear(t.Hosts)
	t.Hosts, t.excluded, t.loads.healthy = t.Hosts[:0], t.excluded[:0], t.loads.healthy[:0]
}

// PickAgain is Pick for a retry: a host that policy would rather not have is
// picked again, and the last one taken whatever it is. every is
// config.Retry.PriorityEvery. Worker only.
func (l *Local) PickAgain(p *Pick, policy *config.RetryHosts, every uint32, t *Tried) (*Host, outcome.Outcome) {
	v := l.view.Load()
	if every > 0 && v.asked.Discovery != config.DiscoveryAggregate {
		t.turn(v, int(every))
		if len(t.loads.healthy) == len(v.levels) {
			p.loads = &t.loads
		}
	}
	first := p.Attempt
	h, o := l.Pick(p)
	for n := uint32(0); n < policy.Attempts && o == outcome.OK && t.rejects(h, policy); n++ {
		p.Attempt++
		h, o = l.Pick(p)
	}
	p.Attempt, p.loads = first, nil
	return h, o
}

// rejects says whether one of the predicates does not want the host.
func (t *Tried) rejects(h *Host, policy *config.RetryHosts) bool {
	if policy.Previous && slices.Contains(t.Hosts, h) {
		return true
	}
	e := h.Endpoint()
	if policy.Canary && e.Canary {
		return true
	}
	for _, labels := range policy.Metadata {
		if hasAll(e.Metadata, labels) {
			return true
		}
	}
	return false
}

func hasAll(have, labels map[string]string) bool {
	for name, v := range labels {
		if at, ok := have[name]; !ok || at != v {
			return false
		}
	}
	return true
}

// turn leaves out the priorities that were tried, once every so many attempts. If
// none is left that can carry anything, all are taken again, and the attempts up
// to then are forgotten (previous_priorities.cc, adjustForAttemptedPriorities).
func (t *Tried) turn(v *view, every int) {
	if len(t.Hosts) < every {
		t.loads.healthy = t.loads.healthy[:0]
		return
	}
	if len(t.Hosts)%every != 0 {
		return
	}
	for len(t.excluded) < len(v.levels) {
		t.excluded = append(t.excluded, false)
	}
	for _, h := range t.Hosts {
		if i := v.priorityOf(h); i >= 0 {
			t.excluded[i] = true
		}
	}
	if !t.spread(v) {
		clear(t.excluded)
		t.Hosts = t.Hosts[:0]
		if !t.spread(v) {
			t.loads.healthy = t.loads.healthy[:0]
		}
	}
}

// spread shares the load among the priorities that are not excluded; false if they
// can carry nothing.
func (t *Tried) spread(v *view) bool {
	n := len(v.levels)
	healthy, degraded, sum := make([]uint32, n), make([]uint32, n), uint32(0)
	for i := range v.levels {
		if t.excluded[i] {
			continue
		}
		healthy[i], degraded[i] = v.levels[i].available(v.asked).scores()
		sum += healthy[i] + degraded[i]
	}
	if sum == 0 {
		return false
	}
	t.loads = loads{make([]uint32, n), make([]uint32, n), nil}
	t.loads.distribute(healthy, degraded, min(sum, 100))
	return true
}

// priorityOf finds the priority of a host, -1 if it has left.
func (v *view) priorityOf(h *Host) int {
	for i := range v.levels {
		if slices.Contains(v.levels[i].all.hosts, h) {
			return i
		}
	}
	return -1
}
