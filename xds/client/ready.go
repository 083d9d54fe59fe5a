package client

// What is waited for, for how long, and when the program is ready.

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// may reports whether resources of a kind may be asked for already. At first
// one kind comes after the other, as in Envoy: runtime, clusters with their
// secrets and endpoints, then listeners with their route tables. So nothing is asked for
// before what it will name is there.
func (c *Client) may(k kind) bool {
	if c.isReady || c.disk.used {
		return true
	}
	switch k {
	case rtds:
		return true
	case sds, cds, eds, leds:
		return c.complete(rtds)
	case lds, srds, rds, vhds, ecds: // but for secrets: a static listener may wait for one, and holds up no other
		return c.complete(rtds) && c.complete(cds) && c.complete(eds) && c.complete(leds)
	}
	return false
}

// complete reports whether everything of a kind that is asked for has come, or
// was waited for long enough.
func (c *Client) complete(k kind) bool {
	s := &c.world[k]
	if kinds[k].whole {
		return c.sourceOf(k).Kind == config.SourceInline || s.answered || s.timedOut
	}
	for _, e := range s.named {
		if e.wanted && e.now == nil && !e.timedOut && !(k == ecds && (e.refused != nil || !c.filters[e.name].waiting)) {
			return false
		}
	}
	return true
}

func (c *Client) sourceOf(k kind) *config.Source {
	switch k {
	case cds:
		return &c.o.CDS
	case srds:
		return &c.scopes
	}
	return &c.o.LDS
}

// expire gives up what was waited for long enough, and reports whether there was
// anything.
func (c *Client) expire(now time.Time) (some bool) {
	some = c.ages(now)
	for k := range c.world {
		s := &c.world[k]
		if over(s.deadline, now) {
			some, s.timedOut, s.deadline = true, true, time.Time{}
			s.figures.timeouts++
			c.log.Warn("xds: no answer in initial_fetch_timeout: going on without", "type", kinds[k].name)
		}
		s.late = slices.DeleteFunc(s.late, func(e *entry) bool { return e.deadline.IsZero() || s.entries[e.name] != e })
		for _, e := range s.late {
			if over(e.deadline, now) {
				some = true
				e.figures.timeouts++
				c.dirty = c.giveUp(kind(k), e) || c.dirty
				c.log.Warn("xds: no resource in initial_fetch_timeout: going on without", "type", kinds[k].name, "name", wireName(kind(k), e.name))
			}
		}
	}
	return some
}

func over(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// giveUp ends the wait for a resource: endpoints are taken to be none, a route
// table to be empty, a secret or a filter's configuration to be missing. But not where that would replace what is in use.
func (c *Client) giveUp(k kind, e *entry) (changed bool) {
	e.timedOut, e.deadline = true, time.Time{}
	if c.standsFor(k, e.name) {
		return false
	}
	switch k {
	case eds:
		e.empty = &config.Endpoints{Cluster: e.name, OverprovisioningFactor: 140}
	case leds:
		e.empty = &config.Collection{Name: e.name}
	case rds:
		e.empty = &config.RouteTable{Name: e.name}
	case sds:
		e.empty = &config.Secret{Key: e.name, Name: wireName(sds, e.name), Missing: true}
	case ecds:
		e.empty = &config.Extension{Name: e.name, Missing: true}
	default:
		return false
	}
	return true
}

// standsFor reports whether something in use would take the resource if it came.
func (c *Client) standsFor(k kind, name string) bool {
	if c.snapshot == nil {
		return false
	}
	for _, by := range map[kind][]kind{eds: {cds}, rds: {lds, srds, ecds}, sds: {cds, lds}}[k] {
		for _, e := range c.world[by].entries {
			if e.now == nil || e.used == nil || e.now == e.used {
				continue
			}
			n := &naming{}
			switch v := e.now.value.(type) {
			case *config.Cluster:
				n.addCluster(c, v)
			case *config.Listener:
				n.addListener(c, v)
			case *config.Extension:
				n.addServing(c, v.Config)
			case *config.Scope:
				n.addScope(c, v, &c.scopedRoutes)
			}
			if n.of[k][name] != nil {
				return true
			}
		}
	}
	return false
}

// becomeReady says so once, when everything needed is there and live.
func (c *Client) becomeReady() {
	if c.isReady || c.dirty || c.snapshot == nil || !(c.disk.used || c.allComplete()) {
		return
	}
	c.isReady = true
	c.log.Info("xds: ready", "source", c.configSource(), "after", time.Since(c.started).Round(time.Millisecond))
	close(c.ready)
}

func (c *Client) allComplete() bool {
	for _, k := range []kind{rtds, sds, cds, eds, leds, lds, srds, rds, ecds} {
		if !c.may(k) || !c.complete(k) {
			return false
		}
	}
	return true
}
