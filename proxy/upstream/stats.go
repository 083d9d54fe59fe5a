package upstream

// What a cluster has counted, by Envoy's names (cluster_stats.rst).

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/stats"
)

// Stats yields what this worker counted; sums over the workers are the
// cluster's figures. Gauges are as of now. Worker only.
func (l *Local) Stats(yield func(name string, value uint64)) {
	l.poolStats(yield)
	if l.security != nil {
		n := l.tls.On(l.Worker)
		n.Stats(yield)
		yield("client_ssl_socket_factory.upstream_context_secrets_not_ready", n.NotReady)
	}
	n := &l.Count
	for _, x := range [...]struct {
		name  string
		value uint64
	}{
		{"upstream_rq_total", n.RqTotal},
		{"upstream_rq_completed", n.RqCompleted},
		{"upstream_rq_1xx", n.Rq1xx},
		{"upstream_rq_2xx", n.Rq2xx},
		{"upstream_rq_3xx", n.Rq3xx},
		{"upstream_rq_4xx", n.Rq4xx},
		{"upstream_rq_5xx", n.Rq5xx},
		{"upstream_rq_active", gauge(n.RqActive)},
		{"upstream_rq_timeout", n.RqTimeout},
		{"upstream_rq_max_duration_reached", n.RqMaxDuration},
		{"upstream_rq_retry", n.RqRetry},
		{"upstream_rq_retry_success", n.RqRetryOK},
		{"upstream_rq_retry_overflow", n.RqRetryOverflow},
		{"upstream_rq_retry_limit_exceeded", n.RqRetryLimit},
		{"upstream_rq_retry_backoff_exponential", n.RetryBackoff},
		{"upstream_rq_retry_backoff_ratelimited", n.RetryBackoffLimited},
		{"retry_or_shadow_abandoned", n.RetryAbandoned},
		{"upstream_internal_redirect_succeeded_total", n.Redirected},
		{"upstream_internal_redirect_failed_total", n.RedirectFailed},
		{"upstream_rq_per_try_timeout", n.RqPerTryTimeout},
		{"upstream_rq_per_try_idle_timeout", n.RqPerTryIdleTimeout},
		{"upstream_rq_cancelled", n.RqCancelled},
		{"upstream_rq_maintenance_mode", n.RqMaintenance},
		{"upstream_rq_tx_reset", n.RqTxReset},
		{"upstream_rq_rx_reset", n.RqRxReset},
		{"upstream_rq_pending_overflow", n.RqPendingOverflow + l.Pool.PendingOverflow},
		{"upstream_cx_none_healthy", n.CxNoneHealthy},
		{"upstream_rq_drop_overload", n.RqDropped}, // Envoy has it in load reports alone
		{"original_dst_host_invalid", n.OriginalDstInvalid},
		{"upstream_cx_rx_bytes_total", n.CxRxBytes},
		{"upstream_cx_tx_bytes_total", n.CxTxBytes},
		{"upstream_cx_protocol_error", n.CxProtocolError},
		{"upstream_cx_destroy_local", n.CxDestroyLocal},
		{"upstream_cx_destroy_remote", n.CxDestroyRemote},
		{"lb_healthy_panic", l.picks.panics},
		{"lb_recalculate_zone_structures", l.picks.zone.recalculated},
		{"lb_local_cluster_not_ok", l.picks.zone.localNotOK},
		{"lb_zone_cluster_too_small", l.picks.zone.tooSmall},
		{"lb_zone_routing_all_directly", l.picks.zone.direct},
		{"lb_zone_routing_sampled", l.picks.zone.sampled},
		{"lb_zone_routing_cross_zone", l.picks.zone.crossZone},
		{"lb_zone_no_capacity_left", l.picks.zone.noneSpare},
		{"lb_subsets_selected", l.picks.subset.selected},
		{"lb_subsets_fallback", l.picks.subset.fallback},
		{"lb_subsets_fallback_panic", l.picks.subset.panic},
	} {
		yield(x.name, x.value)
	}
	n.Codes.Each(func(status int, v uint64) { yield("upstream_rq_"+strconv.Itoa(status), v) })
	n.Internal.Stats("internal.", yield)
	n.External.Stats("external.", yield)
	n.Canary.Stats("canary.", yield)
	n.Retried.Stats("retry.", yield)
}

// Budgets are the shares of their time, in percent, that requests to a cluster and
// attempts have used. Worker only.
type Budgets struct{ All, PerTry stats.Histogram }

// Budgets is what this worker has recorded, to go on with. Worker only.
func (l *Local) Budgets() *Budgets {
	if l.budgets == nil {
		l.budgets = new(Budgets)
	}
	return l.budgets
}

// Distributions yields the histograms of a cluster that keeps any. What yield is
// given is good until it returns. Worker only.
func (l *Local) Distributions(yield func(name string, h *stats.Histogram)) {
	if l.view.Load().asked.TrackBudgets {
		b := l.Budgets()
		yield("upstream_rq_timeout_budget_percent_used", &b.All)
		yield("upstream_rq_timeout_budget_per_try_percent_used", &b.PerTry)
	}
}

