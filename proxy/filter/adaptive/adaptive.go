// Package adaptive is the filter that bounds how many requests are in progress, of
// all workers together, by how long they take
// (Envoy source/extensions/filters/http/adaptive_concurrency).
//
//	request ─▶ admit ─ over the limit ─▶ 503
//	             │
//	             ▼ Next … the last byte of the answer ─▶ record its latency
//	                                                        │ at the end of a window
//	                                                        ▼
//	                                                     a new limit (gradient.go)
package adaptive

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg     *config.AdaptiveConcurrency
	prefix  string
	control *controller
	local   filter.PerWorker[local]
}

// local is what a worker has of it.
type local struct {
	blocked uint64
	free    []*sample
}

// sample is a request whose latency is taken.
type sample struct {
	f     *Filter
	began int64
}

// maxFree bounds the samples that a worker keeps for later.
const maxFree = 1024

// New compiles it.
func New(cfg *config.AdaptiveConcurrency, env filter.Env) *Filter {
	return &Filter{
		cfg: cfg, prefix: env.Prefix + "adaptive_concurrency.gradient_controller.",
		control: newController(&cfg.Gradient), local: filter.NewPerWorker[local](env.Workers),
	}
}

// Serve lets the request pass if there is a place for it.
func (f *Filter) Serve(r *filter.Request) {
	if f.cfg.Disabled || r.Info.HealthCheck {
		r.Next()
		return
	}
	l, now := f.local.On(r.Worker), r.Worker.Now()
	if !f.control.admit(now, r.Worker.Rand()) {
		l.blocked++
		r.Reply(&filter.Reply{Status: f.cfg.Status, Body: "reached concurrency limit", Details: "reached_concurrency_limit"})
		return
	}
	r.Defer(l.take(f, now))
	r.Next()
}

func (l *local) take(f *Filter, now int64) *sample {
	s := &sample{}
	if n := len(l.free); n > 0 {
		s = l.free[n-1]
		l.free = l.free[:n-1]
	}
	s.f, s.began = f, now
	return s
}

// End takes the latency of a request that was answered as a whole.
func (s *sample) End(r *filter.Request, o outcome.Outcome) {
	f, w := s.f, r.Worker
	if o == outcome.OK || r.Local && o != outcome.DownstreamGone {
		f.control.record(s.began, w.Now(), w.Rand())
	} else {
		f.control.leave()
	}
	if l := f.local.On(w); len(l.free) < maxFree {
		l.free = append(l.free, s)
	}
}

// Stats yields the filter's figures.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	yield(f.prefix+"rq_blocked", f.local.On(w).blocked)
	if w.ID != 0 {
		return // what follows is of all workers
	}
	g := f.control.figures(w.Now(), w.Rand())
	yield(f.prefix+"burst_queue_size", g.headroom)
	yield(f.prefix+"concurrency_limit", g.limit)
	yield(f.prefix+"gradient", g.gradient)
	yield(f.prefix+"min_rtt_calculation_active", g.measuring)
	yield(f.prefix+"min_rtt_msecs", g.minRTT)
	yield(f.prefix+"sample_rtt_msecs", g.sampleRTT)
}
