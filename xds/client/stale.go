package client

// Endpoints that hold for a while only: unless they come again in
// endpoint_stale_after, the same or others, there are none (Envoy eds.cc,
// onAssignmentTimeout).

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// staleness is that of one resource.
type staleness struct {
	at       time.Time // when it will be too old; zero: never
	is       bool
	timeouts uint64 // updates that said when
	times    uint64 // that it was
}

// renewed begins the time of a version that has just come.
func (s *shelf) renewed(e *entry, now time.Time) {
	list, ok := e.now.value.(*config.Endpoints)
	if !ok {
		return
	}
	if list.StaleAfter == 0 {
		e.stale.at = time.Time{}
		return
	}
	if e.stale.at.IsZero() {
		s.aging = append(s.aging, e)
	}
	e.stale.at = now.Add(list.StaleAfter)
	e.stale.timeouts++
}

// ages takes away what is too old, and reports whether there was anything.
func (c *Client) ages(now time.Time) (some bool) {
	s := &c.world[eds]
	s.aging = slices.DeleteFunc(s.aging, func(e *entry) bool {
		if s.entries[e.name] != e || e.stale.at.IsZero() {
			e.stale.at = time.Time{}
			return true
		}
		if !over(e.stale.at, now) {
			return false
		}
		e.stale.at, e.stale.is = time.Time{}, true
		e.stale.times++
		e.empty = &config.Endpoints{Cluster: e.name, OverprovisioningFactor: 140}
		c.dirty, some = true, true
		c.log.Warn("xds: endpoints are too old: going on without any", "name", e.name)
		return true
	})
	return some
}
