package proxy

import (
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// meet tells the filters that live of their beginning and of their end: when their chain is
// live on all workers, and when no room, be it on its way out, and no cluster has it any more.
// s.mu is held.
func (s *Server) meet() {
	var now []filter.Living
	seen := map[filter.Living]bool{}
	s.eachChain(func(c *filter.Chain) {
		for _, f := range c.Living() {
			if !seen[f] {
				seen[f] = true
				now = append(now, f)
			}
		}
	})
	if len(now)+len(s.begun) == 0 {
		return
	}
	before := s.begun
	s.begun = now
	s.each(func(w *loop.Worker) {
		for _, f := range before {
			if !seen[f] {
				f.Quit(w)
			}
		}
		for _, f := range now {
			if !slices.Contains(before, f) {
				f.Begin(w)
			}
		}
	})
}

// eachChain gives all chains that requests may pass, some of them more than once.
func (s *Server) eachChain(yield func(*filter.Chain)) {
	rooms := func(all []*room) {
		for _, r := range all {
			yield(r.chains.Main)
			yield(r.chains.Tries)
			for _, u := range r.chains.Upgrades {
				yield(u.Chain)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		rooms(s.listeners[name].rooms)
	}
	rooms(s.retired)
	clusters := *s.clusters.Load()
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		if c, ok := clusters[name].Filtered().(*filter.Chain); ok {
			yield(c)
		}
	}
}
