package client

// Collections: endpoints that are resources of their own (LEDS). A collection is
// asked for by its name and answered by its members; what a locality gets is put
// together here.

import (
	"strings"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// isCollection reports whether a name is a collection's.
func isCollection(name string) bool { return strings.HasSuffix(name, "/*") }

// readMember reads one endpoint; its name stands in the envelope alone.
func readMember(r *reading) (string, any) {
	m := &endpointv3.LbEndpoint{}
	if r.parse(m); r.problems != nil {
		return "", nil
	}
	e, problems := envoyv3.Endpoint("", m, r.options)
	r.problems = problems
	return r.name, e
}

// members are those of one collection, in their order.
type members struct {
	names []string
	list  *config.Collection
}

// gather puts the collections together again that an update has changed. A
// collection that came from disk has nothing but what is told now.
func (c *Client) gather(u *protocol.Update, good map[string]*version, now time.Time) (changed bool) {
	s := &c.world[leds]
	touched := map[string]bool{}
	for name := range good {
		touched[protocol.CollectionOf(name)] = true
	}
	for _, name := range u.Removed {
		if list := protocol.CollectionOf(name); list != "" {
			touched[list] = true
			s.drop(name)
		} else {
			touched[name] = true
			c.empty(name)
		}
	}
	for list := range touched {
		e := s.entries[list]
		if e == nil || !e.wanted {
			continue
		}
		if e.now != nil && e.now.fromDisk {
			c.dropOld(list, good)
		}
		changed = true
		c.compose(e, u.Version, now)
	}
	return changed
}

// empty drops every member of a collection.
func (c *Client) empty(list string) {
	for name := range c.world[leds].entries {
		if protocol.CollectionOf(name) == list {
			c.world[leds].drop(name)
		}
	}
}

// dropOld drops the members that came from disk and were not told again.
func (c *Client) dropOld(list string, good map[string]*version) {
	for name, e := range c.world[leds].entries {
		if protocol.CollectionOf(name) == list && e.now != nil && e.now.fromDisk && good[name] == nil {
			c.world[leds].drop(name)
		}
	}
}

// compose makes the collection of its members: those that stay in their order,
// then the new ones by name.
func (c *Client) compose(e *entry, told string, now time.Time) {
	s := &c.world[leds]
	have := map[string]*config.Endpoint{}
	fromDisk := true
	for name, m := range s.entries {
		if m.now != nil && protocol.CollectionOf(name) == e.name {
			have[name] = m.now.value.(*config.Endpoint)
			fromDisk = fromDisk && m.now.fromDisk
		}
	}
	next := &members{list: &config.Collection{Name: e.name}}
	if e.members != nil {
		for _, name := range e.members.names {
			if have[name] != nil {
				next.names = append(next.names, name)
			}
		}
	}
	known := map[string]bool{}
	for _, name := range next.names {
		known[name] = true
	}
	for _, name := range sortedNames(have) {
		if !known[name] {
			next.names = append(next.names, name)
		}
	}
	for _, name := range next.names {
		next.list.Endpoints = append(next.list.Endpoints, have[name])
	}
	e.members = next
	e.now = &version{name: e.name, version: told, value: next.list, at: now, fromDisk: fromDisk && len(have) > 0}
	e.gone, e.timedOut, e.deadline, e.empty = false, false, time.Time{}, nil
}

// hasMembers reports whether members of a collection are there already.
func (c *Client) hasMembers(list string) bool {
	for name := range c.world[leds].entries {
		if protocol.CollectionOf(name) == list {
			return true
		}
	}
	return false
}

// collections lists those that are there.
func (c *Client) collections() (all []*config.Collection) {
	for _, e := range c.world[leds].sorted() {
		if !isCollection(e.name) {
			continue
		}
		switch {
		case e.now != nil:
			all = append(all, e.now.value.(*config.Collection))
		case e.empty != nil:
			all = append(all, e.empty.(*config.Collection))
		}
	}
	return all
}

// wantsMember reports whether a member's collection is asked for.
func (c *Client) wantsMember(name string) bool {
	list := c.world[leds].entries[protocol.CollectionOf(name)]
	return list != nil && list.wanted
}

// addEndpoints adds the collections that endpoints name.
func (n *naming) addEndpoints(e *config.Endpoints) {
	for i := range e.Localities {
		if l := &e.Localities[i]; l.Collection != "" {
			n.add(leds, l.Collection, &l.CollectionSource)
		}
	}
}
