// Package lifecycle is the one place that says where in its life the program is:
//
//	starting ──▶ ready ──▶ draining ──▶ gone
//	    └───────────────────▲ (it may be told to go before it was ready)
//
// Nobody goes back. What is done in a state is in cmd/attache; what each means for
// listeners, docs/lifecycle.md.
package lifecycle

import (
	"slices"
	"sync"
	"time"
)

// State is a part of the program's life.
type State uint8

// The states, in their order.
const (
	Starting State = iota
	Ready
	Draining
	Gone
)

// String is the state's name on /lifecycle.
func (s State) String() string { return [...]string{"starting", "ready", "draining", "gone"}[s] }

// Step is a state with its reason.
type Step struct {
	State State
	Since time.Time
	Why   string
	// Deadline is when the state ends whatever is waited for; zero: never.
	Deadline time.Time
}

// Machine keeps the state. Its methods are for any goroutine.
type Machine struct {
	mu    sync.Mutex
	now   func() time.Time
	steps []Step
	waits func() []string
}

// New is a machine that is starting.
func New(now func() time.Time) *Machine {
	return &Machine{now: now, steps: []Step{{State: Starting, Since: now(), Why: "the program was started"}}}
}

// Go enters a state; false, and nothing is changed, if that is not later than the
// present one. within is until its deadline, 0: it has none.
func (m *Machine) Go(to State, why string, within time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if to <= m.steps[len(m.steps)-1].State {
		return false
	}
	s := Step{State: to, Since: m.now(), Why: why}
	if within > 0 {
		s.Deadline = s.Since.Add(within)
	}
	m.steps, m.waits = append(m.steps, s), nil
	return true
}

// WaitFor sets who says what the present state waits for, until the next state; it is
// called by Look, outside of any lock.
func (m *Machine) WaitFor(what func() []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = what
}

// State is the present one.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps[len(m.steps)-1].State
}

// View is what is to be seen of a machine: the present step, what it waits for, and the
// steps before it.
type View struct {
	Step
	WaitsFor []string
	Before   []Step
}

// Look shows the machine.
func (m *Machine) Look() View {
	m.mu.Lock()
	last := len(m.steps) - 1
	v, waits := View{Step: m.steps[last], Before: slices.Clone(m.steps[:last])}, m.waits
	m.mu.Unlock()
	if waits != nil {
		v.WaitsFor = waits()
	}
	return v
}
