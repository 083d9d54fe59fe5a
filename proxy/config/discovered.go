package config

// Filters whose configuration comes by itself (ECDS), and how a listener is put together with them.

import (
	"fmt"
	"slices"
	"strings"
)

// FilterDiscovery is where the configuration of a filter comes from
// (core.v3.ExtensionConfigSource). A listener is pending until it is there, unless AtOnce.
type FilterDiscovery struct {
	Name   string // the resource's
	Source Source
	// Of is the kind of chain that the filter stands in; Last says that it ends a chain of
	// network filters: a Handler comes, and nowhere else.
	Of   FilterKind
	Last bool
	// Types are the names of the messages that it may be.
	Types []string
	// Default stands until something comes, or instead if nothing does; nil: none.
	Default any
	// AtOnce does not wait: Default stands meanwhile.
	AtOnce bool
}

// FilterKind is a kind of filter whose configuration may come by discovery.
type FilterKind uint8

// The kinds.
const (
	HTTPFilters FilterKind = iota
	UpstreamFilters
	NetworkFilters
	ListenerFilters
)

// FilterKinds are all of them, as statistics call them
// (docs/root/configuration/overview/extension.rst).
var FilterKinds = [...]string{"http_filter", "upstream_http_filter", "network_filter", "tcp_listener_filter"}

// Extension is a filter's configuration as a resource.
type Extension struct {
	Name string
	// Type is the name of its message, Filter Envoy's of the filter.
	Type, Filter string
	// Config is as in HTTPFilter, NetworkFilter or ListenerFilter, or a Handler.
	Config any
	// Missing says that whoever waits for it has waited long enough.
	Missing bool
}

// NoFilterConfig is a filter that has no configuration: each request that it sees is
// answered 500, each connection that it would see is closed.
type NoFilterConfig struct{}

func (*NoFilterConfig) handler() {}

// Unconfigured reports whether one of the chain's filters has no configuration.
func (c *FilterChain) Unconfigured() bool {
	for i := range c.Filters {
		if _, none := c.Filters[i].Config.(*NoFilterConfig); none {
			return true
		}
	}
	_, none := c.Handler.(*NoFilterConfig)
	return none
}

// Discoveries yields the filters of a listener that come by discovery, but not those that what
// comes has itself.
func (l *Listener) Discoveries(yield func(*FilterDiscovery) bool) {
	for i := range l.Filters {
		if d := l.Filters[i].Discovery; d != nil && !yield(d) {
			return
		}
	}
	for c := range l.AllChains {
		for i := range c.Filters {
			if d := c.Filters[i].Discovery; d != nil && !yield(d) {
				return
			}
		}
		if c.Discovery != nil && !yield(c.Discovery) {
			return
		}
		if h, ok := c.Handler.(*HTTP); ok && !h.discoveries(yield) {
			return
		}
	}
}

// discoveries yields those of a connection manager.
func (h *HTTP) discoveries(yield func(*FilterDiscovery) bool) bool {
	if !discoveries(h.Filters, yield) || !discoveries(h.TryFilters, yield) {
		return false
	}
	for i := range h.UpgradeFilters {
		if !discoveries(h.UpgradeFilters[i].Filters, yield) {
			return false
		}
	}
	return true
}

// Serving is a listener that has nothing but h: what it names is what h names.
func Serving(h Handler) *Listener { return &Listener{DefaultChain: &FilterChain{Handler: h}} }

// discoveries yields those of a chain, and of what a Matched may run.
func discoveries(all []HTTPFilter, yield func(*FilterDiscovery) bool) bool {
	for i := range all {
		f := &all[i]
		if f.Discovery != nil && !yield(f.Discovery) {
			return false
		}
		m, ok := f.Config.(*Matched)
		if !ok {
			continue
		}
		for j := range m.Actions {
			if !discoveries(m.Actions[j].Filters, yield) {
				return false
			}
		}
	}
	return true
}

// DiscoveriesIn yields those that a filter's configuration names.
func DiscoveriesIn(cfg any) func(yield func(*FilterDiscovery) bool) {
	return func(yield func(*FilterDiscovery) bool) { discoveries([]HTTPFilter{{Config: cfg}}, yield) }
}

// filled is a listener that was put together, and what of.
type filled struct {
	asked *Listener
	parts []any
	value *Listener
}

// fill puts l together with what its filters are by now; nil while something is waited for.
// What has not changed since the snapshot before is given by the same pointer.
func (a *assembly) fill(l *Listener) *Listener {
	if !l.discovers() {
		return l
	}
	f := &filled{asked: l, value: l}
	for more := true; more; { // what came may have filters by discovery itself
		first := len(f.parts)
		if !a.addParts(f) {
			return nil
		}
		before := a.before.filled[l.Name]
		if before != nil && before.asked == l && slices.Equal(before.parts, f.parts) {
			f = before
			break
		}
		more = first == 0 && brings(f.parts)
		f.join(f.parts[first:])
	}
	a.s.filled[l.Name] = f
	return f.value
}

// discovers reports whether some filter comes by discovery.
func (l *Listener) discovers() bool {
	for range l.Discoveries {
		return true
	}
	return false
}

// brings reports whether one of the parts has filters by discovery.
func brings(parts []any) bool {
	return slices.ContainsFunc(parts, func(part any) bool {
		h, ok := part.(Handler)
		return ok && Serving(h).discovers()
	})
}

