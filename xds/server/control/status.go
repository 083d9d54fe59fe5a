package control

// What a status page shows of the loop.

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// Status is the loop as it stands.
type Status struct {
	Uses   []UseStatus   // by name
	Groups []GroupStatus // by name
}

// UseStatus is a service as some ports use it.
type UseStatus struct {
	// Name is the use's, and of its resource of endpoints; Approve takes it.
	Name, Service string
	// Table is how it is hashed; "" is not.
	Table string
	// Sent are the instances that clients have, by health; nil before the source
	// has said any.
	Sent map[string]int
	// Budget and Plan are of hashed uses: the last change, if there was one.
	Budget plan.Budget
	Plan   *plan.Plan
}

// GroupStatus is alike clients.
type GroupStatus struct {
	Name, Ambassador, Client, Zone string
	// Namespace is of those whose consumers' routes go for them alone.
	Namespace  string
	Generation uint64
	Published  time.Time
	Resources  map[string]int // by type URL
	Uses       []string
}

// Status is what the loop does now. False if it has ended.
func (l *Loop) Status() (s Status, ok bool) {
	ok = l.do(func() {
		for u, of := range l.uses {
			one := UseStatus{Name: u.String(), Service: u.Service.String(), Sent: byHealth(of.sent), Budget: of.budget}
			if of.gate != nil {
				one.Table = u.Table.String()
				if p := of.gate.Plan(); p != nil {
					copied := *p
					one.Plan = &copied
				}
			}
			s.Uses = append(s.Uses, one)
		}
		for _, g := range l.groups {
			one := GroupStatus{
				Name: g.String(), Ambassador: g.Ambassador.Name, Client: g.Client.String(), Zone: g.Zone, Namespace: g.Namespace,
				Generation: g.generation, Published: g.published, Resources: maps.Clone(g.counts),
			}
			for _, u := range g.uses {
				one.Uses = append(one.Uses, u.String())
			}
			s.Groups = append(s.Groups, one)
		}
	})
	slices.SortFunc(s.Uses, func(a, b UseStatus) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Groups, func(a, b GroupStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s, ok
}

func byHealth(set *discovery.Set) map[string]int {
	if set == nil {
		return nil
	}
	counts := map[string]int{}
	for _, in := range set.Instances {
		counts[in.Health.String()]++
	}
	return counts
}
