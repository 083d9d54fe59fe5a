package httpproxy

// What a connection manager counts, under Envoy's names.

import (
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Counters are what one worker counted of a connection manager.
type Counters struct {
	CxTotal, CxDestroyed, CxIdleTimeout, CxProtocolError, CxUpgrades uint64
	CxMaxDuration                                                    uint64 // max_connection_duration was over
	CxActive, RqActive                                               int64
	RqTotal                                                          uint64
	Rq                                                               [6]uint64 // by class: Rq[2] is 2xx
	RqIdleTimeout, RqHeaderTimeout, RqOverallTimeout, RqMaxDuration  uint64
	RqRxReset                                                        uint64 // the client went away
	RqTxReset                                                        uint64 // the client was cut off
	RqTooLarge, RqNoRoute, RqNoCluster                               uint64
	RqDirect, RqRedirect                                             uint64
	RqRetryStale                                                     uint64 // sent again: the pooled connection was dead
	UpstreamExtra                                                    uint64 // bytes came behind an answer
	H2                                                               h2.Counters
	Redirects                                                        RedirectCounters
	ByOutcome                                                        [64]uint64
}

// Stats yields the counters and gauges of a worker. Worker only.
func (r *Room) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, p := &r.on(w).count, "http."+r.cfg.StatPrefix+"."
	yield(p+"downstream_cx_total", c.CxTotal)
	yield(p+"downstream_cx_active", uint64(c.CxActive))
	yield(p+"downstream_cx_destroy", c.CxDestroyed)
	yield(p+"downstream_cx_idle_timeout", c.CxIdleTimeout)
	yield(p+"downstream_cx_max_duration_reached", c.CxMaxDuration)
	yield(p+"downstream_cx_protocol_error", c.CxProtocolError)
	yield(p+"downstream_cx_upgrades_total", c.CxUpgrades)
	yield(p+"downstream_cx_http2_total", c.H2.Connections)
	yield(p+"downstream_cx_http2_active", uint64(max(c.H2.Open, 0)))
	if c.H2.Connections > 0 {
		c.H2.Stats("http2.", yield)
	}
	yield(p+"downstream_rq_total", c.RqTotal)
	yield(p+"downstream_rq_active", uint64(c.RqActive))
	for i, class := range [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		if i > 0 {
			yield(p+"downstream_rq_"+class, c.Rq[i])
		}
	}
	yield(p+"downstream_rq_completed", c.Rq[1]+c.Rq[2]+c.Rq[3]+c.Rq[4]+c.Rq[5])
	yield(p+"downstream_rq_idle_timeout", c.RqIdleTimeout)
	yield(p+"downstream_rq_header_timeout", c.RqHeaderTimeout)
	yield(p+"downstream_rq_timeout", c.RqOverallTimeout)
	yield(p+"downstream_rq_max_duration_reached", c.RqMaxDuration)
	yield(p+"downstream_rq_rx_reset", c.RqRxReset)
	yield(p+"downstream_rq_tx_reset", c.RqTxReset)
	yield(p+"downstream_rq_too_large", c.RqTooLarge)
	yield(p+"no_route", c.RqNoRoute)
	yield(p+"no_cluster", c.RqNoCluster)
	yield(p+"rq_direct_response", c.RqDirect)
	yield(p+"rq_redirect", c.RqRedirect)
	yield(p+"upstream_rq_retry_stale", c.RqRetryStale)
	yield(p+"passthrough_internal_redirect_bad_location", c.Redirects.BadLocation)
	yield(p+"passthrough_internal_redirect_unsafe_scheme", c.Redirects.UnsafeScheme)
	yield(p+"passthrough_internal_redirect_too_many_redirects", c.Redirects.TooMany)
	yield(p+"passthrough_internal_redirect_no_route", c.Redirects.NoRoute)
	yield(p+"passthrough_internal_redirect_predicate", c.Redirects.Predicate)
	yield(p+"upstream_cx_unsolicited_bytes", c.UpstreamExtra)
	for _, c := range *r.past.Load() {
		c.Stats(w, yield)
	}
	r.chains.Load().Stats(w, yield)
}

