package client

// Collections: endpoints that are resources of their own (LEDS). A collection is
// asked for by its name and answered by its members; what a locality gets is put
// together here.

import (
	"slices"
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
	at    map[string]int // the place of each name
	list  *config.Collection
}

// gather puts the collections together again that an update has changed. A
// collection that came from disk has nothing but what is told now.
func (c *Client) gather(u *protocol.Update, good map[string]*version, now time.Time) (changed bool) {
	s := &c.world[leds]
	touched := map[string][]string{} // members by their collection
	for name := range good {
		list := protocol.CollectionOf(name)
		touched[list] = append(touched[list], name)
	}
	for _, name := range u.Removed {
		if list := protocol.CollectionOf(name); list != "" {
			touched[list] = append(touched[list], name)
			s.drop(name)
		} else {
			touched[name] = append(touched[name], c.empty(name)...)
		}
	}
	for list, names := range touched {
		e := s.entries[list]
		if e == nil || !e.wanted {
			continue
		}
		if e.now != nil && e.now.fromDisk {
			names = append(names, c.dropOld(list, good)...)
		}
		changed = true
		c.compose(e, names, u.Version, now)
	}
	return changed
}

// empty drops every member of a collection, and names them.
func (c *Client) empty(list string) (names []string) {
	for name, e := range c.world[leds].entries {
		if e.list == list {
			names = append(names, name)
			c.world[leds].drop(name)
		}
	}
	return names
}

// dropOld drops the members that came from disk and were not told again, and
// names them.
func (c *Client) dropOld(list string, good map[string]*version) (names []string) {
	for name, e := range c.world[leds].entries {
		if e.list == list && e.now != nil && e.now.fromDisk && good[name] == nil {
			names = append(names, name)
			c.world[leds].drop(name)
		}
	}
	return names
}

// compose makes the collection of its members, of which those named have come,
// changed or gone: those that stay keep their order, and the new ones follow by
// name. What it costs is a copy of the list beside what it is told.
func (c *Client) compose(e *entry, names []string, told string, now time.Time) {
	m := e.members
	if m == nil {
		m = &members{at: map[string]int{}, list: &config.Collection{Name: e.name}}
		e.members = m
	}
	list := &config.Collection{Name: e.name, Endpoints: slices.Clone(m.list.Endpoints)}
	fromDisk, gone := true, 0
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at, known := m.at[name]
		v := c.world[leds].good(name)
		switch {
		case v == nil && known:
			list.Endpoints[at] = nil
			gone++
		case v == nil:
		case known:
			list.Endpoints[at] = v.value.(*config.Endpoint)
		default:
			m.at[name] = len(m.names)
			m.names = append(m.names, name)
			list.Endpoints = append(list.Endpoints, v.value.(*config.Endpoint))
		}
		if v != nil {
			c.world[leds].entries[name].used = v
		}
		fromDisk = fromDisk && v != nil && v.fromDisk
	}
	m.list = list
	if gone > 0 {
		m.close()
	}
	e.now = &version{name: e.name, version: told, value: list, at: now, fromDisk: fromDisk && len(m.names) > 0}
	e.gone, e.timedOut, e.deadline, e.empty = false, false, time.Time{}, nil
}

// close takes the places of those that are gone out of the order.
func (m *members) close() {
	kept := m.names[:0]
	clear(m.at)
	for i, name := range m.names {
		if m.list.Endpoints[i] != nil {
			m.at[name] = len(kept)
			kept = append(kept, name)
		}
	}
	clear(m.names[len(kept):])
	m.names = kept
	m.list.Endpoints = slices.DeleteFunc(m.list.Endpoints, func(e *config.Endpoint) bool { return e == nil })
}

// membersOf names the members of a collection that are there already.
func (c *Client) membersOf(list string) (names []string) {
	for name, e := range c.world[leds].entries {
		if e.list == list && e.now != nil {
			names = append(names, name)
		}
	}
	return names
}

// collections are those that are there, or were waited for long enough, by
// name.
func (c *Client) collections() (all []*config.Collection) {
	for _, e := range c.world[leds].named {
		switch {
		case !isCollection(e.name):
		case e.now != nil:
			all = append(all, e.now.value.(*config.Collection))
		case e.empty != nil:
			all = append(all, e.empty.(*config.Collection))
		}
	}
	slices.SortFunc(all, func(a, b *config.Collection) int { return strings.Compare(a.Name, b.Name) })
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
