package httpproxy

// Route tables over living clusters.

import (
	"fmt"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Table is a route table compiled over living clusters. Immutable; any
// goroutine; rooms may share it.
type Table struct {
	compiled *route.Table[*upstream.Cluster]
	asked    *config.RouteTable
	// scopes, unless it is nil, has the tables; this one is empty then.
	scopes *scopes
	// lacks is what has to be asked for before there is a table; nil: it is there.
	lacks *config.Demand
}

// scopes are tables by key.
type scopes struct {
	key    *route.Key
	tables map[string]*Table
}

// Scoped joins tables, by the keys that requests have for them (route.KeyOf): a
// request that has no such key has no route.
func Scoped(key []config.KeyPart, tables map[string]*Table) *Table {
	none := &config.RouteTable{}
	compiled, _ := route.Compile(none, known(nil)) // nothing in it can be refused
	return &Table{compiled: compiled, asked: none, scopes: &scopes{route.NewKey(key), tables}}
}

// Lacking stands where a table is that is asked for when the first request wants it.
func Lacking(d config.Demand) *Table {
	none := &config.RouteTable{}
	compiled, _ := route.Compile(none, known(nil)) // nothing in it can be refused
	return &Table{compiled: compiled, asked: none, lacks: &d}
}

// Compile builds a table. resolve gives the living cluster of a name, nil if
// there is none; it must be safe for any goroutine. Errors are those of
// route.Compile, or name a header operation that would break a message's
// framing.
func Compile(t *config.RouteTable, resolve func(cluster string) *upstream.Cluster) (*Table, error) {
	return Recompile(nil, t, false, resolve)
}

// Recompile is Compile for a table that follows another one, which may be nil: what
// is the same pointer in both configs is taken from it. moved says that clusters
// came or went.
func Recompile(before *Table, t *config.RouteTable, moved bool, resolve func(cluster string) *upstream.Cluster) (*Table, error) {
	if before == nil {
		before = &Table{asked: &config.RouteTable{}}
	}
	compiled, err := route.Recompile(before.compiled, t, moved, known(resolve))
	if err != nil {
		return nil, err
	}
	return &Table{compiled: compiled, asked: t}, checkTable(before.asked, t)
}

func known(resolve func(string) *upstream.Cluster) func(string) (*upstream.Cluster, bool) {
	return func(name string) (*upstream.Cluster, bool) {
		c := resolve(name)
		return c, c != nil
	}
}

// Count has the table's virtual clusters and routes counted in all; see
// route.Table.Count.
func (t *Table) Count(all *route.Tallies) { t.compiled.Count(all) }

// Stands reports whether every cluster that routes name is still what resolve says.
func (t *Table) Stands(resolve func(cluster string) *upstream.Cluster) bool {
	if t.scopes != nil {
		for _, one := range t.scopes.tables {
			if !one.Stands(resolve) {
				return false
			}
		}
	}
	return t.compiled.Stands(known(resolve))
}

// Clusters yields those that routes name and that there are, each as often as it is
// named.
func (t *Table) Clusters(yield func(*upstream.Cluster) bool) {
	if t.scopes != nil {
		for _, one := range t.scopes.tables {
			for c := range one.compiled.Clusters {
				if !yield(c) {
					return
				}
			}
		}
	}
	t.compiled.Clusters(yield)
}

// checkTable refuses operations on what frames a message or belongs to one
// connection only: the codec alone writes these. What stands in the table before
// was looked at then.
func checkTable(before, t *config.RouteTable) error {
	if err := checkOps(&t.Headers); err != nil {
		return fmt.Errorf("route table %s: %w", t.Name, err)
	}
	if err := checkMirrors(t.Mirrors); err != nil {
		return fmt.Errorf("route table %s: %w", t.Name, err)
	}
	for i, v := range t.VirtualHosts {
		was := nth(before.VirtualHosts, i)
		if was == v {
			continue
		}
		if err := checkHost(was, v); err != nil {
			return fmt.Errorf("virtual host %s: %w", v.Name, err)
		}
	}
	return nil
}

func checkHost(before, v *config.VirtualHost) error {
	if err := checkOps(&v.Headers); err != nil {
		return err
	}
	if err := checkMirrors(v.Mirrors); err != nil {
		return err
	}
	if before == nil {
		before = &config.VirtualHost{}
	}
	for i, r := range v.Routes {
		if nth(before.Routes, i) == r {
			continue
		}
		if err := checkRoute(r); err != nil {
			return fmt.Errorf("route %s: %w", r.Name, err)
		}
	}
	return nil
}

// nth is what number i may have been: mostly lists change in one
// place, and are the same before it; nil if it was not there.
func nth[T any](before []*T, i int) *T {
	if i < len(before) {
		return before[i]
	}
	return nil
}

func checkRoute(r *config.Route) error {
	if err := checkOps(&r.Headers); err != nil {
		return err
	}
	f, ok := r.Action.(*config.Forward)
	if !ok {
		return nil
	}
	if err := checkMirrors(f.Mirrors); err != nil {
		return err
	}
	for i := range f.Weighted {
		if err := checkOps(&f.Weighted[i].Headers); err != nil {
			return fmt.Errorf("cluster %s: %w", f.Weighted[i].Cluster, err)
		}
	}
	return nil
}

func checkOps(o *config.HeaderOps) error {
	for _, list := range [2][]config.HeaderValue{o.RequestAdd, o.ResponseAdd} {
		for i := range list {
			if framing(list[i].Name) {
				return fmt.Errorf("header %q belongs to the connection and cannot be added", list[i].Name)
			}
		}
	}
	for _, list := range [2][]string{o.RequestRemove, o.ResponseRemove} {
		for _, name := range list {
			if http1.LookupField([]byte(name)) == http1.FieldContentLength {
				return fmt.Errorf("header %q frames the message and cannot be removed", name)
			}
		}
	}
	return nil
}

func framing(name string) bool {
	switch http1.LookupField([]byte(name)) {
	case http1.FieldContentLength, http1.FieldTransferEncoding, http1.FieldConnection, http1.FieldKeepAlive,
		http1.FieldProxyConnection, http1.FieldTE, http1.FieldUpgrade, http1.FieldExpect, http1.FieldHTTP2Settings:
		return true
	}
	return false
}