func (l *Local) poolStats(yield func(name string, value uint64)) {
	n := &l.Pool
	yield("upstream_cx_total", n.Connections)
	yield("upstream_cx_http2_total", l.H2.Connections)
	if l.H2.Connections > 0 {
		l.H2.Stats("http2.", yield)
	}
	yield("upstream_cx_active", gauge(n.Active))
	yield("upstream_cx_connect_fail", n.ConnectFail)
	yield("upstream_cx_connect_timeout", n.ConnectTimeout)
	yield("bind_errors", n.BindErrors)
	yield("upstream_cx_destroy", n.Destroyed)
	yield("upstream_cx_idle_timeout", n.IdleClosed)
	yield("upstream_cx_max_requests", n.MaxRequests)
	yield("upstream_cx_overflow", n.ConnectionOverflow)
	yield("upstream_rq_pending_total", n.PendingTotal)
	yield("upstream_rq_pending_active", gauge(n.PendingActive))
	yield("upstream_cx_unsolicited", n.Unsolicited) // ours
}

// gauge is n, for printing: never below 0.
func gauge(n int64) uint64 { return uint64(max(n, 0)) }

// Stats yields what does not belong to one worker: members, updates, circuit
// breakers. Any goroutine.
func (c *Cluster) Stats(yield func(name string, value uint64)) {
	v := c.view.Load()
	var healthy, degraded uint64
	for i := range v.levels {
		healthy += uint64(len(v.levels[i].healthy.hosts))
		degraded += uint64(len(v.levels[i].degraded.hosts))
	}
	yield("membership_total", uint64(v.hosts))
	yield("membership_healthy", healthy)
	yield("membership_degraded", degraded)
	excluded := 0
	for i := range v.levels {
		excluded += v.levels[i].excluded
	}
	yield("membership_excluded", uint64(excluded))
	yield("membership_change", c.updates.membership.Load())
	if v.subsets != nil {
		yield("lb_subsets_active", uint64(v.subsets.labelled))
	}
	v.tableStats(yield)
	c.dnsStats(yield)
	if k := c.checks.Load(); k != nil {
		k.stats(yield)
	}
	if d := c.detection.Load(); d != nil {
		d.stats(yield)
	}
	for i, name := range [...]string{"circuit_breakers.default.", "circuit_breakers.high."} {
		breakerStats(&c.Breakers[i], name, v.asked.Breakers[i].TrackRemaining, yield)
	}
}

// tableStats yields what Envoy says of its ring or table: of the first priority that
// has hosts, where Envoy has that of whichever it has built last.
func (v *view) tableStats(yield func(name string, value uint64)) {
	for i := range v.levels {
		t := v.levels[i].table
		if t == nil || len(t.hosts) == 0 {
			continue
		}
		if t.ring != nil {
			size, fewest, most := t.ring.Spread()
			yield("ring_hash_lb.size", uint64(size))
			yield("ring_hash_lb.min_hashes_per_host", uint64(fewest))
			yield("ring_hash_lb.max_hashes_per_host", uint64(most))
		}
		if t.maglev != nil {
			fewest, most := t.maglev.Spread()
			yield("maglev_lb.min_entries_per_host", uint64(fewest))
			yield("maglev_lb.max_entries_per_host", uint64(most))
		}
		return
	}
}

func (c *Cluster) dnsStats(yield func(name string, value uint64)) {
	n := &c.DNS
	timeouts, failures := n.Timeout.Load(), n.ServerFailure.Load()+n.OtherErrors.Load()
	notFound := n.NotFound.Load()
	yield("update_attempt", n.Attempts.Load())
	yield("update_success", n.Answers.Load()+notFound)
	yield("update_failure", timeouts+failures)
	yield("update_empty", n.Empty.Load())
	yield("update_no_rebuild", n.Unchanged.Load())
	yield("update_rejected", c.updates.rejected.Load())
	yield("dns.not_found", notFound) // Envoy keeps these by resolver: dns.cares.*
	yield("dns.timeout", timeouts)
	yield("dns.server_failure", n.ServerFailure.Load())
}

// breakerStats yields what is full, and what is left if that is asked for. What is
// left of a budget depends on the requests under way and is not told, as in Envoy.
func breakerStats(b *pool.Breaker, prefix string, remaining bool, yield func(name string, value uint64)) {
	full := func(g *pool.Gate) uint64 {
		if g.Open() {
			return 0
		}
		return 1
	}
	left := func(g *pool.Gate) uint64 { return gauge(g.Limit() - g.Used()) }
	yield(prefix+"cx_open", full(&b.Connections))
	yield(prefix+"rq_pending_open", full(&b.Pending))
	yield(prefix+"rq_open", full(&b.Requests))
	yield(prefix+"rq_retry_open", full(&b.Retries))
	if !remaining {
		return
	}
	yield(prefix+"remaining_cx", left(&b.Connections))
	yield(prefix+"remaining_pending", left(&b.Pending))
	yield(prefix+"remaining_rq", left(&b.Requests))
	if b.Budgeted() {
		yield(prefix+"remaining_retries", 0)
		return
	}
	yield(prefix+"remaining_retries", left(&b.Retries))
}
