package outlier

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Detector decides for the hosts of one cluster. One caller at a time, but
// Count is for any goroutine. Time is that of any clock that only goes forward.
type Detector struct {
	asked   *config.Outlier
	hosts   []*Monitor
	ejected int
	Count   Counters
	// Tell, if not nil, is told of each outlier and of each host that is back; it is
	// called by whoever calls the Detector. It is set before the first call.
	Tell func(Event)
}

// Counters are what a Detector counted.
type Counters struct {
	// Detected and Enforced are outliers that were found, and left out, by kind.
	Detected, Enforced [config.OutlierKinds]atomic.Uint64
	// Overflow counts those that were not left out because enough were.
	Overflow atomic.Uint64
	// Total is Envoy's old count: of 5xx and success rate, enforced or not.
	Total  atomic.Uint64
	Active atomic.Int64 // hosts that are left out now
	// The average success rate and what hosts must not fall below, of what hosts
	// answered and of what was tried on this side: bits of percentages, -1 if they
	// are not known.
	average, least [2]atomic.Uint64
}

// Rates gives the average success rate of the hosts in the last interval and the
// rate below which one is an outlier, in percent; -1: not known. Any goroutine.
func (n *Counters) Rates(local bool) (average, threshold float64) {
	i := 0
	if local {
		i = 1
	}
	return math.Float64frombits(n.average[i].Load()), math.Float64frombits(n.least[i].Load())
}

func (n *Counters) show(which int, average, least float64) {
	n.average[which].Store(math.Float64bits(average))
	n.least[which].Store(math.Float64bits(least))
}

// NewDetector makes a detector without hosts.
func NewDetector(asked *config.Outlier) *Detector {
	d := &Detector{asked: asked}
	d.Count.show(0, -1, -1)
	d.Count.show(1, -1, -1)
	return d
}

// Asked is what the detector was made with.
func (d *Detector) Asked() *config.Outlier { return d.asked }

// Use sets the hosts. Those that have gone are not counted any more.
func (d *Detector) Use(hosts []*Monitor) {
	d.hosts, d.ejected = hosts, 0
	for _, m := range hosts {
		if m.ejected {
			d.ejected++
		}
	}
	d.Count.Active.Store(int64(d.ejected))
}

// Trip deals with a host that Put said trips of; it reports whether the host is
// left out from now on (DetectorImpl::onConsecutiveErrorWorker). The host must
// be one of those in use.
func (d *Detector) Trip(m *Monitor, trips Trips, now time.Duration, r *rand.Rand) (out bool) {
	for _, t := range [...]struct {
		row  int
		kind config.OutlierKind
	}{{rowGateway, config.OutlierGateway}, {row5xx, config.Outlier5xx}, {rowLocal, config.OutlierLocal}} {
		if !trips.Has(t.kind) || m.ejected {
			continue
		}
		d.Count.Detected[t.kind].Add(1)
		out = d.eject(m, t.kind, now, r)
		m.rows[t.row].calm()
	}
	return out
}

// eject leaves a host out, unless too many are or the dice say no.
func (d *Detector) eject(m *Monitor, k config.OutlierKind, now time.Duration, r *rand.Rand) bool {
	percent := 100 * float64(d.ejected+1) / float64(len(d.hosts))
	if percent > float64(min(100, d.asked.MaxEjectionPercent)) && !(d.asked.AlwaysEjectOne && d.ejected == 0) {
		d.Count.Overflow.Add(1)
		return false
	}
	if k == config.Outlier5xx || k == config.OutlierSuccessRate {
		d.Count.Total.Add(1)
	}
	if r.Uint32N(100) >= d.asked.Enforcing[k] {
		d.tellOut(m, k, now, false)
		return false
	}
	d.Count.Enforced[k].Add(1)
	d.count(1)
	m.ejected, m.ejectedAt, m.jitter = true, now, 0
	if j := d.asked.Jitter.Milliseconds(); j > 0 {
		m.jitter = time.Duration(r.Int64N(j+1)) * time.Millisecond
	}
	if time.Duration(m.ejections)*d.asked.BaseEjection < d.asked.MaxEjection+d.asked.BaseEjection {
		m.ejections++
	}
	m.everOut++
	d.tellOut(m, k, now, true)
	return true
}

func (d *Detector) tellOut(m *Monitor, k config.OutlierKind, now time.Duration, enforced bool) {
	if d.Tell == nil {
		return
	}
	local := k == config.OutlierLocalSuccessRate || k == config.OutlierLocalFailurePercentage
	e := Event{Host: m.Name, Kind: k, Enforced: enforced, Ejections: m.everOut, Since: -1, Rate: m.SuccessRate(local)}
	e.Average, e.Least = d.Count.Rates(local)
	if m.returned {
		e.Since = now - m.returnedAt
	}
	d.Tell(e)
}

