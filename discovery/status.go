package discovery

// What a status page shows of the catalog.

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Status is one watched service. It is a value that nobody changes.
type Status struct {
	Service   Service
	State     State
	Followers int // 0: its last one left seconds ago
	Counters  Counters
}

// Counters count what a source has said of one service since it is watched.
type Counters struct {
	Answers  uint64            // sets, empty ones among them
	Empties  uint64            // sets without an instance
	Doubted  uint64            // answers that were held back: empty, or dropping too much
	Changes  uint64            // of the set in use
	Failures map[string]uint64 // by FailureKind; nil before the first

	LastAnswer, LastFailure time.Time // zero before the first
}

// FailureKind names the kind of a source's failure in a word, for counters: what
// the first error in the chain with a method FailureKind() string says, else
// "timeout" or "error". A source has few kinds.
func FailureKind(err error) string {
	var kind interface{ FailureKind() string }
	switch {
	case errors.As(err, &kind):
		return kind.FailureKind()
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}

// States are all services that are watched now, sorted by name. Any goroutine.
func (c *Catalog) States() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Status, 0, len(c.watches))
	for _, w := range c.watches {
		all = append(all, w.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Service.String(), b.Service.String()) })
	return all
}

// State is one service's; false if nobody follows it. Any goroutine.
func (c *Catalog) State(service Service) (State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.watches[service]
	if !ok {
		return State{}, false
	}
	return w.status().State, true
}

// Unsynced are those of the services that have neither answered nor failed yet,
// sorted by name. Any goroutine.
func (c *Catalog) Unsynced(services []Service) []Service {
	var waiting []Service
	for _, s := range services {
		if state, ok := c.State(s); !ok || !state.Synced() {
			waiting = append(waiting, s)
		}
	}
	slices.SortFunc(waiting, func(a, b Service) int { return cmp.Compare(a.String(), b.String()) })
	return waiting
}
