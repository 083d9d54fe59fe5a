package control

// Another configuration takes the place of the one that stands.

import (
	"time"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// Apply makes c what clients are served by, and follows its services in catalog
// and its secrets in keys, which may be those before. What is known of services that stay stays, and so
// do gates and what they hold. When it returns nothing of another catalog
// or keyring is followed any more. It reports false if the loop has ended.
func (l *Loop) Apply(c *ambassador.Config, catalog Catalog, keys Keyring) bool {
	return l.do(func() { l.apply(c, catalog, keys) })
}

func (l *Loop) apply(c *ambassador.Config, catalog Catalog, keys Keyring) {
	if l.config.Load() != nil {
		l.turn() // what came in under the configuration before
	}
	if catalog != l.catalog {
		for service, stop := range l.follows {
			stop()
			delete(l.follows, service)
		}
		l.catalog = catalog
	}
	l.builder = ambassador.NewBuilder(c, l.builder)
	l.takeUses(c)
	l.takeSecrets(c, keys)
	l.takeGroups(c)
	l.follow(c)
	l.schedule()
}

// takeUses keeps what is known of uses that stay.
func (l *Loop) takeUses(c *ambassador.Config) {
	byService := map[discovery.Service]discovery.State{}
	for u, of := range l.uses {
		byService[u.Service] = of.state
	}
	uses := map[ambassador.Use]*use{}
	for u, p := range c.Uses() {
		of := l.uses[u]
		if of == nil {
			of = &use{state: byService[u.Service]}
			if u.Table.Hashed() {
				of.gate = plan.NewGate(u.Table)
			}
		}
		of.budget = plan.Budget{MaxMovedShare: p.MaxMovedShare, HoldFor: p.HoldFor}
		of.groups = map[*group]bool{}
		uses[u] = of
		l.offer(u, of)
	}
	l.uses = uses
}

// takeGroups publishes the groups whose ambassador stays, under its new
// settings; moves clients to where they now belong; and lets go of the rest.
func (l *Loop) takeGroups(c *ambassador.Config) {
	byName := map[string]*ambassador.Ambassador{}
	for _, a := range c.Ambassadors {
		byName[a.Name] = a
	}
	stay := map[*group]bool{}
	var gone []string
	for name, g := range l.groups {
		a := byName[g.Ambassador.Name]
		if a == nil || !g.Stays(a) {
			gone = append(gone, name)
			continue
		}
		g.Ambassador = a
		l.join(g)
		stay[g] = true
	}
	l.config.Store(c)
	l.publish(stay, nil, time.Time{})
	for _, name := range gone {
		delete(l.groups, name)
		l.inbox.forget(name)
	}
	l.publisher.Reselect()
	for _, name := range gone {
		l.publisher.Remove(name)
	}
}

// follow starts to follow what is new and stops with what is not asked for any
// more.
func (l *Loop) follow(c *ambassador.Config) {
	wanted := map[discovery.Service]bool{}
	for _, service := range c.Services() {
		wanted[service] = true
		if l.follows[service] == nil {
			l.follows[service] = l.catalog.Follow(service, func(s discovery.State) { l.inbox.state(service, s) })
		}
	}
	for service, stop := range l.follows {
		if !wanted[service] {
			stop()
			delete(l.follows, service)
		}
	}
}