func (d *Detector) count(n int) {
	d.ejected += n
	d.Count.Active.Store(int64(d.ejected))
}

// until is when a host that is left out may come back.
func (d *Detector) until(m *Monitor) time.Duration {
	return m.ejectedAt + min(d.asked.BaseEjection*time.Duration(m.ejections), d.asked.MaxEjection) + m.jitter
}

func (d *Detector) restore(m *Monitor, now time.Duration) {
	m.ejected, m.returned, m.returnedAt = false, true, now
	for i := range m.rows {
		m.rows[i].calm()
	}
	d.count(-1)
	if d.Tell != nil {
		d.Tell(Event{Host: m.Name, Back: true, Ejections: m.everOut, Since: now - m.ejectedAt})
	}
}

// Passed says that an active check of the host went well; it reports whether the
// host is back.
func (d *Detector) Passed(m *Monitor, now time.Duration) bool {
	if !m.ejected || !d.asked.UnejectOnCheck {
		return false
	}
	d.restore(m, now)
	return true
}

// Sweep is to be called at each interval: hosts whose time is over come back,
// and the rates of the interval are compared. It reports whether anything has
// changed (DetectorImpl::onIntervalTimer).
func (d *Detector) Sweep(now time.Duration, r *rand.Rand) (changed bool) {
	for _, m := range d.hosts {
		if m.ejected && d.until(m) <= now {
			d.restore(m, now)
			changed = true
		}
		m.rates[0].turn()
		m.rates[1].turn()
	}
	changed = d.compare(0, config.OutlierSuccessRate, config.OutlierFailurePercentage, now, r) || changed
	changed = d.compare(1, config.OutlierLocalSuccessRate, config.OutlierLocalFailurePercentage, now, r) || changed
	for _, m := range d.hosts {
		if !m.ejected && m.returned && now-m.returnedAt >= d.asked.Interval && m.ejections > 0 {
			m.ejections--
		}
	}
	return changed
}

// compare looks for hosts that fail more than the others, or more than is
// allowed (DetectorImpl::processSuccessRateEjections).
func (d *Detector) compare(which int, worse, bad config.OutlierKind, now time.Duration, r *rand.Rand) (changed bool) {
	a := d.asked
	d.Count.show(which, -1, -1)
	if len(d.hosts) < int(a.SuccessRateHosts) && len(d.hosts) < int(a.FailureHosts) {
		return false
	}
	compared, counted := d.busy(which)
	if len(compared) > 0 && len(compared) >= int(a.SuccessRateHosts) {
		average, least := spread(compared, which, float64(a.StdevFactor)/1000)
		d.Count.show(which, average, least)
		for _, m := range compared {
			if m.rates[which].percent() < least {
				changed = d.found(m, worse, now, r) || changed
			}
		}
	}
	if len(counted) > 0 && len(counted) >= int(a.FailureHosts) {
		for _, m := range counted {
			if 100-m.rates[which].percent() >= float64(a.FailureThreshold) {
				changed = d.found(m, bad, now, r) || changed
			}
		}
	}
	return changed
}

// busy lists the hosts that had enough requests to be compared, and to have
// their failures counted.
func (d *Detector) busy(which int) (compared, counted []*Monitor) {
	a := d.asked
	for _, m := range d.hosts {
		x := &m.rates[which]
		if m.ejected || x.lastTotal == 0 {
			continue
		}
		if x.lastTotal >= uint64(min(a.SuccessRateVolume, a.FailureVolume)) {
			x.show(x.percent())
		}
		if x.lastTotal >= uint64(a.SuccessRateVolume) {
			compared = append(compared, m)
		}
		if x.lastTotal >= uint64(a.FailureVolume) {
			counted = append(counted, m)
		}
	}
	return compared, counted
}

// found counts an outlier and leaves it out, if it is not out already: it may be
// one for two reasons.
func (d *Detector) found(m *Monitor, k config.OutlierKind, now time.Duration, r *rand.Rand) bool {
	d.Count.Detected[k].Add(1)
	return !m.ejected && d.eject(m, k, now, r)
}

// spread gives the average and the rate below which a host is an outlier: the
// average less a factor times the standard deviation.
func spread(hosts []*Monitor, which int, factor float64) (average, least float64) {
	n, sum, squares := float64(len(hosts)), 0.0, 0.0
	for _, m := range hosts {
		sum += m.rates[which].percent()
	}
	average = sum / n
	for _, m := range hosts {
		squares += math.Pow(m.rates[which].percent()-average, 2)
	}
	return average, average - factor*math.Sqrt(squares/n)
}
