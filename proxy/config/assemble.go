package config

// From resources to a snapshot: what stands where Envoy has a warming state
// machine. In the order of Envoy's make before break: clusters with their
// endpoints, route tables, listeners; last, what is gone but still named.

import (
	"fmt"
	"reflect"
)

// Assemble joins resources to a snapshot. It is pure, and its work beyond
// looking at every pointer once is that of what changed since previous (which
// may be nil).
//
// A resource that is refused is a problem, one whose parts are not all there is
// pending; either way its predecessor in previous stands instead, and without
// one it is left out. A cluster or route table that is gone stays as long as
// something in the snapshot names it.
//
// A cluster is pending until there are Endpoints of its EDSName, and every
// Collection that those name; a listener, until its route table stands; both,
// until their secrets are there; a listener, until the configurations of its filters are; a listener or route table, while it names a
// cluster that is pending and has no predecessor. Whoever has waited long
// enough for endpoints gives empty ones, and for a secret one that is Missing.
func Assemble(previous *Snapshot, now Resources) (*Snapshot, []Pending, []Problem) {
	if previous == nil {
		previous = &Snapshot{}
	}
	a := &assembly{
		before:  previous,
		waiting: map[string]bool{},
		s: &Snapshot{
			listeners: make(map[string]*standing[Listener], len(now.Listeners)),
			tables:    make(map[string]*standing[RouteTable], len(now.RouteTables)),

			extensions: map[string]*Extension{}, filled: map[string]*filled{},
		},
	}
	a.secrets = byName(a, now.Secrets, "secret", func(s *Secret) string { return s.Key })
	a.extensions = byName(a, now.Extensions, "extension", func(e *Extension) string { return e.Name })
	if previous.from.same(&now) {
		a.s.Clusters, a.s.clusters, a.s.from = previous.Clusters, previous.clusters, previous.from
	} else {
		a.joinClusters(&now)
	}
	a.addTables(now.RouteTables)
	a.unscoped = now.Scopes == nil && previous.Scopes == nil
	a.addScopes(now.Scopes)
	a.addListeners(now.Listeners)
	a.keepWhatIsNamed()
	a.addMaterials()
	return a.s, a.pending, a.problems
}

// assembly is one snapshot being put together.
type assembly struct {
	before  *Snapshot
	s       *Snapshot
	waiting map[string]bool // clusters that are pending and have no predecessor
	// What clusters are put together from.
	endpoints  map[string]*Endpoints
	lists      map[string]*Collection
	secrets    map[string]*Secret // by key
	mistaken   map[*Secret]bool   // those that were refused for their kind
	extensions map[string]*Extension
	entries    uint64 // of hash tables, all clusters together
	// Scopes by key; unscoped says that it is not known which there are, lacking that
	// a new one has no table yet.
	keys              map[string]*Scope
	unscoped, lacking bool
	// scopes are those of the first connection manager that has some by SRDS.
	scopes   *Scopes
	pending  []Pending
	problems []Problem
}

func (a *assembly) refuse(resource, format string, args ...any) {
	a.problems = append(a.problems, Problem{resource, fmt.Sprintf(format, args...)})
}

func (a *assembly) wait(resource, missing string) {
	a.pending = append(a.pending, Pending{resource, missing})
}

// byName reports all but the first of several with one name.
func byName[T any](a *assembly, all []*T, kind string, name func(*T) string) map[string]*T {
	m := make(map[string]*T, len(all))
	for _, v := range all {
		if n := name(v); m[n] != nil {
			a.refuse(kind+" "+n, "duplicate %s '%s'", kind, n)
		} else {
			m[n] = v
		}
	}
	return m
}

// same compares by pointer first: that is what unchanged resources have.
func same[T any](a, b *T) bool { return a == b || reflect.DeepEqual(a, b) }

func (a *assembly) addTables(tables []*RouteTable) {
	seen := make(map[string]bool, len(tables))
	for _, t := range tables {
		if seen[t.Name] {
			a.refuse(tableName(t.Name), "duplicate route table '%s'", t.Name)
			continue
		}
		seen[t.Name] = true
		if st := a.table(t, a.before.tables[t.Name]); st != nil {
			a.putTable(st)
		}
	}
}

// table gives what stands for t: itself, its predecessor, or nothing.
func (a *assembly) table(t *RouteTable, old *standing[RouteTable]) *standing[RouteTable] {
	if old != nil && old.value == t { // looking at every route of a large table costs more than what it may save
		return old
	}
	st := &standing[RouteTable]{t, namesAfter(old, t)}
	if !a.complete(tableName(t.Name), &st.names) {
		return old
	}
	return st
}

func (a *assembly) putTable(st *standing[RouteTable]) {
	a.s.tables[st.value.Name] = st
	a.s.RouteTables = append(a.s.RouteTables, st.value)
}

// complete reports whether the clusters that a new or changed resource names
// let it stand.
func (a *assembly) complete(resource string, n *names) bool {
	if len(a.waiting) > 0 {
		for name := range n.clusters {
			if a.waiting[name] {
				a.wait(resource, clusterName(name))
				return false
			}
		}
	}
	for _, name := range n.required {
		if a.s.clusters[name] == nil {
			a.refuse(resource, "unknown cluster '%s'", name)
			return false
		}
	}
	return true
}

// keepWhatIsNamed adds from the snapshot before what listeners and tables name
// and nobody asks for any more.
func (a *assembly) keepWhatIsNamed() {
	for _, l := range a.s.Listeners {
		for _, name := range a.s.listeners[l.Name].names.tables {
			if a.s.tables[name] == nil {
				a.putTable(a.before.tables[name])
			}
		}
	}
	a.keepTablesOfScopes()
	gone := a.goneClusters()
	if len(gone) == 0 {
		return
	}
	for _, l := range a.s.Listeners {
		a.keepClusters(&a.s.listeners[l.Name].names, gone)
	}
	for _, t := range a.s.RouteTables {
		a.keepClusters(&a.s.tables[t.Name].names, gone)
	}
	a.keepClustersOfScopes(gone)
}

// goneClusters are those that stood before and are not asked for.
func (a *assembly) goneClusters() map[string]bool {
	if a.s.from == a.before.from {
		return nil
	}
	gone := map[string]bool{}
	for name := range a.before.clusters {
		if a.s.clusters[name] == nil {
			gone[name] = true
		}
	}
	return gone
}

func (a *assembly) keepClusters(n *names, gone map[string]bool) {
	for name := range n.clusters {
		if !gone[name] {
			continue
		}
		old := a.before.clusters[name]
		if a.s.clusters[name] != nil || a.entries+old.entries > maxEntries {
			continue
		}
		a.entries += old.entries
		a.putCluster(old)
		a.s.Kept = append(a.s.Kept, name)
		a.s.from.whole = false
	}
}
