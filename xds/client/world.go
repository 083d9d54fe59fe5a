package client

// Everything that is known of resources: what is in use, what waits, what was
// refused.

import (
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/parallel"
	"github.com/attache-mesh/attache/xds/client/protocol"
)

// entry is a resource by name. One that nobody wants and nobody has is dropped.
type entry struct {
	name string
	list string // the collection that it may be a member of; "" for none
	// now is the last version that was good by itself; used is the last one that
	// stood in a snapshot. They differ while now waits for others.
	now, used *version
	// refused is the last version that was not taken; nil after a good one. If it
	// is now, each assembly tries it again: what it lacked may have come.
	refused  *refusal
	gone     bool // the server says that there is none
	wanted   bool // by name
	timedOut bool
	deadline time.Time // of the wait for the first version; zero: none
	empty    any       // stands in for the resource after the time-out
	members  *members  // of a collection
	figures  figures
	stale    staleness // empty stands in for one that is
}

// shelf holds the resources of one kind.
type shelf struct {
	entries map[string]*entry
	// named are the entries but for the members of collections, of which there may
	// be thousands: those live and die with their collection. For kinds that have
	// no collections it is entries itself.
	named map[string]*entry
	loose bool              // there may be members from disk of collections that nobody names
	bySum map[uint64]*entry // by the sum of now, or of what was refused
	order []*entry          // see sorted; nil after entries came or went
	late  []*entry          // those that are waited for have a deadline
	aging []*entry          // those that will be too old, see stale.go
	// touched: the resources may name others than they did, see subscribe.
	touched bool
	// version is that of the last response that was accepted whole, for people.
	version string
	// asked: all of the kind are asked for. answered: a response has come since
	// the start. deadline is when the wait for the first one ends.
	asked, answered, timedOut bool
	deadline                  time.Time
	figures                   figures
}

type world [kindCount]shelf

func newWorld() *world {
	w := &world{}
	for k := range w {
		w[k].entries = map[string]*entry{}
		w[k].named = w[k].entries
		w[k].bySum = map[uint64]*entry{}
	}
	w[leds].named = map[string]*entry{}
	return w
}

func (s *shelf) entry(name string) *entry {
	e := s.entries[name]
	if e == nil {
		e = &entry{name: name, list: protocol.CollectionOf(name)}
		s.entries[name], s.order = e, nil
		if e.list == "" {
			s.named[name] = e
		}
	}
	return e
}

func (s *shelf) drop(name string) {
	if e := s.entries[name]; e != nil {
		s.forgetSums(e)
		s.order, s.touched = nil, true
		delete(s.entries, name)
		delete(s.named, name)
	}
}

func (s *shelf) forgetSums(e *entry) {
	if e.now != nil && s.bySum[e.now.sum] == e {
		delete(s.bySum, e.now.sum)
	}
	if e.refused != nil && s.bySum[e.refused.sum] == e {
		delete(s.bySum, e.refused.sum)
	}
}

// put makes v the resource's version. It reports whether that changes anything.
func (s *shelf) put(v *version) bool {
	e := s.entry(v.name)
	changed := e.now == nil || e.now.value != v.value || e.stale.is
	s.forgetSums(e)
	s.touched = s.touched || changed && (v.namesOthers() || e.now.namesOthers())
	if !changed && e.used == e.now {
		e.used = v // sent again, as on a new stream: what is in use is this
	}
	e.now, e.gone, e.timedOut, e.deadline, e.empty, e.stale.is = v, false, false, time.Time{}, nil, false
	if changed || e.refused != nil && e.refused.byItself {
		e.refused = nil
	}
	s.bySum[v.sum] = e
	return changed
}

// refuse remembers that v was not taken.
func (s *shelf) refuse(v *version, text string, byItself bool, now time.Time) {
	s.disagree(v, text, byItself, now)
	s.entries[v.name].figures.rejected++
}

