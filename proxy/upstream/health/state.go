// Package health asks hosts whether they are fit to be asked: active health
// checks (Envoy source/extensions/health_checkers).
//
//	timer ─▶ coroutine ─▶ connection ─▶ question ─▶ Result ─▶ State.Take ─▶ told to the cluster
//	  ▲                                                            │
//	  └────────────── interval, as the state is ◀──────────────────┘
//
// Each host is checked by one worker, over connections of the check's own: what
// is counted of a cluster's connections and limits is not touched.
package health

import (
	"math/rand/v2"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Result is what one check has found.
type Result uint8

// The results.
const (
	Passed      Result = iota
	Degraded           // passed, and wants to be asked only in need
	Refused            // the host says that it is not fit
	Retriable          // it says so, but is given time
	Broken             // it could not be asked
	TimedOut           // it did not answer in time
	Passive            // the answer to a request of a client says so
	resultCount = iota
)

// Bad reports whether the host has failed.
func (r Result) Bad() bool { return r > Degraded }

// String says it in words.
func (r Result) String() string {
	return [...]string{"answers", "answers, and wants to be asked only in need", "says that it is not fit", "says that it is not fit yet", "cannot be asked", "does not answer in time", "was found not fit"}[r]
}

// network reports whether the host could not be asked.
func (r Result) network() bool { return r == Broken || r == TimedOut }

// Change is what a result does to a host.
type Change uint8

// The changes.
const (
	Unchanged Change = iota
	Pending          // it will change if the next results are the same
	Changed
)

// State is what checks have found out about a host. Its zero value with Failed
// set is that of a host that was not checked yet.
type State struct {
	// Failed: the host is not fit. Degraded: it wants to be asked only in need.
	// Late: it has failed, and the last check timed out.
	Failed, Degraded, Late bool
	// New: no check has ended yet.
	New bool
	// Recovered and Turned are of the last result: it has ended a failure, and it has
	// changed Degraded.
	Recovered, Turned bool
	good, bad         uint32
}

// Take takes a result in (HealthCheckerImplBase::ActiveHealthCheckSession,
// handleSuccess and setUnhealthy). Passive counts as a check.
func (s *State) Take(r Result, asked *config.HealthCheck) Change {
	first := s.New
	s.New, s.Recovered, s.Turned = false, false, false
	if r.Bad() {
		return s.fail(r, asked, first)
	}
	return s.pass(r == Degraded, asked, first)
}

func (s *State) pass(degraded bool, asked *config.HealthCheck, first bool) (c Change) {
	s.bad = 0
	if s.Failed {
		s.good++
		c = Pending
		if first || s.good == asked.Healthy {
			s.Failed, s.Late, s.Recovered = false, false, true
			c = Changed
		}
	}
	if degraded != s.Degraded {
		s.Degraded, s.Turned = degraded, true
		if c == Unchanged {
			c = Changed
		}
	}
	return c
}

func (s *State) fail(r Result, asked *config.HealthCheck, first bool) (c Change) {
	s.good = 0
	if !s.Failed {
		s.bad++
		c = Pending
		if first || !r.network() && r != Retriable || s.bad == asked.Unhealthy {
			s.Failed = true
			c = Changed
		}
	}
	s.Late = s.Failed && r == TimedOut
	return c
}

// Wait is how long to wait for the next check; used says that something was ever
// asked of the cluster (HealthCheckerImplBase::interval).
func (s *State) Wait(bad bool, c Change, asked *config.HealthCheck, used bool, r *rand.Rand) time.Duration {
	d := asked.Interval
	switch {
	case !used && !bad && c != Pending:
		d = asked.NoTrafficHealthy
	case !used:
		d = asked.NoTraffic
	case bad && c == Pending:
		d = asked.UnhealthyEdge
	case bad:
		d = asked.UnhealthyInterval
	case c == Pending:
		d = asked.HealthyEdge
	}
	if part := d / 100 * time.Duration(asked.JitterPercent); part >= time.Millisecond {
		d += time.Duration(r.Int64N(int64(part)))
	}
	return max(d+jitter(asked.Jitter, r), time.Millisecond)
}

// jitter is a random part of d.
func jitter(d time.Duration, r *rand.Rand) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(d)))
}
