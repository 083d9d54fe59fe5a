package upstream

// Picking: the balancing state that one worker keeps for one view.

import (
	"math"
	"math/rand/v2"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
)

// picker chooses hosts from a view for one worker. It is made again when the
// view is another one. Worker only.
type picker struct {
	of      *view
	rotas   []rotas // by priority
	shuffle hashing.Shuffle
	loads   []func(host int) uint32 // requests in progress, by priority; bounded loads only
	panics  uint64                  // picks in panic
	now     int64                   // the worker's, at the pick; slow start looks at it

	// Of a view that looks at places: the programs like this one, and what came of it.
	local *Cluster
	zones *zones // nil: places do not count
	zone  zoneCounters

	ahead []*Host // of picks to come, see Peek

	due     int64      // when the weights may be others; see newlyDue
	reports []*reports // by priority, where hosts report their weights

	// Of a view with subsets: a picker for each, and room for criteria.
	parts    []picker
	criteria [8]config.Criterion
	merged   [8]config.Criterion
	subset   subsetCounters
}

// rotas are whose turn it is in the sets of one priority.
type rotas struct {
	all               rota
	healthy, degraded split
}

// split is a set as a whole, or by weighted localities if there are any.
type split struct {
	whole      rota
	order      edf // of localities
	localities []rota
}

// rota is whose turn it is in one set: weighted ones keep a schedule.
type rota struct {
	set   *hostSet
	next  uint64
	sched edf
	own   []float64 // weights that the hosts have reported; nil: those of the set
}

// turns is what a schedule is made with.
type turns struct {
	b       *config.Balance
	r       *rand.Rand
	now     int64
	reports *reports // nil: hosts do not report their weights
}

// renew makes the schedules anew where the view is another one, or weights are.
func (p *picker) renew(v *view, r *rand.Rand) {
	if w := v.asked.Balance.Reported; w != nil && !p.reweigh(v) && v == p.of {
		p.due = p.now + int64(w.Update)
		return
	}
	p.remake(v, r)
}

// newlyDue is when no host starts slowly any more, or reports are looked at again.
func (p *picker) newlyDue(v *view) int64 {
	if w := v.asked.Balance.Reported; w != nil {
		return p.now + int64(w.Update)
	}
	if at := v.warm(p.now); at > 0 {
		return at
	}
	return math.MaxInt64
}

func (p *picker) remake(v *view, r *rand.Rand) {
	p.of, p.rotas, p.loads, p.ahead = v, nil, nil, nil
	b := &v.asked.Balance
	p.due = p.newlyDue(v)
	p.zones = nil
	t := turns{b: b, r: r, now: p.now}
	if len(p.reports) > 0 {
		t.reports = p.reports[0]
	}
	if p.local != nil {
		p.zones = newZones(v, &t)
	}
	for i := range v.levels {
		l := &v.levels[i]
		if b.Kind.IsHash() {
			p.loads = append(p.loads, l.table.active)
			continue
		}
		if len(p.reports) > 0 {
			t.reports = p.reports[i]
		}
		p.rotas = append(p.rotas, rotas{t.rota(&l.all), t.split(&l.healthy), t.split(&l.degraded)})
	}
}

func (t *turns) split(s *hostSet) split {
	x := split{whole: t.rota(s)}
	if len(s.localities) == 0 {
		return x
	}
	for i := range s.localities {
		x.localities = append(x.localities, t.rota(&s.localities[i].hostSet))
	}
	x.order = newEDF(len(s.localities), func(i int) float64 { return s.localities[i].weight }, t.r)
	return x
}

func (t *turns) rota(s *hostSet) rota {
	x := rota{set: s, next: t.r.Uint64()}
	if t.reports != nil && len(s.hosts) > 1 {
		if x.own = t.reports.weighted(s); x.own != nil {
			x.sched = newEDF(len(s.hosts), func(i int) float64 { return x.own[i] }, t.r)
		}
		return x
	}
	if t.b.Kind != config.Random && len(s.hosts) > 1 && (!s.equal || s.starting(t.b, t.now)) {
		x.sched = newEDF(len(s.hosts), func(i int) float64 { return s.weight(i, t.b, t.now) }, t.r)
	}
	return x
}

// weight is what a host's turns are by. The more requests a host has under way
// the less it weighs, where those are looked at
// (Envoy least_request_lb.cc, hostWeight).
func (s *hostSet) weight(i int, b *config.Balance, now int64) float64 {
	w := float64(s.weights[i])
	if b.SlowStart > 0 {
		w *= s.hosts[i].warmth(b, now)
	}
	if b.Kind != config.LeastRequest || b.ActiveBias == 0 {
		return w
	}
	active := float64(max(s.hosts[i].active.Load(), 0) + 1)
	if b.ActiveBias == 1 {
		return w / active
	}
	return w / math.Pow(active, b.ActiveBias)
}

// pick chooses a host, nil if there is none.
func (p *picker) pick(v *view, q *Pick, r *rand.Rand) *Host {
	if v.subsets != nil {
		return p.pickSubset(v, q, r)
	}
	if v != p.of || p.now >= p.due {
		p.renew(v, r)
	}
	if v.asked.Balance.Kind.IsHash() {
		return p.byHash(v, q, r)
	}
	return p.inTurn(v, q, r)
}

