package proxy

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// plan is what a listener is about to do: a room for each chain, old ones where
// they can stay.
type plan struct {
	plan    *listener.Plan
	rooms   []*room
	rebuilt bool // a room is new
	// swaps are the tables that old rooms take when the plan is carried out.
	swaps []swap
	// refiltered are the old rooms whose network filters are others now; followed are those
	// that new ones follow because something came by discovery.
	refiltered []refiltered
	followed   map[*room]bool
	// by is where what old rooms serve comes from now.
	by map[*room]*config.FilterDiscovery
	// contexts are those of TLS by chain; what happens in them is counted in tally.
	contexts map[string]*tlsContext
	tally    *transport.Tally
}

type swap struct {
	room   *room
	routes *routes
	asked  config.Handler
	chains *httpproxy.Chains // nil: its filters stay
}

// refiltered is a room that is passed by connections of other network filters.
type refiltered struct {
	room    *room
	filters *netfilter.Chain
	asked   []config.NetworkFilter
	last    []netfilter.Counter // that are to be remembered
}

// commit gives the rooms that stay their new tables and filters. s.mu is held.
func (s *Server) commit(p *plan) {
	for _, f := range p.refiltered {
		s.each(func(w *loop.Worker) {
			for _, n := range f.last {
				n.Stats(w, s.remember)
			}
		})
		f.room.before = f.asked
		f.room.filters.Store(f.filters)
	}
	for r := range p.followed { // its filters are counted with the room that follows it
		r.filters.Store(nil)
	}
	for r, d := range p.by {
		r.by = d
	}
	for _, s := range p.swaps {
		s.room.asked = s.asked
		if s.chains != nil {
			s.room.refilter(*s.chains, s.routes)
		} else {
			s.room.take(s.routes)
		}
	}
}

// plan builds what the chains of a listener need. Nothing that lives is changed
// before commit.
func (a *update) plan(asked *config.Listener, before *serving) (*plan, error) {
	p := &plan{followed: map[*room]bool{}, by: map[*room]*config.FilterDiscovery{}, plan: &listener.Plan{BufferLimit: int(asked.BufferLimit), OriginalDst: asked.OriginalDst, Unconfigured: asked.Unconfigured, Inspect: listener.Inspect{
		Proxy: asked.ProxyProtocol, TLS: asked.TLSInspector,
		Timeout: asked.FiltersTimeout, Continue: asked.ContinueOnTimeout,
	}}}
	p.plan.Tree = tree.New(asked.Matcher)
	if asked.HandOff {
		p.plan.HandOff = &a.directory
	}
	p.plan.Inspect.Limits = a.acceptLimits(asked, before)
	p.contexts, p.tally = map[string]*tlsContext{}, transport.NewTally(len(a.workers))
	old := map[string]*room{}
	if before != nil {
		p.tally = before.tally
		for _, r := range before.rooms {
			old[r.chain] = r
		}
	}
	for i := range asked.Chains {
		c, err := a.chain(p, asked, chainKey(asked, i), &asked.Chains[i], old, before)
		if err != nil {
			return nil, err
		}
		p.plan.Chains = append(p.plan.Chains, c)
	}
	if asked.DefaultChain != nil {
		c, err := a.chain(p, asked, "default", asked.DefaultChain, old, before)
		if err != nil {
			return nil, err
		}
		p.plan.Default = &c
	}
	return p, a.listenerLogs(p, asked, before)
}

// chainKey is by what a chain is known again in the next version of its
// listener: its name, or its place if it has none or shares it.
func chainKey(l *config.Listener, i int) string {
	name := l.Chains[i].Name
	for j := range i {
		if name != "" && l.Chains[j].Name == name {
			name = ""
		}
	}
	if name == "" {
		return fmt.Sprint("#", i)
	}
	return "=" + name
}

func (a *update) chain(p *plan, asked *config.Listener, key string, c *config.FilterChain, old map[string]*room, before *serving) (listener.Chain, error) {
	server, err := a.context(p, key, c, before)
	if err != nil {
		return listener.Chain{}, fmt.Errorf("filter chain %q: %w", c.Name, err)
	}
	place := &streaminfo.Place{Chain: c.Name, Listener: asked.Name, Metadata: asked.Metadata, Stays: asked.ModifyOnly}
	r, err := a.roomFor(p, c, server != nil, place, old[key])
	if err != nil {
		return listener.Chain{}, fmt.Errorf("filter chain %q: %w", c.Name, err)
	}
	filters, err := a.filtersFor(p, c, place, r)
	if err != nil {
		return listener.Chain{}, fmt.Errorf("filter chain %q: %w", c.Name, err)
	}
	r.chain = key
	delete(old, key) // of two with one name only one is known again
	p.rooms = append(p.rooms, r)
	return listener.Chain{
		Match: c.Match, Room: r.serves, Filters: filters, TLS: server, HandshakeTimeout: c.HandshakeTimeout, Unconfigured: c.Unconfigured(),
	}, nil
}

