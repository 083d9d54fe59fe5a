package pool

import "sync/atomic"

// Gate counts what is in use and refuses more than a limit: a circuit
// breaker's one counter. All workers share it. Any goroutine.
type Gate struct {
	used  atomic.Int64
	limit atomic.Int64
	// Refused counts what the gate turned away.
	Refused atomic.Uint64
}

// SetLimit replaces the limit; what is in use stays.
func (g *Gate) SetLimit(n uint32) { g.limit.Store(int64(n)) }

// Limit is how many may be in use.
func (g *Gate) Limit() int64 { return g.limit.Load() }

// Used is how many are in use.
func (g *Gate) Used() int64 { return g.used.Load() }

// Open reports whether one more is allowed now.
func (g *Gate) Open() bool { return g.used.Load() < g.limit.Load() }

// Enter takes a place if there is one. As in Envoy the test is current < max,
// so two workers may pass at once where one place is left.
func (g *Gate) Enter() bool {
	if g.used.Load() >= g.limit.Load() {
		g.Refused.Add(1)
		return false
	}
	g.used.Add(1)
	return true
}

// Force takes a place whether there is one or not.
func (g *Gate) Force() { g.used.Add(1) }

// Leave gives a place back.
func (g *Gate) Leave() { g.used.Add(-1) }

// Breaker holds the limits of one cluster and priority (Envoy
// CircuitBreakers.Thresholds; upstream/resource_manager_impl.h).
type Breaker struct {
	Connections, Pending, Requests, Retries Gate
}
