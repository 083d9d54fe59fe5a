package pool

import (
	"math"
	"sync/atomic"
)

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
	// budget replaces the limit of Retries while it is set: the share of the
	// requests under way, as the bits of a float64, and the least number.
	budget atomic.Bool
	share  atomic.Uint64
	least  atomic.Int64
}

// SetBudget lets as many retries be under way as are percent of the requests that
// are, or least if that is more, instead of Retries' limit.
func (b *Breaker) SetBudget(percent float64, least uint32) {
	b.share.Store(math.Float64bits(percent / 100))
	b.least.Store(int64(least))
	b.budget.Store(true)
}

// ClearBudget makes Retries' limit count again.
func (b *Breaker) ClearBudget() { b.budget.Store(false) }

// Budgeted reports whether a budget is set.
func (b *Breaker) Budgeted() bool { return b.budget.Load() }

// MayRetry reports whether one more retry may be under way now. Requests that
// wait for a connection are among Requests here; Envoy counts them apart and adds
// them (resource_manager_impl.h, RetryBudgetImpl).
func (b *Breaker) MayRetry() bool {
	if !b.budget.Load() {
		return b.Retries.Open()
	}
	most := int64(math.Float64frombits(b.share.Load()) * float64(b.Requests.Used()))
	return b.Retries.Used() < max(most, b.least.Load())
}

// EnterRetry takes a place among the retries if there is one.
func (b *Breaker) EnterRetry() bool {
	if !b.MayRetry() {
		b.Retries.Refused.Add(1)
		return false
	}
	b.Retries.Force()
	return true
}
