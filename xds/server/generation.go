package server

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// remembered is how many publishes back a stream is brought up to date by what
// changed alone; one further behind is compared with all it asks for.
const remembered = 32

// generation is one published bundle as streams compare themselves with it.
// Immutable.
type generation struct {
	number uint64
	sets   map[string]*set
	// changes are the last publishes, oldest first, this one the last.
	changes []change
}

// set is all resources of one type. A type that did not change keeps its set.
type set struct {
	byName  map[string]*entry
	sorted  []*entry     // by name
	bodies  []*anypb.Any // of sorted
	version string       // of the whole set: a hash of names and versions
}

// entry is a resource, and it as delta responses carry it: one for all groups
// and clients that have the same content.
type entry struct {
	*Resource
	wire *discovery.Resource
}

// change names what a publish added, changed or removed, by type; the names
// are sorted.
type change struct {
	number uint64
	names  map[string][]string
}

// set of a type; an empty one if the generation has none.
func (g *generation) set(typeURL string) *set {
	if s := g.sets[typeURL]; s != nil {
		return s
	}
	return &set{version: versionOf(nil)}
}

// since gives the names of a type that changed after generation number; ok is
// false when that is too long ago to be known.
func (g *generation) since(number uint64, typeURL string) (names []string, ok bool) {
	if number == g.number {
		return nil, true
	}
	for i := len(g.changes) - 1; i >= 0; i-- {
		c := g.changes[i]
		if c.number <= number {
			return names, true
		}
		names = merge(names, c.names[typeURL])
	}
	return names, len(g.changes) > 0 && g.changes[0].number == number+1
}

// merge joins two sorted lists; it copies only if both have something.
func merge(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}

// collected reports whether glob names a collection that has members.
func (s *set) collected(glob string) bool {
	prefix, ok := globOf(glob)
	in := interest{globs: []string{prefix}}
	return ok && slices.ContainsFunc(s.sorted, func(e *entry) bool { return in.collects(e.Name) })
}

// next makes the generation that follows g (nil: the first) from b; the names
// that differ come with it. It is g itself when nothing differs.
func (g *generation) next(b *Bundle, intern func(*Resource) *entry) (*generation, change) {
	now := &generation{number: 1, sets: map[string]*set{}}
	before := &generation{}
	if g != nil {
		before, now.number = g, g.number+1
	}
	diff := change{number: now.number, names: map[string][]string{}}
	for _, typeURL := range b.Types() {
		old := before.set(typeURL)
		s, names := old.next(b.byType[typeURL], intern)
		now.sets[typeURL] = s
		if len(names) > 0 {
			diff.names[typeURL] = names
		}
	}
	for typeURL, old := range before.sets {
		if now.sets[typeURL] == nil && len(old.byName) > 0 {
			diff.names[typeURL] = slices.Sorted(maps.Keys(old.byName))
		}
	}
	if g != nil && len(diff.names) == 0 {
		return g, diff
	}
	now.changes = append(slices.Clone(before.changes[max(0, len(before.changes)-remembered+1):]), diff)
	return now, diff
}

func (s *set) next(resources map[string]*Resource, intern func(*Resource) *entry) (*set, []string) {
	var names []string
	for name, r := range resources {
		if old := s.byName[name]; old == nil || old.Version != r.Version {
			names = append(names, name)
		}
	}
	for name := range s.byName {
		if resources[name] == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return s, nil
	}
	slices.Sort(names)
	now := &set{byName: maps.Clone(s.byName)}
	if now.byName == nil {
		now.byName = make(map[string]*entry, len(resources))
	}
	for _, name := range names {
		if r := resources[name]; r != nil {
			now.byName[name] = intern(r)
		} else {
			delete(now.byName, name)
		}
	}
	now.sorted = s.with(names, now.byName)
	now.bodies = make([]*anypb.Any, len(now.sorted))
	for i, e := range now.sorted {
		now.bodies[i] = e.Body
	}
	now.version = versionOf(now.sorted)
	return now, names
}

// with is s.sorted after names, which are sorted, have become what byName says.
func (s *set) with(names []string, byName map[string]*entry) []*entry {
	all := make([]*entry, 0, len(byName))
	at := 0
	for _, name := range names {
		for at < len(s.sorted) && s.sorted[at].Name < name {
			all = append(all, s.sorted[at])
			at++
		}
		if at < len(s.sorted) && s.sorted[at].Name == name {
			at++
		}
		if e := byName[name]; e != nil {
			all = append(all, e)
		}
	}
	return append(all, s.sorted[at:]...)
}

func versionOf(sorted []*entry) string {
	h := sha256.New()
	for _, e := range sorted {
		h.Write([]byte(e.Name + "\x00" + e.Version + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