// Counters gives what a worker counted. Worker only.
func (r *Room) Counters(w *loop.Worker) Counters { return r.on(w).count }

// count puts the request into the figures of the room, the cluster and the
// host.
func (x *exchange) count(o outcome.Outcome) {
	c := &x.here.count
	c.RqActive--
	c.ByOutcome[o]++
	if x.status > 0 {
		c.Rq[min(x.status/100, 5)]++
	}
	switch o {
	case outcome.OK:
		if x.replied && x.route != nil {
			switch x.route.Kind {
			case route.Direct:
				c.RqDirect++
			case route.Redirect:
				c.RqRedirect++
			case route.Forward: // a filter's answer
			}
		}
	case outcome.NoRoute:
		c.RqNoRoute++
	case outcome.NoCluster:
		c.RqNoCluster++
	case outcome.BadRequest, outcome.VersionTooLow:
		c.CxProtocolError++
		if x.status == 431 {
			c.RqTooLarge++
		}
	case outcome.IdleTimeout:
		c.RqIdleTimeout++
	case outcome.HeaderTimeout:
		c.RqHeaderTimeout++
	case outcome.RequestTimeout:
		c.RqOverallTimeout++
	case outcome.DurationTimeout:
		c.RqMaxDuration++
	case outcome.DownstreamGone:
		c.RqRxReset++
	}
	if o != outcome.OK && x.started && o != outcome.DownstreamGone {
		c.RqTxReset++
	}
	if x.cluster != nil {
		x.countUpstream(o)
	}
}

// countUpstream counts for the cluster and the host (Filter::
// chargeUpstreamCode).
func (x *exchange) countUpstream(o outcome.Outcome) {
	c := &x.cluster.Count
	if x.status > 0 && !x.here.room.cfg.NoCodeStats {
		x.countCode(c)
	}
	switch o {
	case outcome.Timeout:
		c.RqTimeout++
		x.tallyEach(func(t *route.TallyPart) { t.Timeout++ })
	case outcome.DownstreamGone:
		c.RqCancelled++
	case outcome.ConnectionLost, outcome.LostMidway:
		c.RqRxReset++
	}
	if h := x.hostOn; h != nil {
		switch {
		case o == outcome.Timeout:
			h.Count.RqTimeout++
			h.Count.RqError++
		case o != outcome.OK && o != outcome.DownstreamGone || x.status >= 500:
			h.Count.RqError++
		case o == outcome.OK:
			h.Count.RqSuccess++
		}
	}
}

// countCode counts the answer's status: of all, of those that came from inside or
// outside, of canaries, and of the route's own tallies (CodeStatsImpl::chargeResponseStat).
func (x *exchange) countCode(c *upstream.Counters) {
	c.RqCompleted++
	if !x.grpc || !x.here.room.cfg.NoGRPCCodeStats {
		switch x.status / 100 {
		case 1:
			c.Rq1xx++
		case 2:
			c.Rq2xx++
		case 3:
			c.Rq3xx++
		case 4:
			c.Rq4xx++
		case 5:
			c.Rq5xx++
		}
		c.Codes.Add(x.status)
	}
	if x.view.Internal {
		c.Internal.Add(x.status)
	} else {
		c.External.Add(x.status)
	}
	if h := x.host; h != nil && h.Endpoint().Canary {
		c.Canary.Add(x.status)
	}
	for _, t := range x.tallies {
		if t != nil {
			t.Codes.Add(x.status)
		}
	}
}

// tallyTotal counts an attempt in the tallies of the request.
func (x *exchange) tallyTotal() {
	for _, t := range x.tallies {
		if t != nil {
			t.Total++
		}
	}
}

// tallyEach has f count in the tallies of the request: of what is rare.
func (x *exchange) tallyEach(f func(*route.TallyPart)) {
	for _, t := range x.tallies {
		if t != nil {
			f(t)
		}
	}
}
