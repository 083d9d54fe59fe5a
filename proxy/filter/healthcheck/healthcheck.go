// Package healthcheck is the filter that answers health checks of the process, by
// itself or with what its application said last
// (Envoy source/extensions/filters/http/health_check/health_check.cc).
package healthcheck

import (
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg     *config.HealthCheckFilter
	env     filter.Env
	headers route.Conditions
	count   filter.PerWorker[counters]
	cached  atomic.Pointer[cached] // what the last check was answered
}

// cached is an answer that stands for a while. Immutable.
type cached struct {
	status   int
	degraded bool
	until    int64
}

type counters struct {
	requests, failed, ok, cached, noCluster, empty, unhealthy, degraded uint64
}

// New compiles it.
func New(cfg *config.HealthCheckFilter, env filter.Env) *Filter {
	return &Filter{
		cfg: cfg, env: env, headers: route.CompileConditions(cfg.Headers),
		count: filter.NewPerWorker[counters](env.Workers),
	}
}

// Serve answers a check, or lets it go on and remembers what it was answered.
func (f *Filter) Serve(r *filter.Request) {
	if !f.headers.Match(r.Matched()) {
		if r.Next() {
			f.Answer(r)
		}
		return
	}
	var known *cached
	if f.cfg.CacheTime > 0 {
		if known = f.cached.Load(); known != nil && r.Worker.Now() >= known.until {
			known = nil
		}
	}
	if f.cfg.PassThrough && !f.failed() && known == nil {
		if r.Next() {
			f.remember(r)
			f.mark(r)
		}
		return
	}
	f.reply(r, known)
	if !r.Over() {
		f.mark(r)
	}
}

func (f *Filter) failed() bool { return f.env.Failed != nil && f.env.Failed() }

func (f *Filter) remember(r *filter.Request) {
	if t := f.cfg.CacheTime; t > 0 {
		f.cached.Store(&cached{r.Status, r.AnswerHeaders.Has("x-envoy-degraded"), r.Worker.Now() + int64(t)})
	}
}

// mark says in the answer to a check whose it is.
func (f *Filter) mark(r *filter.Request) {
	r.AnswerHeaders.Set("x-envoy-upstream-healthchecked-cluster", f.cfg.Cluster)
	f.Answer(r)
}

// Answer tells everybody that the process is not to be asked any more.
func (f *Filter) Answer(r *filter.Request) {
	if f.failed() {
		r.AnswerHeaders.Set("x-envoy-immediate-health-check-fail", "true")
	}
}

// reply answers a check here.
func (f *Filter) reply(r *filter.Request, known *cached) {
	c := f.count.On(r.Worker)
	c.requests++
	status, details, degraded := 200, "health_check_ok", false
	switch {
	case f.failed():
		status, details = 503, "health_check_failed"
	case known != nil:
		c.cached++
		status, details, degraded = known.status, "health_check_cached", known.degraded
	case len(f.cfg.MinHealthy) > 0:
		status, details = f.clusters(c)
	}
	if status >= 200 && status < 300 {
		c.ok++
	} else {
		c.failed++
		r.Info.Flags |= streaminfo.FailedLocalHealthCheck
	}
	a := &filter.Reply{Outcome: outcome.OK, Status: status, Empty: true, Details: details}
	if degraded {
		c.degraded++
		a.Headers = []http1.Header{{Name: []byte("x-envoy-degraded")}}
	}
	r.Reply(a)
}

// clusters asks how healthy the clusters are.
func (f *Filter) clusters(c *counters) (status int, details string) {
	for _, m := range f.cfg.MinHealthy {
		k := f.env.Cluster(m.Cluster)
		if k == nil {
			c.noCluster++
			return 503, "health_check_failed_no_cluster_found"
		}
		total, available := 0, 0
		for e := range k.Entries {
			total++
			if e.Health == "healthy" || e.Health == "degraded" {
				available++
			}
		}
		switch least := uint64(m.Percent); {
		case total == 0 && least == 0:
		case total == 0:
			c.empty++
			return 503, "health_check_failed_cluster_empty"
		case 100*uint64(available) < uint64(total)*least:
			c.unhealthy++
			return 503, "health_check_failed_cluster_unhealthy"
		}
	}
	return 200, "health_check_ok_cluster_healthy"
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, p := f.count.On(w), f.env.Prefix+"health_check."
	yield(p+"request_total", c.requests)
	yield(p+"failed", c.failed)
	yield(p+"ok", c.ok)
	yield(p+"cached_response", c.cached)
	yield(p+"failed_cluster_not_found", c.noCluster)
	yield(p+"failed_cluster_empty", c.empty)
	yield(p+"failed_cluster_unhealthy", c.unhealthy)
	yield(p+"degraded", c.degraded)
}