// addParts adds what the filters of f.value are by now; false if one is waited for.
func (a *assembly) addParts(f *filled) bool {
	missing := ""
	for d := range f.value.Discoveries {
		part := a.part(d)
		if part == nil && missing == "" {
			missing = d.Name
		}
		f.parts = append(f.parts, part)
	}
	if missing != "" {
		a.wait(listenerName(f.asked.Name), extensionName(missing))
	}
	return missing == ""
}

// part is what a filter is by now; nil while that is waited for.
func (a *assembly) part(d *FilterDiscovery) any {
	e := a.extensions[d.Name]
	if e == nil && !d.AtOnce {
		return nil
	}
	if e != nil && !e.Missing {
		if text := a.unfit(d, e); text != "" {
			a.refuse(extensionName(d.Name), "%s", text)
			if e = a.before.extensions[d.Name]; e != nil && a.unfit(d, e) != "" {
				e = nil
			}
		}
	}
	switch {
	case e != nil && !e.Missing && e.Config != nil:
		a.s.extensions[d.Name] = e
		return e.Config
	case d.Default != nil:
		return d.Default
	}
	return &NoFilterConfig{}
}

// unfit says why a filter cannot be e; "" if it can. The texts are Envoy's
// (filter/config_discovery_impl.cc, config/utility.cc).
func (a *assembly) unfit(d *FilterDiscovery, e *Extension) string {
	h, serves := e.Config.(Handler)
	switch {
	case !slices.Contains(d.Types, e.Type):
		return fmt.Sprintf("Error: filter config has type URL %s but expect %s.", e.Type, strings.Join(d.Types, ", "))
	case d.Of != NetworkFilters:
	case serves != d.Last:
		return Misplaced(d.Name, e.Filter, serves)
	case serves && a.before.extensions[d.Name] != e: // what stood stays, as its listener does
		n := namesOfListener(Serving(h))
		for _, name := range n.required {
			if a.s.clusters[name] == nil && !a.waiting[name] {
				return fmt.Sprintf("unknown cluster '%s'", name)
			}
		}
	}
	return ""
}

// Misplaced is what Envoy says of a network filter at the end of its chain, or before it, that
// must not stand there (config/utility.cc, validateTerminalFilters).
func Misplaced(name, filter string, terminal bool) string {
	if terminal {
		return fmt.Sprintf("Error: terminal filter named %s of type %s must be the last filter in a network filter chain.", name, filter)
	}
	return fmt.Sprintf("Error: non-terminal filter named %s of type %s is the last filter in a network filter chain.", name, filter)
}

// join copies the listener as far down as its filters, which are parts, in the order in which
// Discoveries yields them.
func (f *filled) join(parts []any) {
	l := *f.value
	rest := parts
	take := func() (part any) {
		part, rest = rest[0], rest[1:]
		return part
	}
	if l.Filters != nil {
		l.Filters = slices.Clone(l.Filters)
		for i := range l.Filters {
			if l.Filters[i].Discovery != nil {
				l.Filters[i].Config = take()
			}
		}
		l.Arrange(l.Filters)
	}
	join := func(c *FilterChain) {
		c.Filters = slices.Clone(c.Filters)
		for i := range c.Filters {
			if c.Filters[i].Discovery != nil {
				c.Filters[i].Config = take()
			}
		}
		if c.Discovery != nil {
			h := take().(Handler)
			if c.Handler == nil { // what it has by discovery itself comes in the next round
				c.Handler = h
				return
			}
		}
		c.Handler = joinHandler(c.Handler, &rest)
	}
	l.Chains = slices.Clone(l.Chains)
	for i := range l.Chains {
		join(&l.Chains[i])
	}
	if l.DefaultChain != nil {
		c := *l.DefaultChain
		join(&c)
		l.DefaultChain = &c
	}
	f.value = &l
}

func joinHandler(h Handler, rest *[]any) Handler {
	asked, ok := h.(*HTTP)
	if !ok {
		return h
	}
	c := *asked
	c.Filters = joinFilters(c.Filters, rest)
	c.TryFilters = joinFilters(c.TryFilters, rest)
	c.UpgradeFilters = slices.Clone(c.UpgradeFilters)
	for i := range c.UpgradeFilters {
		c.UpgradeFilters[i].Filters = joinFilters(c.UpgradeFilters[i].Filters, rest)
	}
	return &c
}

// WithoutDiscovered is h without what its filters have by discovery: two that are the same then
// differ in nothing else.
func (h *HTTP) WithoutDiscovered() *HTTP {
	nothing := []any{}
	for range Serving(h).Discoveries {
		nothing = append(nothing, nil)
	}
	if len(nothing) == 0 {
		return h
	}
	return joinHandler(h, &nothing).(*HTTP)
}

// joinFilters takes parts in the order in which discoveries yields them.
func joinFilters(all []HTTPFilter, rest *[]any) []HTTPFilter {
	all = slices.Clone(all)
	for i := range all {
		f := &all[i]
		if f.Discovery != nil {
			f.Config = (*rest)[0]
			*rest = (*rest)[1:]
			continue
		}
		m, ok := f.Config.(*Matched)
		if !ok {
			continue
		}
		c := *m
		c.Actions = slices.Clone(c.Actions)
		for j := range c.Actions {
			c.Actions[j].Filters = joinFilters(c.Actions[j].Filters, rest)
		}
		f.Config = &c
	}
	return all
}
