package server

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxAudiences bounds how many kinds of client a group tells apart; clients of
// further kinds count as one.
const maxAudiences = 64

// audience is the clients of one group that are one program at one version:
// what one of them refuses the others would refuse. Any goroutine.
type audience struct {
	group, client string

	holding atomic.Int32 // len(held), to pass by without the lock

	mu       sync.Mutex
	accepted map[string]map[string]*entry // type, name: what some client accepted last
	held     map[string]map[string]*hold  // type, name: what is in quarantine
}

// hold is one resource in quarantine.
type hold struct {
	Quarantine
	good *entry // nil: none is known, so it is left out
}

// Quarantine is a resource that clients of one program and version do not get,
// because one of them refused its content and none has accepted it. Their last
// good version stays, or the resource is left out; it ends when the content
// changes or such a client accepts it.
type Quarantine struct {
	Group string
	// Client is the program and version, "envoy/1.37.0".
	Client        string
	TypeURL, Name string
	// Version was refused; Good stays instead, empty if none was accepted.
	Version, Good string
	// Field and Reason are the client's words; Field may be empty.
	Field, Reason string
	// Node refused it first.
	Node  string
	Since time.Time
	// Alone: other clients of this program and version have accepted the
	// content, so only the node goes without.
	Alone bool
}

func newAudience(group, client string) *audience {
	return &audience{
		group: group, client: client,
		accepted: map[string]map[string]*entry{}, held: map[string]map[string]*hold{},
	}
}

// withheld reports whether e is in quarantine, and what stands in for it.
func (a *audience) withheld(typeURL string, e *entry) (good *entry, yes bool) {
	if a.holding.Load() == 0 {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.held[typeURL][e.Name]; h != nil && h.Version == e.Version {
		return h.good, true
	}
	return nil, false
}

// lastGood is what clients of this audience accepted other than e; nil if
// nothing is known.
func (a *audience) lastGood(typeURL string, e *entry) *entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.held[typeURL][e.Name]; h != nil && h.Version == e.Version {
		return h.good
	}
	if good := a.accepted[typeURL][e.Name]; good != nil && good.Version != e.Version {
		return good
	}
	return nil
}

// accept records that a client took e. What was held for e's content is let go.
func (a *audience) accept(typeURL string, e *entry) (released *hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.held[typeURL][e.Name]; h != nil && h.Version == e.Version {
		released = h
		a.drop(typeURL, e.Name)
	}
	byName := a.accepted[typeURL]
	if byName == nil {
		byName = map[string]*entry{}
		a.accepted[typeURL] = byName
	}
	if byName[e.Name] != e {
		byName[e.Name] = e
	}
	return released
}

// refuse records that a client refused e, as q says. fresh is false if that is
// known already. If another client of the audience has accepted the same
// content the fault is the client's own, and nobody else goes without.
func (a *audience) refuse(e *entry, q Quarantine) (_ Quarantine, fresh bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q.Group, q.Client, q.Name, q.Version = a.group, a.client, e.Name, e.Version
	good := a.accepted[q.TypeURL][e.Name]
	if good != nil && good.Version == e.Version {
		q.Alone = true
		return q, true
	}
	if h := a.held[q.TypeURL][e.Name]; h != nil && h.Version == e.Version {
		return h.Quarantine, false
	}
	if good != nil {
		q.Good = good.Version
	}
	if a.held[q.TypeURL] == nil {
		a.held[q.TypeURL] = map[string]*hold{}
	}
	if a.held[q.TypeURL][e.Name] == nil {
		a.holding.Add(1)
	}
	a.held[q.TypeURL][e.Name] = &hold{q, good}
	return q, true
}

// follow lets go of what is held for content that now has lost, and forgets
// what no longer exists.
func (a *audience) follow(now *generation, names map[string][]string) (released []*hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, typeURL := range slices.Sorted(maps.Keys(names)) {
		for _, name := range names[typeURL] {
			if h := a.held[typeURL][name]; h != nil {
				released = append(released, h)
				a.drop(typeURL, name)
			}
			if now.set(typeURL).byName[name] == nil {
				delete(a.accepted[typeURL], name)
			}
		}
	}
	return released
}

// all is every hold.
func (a *audience) all() (qs []Quarantine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, byName := range a.held {
		for _, h := range byName {
			qs = append(qs, h.Quarantine)
		}
	}
	return qs
}

func (a *audience) drop(typeURL, name string) {
	delete(a.held[typeURL], name)
	a.holding.Add(-1)
}
