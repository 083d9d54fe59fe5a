package upstream

// Zone-aware routing: hosts in our own place are preferred, and as much of the load
// goes to others as ours cannot carry without carrying more than its share
// (Envoy load_balancer_impl.cc, ZoneAwareLoadBalancerBase).
//
//	this cluster's healthy hosts, by place ─┐
//	                                        ├▶ percentages ─▶ all here │ some here, the rest by what is left
//	programs like this one, by place ───────┘
//
// Each worker reckons again when either has another view.

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
)

// zoneSet is what hosts of a priority are in one place.
type zoneSet struct {
	place             config.Place
	healthy, degraded hostSet
}

// zoneSets divides a priority by place: ours first if anything is there, the others in
// the order of their names (PriorityStateManager::updateClusterPrioritySet).
func zoneSets(at []member, here config.Place) (sets []zoneSet) {
	byPlace := map[config.Place][]member{}
	var places []config.Place
	for _, m := range at {
		p := m.locality.Place()
		if byPlace[p] == nil {
			places = append(places, p)
		}
		byPlace[p] = append(byPlace[p], m)
	}
	slices.SortFunc(places, func(a, b config.Place) int {
		if (a == here) != (b == here) {
			return cmp.Compare(btoi(b == here), btoi(a == here))
		}
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.SubZone, b.SubZone))
	})
	for _, p := range places {
		sets = append(sets, zoneSet{p, newSet(only(byPlace[p], healthy)), newSet(only(byPlace[p], degraded))})
	}
	return sets
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// zoneCounters are Envoy's lb_zone_* of one worker.
type zoneCounters struct {
	recalculated, localNotOK, tooSmall    uint64
	direct, sampled, crossZone, noneSpare uint64
}

// zones is where the requests of the first priority go, as one worker has reckoned.
type zones struct {
	local *view // of the programs like this one, when it was reckoned
	way   zoneWay
	// toHere of 10,000 requests stay here; residual adds up what the places can carry
	// beyond their share.
	toHere   uint64
	residual []uint64
	panic    bool // too few of the programs like this one are fit
	healthy  []rota
	degraded []rota
}

type zoneWay uint8

const (
	zoneNone     zoneWay = iota // places do not count
	zoneDirect                  // all stay here
	zoneResidual                // some do
)

// newZones is nil where places do not count. Worker only.
func newZones(v *view, t *turns) *zones {
	sets := v.levels[0].zones
	if len(sets) < 2 {
		return nil
	}
	z := &zones{}
	for i := range sets {
		z.healthy = append(z.healthy, t.rota(&sets[i].healthy))
		z.degraded = append(z.degraded, t.rota(&sets[i].degraded))
	}
	return z
}

// reckon is regenerateLocalityRoutingStructures.
func (z *zones) reckon(v, local *view, n *zoneCounters) {
	n.recalculated++
	asked, sets := v.asked.Zone, v.levels[0].zones
	z.local, z.way, z.residual = local, zoneNone, z.residual[:0]
	ours := zoneSets(membersAt(local.members, 0), asked.Here)
	a := local.levels[0].available(local.asked)
	z.panic = a.percent() < math.Min(math.Round(v.asked.PanicThreshold), 100)
	switch {
	case asked.ForceHere == 0 && len(ours) < 2:
		return
	case len(ours) == 0 || ours[0].place != asked.Here:
		n.localNotOK++
		return
	case len(v.levels[0].healthy.hosts) < int(asked.MinHosts):
		n.tooSmall++
		return
	}
	share := shares(ours, sets, asked.ByWeight)
	here := sets[0].place == asked.Here
	if here && (share[0].upstream > 0 && share[0].upstream >= share[0].local ||
		asked.ForceHere > 0 && len(sets[0].healthy.hosts) >= int(asked.ForceHere)) {
		z.way = zoneDirect
		return
	}
	z.way, z.toHere = zoneResidual, 0
	if here && share[0].local > 0 {
		z.toHere = share[0].upstream * 10_000 / share[0].local
	}
	sum := uint64(0)
	for i, s := range share {
		if !(i == 0 && here) && s.upstream > s.local {
			sum += s.upstream - s.local
		}
		z.residual = append(z.residual, sum)
	}
}

// part is what a place has of the programs like this one, and of the hosts, of 10,000.
type part struct{ local, upstream uint64 }

func shares(ours, sets []zoneSet, byWeight bool) []part {
	size := func(s *zoneSet) uint64 {
		if byWeight {
			return s.healthy.total()
		}
		return uint64(len(s.healthy.hosts))
	}
	at, locals, hosts := map[config.Place]uint64{}, uint64(0), uint64(0)
	for i := range ours {
		n := size(&ours[i])
		at[ours[i].place] = n
		locals += n
	}
	for i := range sets {
		hosts += size(&sets[i])
	}
	all := make([]part, len(sets))
	for i := range sets {
		n := size(&sets[i])
		if n == 0 {
			continue
		}
		all[i].upstream = 10_000 * n / hosts
		if locals > 0 {
			all[i].local = 10_000 * at[sets[i].place] / locals
		}
	}
	return all
}

// pickZone is the set of the place that a request goes to; ok: places count for it, and
// nil then says that there is nobody to ask (hostSourceToUse).
func (p *picker) pickZone(v *view, degraded bool, r *rand.Rand) (t *rota, ok bool) {
	z := p.zones
	local := p.local.view.Load()
	if local == nil {
		return nil, false
	}
	if z.local != local {
		z.reckon(v, local, &p.zone)
	}
	percent := v.asked.Zone.Percent
	if z.way == zoneNone || percent < 100 && r.Uint32N(100) >= percent {
		return nil, false
	}
	if z.panic {
		p.zone.localNotOK++
		return nil, v.asked.FailTrafficOnPanic
	}
	i := z.choose(&p.zone, r)
	if degraded {
		return &z.degraded[i], true
	}
	return &z.healthy[i], true
}

// choose is tryChooseLocalLocalityHosts.
func (z *zones) choose(n *zoneCounters, r *rand.Rand) int {
	if z.way == zoneDirect {
		n.direct++
		return 0
	}
	if r.Uint64N(10_000) < z.toHere {
		n.sampled++
		return 0
	}
	n.crossZone++
	last := z.residual[len(z.residual)-1]
	if last == 0 {
		n.noneSpare++
		return r.IntN(len(z.residual))
	}
	threshold, i := r.Uint64N(last), 0
	for threshold >= z.residual[i] {
		i++
	}
	return i
}

// near looks who the programs like this one are: another cluster may have their name
// since the last pick. Worker only.
func (l *Local) near() {
	if local := l.like.Load(); local != l.picks.local {
		l.picks.local, l.picks.of = local, nil
	}
}
