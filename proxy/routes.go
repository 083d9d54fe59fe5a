package proxy

import (
	"fmt"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// routes are a route table, compiled.
type routes struct {
	asked *config.RouteTable
	table *httpproxy.Table
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
	return &routes{asked, table}, err
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
	}
}

func (a *update) swapTable(r *room) {
	if h, ok := r.asked.(*config.HTTP); ok && h.Routes == nil {
		if t := a.tables[h.RouteTableName]; t != nil {
			r.take(t)
		}
	}
}
