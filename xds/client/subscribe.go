package client

// What is asked for, and from where: whole kinds as the bootstrap says, single
// resources because a cluster or listener names them.

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
)

// naming is what the resources name now: the source of each name, by kind.
type naming struct {
	of  [kindCount]map[string]*config.Source
	own map[string]*config.SecretSpec // secrets that do not come by SDS
	// scopes are those of the first connection manager that has them by SRDS.
	scopes  *config.Scopes
	filters map[string]filterNaming
}

// filterNaming is what names the configuration of a filter.
type filterNaming struct {
	kinds   [len(config.FilterKinds)]bool
	waiting bool // some do not do without until it comes
}

func (n *naming) add(k kind, name string, s *config.Source) {
	if n.of[k] == nil {
		n.of[k] = map[string]*config.Source{}
	}
	if n.of[k][name] == nil { // the first counts: static before dynamic
		n.of[k][name] = s
	}
}

func (n *naming) addCluster(by *Client, c *config.Cluster) {
	for r := range c.SecretRefs {
		n.addSecret(by, r)
	}
	if c.Discovery == config.DiscoveryEDS {
		n.add(eds, c.EDSName, &c.EDSSource)
	}
}

func (n *naming) addListener(by *Client, l *config.Listener) {
	for r := range l.SecretRefs {
		n.addSecret(by, r)
	}
	for d := range l.Discoveries {
		n.add(ecds, d.Name, &d.Source)
		if n.filters == nil {
			n.filters = map[string]filterNaming{}
		}
		f := n.filters[d.Name]
		f.kinds[d.Of] = true
		f.waiting = f.waiting || !d.AtOnce
		n.filters[d.Name] = f
		n.addServing(by, d.Default)
	}
	for h := range l.Handlers {
		h, ok := h.(*config.HTTP)
		switch {
		case !ok || h.Routes != nil:
		case h.Scopes == nil:
			n.add(rds, h.RouteTableName, &h.RouteSource)
		case h.Scopes.Inline == nil && n.scopes == nil:
			n.scopes = h.Scopes
		}
	}
}

// addServing adds what a filter's configuration names, if it serves connections.
func (n *naming) addServing(by *Client, cfg any) {
	if h, ok := cfg.(config.Handler); ok {
		n.addListener(by, config.Serving(h))
	}
}

func (n *naming) addScope(c *Client, s *config.Scope, from *config.Source) {
	if _, asked := c.demands.tables[s.Table]; s.Routes == nil && (asked || !s.OnDemand) {
		n.add(rds, s.Table, from)
	}
}

