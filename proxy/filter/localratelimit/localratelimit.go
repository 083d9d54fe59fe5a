// Package localratelimit is the filter that lets so many requests pass in a time,
// of all workers together or of one connection
// (Envoy source/extensions/filters/http/local_ratelimit/local_ratelimit.cc,
// filters/common/local_ratelimit/local_ratelimit_impl.cc).
package localratelimit

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain, and of one route.
type Filter struct {
	cfg             *config.LocalRateLimit
	bucket          *filter.Bucket // nil: nothing is limited, or each connection has its own
	request, answer []route.Op
	count           filter.PerWorker[counters]
}

type counters struct{ enabled, enforced, limited, ok uint64 }

// New compiles it.
func New(cfg *config.LocalRateLimit, env filter.Env) *Filter {
	f := &Filter{
		cfg: cfg, count: filter.NewPerWorker[counters](env.Workers),
		request: route.CompileOps(nil, cfg.RequestAdd), answer: route.CompileOps(nil, cfg.ResponseAdd),
	}
	if cfg.Bucket != nil && !cfg.PerConnection {
		f.bucket = NewBucket(cfg.Bucket)
	}
	return f
}

// Own compiles what a route says of it: a limit of its own.
func Own(env filter.Env) func(cfg any) any {
	return func(cfg any) any {
		if l, ok := cfg.(*config.LocalRateLimit); ok {
			return New(l, env)
		}
		return nil
	}
}

// Serve takes a token for the request.
func (f *Filter) Serve(r *filter.Request) {
	if own, ok := r.Own().(*Filter); ok {
		f = own
	}
	if !filter.Chosen(f.cfg.Enabled, r.Worker.Rand()) {
		r.Next()
		return
	}
	c := f.count.On(r.Worker)
	c.enabled++
	b := f.of(r)
	switch {
	case b == nil || b.Take(1, r.Worker.Now()):
		c.ok++
	case filter.Chosen(f.cfg.Enforced, r.Worker.Rand()):
		c.limited++
		c.enforced++
		f.refuse(r)
		f.tell(r, b)
		return
	default:
		c.limited++
		r.Apply(f.request)
	}
	if r.Next() {
		f.tell(r, b)
	}
}

// of gives the bucket that counts the request.
func (f *Filter) of(r *filter.Request) *filter.Bucket {
	if !f.cfg.PerConnection || f.cfg.Bucket == nil {
		return f.bucket
	}
	all := connBuckets(&r.Info.Conn.State)
	if b := all[f]; b != nil {
		return b
	}
	b := NewBucket(f.cfg.Bucket)
	all[f] = b
	return b
}

// connBuckets are the buckets of a connection, by filter.
func connBuckets(s *streaminfo.State) map[*Filter]*filter.Bucket {
	const name = "attache.local_ratelimit"
	if o := s.Get(name); o != nil {
		return o.Data.(map[*Filter]*filter.Bucket)
	}
	all := map[*Filter]*filter.Bucket{}
	_ = s.Set(streaminfo.Object{Name: name, Data: all, ReadOnly: true}) // it is not there yet
	return all
}

func (f *Filter) refuse(r *filter.Request) {
	a := &filter.Reply{Outcome: outcome.RateLimited, Status: f.cfg.Status, Body: "local_rate_limited", Details: "local_rate_limited"}
	if f.cfg.Exhausted {
		a.GRPCStatus, a.HasGRPCStatus = 8, true
	}
	r.Reply(a)
	if !r.Over() {
		r.ApplyAnswer(f.answer)
	}
}

// tell tells the client what is left.
func (f *Filter) tell(r *filter.Request, b *filter.Bucket) {
	if !f.cfg.Headers || b == nil || r.Over() {
		return
	}
	left, wait := b.Left(r.Worker.Now())
	r.AnswerHeaders.Add("x-ratelimit-limit", strconv.FormatUint(uint64(b.Max()), 10))
	r.AnswerHeaders.Add("x-ratelimit-remaining", strconv.FormatUint(left, 10))
	r.AnswerHeaders.Add("x-ratelimit-reset", strconv.Itoa(int(wait.Seconds())))
}

// Stats yields the filter's counters; those of routes are not among them.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c, p := f.count.On(w), f.cfg.StatPrefix+".http_local_rate_limit."
	yield(p+"enabled", c.enabled)
	yield(p+"enforced", c.enforced)
	yield(p+"rate_limited", c.limited)
	yield(p+"ok", c.ok)
}

// NewBucket makes a bucket that is full.
func NewBucket(cfg *config.TokenBucket) *filter.Bucket {
	return filter.NewBucket(float64(cfg.Max), float64(cfg.Tokens)/cfg.Interval.Seconds(), float64(cfg.Max))
}
