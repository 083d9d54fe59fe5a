package config

// Filters whose configuration comes by itself (ECDS), and how a listener is put together with them.

import (
	"slices"
	"strings"
)

// FilterDiscovery is where the configuration of a filter comes from
// (core.v3.ExtensionConfigSource). A listener is pending until it is there, unless AtOnce.
type FilterDiscovery struct {
	Name   string // the resource's
	Source Source
	// Types are the names of the messages that it may be.
	Types []string
	// Default stands until something comes, or instead if nothing does; nil: none.
	Default any
	// AtOnce does not wait: Default stands meanwhile.
	AtOnce bool
}

// Extension is a filter's configuration as a resource.
type Extension struct {
	Name string
	// Type is the name of its message.
	Type string
	// Config is as in HTTPFilter.
	Config any
	// Missing says that whoever waits for it has waited long enough.
	Missing bool
}

// NoFilterConfig is a filter that has no configuration: each request that it sees is
// answered 500.
type NoFilterConfig struct{}

// Discoveries yields the filters of a listener that come by discovery.
func (l *Listener) Discoveries(yield func(*FilterDiscovery) bool) {
	for h := range l.Handlers {
		h, ok := h.(*HTTP)
		if !ok {
			continue
		}
		if !discoveries(h.Filters, yield) {
			return
		}
		for i := range h.UpgradeFilters {
			if !discoveries(h.UpgradeFilters[i].Filters, yield) {
				return
			}
		}
	}
}

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
	var parts []any
	missing := ""
	for d := range l.Discoveries {
		part := a.part(d)
		if part == nil && missing == "" {
			missing = d.Name
		}
		parts = append(parts, part)
	}
	switch before := a.before.filled[l.Name]; {
	case len(parts) == 0:
		return l
	case missing != "":
		a.wait(listenerName(l.Name), extensionName(missing))
		return nil
	case before != nil && before.asked == l && slices.Equal(before.parts, parts):
		a.s.filled[l.Name] = before
	default:
		f := &filled{asked: l, parts: parts}
		f.value = f.join()
		a.s.filled[l.Name] = f
	}
	return a.s.filled[l.Name].value
}

// part is what a filter is by now; nil while that is waited for.
func (a *assembly) part(d *FilterDiscovery) any {
	e := a.extensions[d.Name]
	switch {
	case e == nil && !d.AtOnce:
		return nil
	case e != nil && !e.Missing && !slices.Contains(d.Types, e.Type):
		a.refuse(extensionName(d.Name), "Error: filter config has type URL %s but expect %s.", e.Type, strings.Join(d.Types, ", "))
		e = a.before.extensions[d.Name]
		if e != nil && !slices.Contains(d.Types, e.Type) {
			e = nil
		}
	}
	switch {
	case e != nil && !e.Missing:
		a.s.extensions[d.Name] = e
		return e.Config
	case d.Default != nil:
		return d.Default
	}
	return &NoFilterConfig{}
}

// join copies the listener as far down as its filters.
func (f *filled) join() *Listener {
	l := *f.asked
	rest := f.parts
	l.Chains = slices.Clone(l.Chains)
	for i := range l.Chains {
		l.Chains[i].Handler = joinHandler(l.Chains[i].Handler, &rest)
	}
	if l.DefaultChain != nil {
		c := *l.DefaultChain
		c.Handler = joinHandler(c.Handler, &rest)
		l.DefaultChain = &c
	}
	return &l
}

func joinHandler(h Handler, rest *[]any) Handler {
	asked, ok := h.(*HTTP)
	if !ok {
		return h
	}
	c := *asked
	c.Filters = joinFilters(c.Filters, rest)
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
	one := Listener{DefaultChain: &FilterChain{Handler: h}}
	for range one.Discoveries {
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