// inTurn is round robin, least request and random.
func (p *picker) inTurn(v *view, q *Pick, r *rand.Rand) *Host {
	for len(p.ahead) > 0 && q.loads == nil {
		if h := p.foretold(); h != q.Avoid {
			return h
		}
	}
	t := p.turnOf(v, q.loadsOf(v), r)
	if t == nil {
		return nil
	}
	at := t.pick(&v.asked.Balance, r, p.now)
	for range maxTries {
		if t.set.hosts[at] != q.Avoid {
			break
		}
		at = t.pick(&v.asked.Balance, r, p.now)
	}
	if h := t.set.hosts[at]; h != q.Avoid {
		return h
	}
	return t.set.hosts[(at+1)%len(t.set.hosts)]
}

// turnOf is the set that has the next turn, nil if there is no host.
func (p *picker) turnOf(v *view, l *loads, r *rand.Rand) *rota {
	level, degraded := 0, false
	if !l.certain() {
		level, degraded = l.choose(r.Uint64())
	}
	t := p.rota(v, level, degraded, r)
	if t == nil || len(t.set.hosts) == 0 {
		return nil
	}
	return t
}

func (q *Pick) loadsOf(v *view) *loads {
	if q.loads != nil {
		return q.loads
	}
	return &v.loads
}

// maxTries bounds how often another host is asked for before the next best is
// taken: on a ring the same host may own several points in a row.
const maxTries = 8

// rota is the set that the request's priority is served from.
func (p *picker) rota(v *view, level int, degraded bool, r *rand.Rand) *rota {
	x := &p.rotas[level]
	if v.loads.panic[level] {
		p.panics++
		if v.asked.FailTrafficOnPanic {
			return nil
		}
		return &x.all
	}
	s := &x.healthy
	if degraded {
		s = &x.degraded
	}
	if len(s.localities) == 0 {
		if p.zones != nil && level == 0 {
			if t, ok := p.pickZone(v, degraded, r); ok {
				return t
			}
		}
		return &s.whole
	}
	i := s.order.first()
	s.order.again(s.whole.set.localities[i].weight)
	return &s.localities[i]
}

// pick gives the index of the host whose turn it is. The set is not empty.
func (t *rota) pick(b *config.Balance, r *rand.Rand, now int64) int {
	n := len(t.set.hosts)
	switch {
	case b.Kind == config.Random:
		return r.IntN(n)
	case len(t.sched.heap) > 0:
		i := t.sched.first()
		if t.own != nil {
			t.sched.again(t.own[i])
		} else {
			t.sched.again(t.set.weight(i, b, now))
		}
		return i
	case b.Kind == config.LeastRequest && b.FullScan:
		return t.set.least(r)
	case b.Kind == config.LeastRequest:
		return t.set.leastOf(b.ChoiceCount, r)
	}
	t.next++
	return int(t.next % uint64(n))
}

// leastOf draws hosts, the same one perhaps twice, and gives the one with the
// fewest requests under way, the first drawn if they are equal.
func (s *hostSet) leastOf(choices uint32, r *rand.Rand) int {
	if choices == 0 {
		choices = 2
	}
	best := r.IntN(len(s.hosts))
	for range choices - 1 {
		if i := r.IntN(len(s.hosts)); s.hosts[i].active.Load() < s.hosts[best].active.Load() {
			best = i
		}
	}
	return best
}

// least gives a host with the fewest requests of all, each of them as likely as
// the others (LeastRequestLoadBalancer::unweightedHostPickFullScan).
func (s *hostSet) least(r *rand.Rand) int {
	best, tied := 0, 1
	for i := 1; i < len(s.hosts); i++ {
		switch a, b := s.hosts[i].active.Load(), s.hosts[best].active.Load(); {
		case a < b:
			best, tied = i, 1
		case a == b:
			if tied++; r.IntN(tied) == 0 {
				best = i
			}
		}
	}
	return best
}

// byHash looks the request's hash up; without one chance decides. Degraded
// hosts are in no table (Envoy thread_aware_lb_impl.cc).
func (p *picker) byHash(v *view, q *Pick, r *rand.Rand) *Host {
	h := q.Hash
	if !q.HasHash {
		h = r.Uint64()
	}
	level, _ := q.loadsOf(v).choose(h)
	if v.loads.panic[level] {
		p.panics++
	}
	t := v.levels[level].table
	i := t.find(h, q)
	if i == hashing.None {
		return nil
	}
	if t.bounded != nil {
		i = t.bounded.Pick(i, h, t.total(), p.loads[level], &p.shuffle)
	}
	return t.hosts[i]
}

// find is lookup, going on to the next host where that of the first attempt, or
// the one to avoid, has failed.
func (t *table) find(h uint64, q *Pick) int {
	if q.Attempt == 0 && q.Avoid == nil {
		return t.lookup(h, 0)
	}
	i := t.lookup(h, q.Attempt)
	if i == hashing.None {
		return i
	}
	avoid := q.Avoid
	if avoid == nil {
		avoid = t.hosts[t.lookup(h, 0)]
	}
	for n := 1; t.hosts[i] == avoid && n <= maxTries; n++ {
		i = t.lookup(h, q.Attempt+n)
	}
	if t.hosts[i] == avoid {
		i = (i + 1) % len(t.hosts)
	}
	return i
}

// active and total are the requests in progress that bounded loads look at:
// those of hosts that have left are not among them.
func (t *table) active(i int) uint32 { return uint32(max(t.hosts[i].active.Load(), 0)) }

func (t *table) total() uint32 {
	sum := uint32(0)
	for i := range t.hosts {
		sum += t.active(i)
	}
	return sum
}
