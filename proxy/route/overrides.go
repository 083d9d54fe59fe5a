package route

// What the levels above a target say of filters, gathered when the table is
// compiled.

import (
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
)

// overrideSets are the distinct sets of a table, and of the tables before it that
// it was made from. Tables share them; who adds one takes a copy first.
type overrideSets struct {
	all   [][][]config.FilterOverride
	known map[overrideKey]int
	own   bool // nobody shares it
	first int  // how many there were when all routes were compiled
}

// overrideKey is which levels say something.
type overrideKey [4]*config.FilterOverride

// overgrown reports that most of the sets may be of routes that are gone.
func (s *overrideSets) overgrown() bool { return len(s.all) > 2*s.first+64 }

// override finds or makes the set of the levels given, most specific first, and
// those above them, the virtual host's and the table's; -1 if nothing is said.
func (c *compiler[C]) override(below ...[]config.FilterOverride) int {
	var key overrideKey
	var levels [][]config.FilterOverride
	for _, level := range append(below, c.host.Filters, c.table.Filters) {
		if len(level) > 0 {
			key[len(levels)] = &level[0]
			levels = append(levels, level)
		}
	}
	if len(levels) == 0 {
		return -1
	}
	if i, ok := c.sets.known[key]; ok {
		return i
	}
	return c.sets.add(key, levels)
}

func (s *overrideSets) add(key overrideKey, levels [][]config.FilterOverride) int {
	if !s.own {
		s.all, s.known, s.own = slices.Clone(s.all), maps.Clone(s.known), true
	}
	if s.known == nil {
		s.known = map[overrideKey]int{}
	}
	i := len(s.all)
	s.known[key] = i
	s.all = append(s.all, levels)
	return i
}
