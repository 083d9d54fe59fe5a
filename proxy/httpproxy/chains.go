package httpproxy

// A room's filters: which chain a request passes, and what its table says of it.

import (
	"slices"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/route"
)

// Chains are a room's filters, compiled; the zero value has none.
type Chains struct {
	// Main is nil without filters.
	Main *filter.Chain
	// Upgrades take the place of Main for the protocols that they name.
	Upgrades []UpgradeChain
	// Tries are what each attempt passes, at a cluster that says nothing of it
	// (Router.upstream_http_filters); nil: none.
	Tries *filter.Chain
}

// UpgradeChain is a chain for requests that ask for one protocol.
type UpgradeChain struct {
	Type  string        // lower case
	Chain *filter.Chain // nil: no filters
}

// needs is what all of the filters need.
func (c *Chains) needs() format.Needs {
	n := c.Main.Needs() | c.Tries.Needs()
	for i := range c.Upgrades {
		n |= c.Upgrades[i].Chain.Needs()
	}
	return n
}

// Stats yields what the filters of a worker have counted. On w only.
func (c *Chains) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	if c.Main != nil {
		c.Main.Stats(w, yield)
	}
	for i := range c.Upgrades {
		if u := c.Upgrades[i].Chain; u != nil {
			u.Stats(w, yield)
		}
	}
	if c.Tries != nil {
		c.Tries.Stats(w, yield)
	}
}

// counters are the filters that have statistics.
func (c *Chains) counters() (all []filter.Counter) {
	all = slices.AppendSeq(all, c.Main.Counters)
	for i := range c.Upgrades {
		all = slices.AppendSeq(all, c.Upgrades[i].Chain.Counters)
	}
	return slices.AppendSeq(all, c.Tries.Counters)
}

// served is what a request follows: a table, and the room's filters as the table
// has them. Immutable.
type served struct {
	*Table
	filters  *filter.Bound // nil: none
	tries    *filter.Bound // of attempts; nil: none
	upgrades []upgradeFilters
	scopes   map[string]*served // by key, of a table that has scopes
	needs    format.Needs       // of the filters
}

// scoped is what a request of a table with scopes follows.
func (s *served) scoped(r *route.Request) *served {
	var buf [128]byte
	if key, ok := s.Table.scopes.key.Append(buf[:0], r); ok {
		if found := s.scopes[string(key)]; found != nil {
			return found
		}
	}
	return s
}

type upgradeFilters struct {
	kind    string
	filters *filter.Bound
}

func (c *Chains) bind(t *Table) *served {
	s := &served{Table: t, needs: c.needs()}
	if t == nil {
		return s
	}
	if t.scopes != nil {
		s.scopes = make(map[string]*served, len(t.scopes.tables))
		for key, one := range t.scopes.tables {
			s.scopes[key] = c.bind(one)
		}
	}
	if c.Main != nil {
		s.filters = c.Main.Bind(t.compiled.Overrides)
	}
	if c.Tries != nil {
		s.tries = c.Tries.Bind(t.compiled.Overrides)
	}
	for _, u := range c.Upgrades {
		f := upgradeFilters{kind: u.Type}
		if u.Chain != nil {
			f.filters = u.Chain.Bind(t.compiled.Overrides)
		}
		s.upgrades = append(s.upgrades, f)
	}
	return s
}

// chain is the one that the request passes, nil if there is none.
func (x *exchange) chain() *filter.Bound {
	if x.upgrades && len(x.served.upgrades) > 0 {
		return x.upgradeChain()
	}
	return x.served.filters
}

func (x *exchange) upgradeChain() *filter.Bound {
	if u := x.ownChain(); u != nil {
		return u.filters
	}
	return x.served.filters
}

// ownChain is that of the protocol that an upgrade asks for; nil if it has none.
func (x *exchange) ownChain() *upgradeFilters {
	kind := x.req.Upgrade
	if x.method == http1.MethodConnect {
		kind = methodConnect
	}
	for i := range x.served.upgrades {
		if u := &x.served.upgrades[i]; equalFold(kind, u.kind) {
			return u
		}
	}
	return nil
}

// unrouted says whether the request's chain is the one without a router: those of
// upgrades have one.
func (x *exchange) unrouted() bool { return !x.upgrades || x.ownChain() == nil }
