package upstream

// Slow start: a host that has just come, or come back, gets less at first
// (Envoy EdfLoadBalancerBase::applySlowStartFactor).

import (
	"math"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// warmth is the part of its weight that a host gets, 0 to 1.
func (h *Host) warmth(b *config.Balance, now int64) float64 {
	since := h.fitSince.Load()
	been := time.Duration(now - since)
	if since == 0 || been >= b.SlowStart {
		return 1
	}
	part := float64(max(been, time.Millisecond)) / float64(b.SlowStart)
	if b.Aggression != 1 {
		part = math.Pow(part, 1/b.Aggression)
	}
	return max(part, b.LeastWeight)
}

// starting reports whether one of the hosts starts slowly.
func (s *hostSet) starting(b *config.Balance, now int64) bool {
	if b.SlowStart == 0 {
		return false
	}
	for _, h := range s.hosts {
		if since := h.fitSince.Load(); since != 0 && now-since < int64(b.SlowStart) {
			return true
		}
	}
	return false
}

// warm is when the last of the hosts has started, 0 if none starts slowly.
func (v *view) warm(now int64) (at int64) {
	b := &v.asked.Balance
	if b.SlowStart == 0 {
		return 0
	}
	for i := range v.members {
		if since := v.members[i].host.fitSince.Load(); since != 0 && now-since < int64(b.SlowStart) {
			at = max(at, since+int64(b.SlowStart))
		}
	}
	return at
}
