package upstream

// Weights that hosts report themselves (ORCA), and what else of their reports is kept
// (Envoy client_side_weighted_round_robin_lb.cc; router.cc, maybeProcessOrcaLoadReport).

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/codec/orca"
	"github.com/attache-mesh/attache/proxy/config"
)

// reported is what a host has said of its load. Any goroutine.
type reported struct {
	weight atomic.Uint32
	since  atomic.Int64 // when it began to say so; 0: it does not
	last   atomic.Int64 // when it said so last

	mu      sync.Mutex // guards metrics; held for a few map entries
	metrics map[string]LoadMetric
}

// LoadMetric adds up one metric of a host's reports: in how many it was, and the sum
// of its values.
type LoadMetric struct {
	Requests uint64
	Total    float64
}

// maxLoadMetrics bounds the metrics that are kept of a host.
const maxLoadMetrics = 256

// ReportLoad takes what the host has said of its load beside an answer. Worker only.
func (l *HostLocal) ReportLoad(r *orca.Report) {
	asked := l.Cluster.Config()
	said := l.said.Load()
	if said == nil {
		said = &reported{}
		if !l.said.CompareAndSwap(nil, said) {
			said = l.said.Load()
		}
	}
	if w := asked.Balance.Reported; w != nil {
		if weight, ok := weightOf(w, r); ok {
			said.weight.Store(weight)
			said.last.Store(l.Worker.Now())
			said.since.CompareAndSwap(0, l.Worker.Now())
		}
	}
	if len(asked.LoadMetrics) > 0 {
		said.add(asked.LoadMetrics, r)
	}
}

func (s *reported) add(names []string, r *orca.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.metrics == nil {
		s.metrics = map[string]LoadMetric{}
	}
	r.Each(names, func(name string, v float64) {
		m, known := s.metrics[name]
		if !known && len(s.metrics) >= maxLoadMetrics {
			return
		}
		m.Requests++
		m.Total += v
		s.metrics[name] = m
	})
}

// LoadMetrics yields the metrics that the cluster's configuration asks for, as they have
// added up since the host has come. Any goroutine.
func (h *Host) LoadMetrics(yield func(name string, m LoadMetric)) {
	s := h.said.Load()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, m := range s.metrics {
		yield(name, m)
	}
}

// weightOf is requests a second by utilization; false if the report does not say both.
func weightOf(w *config.ReportedWeights, r *orca.Report) (uint32, bool) {
	if !(r.RPS > 0) {
		return 0, false
	}
	used := r.Application
	if !(used > 0) {
		used = 0
		r.Each(w.Metrics, func(_ string, v float64) { used = max(used, v) })
	}
	if !(used > 0) {
		used = r.CPU
	}
	used += w.ErrorPenalty * r.EPS / r.RPS
	if !(used > 0) {
		return 0, false
	}
	return uint32(max(min(r.RPS/used, math.MaxUint32), 1)), true
}

// weighs is the weight that the host has reported; false if it is too new, or too old.
func (h *Host) weighs(w *config.ReportedWeights, now int64) (uint32, bool) {
	s := h.said.Load()
	if s == nil {
		return 0, false
	}
	since := s.since.Load()
	switch {
	case since == 0, now-since < int64(w.Blackout):
		return 0, false
	case now-s.last.Load() > int64(w.Expiration):
		s.since.Store(0)
		return 0, false
	}
	return s.weight.Load(), true
}

// reports are the weights of a priority's hosts as they are for a while.
type reports struct {
	weights  map[*Host]uint32 // those that are known
	fallback uint32           // of the others: the median, 1 if none is known
}

func newReports(hosts []*Host, w *config.ReportedWeights, now int64) *reports {
	s := &reports{weights: make(map[*Host]uint32, len(hosts)), fallback: 1}
	var all []uint32
	for _, h := range hosts {
		if n, ok := h.weighs(w, now); ok {
			s.weights[h] = n
			all = append(all, n)
		}
	}
	if n := len(all); n > 0 {
		slices.Sort(all)
		s.fallback = all[n/2]
		if n%2 == 0 {
			s.fallback = uint32((uint64(all[n/2-1]) + uint64(all[n/2])) / 2)
		}
	}
	return s
}

func (s *reports) of(h *Host) float64 {
	if w, ok := s.weights[h]; ok {
		return float64(w)
	}
	return float64(s.fallback)
}

// weighted are the weights of a set's hosts; nil if they are all equal.
func (s *reports) weighted(set *hostSet) []float64 {
	own, equal := make([]float64, len(set.hosts)), true
	for i, h := range set.hosts {
		own[i] = s.of(h)
		equal = equal && own[i] == own[0]
	}
	if equal {
		return nil
	}
	return own
}

// reweigh looks what hosts report by now, and says whether any weighs something else.
func (p *picker) reweigh(v *view) bool {
	w := v.asked.Balance.Reported
	changed := len(p.reports) != len(v.levels)
	now := make([]*reports, len(v.levels))
	for i := range v.levels {
		now[i] = newReports(v.levels[i].all.hosts, w, p.now)
		for _, h := range v.levels[i].all.hosts {
			changed = changed || p.reports[i].of(h) != now[i].of(h)
		}
	}
	p.reports = now
	return changed
}
