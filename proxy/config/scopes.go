package config

// Scopes: several route tables of one connection manager, of which a request's key
// chooses one (SRDS).

import (
	"strconv"
	"strings"
)

// Scopes says how a request's table is found (Envoy ScopedRoutes).
type Scopes struct {
	Name string
	// Key has a part for each fragment, in order: a request that lacks one has no
	// table.
	Key []KeyPart
	// Inline are the scopes, each with its Routes, if they stand in the connection
	// manager. Otherwise they come from Source (SRDS), for all managers the same
	// ones, and their tables from RouteSource (RDS).
	Inline              []*Scope
	Source, RouteSource Source
}

// KeyPart takes one fragment of a key out of the first line of a header
// (HeaderValueExtractor).
type KeyPart struct {
	Header string // lower case
	// Between separates elements; "": the value is one element.
	Between string
	// ByName takes what follows Equals in the first element that begins with Element
	// and Equals; otherwise it is element number Index that counts.
	ByName          bool
	Element, Equals string
	Index           uint32
}

// Scope is a key and its route table (Envoy ScopedRouteConfiguration).
type Scope struct {
	Name string
	Key  []string
	// Routes is the table; nil if it comes by name: Snapshot.RouteTable finds Table.
	Routes *RouteTable
	Table  string
	// OnDemand says that the table is asked for when the first request wants it: the
	// scope stands without it.
	OnDemand bool
}

// ScopesOf are those of a connection manager that has Scopes, as they stand.
func (s *Snapshot) ScopesOf(h *HTTP) []*Scope {
	if h.Scopes.Inline != nil {
		return h.Scopes.Inline
	}
	return s.Scopes
}

// TableOf is the route table of a scope; nil if it has none.
func (s *Snapshot) TableOf(c *Scope) *RouteTable {
	if c.Routes != nil {
		return c.Routes
	}
	return s.RouteTable(c.Table)
}

// addScopes takes the scopes of SRDS whose tables stand. What another one has the
// key of is refused; one whose table is not there yet waits, and is what it was
// before meanwhile.
func (a *assembly) addScopes(scopes []*Scope) {
	before := map[string]*Scope{}
	for _, s := range a.before.Scopes {
		before[s.Name] = s
	}
	for _, s := range scopes {
		stands := s
		switch {
		case s.Routes != nil && !a.inlineStands(s):
			continue
		case s.Routes != nil || a.s.tables[s.Table] != nil:
		case before[s.Name] != nil && (before[s.Name].Routes != nil || a.before.tables[before[s.Name].Table] != nil):
			stands = before[s.Name]
			a.wait(scopeName(s.Name), tableName(s.Table))
		case s.OnDemand:
		default:
			a.wait(scopeName(s.Name), tableName(s.Table))
			a.lacking = true
			continue
		}
		if first := a.withKey(stands); first != nil {
			a.refuse(scopeName(s.Name), "scope key conflict found, first scope is '%s', second scope is '%s'", first.Name, s.Name)
			continue
		}
		a.s.Scopes = append(a.s.Scopes, stands)
	}
}

// inlineStands reports whether a table that stands in a scope can.
func (a *assembly) inlineStands(s *Scope) bool {
	n := namesOfTable(s.Routes)
	return a.complete(scopeName(s.Name), &n)
}

// withKey gives the scope that has the key of s already; nil if none has, and then s
// has it.
func (a *assembly) withKey(s *Scope) *Scope {
	key := keyText(s.Key)
	if first := a.keys[key]; first != nil {
		return first
	}
	if a.keys == nil {
		a.keys = map[string]*Scope{}
	}
	a.keys[key] = s
	return nil
}

// keepClustersOfScopes adds from the snapshot before the clusters that tables in
// scopes name.
func (a *assembly) keepClustersOfScopes(gone map[string]bool) {
	for _, s := range a.s.Scopes {
		if s.Routes != nil {
			n := namesOfTable(s.Routes)
			a.keepClusters(&n, gone)
		}
	}
}

// keepTablesOfScopes adds from the snapshot before what scopes name and nobody asks
// for any more.
func (a *assembly) keepTablesOfScopes() {
	for _, s := range a.s.Scopes {
		if old := a.before.tables[s.Table]; s.Routes == nil && a.s.tables[s.Table] == nil && old != nil {
			a.putTable(old)
		}
	}
}

// keyText is one text for one key.
func keyText(key []string) string {
	var b strings.Builder
	for _, part := range key {
		b.WriteString(strconv.Quote(part))
	}
	return b.String()
}

func scopeName(name string) string { return "scope " + name }
