package config

// Which clusters and route tables a resource names.

import (
	"reflect"
	"slices"
)

// names are those in one listener or route table in its order, each once.
type names struct {
	// required must exist for the resource to stand; the others are answered as
	// the route says if they do not.
	required, optional []string
	tables             []string
}

func (n *names) close() {
	for _, list := range []*[]string{&n.required, &n.optional, &n.tables} {
		seen := make(map[string]bool, len(*list))
		*list = slices.DeleteFunc(*list, func(name string) bool {
			again := seen[name]
			seen[name] = true
			return again
		})
	}
}

// clusters yields all of them.
func (n *names) clusters(yield func(string) bool) {
	for _, list := range [][]string{n.required, n.optional} {
		for _, name := range list {
			if !yield(name) {
				return
			}
		}
	}
}

func namesOfListener(l *Listener) names {
	var n names
	for h := range l.Handlers {
		n.addHandler(h)
	}
	n.close()
	return n
}

func namesOfTable(t *RouteTable) names {
	var n names
	n.addTable(t)
	n.close()
	return n
}

// namesAfter is namesOfTable for a table that follows another one, which may be nil:
// where the routes that changed name the same clusters as they did, all do.
func namesAfter(old *standing[RouteTable], t *RouteTable) names {
	if old != nil && old.value.ValidateClusters == t.ValidateClusters && reflect.DeepEqual(old.value.Mirrors, t.Mirrors) {
		if gone, come, ok := changedRoutes(old.value, t); ok && slices.Equal(gone, come) {
			return old.names
		}
	}
	return namesOfTable(t)
}

// changedRoutes lists what the routes name that are not the same in two tables, in
// order; false if too little is the same.
func changedRoutes(a, b *RouteTable) (gone, come []string, ok bool) {
	if len(a.VirtualHosts) != len(b.VirtualHosts) {
		return nil, nil, false
	}
	for i, v := range a.VirtualHosts {
		w := b.VirtualHosts[i]
		if v == w {
			continue
		}
		if len(v.Routes) != len(w.Routes) || !reflect.DeepEqual(v.Mirrors, w.Mirrors) {
			return nil, nil, false
		}
		for j, r := range v.Routes {
			if r != w.Routes[j] {
				gone, come = routeNames(gone, r), routeNames(come, w.Routes[j])
				gone, come = treeNames(gone, r), treeNames(come, w.Routes[j])
			}
		}
	}
	return gone, come, true
}

func (n *names) addHandler(h Handler) {
	switch h := h.(type) {
	case *TCP:
		to := &n.required
		if h.OnDemand != nil {
			to = &n.optional
		}
		for _, w := range h.Clusters {
			*to = append(*to, w.Name)
		}
	case *Memcached:
		for _, r := range h.Routes {
			n.required = append(n.required, r.Cluster)
		}
		if h.CatchAll != "" {
			n.required = append(n.required, h.CatchAll)
		}
	case *HTTP:
		switch {
		case h.Routes != nil:
			n.addTable(h.Routes)
		case h.Scopes != nil:
			for _, s := range h.Scopes.Inline {
				n.addTable(s.Routes)
			}
		default:
			n.tables = append(n.tables, h.RouteTableName)
		}
	}
}

func (n *names) addTable(t *RouteTable) {
	all := &n.optional
	if t.ValidateClusters {
		all = &n.required
	}
	*all = mirrorNames(*all, t.Mirrors)
	for _, v := range t.VirtualHosts {
		to := all
		if v.Matcher != nil {
			to = &n.optional // Envoy does not look for the clusters of a tree
		}
		*to = mirrorNames(*to, v.Mirrors)
		for _, r := range v.Routes {
			*to = routeNames(*to, r)
			n.optional = treeNames(n.optional, r)
		}
	}
}

// treeNames adds what the tree of one route names: Envoy does not look whether there is such a cluster.
func treeNames(to []string, r *Route) []string {
	if f, ok := r.Action.(*Forward); ok && f.Tree != nil {
		return append(to, f.Tree.Clusters...)
	}
	return to
}

// routeNames adds what one route names.
func routeNames(to []string, r *Route) []string {
	f, ok := r.Action.(*Forward)
	if !ok {
		return to
	}
	to = mirrorNames(to, f.Mirrors)
	if f.Cluster != "" {
		to = append(to, f.Cluster)
	}
	for i := range f.Weighted {
		if name := f.Weighted[i].Cluster; name != "" {
			to = append(to, name)
		}
	}
	return to
}