// filtersFor are the network filters of a chain whose room is r, which may be an old one.
func (a *update) filtersFor(p *plan, c *config.FilterChain, place *streaminfo.Place, r *room) (*netfilter.Chain, error) {
	if reflect.DeepEqual(r.before, c.Filters) {
		return r.filters.Load(), nil
	}
	f, last, err := a.netFilters(c.Filters, place, r.before, r.filters.Load())
	if err == nil {
		p.rebuilt = true
		p.refiltered = append(p.refiltered, refiltered{r, f, c.Filters, last})
	}
	return f, err
}

// roomFor gives the old room, which may be nil, if it serves as c says but maybe
// for its routes; else it builds one. secure says that clients come over TLS.
func (a *update) roomFor(p *plan, c *config.FilterChain, secure bool, place *streaminfo.Place, old *room) (*room, error) {
	h := c.Handler
	if old == nil || old.secure != secure || !sameButDiscovered(old.before, c.Filters) || !reflect.DeepEqual(old.place, place) || !a.living(old.clusters) {
		p.rebuilt = true
		return a.filteredRoom(c, secure, place)
	}
	if !sameButFilters(old.asked, h) {
		p.rebuilt = true
		if old.by == nil || !reflect.DeepEqual(old.by, c.Discovery) {
			return a.filteredRoom(c, secure, place)
		}
		return a.following(p, c, secure, place, old)
	}
	p.by[old] = c.Discovery
	if h, ok := h.(*config.HTTP); ok {
		t, err := a.routesOf(h, old.routes)
		if err != nil {
			return nil, err
		}
		s := swap{room: old, routes: t, asked: h}
		if !sameButRoutes(old.asked, h) {
			c, err := a.chains(h, compiled{old.asked.(*config.HTTP), old.chains})
			if err != nil {
				return nil, err
			}
			s.chains = &c
		}
		p.swaps = append(p.swaps, s)
	}
	return old, nil
}

// following builds the room for another handler that came by discovery, behind the network
// filters that old has: who stays in old goes on counting there.
func (a *update) following(p *plan, c *config.FilterChain, secure bool, place *streaminfo.Place, old *room) (*room, error) {
	f, last, err := a.netFilters(c.Filters, place, old.before, old.filters.Load())
	if err != nil {
		return nil, err
	}
	r, err := a.room(c.Handler, secure, place)
	if err != nil {
		return nil, err
	}
	r.before, r.by = c.Filters, c.Discovery
	r.filters.Store(f)
	p.followed[old] = true
	p.refiltered = append(p.refiltered, refiltered{r, f, c.Filters, last})
	return r, nil
}

// sameButRoutes reports whether a room for one handler serves the other with no
// more than another route table.
func sameButRoutes(a, b config.Handler) bool {
	if a == b {
		return true
	}
	x, isHTTP := a.(*config.HTTP)
	y, too := b.(*config.HTTP)
	if !isHTTP || !too {
		return reflect.DeepEqual(a, b)
	}
	return reflect.DeepEqual(bare(x), bare(y))
}

// sameButFilters is sameButRoutes with no more than what filters have by discovery.
func sameButFilters(a, b config.Handler) bool {
	if sameButRoutes(a, b) {
		return true
	}
	x, isHTTP := a.(*config.HTTP)
	y, too := b.(*config.HTTP)
	return isHTTP && too && sameButRoutes(x.WithoutDiscovered(), y.WithoutDiscovered())
}

// sameButDiscovered reports whether two chains of network filters differ in nothing but what came
// by discovery.
func sameButDiscovered(a, b []config.NetworkFilter) bool {
	return slices.EqualFunc(a, b, func(x, y config.NetworkFilter) bool {
		if x.Discovery != nil && y.Discovery != nil {
			x.Config, y.Config = nil, nil
		}
		return reflect.DeepEqual(x, y)
	})
}

// bare is h without its routes.
func bare(h *config.HTTP) config.HTTP {
	b := *h
	b.Routes, b.RouteTableName, b.RouteSource, b.Scopes = nil, "", config.Source{}, nil
	return b
}

// listenerLogs opens the logs of the listener itself, or takes those that it had.
func (a *update) listenerLogs(p *plan, asked *config.Listener, before *serving) error {
	if before != nil && reflect.DeepEqual(before.asked.AccessLogs, asked.AccessLogs) {
		p.plan.Logs = before.Plan().Logs
		return nil
	}
	log, err := accesslog.New(asked.AccessLogs, a.logs)
	p.plan.Logs = listener.NewLogs(log, a.o.Wall, asked.Name)
	return err
}
