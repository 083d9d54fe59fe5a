package main

// Figures that nobody else keeps, for /metrics.

import (
	"sync"
	"time"

	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/control"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// pushBounds are the buckets of push durations, in seconds.
var pushBounds = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// meter counts. Any goroutine.
type meter struct {
	mu       sync.Mutex
	pushes   [len(pushBounds) + 1]uint64
	pushSum  float64
	plans    map[planKey]uint64
	refusals map[refusalKey]uint64
}

type planKey struct{ set, outcome string }

type refusalKey struct{ typeName, program string }

func newMeter() *meter {
	return &meter{plans: map[planKey]uint64{}, refusals: map[refusalKey]uint64{}}
}

// pushed counts a push that a source began: from its event to the last answer.
func (m *meter) pushed(p control.Push) {
	if len(p.Services) == 0 {
		return
	}
	took := p.Ended.Sub(p.Began).Seconds()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := 0
	for i < len(pushBounds) && took > pushBounds[i] {
		i++
	}
	m.pushes[i]++
	m.pushSum += took
}

func (m *meter) planned(u ambassador.Use, p plan.Plan) {
	outcome := "through"
	switch {
	case p.Held:
		outcome = "held"
	case p.Health:
		outcome = "health"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plans[planKey{u.String(), outcome}]++
}

// maxRefusals bounds the labels that clients choose.
const maxRefusals = 256

func (m *meter) nacked(a server.Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := refusalKey{shortType(a.TypeURL), a.Client.Program}
	if _, known := m.refusals[key]; !known && len(m.refusals) >= maxRefusals {
		key = refusalKey{"other", "other"}
	}
	m.refusals[key]++
}

// planTimes is how long the oldest held change has waited.
func planTimes(sets []setStatus, now time.Time) (oldest float64, held int) {
	for _, s := range sets {
		if s.Plan != nil && s.Plan.Held {
			held++
			oldest = max(oldest, now.Sub(*s.Plan.Since).Seconds())
		}
	}
	return oldest, held
}
