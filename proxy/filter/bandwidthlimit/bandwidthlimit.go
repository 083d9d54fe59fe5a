// Package bandwidthlimit is the filter that lets bodies flow at a rate
// (Envoy source/extensions/filters/http/bandwidth_limit/bandwidth_limit.cc).
package bandwidthlimit

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain, and of one route.
type Filter struct {
	cfg    *config.BandwidthLimit
	bucket *filter.Bucket
	count  filter.PerWorker[counters]
}

// counters are of requests [0] and of answers [1].
type counters [2]struct {
	enabled, enforced, incoming, allowed uint64
	pending                              int64
}

const (
	requests = iota
	answers
)

// New compiles it.
func New(cfg *config.BandwidthLimit, env filter.Env) *Filter {
	rate := float64(cfg.KBps) * 1024
	return &Filter{
		cfg: cfg, count: filter.NewPerWorker[counters](env.Workers),
		bucket: filter.NewBucket(rate, rate, rate*cfg.Interval.Seconds()),
	}
}

// Own compiles what a route says of it: a limit of its own.
func Own(env filter.Env) func(cfg any) any {
	return func(cfg any) any {
		if l, ok := cfg.(*config.BandwidthLimit); ok {
			return New(l, env)
		}
		return nil
	}
}

// flow is one body.
type flow struct {
	f     *Filter
	c     *counters
	which int
	began int64 // 0: nothing has come yet
	took  int64
	slept int64
	over  bool
}

// passage is a request's two bodies.
type passage [2]flow

// Serve slows both bodies.
func (f *Filter) Serve(r *filter.Request) {
	if own, ok := r.Own().(*Filter); ok {
		f = own
	}
	if f.cfg.Disabled || !f.cfg.Request && !f.cfg.Response {
		r.Next()
		return
	}
	c := f.count.On(r.Worker)
	p := &passage{{f: f, c: c, which: requests}, {f: f, c: c, which: answers}}
	r.Defer(p)
	if f.cfg.Request {
		c[requests].enabled++
		if b := r.Body(); b != nil {
			r.SetBody(p[requests].pace(r, b), filter.Same)
		}
	}
	if !r.Next() || !f.cfg.Response {
		return
	}
	c[answers].enabled++
	if b := r.AnswerBody(); b != nil {
		paced := p[answers].pace(r, b)
		if f.cfg.Trailers {
			went := paced.Went
			paced.Went = func(n int, last bool) {
				if went(n, last); last {
					p.tell(r)
				}
			}
		}
		r.SetAnswerBody(paced, filter.Same)
	}
}

// pace puts the limit around a body.
func (w *flow) pace(r *filter.Request, b filter.Body) *filter.Paced {
	c := &w.c[w.which]
	return &filter.Paced{
		Of: b, Bucket: w.f.bucket, For: r, Every: w.f.cfg.Interval,
		Went: func(n int, last bool) {
			w.begin(r)
			c.incoming += uint64(n)
			c.allowed += uint64(n)
			if last {
				w.end(r)
			}
		},
		Waited: func() {
			w.begin(r)
			c.enforced++
			w.slept += int64(w.f.cfg.Interval)
		},
	}
}

func (w *flow) begin(r *filter.Request) {
	if w.began == 0 {
		w.began = max(r.Worker.Now(), 1)
		w.c[w.which].pending++
	}
}

func (w *flow) end(r *filter.Request) {
	if w.began != 0 && !w.over {
		w.over = true
		w.took = r.Worker.Now() - w.began
		w.c[w.which].pending--
	}
}

// End ends what did not come to its end.
func (p *passage) End(r *filter.Request, _ outcome.Outcome) {
	p[requests].end(r)
	p[answers].end(r)
}

// tell says in trailers how long it took.
func (p *passage) tell(r *filter.Request) {
	prefix := p[answers].f.cfg.TrailerPrefix
	if prefix != "" {
		prefix += "-"
	}
	for _, t := range []struct {
		name string
		ns   int64
	}{
		{"bandwidth-request-delay-ms", p[requests].took},
		{"bandwidth-request-filter-delay-ms", p[requests].slept},
		{"bandwidth-response-delay-ms", p[answers].took},
		{"bandwidth-response-filter-delay-ms", p[answers].slept},
	} {
		if ms := t.ns / 1e6; ms > 0 {
			r.AnswerTrailers.Put(prefix+t.name, strconv.AppendInt(nil, ms, 10))
		}
	}
}

// Stats yields the filter's counters; those of routes are not among them.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, p := f.count.On(w), f.cfg.StatPrefix+".http_bandwidth_limit."
	for which, name := range []string{"request", "response"} {
		n := &c[which]
		yield(p+name+"_enabled", n.enabled)
		yield(p+name+"_enforced", n.enforced)
		yield(p+name+"_incoming_total_size", n.incoming)
		yield(p+name+"_allowed_total_size", n.allowed)
		yield(p+name+"_pending", uint64(max(n.pending, 0)))
	}
}
