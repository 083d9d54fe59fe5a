package route

// A table that is nearly the one before: of 10,000 routes of which one changed, one is compiled.
//
//	before   host a ── 0 1 2 3      host b ── 0 1
//	            │      │ │   │         │
//	after    host a ── 0 1 x 3      host b            what is the same config value, to the same clusters, is taken over

import (
	"reflect"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/match/tree"
)

// Recompile is Compile for a table that follows another one, which stays as it is and may be nil. Its work is that of what
// is not the same pointer in both configs; and, if moved says that clusters came or went, of what has another one now.
func Recompile[C comparable](before *Table[C], t *config.RouteTable, moved bool, resolve func(name string) (C, bool)) (*Table[C], error) {
	table := &Table[C]{Name: t.Name, cutParams: t.IgnorePathParameters, hosts: make([]*virtualHost[C], len(t.VirtualHosts)), asked: t, InternalOnly: t.InternalOnly}
	if before != nil && !before.leadsTo(t) {
		before = nil
	}
	if before != nil {
		table.sets = before.sets
		table.sets.own = false
	}
	for i, asked := range t.VirtualHosts {
		c := compiler[C]{table: t, host: asked, resolve: resolve, moved: moved, sets: &table.sets}
		var err error
		if table.hosts[i], err = c.compile(before.counterpart(i, asked, len(t.VirtualHosts))); err != nil {
			return nil, err
		}
	}
	if table.Overrides = table.sets.all; before == nil {
		table.sets.first = len(table.sets.all)
	}
	return table, table.findHosts(before)
}

// findHosts enters the domains.
func (t *Table[C]) findHosts(before *Table[C]) error {
	if before != nil && sameDomains(before.asked, t.asked) {
		t.domains = before.domains
		return nil
	}
	for i, asked := range t.asked.VirtualHosts {
		if err := t.domains.add(t.Name, asked.Domains, i); err != nil {
			return err
		}
	}
	t.domains.close(t.asked.IgnorePortInHost)
	return nil
}

// leadsTo reports whether anything of the table is of use for another one: not if something around all hosts differs, or
// if it carries too much that nobody has any more.
func (t *Table[C]) leadsTo(next *config.RouteTable) bool {
	was, is := *t.asked, *next
	was.VirtualHosts, is.VirtualHosts = nil, nil
	was.Programs = is.Programs
	return reflect.DeepEqual(&was, &is) && !t.sets.overgrown()
}

func sameDomains(a, b *config.RouteTable) bool {
	return slices.EqualFunc(a.VirtualHosts, b.VirtualHosts, func(a, b *config.VirtualHost) bool {
		return a == b || slices.Equal(a.Domains, b.Domains)
	})
}

// counterpart is what number i of count was before, counted from the beginning or from the end; nil if it was not there.
func (t *Table[C]) counterpart(i int, asked *config.VirtualHost, count int) *virtualHost[C] {
	if t == nil {
		return nil
	}
	for _, k := range [2]int{i, i + len(t.hosts) - count} {
		if k >= 0 && k < len(t.hosts) && (t.hosts[k].asked == asked || t.hosts[k].asked.Name == asked.Name) {
			return t.hosts[k]
		}
	}
	return nil
}

// hostCommon is what the routes of a host have from it. Shared by all that were compiled with it, also in later tables: it
// must not lead to the other routes.
type hostCommon[C comparable] struct {
	asked   *config.VirtualHost // without its routes
	virtual []virtualCluster
	limits  *RateLimits
	toTLS   *Route[C]
	retry   *Retry // once a route wants it
}

// compiler is one virtual host being compiled.
type compiler[C comparable] struct {
	table   *config.RouteTable
	host    *config.VirtualHost
	common  *hostCommon[C]
	resolve func(string) (C, bool)
	moved   bool
	sets    *overrideSets
}

