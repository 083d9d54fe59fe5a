package upstream

// The view: everything that a pick needs, built when something changes and
// never changed after.

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/transport"
)

// view is a cluster at one moment: hosts by priority, their loads, the tables
// and the settings. Immutable; any goroutine.
type view struct {
	asked    *config.Cluster
	levels   []level // by priority; at least one
	loads    loads
	hosts    int       // all of them
	members  []member  // in the configuration's order
	subsets  *subsets  // nil: the hosts are not divided
	provided *provided // nil: the members are all there are
	byName   names
}

// level is one priority. all is what panic uses.
type level struct {
	all, healthy, degraded hostSet
	excluded               int       // of all
	out                    uint64    // their weight
	table                  *table    // nil unless the balance is by hash
	zones                  []zoneSet // by place; none unless those are looked at
}

// hostSet is a list of hosts that one choice is made from.
type hostSet struct {
	hosts   []*Host
	weights []uint32
	equal   bool // all weights are
	// localities are parts of the set with effective weights above 0, in
	// locality-weighted balancing; else there are none.
	localities []localitySet
}

type localitySet struct {
	hostSet
	weight float64
}

// member is a host as the configuration or DNS says it: its place and how it
// is to be used. The endpoint's address is resolved.
type member struct {
	endpoint *config.Endpoint
	locality *config.Locality
	logical  *config.Address // the name, in LOGICAL_DNS; else nil
	path     *transport.Path // nil: a plain socket
	host     *Host
	state    grade // when the view was made
	out      bool  // excluded, when the view was made
}

// newView builds a view of members, all of whose hosts are set. It takes over
// from the view before (or nil) the tables whose hosts have not changed.
func newView(asked *config.Cluster, members []member, before *view) (*view, error) {
	v := &view{asked: asked, hosts: len(members), members: members}
	for i := range members {
		members[i].state = members[i].measure()
		members[i].out = members[i].host.has(flagPending | flagExcluded)
	}
	top := 0
	for _, l := range asked.Endpoints.Localities {
		top = max(top, int(l.Priority))
	}
	for i := range members { // some may not be listed any more
		top = max(top, int(members[i].locality.Priority))
	}
	v.levels = make([]level, top+1)
	of := make([]available, top+1)
	for i := range v.levels {
		at := membersAt(members, uint32(i))
		v.levels[i] = newLevel(asked, at)
		if asked.Zone != nil && i == 0 && !asked.Balance.Kind.IsHash() {
			v.levels[i].zones = zoneSets(at, asked.Zone.Here)
		}
		of[i] = v.levels[i].available(asked)
	}
	v.loads = share(of, asked.PanicThreshold)
	if asked.Subsets != nil {
		var err error
		if v.subsets, err = newSubsets(v, before); err != nil {
			return nil, err
		}
	}
	if !asked.Balance.Kind.IsHash() {
		return v, nil
	}
	for i := range v.levels {
		at := membersAt(members, uint32(i))
		if err := v.setTable(i, at, before); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// setTable finds or builds the table of a priority: over its healthy hosts, or
// all in panic.
func (v *view) setTable(i int, at []member, before *view) error {
	if !v.loads.panic[i] {
		at = only(at, healthy)
	}
	var old *table
	if before != nil && i < len(before.levels) {
		old = before.levels[i].table
	}
	t, err := newTable(v.asked, at, old)
	v.levels[i].table = t
	return err
}

// overprovision is the factor in percent.
func overprovision(c *config.Cluster) uint32 {
	if f := c.Endpoints.OverprovisioningFactor; f > 0 {
		return f
	}
	return 140
}

func membersAt(members []member, priority uint32) []member {
	if all(members, func(m *member) bool { return m.locality.Priority == priority }) {
		return members
	}
	var at []member
	for _, m := range members {
		if m.locality.Priority == priority {
			at = append(at, m)
		}
	}
	return at
}

// all reports whether each member is so, as is usual.
func all(members []member, so func(*member) bool) bool {
	for i := range members {
		if !so(&members[i]) {
			return false
		}
	}
	return true
}

func only(members []member, h grade) []member {
	if all(members, func(m *member) bool { return m.health() == h }) {
		return members
	}
	var those []member
	for _, m := range members {
		if m.health() == h {
			those = append(those, m)
		}
	}
	return those
}

func newLevel(c *config.Cluster, at []member) level {
	l := level{all: newSet(at)}
	if good := only(at, healthy); len(good) == len(at) {
		l.healthy, l.degraded = l.all, newSet(nil)
	} else {
		l.healthy, l.degraded = newSet(good), newSet(only(at, degraded))
	}
	l.excluded = countOut(at)
	for i := range at {
		if at[i].out {
			l.out += uint64(max(at[i].endpoint.Weight, 1))
		}
	}
	if c.Balance.LocalityWeighted {
		l.healthy.localities = byLocality(at, healthy, overprovision(c))
		l.degraded.localities = byLocality(at, degraded, overprovision(c))
	}
	return l
}

func (l *level) available(c *config.Cluster) available {
	a := available{total: len(l.all.hosts) - l.excluded, healthy: len(l.healthy.hosts), degraded: len(l.degraded.hosts), overprovision: overprovision(c)}
	if c.Endpoints.WeighHealth {
		a.weights.total, a.weights.healthy, a.weights.degraded = l.all.total()-l.out, l.healthy.total(), l.degraded.total()
	}
	return a
}

func (s *hostSet) total() (sum uint64) {
	for _, w := range s.weights {
		sum += uint64(w)
	}
	return sum
}

func newSet(members []member) hostSet {
	s := hostSet{equal: true, hosts: make([]*Host, len(members)), weights: make([]uint32, len(members))}
	for i := range members {
		s.hosts[i] = members[i].host
		s.weights[i] = max(members[i].endpoint.Weight, 1)
		s.equal = s.equal && s.weights[i] == s.weights[0]
	}
	return s
}

// countOut counts those that are out of all reckoning.
func countOut(members []member) (n int) {
	for i := range members {
		if members[i].out {
			n++
		}
	}
	return n
}

// byLocality splits the hosts of one health by locality; a locality weighs less
// when fewer of its hosts are there than overprovisioning allows
// (Envoy locality_wrr.cc, effectiveLocalityWeight).
func byLocality(at []member, h grade, overprovision uint32) []localitySet {
	var sets []localitySet
	for _, group := range localities(at) {
		set := newSet(only(group, h))
		part := min(1, float64(overprovision)/100*float64(len(set.hosts))/float64(max(len(group)-countOut(group), 1)))
		if w := float64(group[0].locality.Weight) * part; w > 0 {
			sets = append(sets, localitySet{set, w})
		}
	}
	return sets
}

// localities groups members, which come locality by locality.
func localities(at []member) [][]member {
	var groups [][]member
	for i, m := range at {
		if i == 0 || m.locality != at[i-1].locality {
			groups = append(groups, nil)
		}
		last := &groups[len(groups)-1]
		*last = append(*last, m)
	}
	return groups
}