// disagree is refuse without counting it.
func (s *shelf) disagree(v *version, text string, byItself bool, now time.Time) {
	e := s.entry(v.name)
	if e.refused != nil && s.bySum[e.refused.sum] == e && (e.now == nil || e.now.sum != e.refused.sum) {
		delete(s.bySum, e.refused.sum)
	}
	e.refused = &refusal{version: v.version, body: v.body, sum: v.sum, text: text, at: now, byItself: byItself}
	if s.bySum[v.sum] == nil {
		s.bySum[v.sum] = e
	}
}

// good is the last version of a resource that was good by itself; nil if there
// is none.
func (s *shelf) good(name string) *version {
	if e := s.entries[name]; e != nil {
		return e.now
	}
	return nil
}

// sorted are the entries by name. The list is not to be changed, and it is another
// one after entries came or went.
func (s *shelf) sorted() []*entry {
	if s.order == nil {
		s.order = make([]*entry, 0, len(s.entries))
		for _, e := range s.entries {
			s.order = append(s.order, e)
		}
		slices.SortFunc(s.order, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	}
	return s.order
}

// namesOthers reports whether the version may name other resources.
func (v *version) namesOthers() bool {
	if v == nil {
		return false
	}
	switch value := v.value.(type) {
	case *config.Collection, *config.Endpoint, *config.VirtualHost:
		return false
	case *config.RouteTable:
		return value.VHDS != nil
	case *config.Endpoints:
		return slices.ContainsFunc(value.Localities, func(l config.Locality) bool { return l.Collection != "" })
	}
	return true
}

// use says that the last good version stands in the snapshot.
func (s *shelf) use(e *entry) {
	if e.used != e.now {
		s.touched = s.touched || e.used.namesOthers() || e.now.namesOthers()
		e.used = e.now
	}
}

// taken is an update that was read and waits for the assembly to be decided.
type taken struct {
	update *protocol.Update
	feed   *feed
	kind   kind
	good   map[string]*version
	bad    []bad // in the order of the response
	at     time.Time
	// changed: something may have to be assembled anew.
	changed bool
	// due is when a refusal that was said before is said again.
	due time.Time
}

type bad struct{ name, text string }

// take reads an update into the world. Nothing is in use before it is assembled.
func (c *Client) take(f *feed, k kind, u *protocol.Update, now time.Time) *taken {
	s := &c.world[k]
	t := &taken{update: u, feed: f, kind: k, good: map[string]*version{}, at: now}
	named := true
	if k == vhds {
		c.hearHosts(u)
	}
	seen := make(map[string]bool, len(u.Resources))
	for _, d := range c.decodeAll(f, k, u.Resources, now) {
		v, text := d.version, d.text
		if text == "" && seen[v.name] {
			text = "it is in the response twice"
			delete(t.good, v.name)
		}
		seen[v.name] = true
		named = named && v.name != ""
		switch {
		case text != "":
			t.bad = append(t.bad, bad{v.name, text})
			if v.name != "" && c.wants(f, k, v.name) {
				s.refuse(v, text, true, now)
			}
		case c.wants(f, k, v.name): // what nobody asked for is not kept
			t.good[v.name] = v
		}
	}
	t.changed = k == ecds && len(t.bad) > 0 // who waits for one goes on without it
	for _, v := range t.good {
		// Of a refused response in state of the world, what says nothing new keeps
		// the version that was accepted.
		if e := s.entries[v.name]; len(t.bad) > 0 && f.sotw && e != nil && e.now != nil && e.now.value == v.value && !e.now.fromDisk {
			continue
		}
		t.changed = s.put(v) || t.changed
		s.entries[v.name].figures.success++
		s.renewed(s.entries[v.name], now)
	}
	if k == leds {
		t.changed = c.gather(u, t.good, now)
	} else {
		for _, name := range u.Removed {
			t.changed = c.remove(k, f.keyOf(k, name)) || t.changed
		}
	}
	// What a response cannot name it does not remove either.
	if named && f.brings(k) && (u.Whole || f.replaces[k]) {
		for name, e := range s.entries {
			if !seen[name] && !e.wanted {
				t.changed = c.remove(k, name) || t.changed
			}
		}
	}
	if k == rtds && t.changed {
		c.reread(now)
	}
	f.replaces[k] = false
	if !kinds[k].whole || f.brings(k) {
		s.answered, s.deadline = true, time.Time{}
	}
	return t
}

// decoded is a resource that was read, and what is wrong with it.
type decoded struct {
	version *version
	text    string
}

// decodeAll reads resources each on its own; of many several at a time.
func (c *Client) decodeAll(f *feed, k kind, all []protocol.Resource, now time.Time) []decoded {
	out := make([]decoded, len(all))
	parallel.Do(len(all), func(i int) {
		r := all[i]
		if k == sds && r.Name == "" { // state of the world
			r.Name = nameIn(r.Body.GetValue())
		}
		r.Name = f.keyOf(k, r.Name)
		out[i].version, out[i].text = c.world[k].decode(k, &r, c.options, now)
	})
	return out
}

// wants reports whether a resource is kept if it comes.
func (c *Client) wants(f *feed, k kind, name string) bool {
	e := c.world[k].entries[name]
	return f.brings(k) || e != nil && e.wanted || k == leds && c.wantsMember(name) || k == vhds && c.isOfTable(name)
}

// brings reports whether the feed brings all resources of a kind, named or not.
func (f *feed) brings(k kind) bool { return kinds[k].whole && (f.machine == nil || f.wanted[k].All) }

// remove forgets a listener or cluster. Of what is asked for by name the last
// good version stays, as in Envoy: it goes when nobody names it any more. But a filter
// whose configuration is gone has its default, or none (FilterConfigSubscription::onConfigUpdate).
func (c *Client) remove(k kind, name string) (changed bool) {
	s := &c.world[k]
	e := s.entries[name]
	c.missing(k, name)
	switch {
	case k == vhds:
		return c.removeHost(name)
	case e == nil:
		return false
	case kinds[k].whole:
		s.drop(name)
		return true
	}
	e.gone = true
	switch {
	case e.now == nil && !e.timedOut:
		e.figures.timeouts++
		return c.giveUp(k, e)
	case k == ecds && e.now != nil:
		s.clear(e, &config.Extension{Name: name, Missing: true})
		return true
	}
	return false
}

// clear takes away what a resource is; empty stands in its place.
func (s *shelf) clear(e *entry, empty any) {
	s.forgetSums(e)
	e.now, e.used, e.refused, e.empty, e.timedOut, s.touched = nil, nil, nil, empty, true, true
}

// resources is what the sources say now: static ones first. A pointer that was
// given before is given again.
func (c *Client) resources() config.Resources {
	now := config.Resources{
		Listeners:   slices.Clone(c.static.Listeners),
		Clusters:    slices.Clone(c.static.Clusters),
		RouteTables: slices.Clone(c.static.RouteTables),
		Endpoints:   slices.Clone(c.static.Endpoints),
	}
	collect(&c.world[cds], &now.Clusters)
	collect(&c.world[eds], &now.Endpoints)
	now.Collections = c.collections()
	collect(&c.world[rds], &now.RouteTables)
	c.withHosts(now.RouteTables)
	if s := &c.world[srds]; c.scopes.Kind != config.SourceInline && (s.answered || s.timedOut || len(s.entries) > 0) {
		now.Scopes = []*config.Scope{}
		collect(s, &now.Scopes)
	}
	collect(&c.world[lds], &now.Listeners)
	now.Secrets = c.secrets()
	now.Extensions = c.extensions()
	return now
}

// extensions are those that there are, and those that are waited for no more, as their time is
// over or what came was refused (FilterConfigSubscription::onConfigUpdateFailed).
func (c *Client) extensions() (all []*config.Extension) {
	collect(&c.world[ecds], &all)
	for _, e := range c.world[ecds].sorted() {
		if e.now == nil && e.empty == nil && e.refused != nil {
			all = append(all, &config.Extension{Name: e.name, Missing: true})
		}
	}
	return all
}

func collect[T any](s *shelf, to *[]*T) {
	for _, e := range s.sorted() {
		switch {
		case e.now != nil && !e.stale.is:
			*to = append(*to, e.now.value.(*T))
		case e.empty != nil:
			*to = append(*to, e.empty.(*T))
		}
	}
}