// compile gives the host, or what it was before if that still stands.
func (c *compiler[C]) compile(before *virtualHost[C]) (*virtualHost[C], error) {
	bare := *c.host
	bare.Routes = nil
	if before != nil && before.asked != c.host && !reflect.DeepEqual(before.common.asked, &bare) {
		before = nil
	}
	if before != nil && before.asked == c.host && !(c.moved && !before.stands(c.resolve)) {
		return before, nil
	}
	if before != nil {
		c.common = before.common
	} else {
		c.common = &hostCommon[C]{asked: &bare, virtual: compileVirtualClusters(c.host.VirtualClusters)}
		c.common.limits = CompileRateLimits(c.host.RateLimits, cel.Format)
		c.common.toTLS = &Route[C]{
			Kind: Redirect, VirtualHost: c.host.Name, Host: &bare, Status: 301, toTLS: true, Overrides: c.override(), virtual: c.common.virtual,
		}
	}
	h := &virtualHost[C]{tls: c.host.TLS, toTLS: c.common.toTLS, asked: c.host, common: c.common}
	h.routes = make([]*Route[C], len(c.host.Routes))
	for i, asked := range c.host.Routes {
		if k := before.find(i, asked, len(c.host.Routes)); k >= 0 && !(c.moved && !before.routes[k].stands(c.resolve)) {
			h.routes[i] = before.routes[k]
			continue
		}
		h.routes[i] = &Route[C]{virtual: c.common.virtual}
		if err := c.compileRoute(asked, h.routes[i]); err != nil {
			return nil, err
		}
	}
	h.addRules(before)
	return h, nil
}

// find is where the route was that is number i of count now; -1 if it was not there, or far away.
func (h *virtualHost[C]) find(i int, asked *config.Route, count int) int {
	if h == nil {
		return -1
	}
	for _, k := range [2]int{i, i + len(h.routes) - count} {
		if k >= 0 && k < len(h.routes) && h.asked.Routes[k] == asked {
			return k
		}
	}
	return -1
}

// addRules takes the rules and their index over if no condition has changed; the tree has not if the host is one that
// was before.
func (h *virtualHost[C]) addRules(before *virtualHost[C]) {
	h.actions = h.asked.Actions
	if before != nil {
		h.tree = before.tree
	} else {
		h.tree = tree.New(h.asked.Matcher)
	}
	if before != nil && sameConditions(before.asked.Routes, h.asked.Routes) {
		h.rules, h.index = before.rules, before.index
		return
	}
	h.rules = make([]rule, len(h.routes))
	for i, asked := range h.asked.Routes {
		if k := before.find(i, asked, len(h.routes)); k >= 0 {
			h.rules[i] = before.rules[k]
		} else {
			h.rules[i] = compileRule(&asked.Match)
		}
	}
	if h.tree == nil {
		h.index = newIndex(h.rules)
	}
}

func sameConditions(a, b []*config.Route) bool {
	return slices.EqualFunc(a, b, func(a, b *config.Route) bool { return a == b || reflect.DeepEqual(&a.Match, &b.Match) })
}

// stands reports whether every cluster of the host's routes is still the one of its name.
func (h *virtualHost[C]) stands(resolve func(string) (C, bool)) bool {
	for _, r := range h.routes {
		if !r.stands(resolve) {
			return false
		}
	}
	return true
}

func (r *Route[C]) stands(resolve func(string) (C, bool)) bool {
	for i := range r.targets {
		if !r.targets[i].stands(resolve) {
			return false
		}
	}
	for i := range r.Mirrors {
		if !r.Mirrors[i].target.stands(resolve) {
			return false
		}
	}
	return true
}

func (t *Target[C]) stands(resolve func(string) (C, bool)) bool {
	if t.Name == "" {
		return true
	}
	c, known := resolve(t.Name)
	return c == t.cluster && known == t.known
}

// Stands reports whether every cluster that the table names is still what resolve says: if not, it is to be compiled
// again.
func (t *Table[C]) Stands(resolve func(name string) (C, bool)) bool {
	for _, h := range t.hosts {
		if !h.stands(resolve) {
			return false
		}
	}
	return true
}

// Clusters yields those that routes name and that there are, each as often as it is named.
func (t *Table[C]) Clusters(yield func(C) bool) {
	for _, h := range t.hosts {
		for _, r := range h.routes {
			if !r.clusters(yield) {
				return
			}
		}
	}
}

func (r *Route[C]) clusters(yield func(C) bool) bool {
	for i := range r.targets {
		if t := &r.targets[i]; t.known && !yield(t.cluster) {
			return false
		}
	}
	for i := range r.Mirrors {
		if t := &r.Mirrors[i].target; t.known && !yield(t.cluster) {
			return false
		}
	}
	return true
}
