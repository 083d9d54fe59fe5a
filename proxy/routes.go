package proxy

import (
	"fmt"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// routes are a route table, compiled.
type routes struct {
	asked *config.RouteTable
	table *httpproxy.Table
	// scopes are what the parts, by their names, were joined from; of a connection
	// manager with scopes, whose own asked is nil.
	scopes []*config.Scope
	parts  map[string]*routes
	lacks  string // the name of a table that is still to be asked for
}

// compile builds a table, or gives old if that still stands. Of old, which may be
// nil, it takes what has not changed.
func (a *update) compile(asked *config.RouteTable, old *routes) (*routes, error) {
	var before *httpproxy.Table
	if old != nil {
		before = old.table
		if old.asked == asked && a.stands(old) {
			return old, nil
		}
	}
	table, err := httpproxy.Recompile(before, asked, a.regroup, a.Cluster)
	if err == nil {
		table.Count(a.tallies)
	}
	return &routes{asked: asked, table: table}, err
}

// stands reports whether each cluster of a table is still the one of its name.
func (a *update) stands(r *routes) bool { return !a.regroup || r.table.Stands(a.Cluster) }

// resolver finds living clusters and notes them in found until what asks it is
// built: afterwards it is asked only for what a request's header names, from any
// worker.
func (s *Server) resolver(found map[string]*upstream.Cluster) (resolve func(string) *upstream.Cluster, built func()) {
	building := true
	resolve = func(name string) *upstream.Cluster {
		c := s.Cluster(name)
		if building {
			found[name] = c
		}
		return c
	}
	return resolve, func() { building = false }
}

// living reports whether each cluster is still the one of its name.
func (a *update) living(clusters map[string]*upstream.Cluster) bool {
	if !a.regroup {
		return true
	}
	for name, c := range clusters {
		if a.Cluster(name) != c {
			return false
		}
	}
	return true
}

// compileTables builds the tables that listeners name.
func (a *update) compileTables() {
	tables := make(map[string]*routes, len(a.snap.RouteTables))
	for _, asked := range a.snap.RouteTables {
		old := a.tables[asked.Name]
		t, err := a.compile(asked, old)
		if err != nil {
			a.refuse("route table "+asked.Name, err)
			t = old
		}
		if t != nil {
			tables[asked.Name] = t
		}
	}
	a.tables = tables
}

// routesOf is the table of a connection manager: one of those, or its own.
func (a *update) routesOf(h *config.HTTP, old *routes) (*routes, error) {
	if h.Routes != nil {
		if old != nil && alike(old.asked, h.Routes) && a.stands(old) {
			return old, nil // its listener came anew, with the routes that it had
		}
		return a.compile(h.Routes, old)
	}
	if h.Scopes != nil {
		return a.scoped(h, old)
	}
	if t := a.tables[h.RouteTableName]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("route table %q does not stand", h.RouteTableName)
}

// swapTables gives every room, those on their way out included, the tables that
// they name as they are now.
func (a *update) swapTables() {
	for _, l := range a.listeners {
		for _, r := range l.rooms {
			a.swapTable(r)
		}
	}
	for _, r := range a.retired {
		a.swapTable(r)
		if r.outlives && !a.living(r.clusters) { // what its connections ask is gone
			r.outlives = false
			a.each(r.serves.Drain)
		}
	}
}

func (a *update) swapTable(r *room) {
	h, ok := r.asked.(*config.HTTP)
	switch {
	case !ok || h.Routes != nil && !r.outlives:
	case h.Routes != nil:
		if t, err := a.compile(unchecked(r.routes.asked), r.routes); err == nil {
			r.take(t)
		}
	case h.Scopes != nil:
		if t, err := a.scoped(h, r.routes); err == nil { // what was good for an update of its listener is
			r.take(t)
		}
	default:
		t := a.tables[h.RouteTableName]
		if t == nil && r.outlives { // nobody else names it any more
			t, _ = a.compile(unchecked(r.routes.asked), r.routes)
		}
		if t != nil && t.table != nil {
			r.take(t)
		}
	}
}

// unchecked is t for a room that nobody configures any more: a cluster that goes is missed by
// its routes alone.
func unchecked(t *config.RouteTable) *config.RouteTable {
	if !t.ValidateClusters {
		return t
	}
	c := *t
	c.ValidateClusters = false
	return &c
}

// scoped joins the tables of a connection manager's scopes, or gives old, which may
// be nil, if nothing has changed.
func (a *update) scoped(h *config.HTTP, old *routes) (*routes, error) {
	now := &routes{scopes: a.snap.ScopesOf(h), parts: map[string]*routes{}}
	if old == nil {
		old = &routes{}
	}
	tables := make(map[string]*httpproxy.Table, len(now.scopes))
	same := slices.Equal(now.scopes, old.scopes)
	for _, s := range now.scopes {
		part, err := a.scope(s, &h.Scopes.RouteSource, old.parts[s.Name])
		if err != nil {
			return nil, fmt.Errorf("scope %s: %w", s.Name, err)
		}
		same = same && part == old.parts[s.Name]
		now.parts[s.Name], tables[route.KeyOf(s.Key)] = part, part.table
	}
	if same && old.table != nil {
		return old, nil
	}
	now.table = httpproxy.Scoped(h.Scopes.Key, tables)
	return now, nil
}

// scope is the table of one scope.
func (a *update) scope(s *config.Scope, from *config.Source, old *routes) (*routes, error) {
	if s.Routes != nil {
		return a.compile(s.Routes, old)
	}
	if t := a.tables[s.Table]; t != nil {
		return t, nil
	}
	if s.OnDemand {
		return lacking(s, from, old), nil
	}
	return nil, fmt.Errorf("route table %q does not stand", s.Table)
}

// lacking stands for a table that is asked for when the first request wants it; old if
// that is the same.
func lacking(s *config.Scope, from *config.Source, old *routes) *routes {
	if old != nil && old.lacks == s.Table {
		return old
	}
	d := config.Demand{Kind: config.DemandTable, Name: s.Table, Source: from, Timeout: from.Patience()}
	return &routes{asked: &config.RouteTable{}, table: httpproxy.Lacking(d), lacks: s.Table}
}