// named collects what static resources, good ones and those in use name.
func (c *Client) named() *naming {
	n := &naming{}
	for i := range c.o.Layers {
		n.add(rtds, c.o.Layers[i].Name, &c.o.Layers[i].Source)
	}
	for _, s := range c.static.Clusters {
		n.addCluster(c, s)
	}
	for _, s := range c.static.Listeners {
		n.addListener(c, s)
	}
	for _, e := range c.world[cds].sorted() {
		for _, v := range []*version{e.now, e.used} {
			if v != nil {
				n.addCluster(c, v.value.(*config.Cluster))
			}
		}
	}
	for _, e := range c.world[eds].sorted() {
		for _, v := range []*version{e.now, e.used} {
			if v != nil {
				n.addEndpoints(v.value.(*config.Endpoints))
			}
		}
	}
	for _, e := range c.world[lds].sorted() {
		for _, v := range []*version{e.now, e.used} {
			if v != nil {
				n.addListener(c, v.value.(*config.Listener))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.of[ecds])) { // listeners name these; what comes for them names no deeper
		e := c.world[ecds].entries[name]
		if e == nil {
			continue
		}
		for _, v := range []*version{e.now, e.used} {
			if v != nil {
				n.addServing(c, v.value.(*config.Extension).Config)
			}
		}
	}
	if n.scopes != nil {
		for _, e := range c.world[srds].sorted() {
			for _, v := range []*version{e.now, e.used} {
				if v != nil {
					n.addScope(c, v.value.(*config.Scope), &n.scopes.RouteSource)
				}
			}
		}
	}
	n.addDemands(c)
	if c.snapshot != nil { // those that are gone and still named
		for _, name := range c.snapshot.Kept {
			n.addCluster(c, c.snapshot.Cluster(name))
		}
	}
	return n
}

// asksTheSame reports whether there is nothing to subscribe to that was not looked
// at the last time: most updates are of a route or of an endpoint, and there may be
// 10,000 clusters.
func (c *Client) asksTheSame() bool {
	same := !c.renamed
	c.renamed = false
	for k := range c.world {
		same = same && !c.world[k].touched && c.asked[k] == c.may(kind(k))
		c.world[k].touched, c.asked[k] = false, c.may(kind(k))
	}
	return same
}

// subscribe brings every feed to what is to be asked for now.
func (c *Client) subscribe(ctx context.Context, now time.Time) {
	if c.asksTheSame() {
		return
	}
	for _, f := range c.feeds {
		f.used = f.source.Kind == config.SourceADS
	}
	wants := map[*feed]*[kindCount]protocol.Want{}
	want := func(k kind, name string, s *config.Source, change func(*protocol.Want)) bool {
		f := c.feedFor(ctx, k, name, s)
		if f == nil {
			return false
		}
		f.used = true
		if wants[f] == nil {
			wants[f] = &[kindCount]protocol.Want{}
		}
		change(&wants[f][k])
		return true
	}
	n := c.named()
	c.useScopes(n.scopes)
	c.filters = n.filters
	for k := range kindCount { // in this order: whether lds may be asked for depends on eds
		if !c.may(k) {
			continue
		}
		if kinds[k].whole {
			if s := c.sourceOf(k); s.Kind != config.SourceInline && want(k, "", s, func(w *protocol.Want) { w.All = true }) {
				c.awaitAll(k, s, now)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(n.of[k])) {
			s := n.of[k][name]
			want(k, wireName(k, name), s, func(w *protocol.Want) { w.Names = append(w.Names, wireName(k, name)) })
			c.await(k, name, s, now)
		}
	}
	c.forget(n)
	c.hold(ctx, n)
	for _, f := range slices.Clone(c.feeds) {
		f.ask(wants[f])
	}
}

// useScopes sets where scopes and their tables come from; nil for nowhere.
func (c *Client) useScopes(s *config.Scopes) {
	if s == nil {
		s = &config.Scopes{}
	}
	c.scopes, c.scopedRoutes = s.Source, s.RouteSource
}

// ask tells the machine what is wanted, and stops a feed that nothing uses.
func (f *feed) ask(wants *[kindCount]protocol.Want) {
	if !f.used {
		f.stop()
		f.c.feeds = slices.DeleteFunc(f.c.feeds, func(g *feed) bool { return g == f })
		f.c.waiting = slices.DeleteFunc(f.c.waiting, func(t *taken) bool { return t.feed == f })
		return
	}
	if f.source.Kind == config.SourcePath {
		if wants != nil {
			f.readAgain(&wants[f.only])
		}
		return
	}
	for k := range f.wanted {
		var w protocol.Want
		if wants != nil {
			w = wants[k]
		}
		if f.machine == nil || w.Equal(f.wanted[k]) {
			continue
		}
		f.wanted[k] = w
		f.machine.Want(kinds[k].url, w)
	}
}

// awaitAll begins the wait for the first answer of a whole kind.
func (c *Client) awaitAll(k kind, s *config.Source, now time.Time) {
	if w := &c.world[k]; !w.asked {
		w.asked = true
		if s.InitialFetchTimeout > 0 {
			w.deadline = now.Add(s.InitialFetchTimeout)
		}
	}
}

// await begins the wait for a resource that was not asked for before.
func (c *Client) await(k kind, name string, s *config.Source, now time.Time) {
	e := c.world[k].entry(name)
	if e.wanted {
		return
	}
	e.wanted = true
	if k == leds && e.now == nil {
		if names := c.membersOf(name); len(names) > 0 { // from disk
			c.compose(e, names, "", now)
		}
	}
	if k == cds || k == vhds {
		return // requests wait as long as they may
	}
	if e.now == nil && s.InitialFetchTimeout > 0 {
		e.deadline = now.Add(s.InitialFetchTimeout)
		c.world[k].late = append(c.world[k].late, e)
	}
}

// forget drops resources that nobody names any more.
func (c *Client) forget(n *naming) {
	for k := range c.world {
		if kinds[k].whole {
			continue
		}
		for name, e := range c.world[k].named {
			stray := kind(k) == leds && !isCollection(name) // an endpoint of no collection
			if (e.wanted || stray) && n.of[k][name] == nil {
				if kind(k) == leds {
					c.empty(name)
				}
				c.world[k].drop(name)
				c.dirty = true
			}
		}
	}
	c.forgetLoose(n)
	c.forgetHosts()
}

// forgetLoose drops the members that came from disk and whose collection nobody
// names.
func (c *Client) forgetLoose(n *naming) {
	s := &c.world[leds]
	if !s.loose {
		return
	}
	s.loose = false
	for name, e := range s.entries {
		if e.list != "" && n.of[leds][e.list] == nil {
			s.drop(name)
			c.dirty = true
		}
	}
}
