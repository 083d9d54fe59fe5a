package upstream

// Aggregate clusters: the priorities of several clusters in one row, so that the
// next cluster takes over what the ones before cannot carry (Envoy
// clusters/aggregate/cluster.cc).
//
//	members' priorities that have hosts ─▶ one list ─▶ loads, as of one cluster
//	Pick ─▶ a rank in the list ─▶ the member's own balance, in that priority alone

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Link tells an aggregate cluster which clusters there are now: find gives one by
// its name, nil if there is none. Any goroutine.
func (c *Cluster) Link(find func(name string) *Cluster) {
	asked := c.Config()
	if z := asked.Zone; z != nil {
		c.like.Store(find(z.Local))
	}
	if asked.Discovery != config.DiscoveryAggregate {
		return
	}
	var all []*Cluster
	for _, name := range asked.Aggregate {
		if m := find(name); m != nil && m != c {
			all = append(all, m)
		}
	}
	c.members.Store(&all)
}

// among is what one worker has of an aggregate cluster: made again when a member
// has another view. Worker only.
type among struct {
	of     *[]*Cluster
	asked  *config.Cluster
	views  []*view
	loads  loads
	places []rank
}

// rank is a priority of a member, with what makes the member choose among its
// healthy hosts alone, or its degraded ones.
type rank struct {
	member   *Cluster
	healthy  loads
	degraded loads
}

// pickAmong chooses a member and a priority of it, and has the member choose.
func (l *Local) pickAmong(v *view, q *Pick) (*Host, outcome.Outcome) {
	members := l.members.Load()
	if members == nil {
		l.Count.CxNoneHealthy++
		return nil, outcome.NoHost
	}
	a := &l.among
	if a.stale(members, v.asked) {
		a.remake(members, v.asked)
	}
	if len(a.places) == 0 {
		l.Count.CxNoneHealthy++
		return nil, outcome.NoHost
	}
	at, degraded := a.loads.choose(l.Worker.Rand().Uint64())
	p := &a.places[at]
	own := q.loads
	q.loads = &p.healthy
	if degraded {
		q.loads = &p.degraded
	}
	h, o := p.member.On(l.Worker).Pick(q)
	q.loads = own
	return h, o
}

// stale reports whether a member has changed.
func (a *among) stale(members *[]*Cluster, asked *config.Cluster) bool {
	if a.of != members || a.asked != asked {
		return true
	}
	for i, m := range *members {
		if a.views[i] != m.view.Load() {
			return true
		}
	}
	return false
}

// remake puts the priorities that have hosts in one row.
func (a *among) remake(members *[]*Cluster, asked *config.Cluster) {
	*a = among{of: members, asked: asked}
	var of []available
	for _, m := range *members {
		v := m.view.Load()
		a.views = append(a.views, v)
		for i := range v.levels {
			if len(v.levels[i].all.hosts) == 0 {
				continue
			}
			of = append(of, v.levels[i].available(v.asked))
			a.places = append(a.places, rank{m, solely(len(v.levels), i, false), solely(len(v.levels), i, true)})
		}
	}
	a.loads = share(of, asked.PanicThreshold)
}

// solely gives all of the load to one priority of n.
func solely(n, at int, degraded bool) loads {
	l := loads{make([]uint32, n), make([]uint32, n), nil}
	if degraded {
		l.degraded[at] = 100
	} else {
		l.healthy[at] = 100
	}
	return l
}
