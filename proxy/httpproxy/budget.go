package httpproxy

// How much of its time a request has used, and each attempt of its own, where the
// cluster tracks it (Envoy router.cc and upstream_request.cc, timeoutBudgetStats).

import (
	"time"

	"github.com/attache-mesh/attache/proxy/outcome"
)

// tryBudget is what an attempt's share is reckoned from.
type tryBudget struct {
	began  int64
	perTry time.Duration // 0: it has no time of its own
}

// trackTry begins to reckon an attempt.
func (x *exchange) trackTry() {
	if x.cluster.Config().TrackBudgets {
		x.budget = &tryBudget{x.w.Now(), x.retry.perTry}
	}
}

// tracked records an attempt that is over.
func (x *exchange) tracked() {
	b := x.budget
	if b == nil {
		return
	}
	x.budget = nil
	x.cluster.Budgets().PerTry.Record(percentOf(x.w.Now()-b.began, b.perTry))
}

// trackAll records a request that has come to its end or to that of its time. Where
// all of the time is over, attempts that have no answer yet are not recorded: it was
// not their own that ended them.
func (x *exchange) trackAll(o outcome.Outcome) {
	if x.cluster == nil || !x.cluster.Config().TrackBudgets {
		return
	}
	switch o {
	case outcome.OK:
		if x.replied || x.hostOn == nil {
			return
		}
	case outcome.Timeout:
		if !x.started {
			x.budget = nil
		}
		for _, y := range x.race.others {
			y.budget = nil
		}
	case outcome.PerTryTimeout, outcome.PerTryIdleTimeout, outcome.UpstreamStreamTooLong:
	default:
		return
	}
	if x.complete != 0 {
		x.cluster.Budgets().All.Record(percentOf(x.w.Now()-x.complete, x.timeout))
	}
}

// percentOf is the share of a time limit that was used, in whole milliseconds as in
// Envoy; 0 of one that has no end.
func percentOf(used int64, limit time.Duration) uint64 {
	if limit < time.Millisecond {
		return 0
	}
	return uint64(max(time.Duration(used).Milliseconds(), 0) * 100 / limit.Milliseconds())
}
