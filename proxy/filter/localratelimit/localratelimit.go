// Package localratelimit is the filter that lets so many requests pass in a time,
// of all workers together or of one connection, and so many of those with a descriptor
// (Envoy source/extensions/filters/http/local_ratelimit/local_ratelimit.cc,
// filters/common/local_ratelimit/local_ratelimit_impl.cc).
package localratelimit

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain, and of one route.
type Filter struct {
	cfg             *config.LocalRateLimit
	limiter         *limiter          // nil: each connection has its own
	limits          *route.RateLimits // its own; nil: the route's count
	request, answer []route.Op
	count           filter.PerWorker[counters]
}

type counters struct{ enabled, enforced, limited, ok uint64 }

// New compiles it.
func New(cfg *config.LocalRateLimit, env filter.Env) *Filter {
	f := &Filter{
		cfg: cfg, count: filter.NewPerWorker[counters](env.Workers), limits: route.CompileRateLimits(cfg.Limits, cel.Format),
		request: route.CompileOps(nil, cfg.RequestAdd), answer: route.CompileOps(nil, cfg.ResponseAdd),
	}
	if !cfg.PerConnection {
		f.limiter = newLimiter(cfg)
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
	b, ok := f.of(r).allow(f.descriptors(r), r.Worker.Now())
	switch {
	case ok:
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

// descriptors are those of a request.
func (f *Filter) descriptors(r *filter.Request) (all []route.Descriptor) {
	if len(f.cfg.Descriptors) == 0 {
		return nil
	}
	a := &route.Asker{Request: r.Matched(), View: r.Look(), Stage: f.cfg.Stage, Local: true, Rand: r.Worker.Rand()}
	to, at := r.Route()
	if c := r.Cluster(); c != nil {
		a.Cluster = c.Name
	}
	if f.limits != nil {
		a.AnyStage = true
		return f.limits.Append(nil, a)
	}
	if to == nil || at == nil || to.Kind != route.Forward {
		return nil
	}
	all = to.Limits.Append(nil, a)
	how := f.cfg.Host
	if to.BothLimits {
		how = config.HostLimitsToo
	}
	if how == config.HostLimitsToo || how == config.HostLimitsIfNone && to.Limits == nil {
		all = to.HostLimits.Append(all, a)
	}
	return all
}

// of gives the limiter that counts the request.
func (f *Filter) of(r *filter.Request) *limiter {
	if !f.cfg.PerConnection {
		return f.limiter
	}
	all := connLimiters(&r.Info.Conn.State)
	if l := all[f]; l != nil {
		return l
	}
	l := newLimiter(f.cfg)
	all[f] = l
	return l
}

// connLimiters are the limiters of a connection, by filter.
func connLimiters(s *streaminfo.State) map[*Filter]*limiter {
	const name = "attache.local_ratelimit"
	if o := s.Get(name); o != nil {
		return o.Data.(map[*Filter]*limiter)
	}
	all := map[*Filter]*limiter{}
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
