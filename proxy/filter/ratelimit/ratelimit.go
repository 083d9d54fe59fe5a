// Package ratelimit is the filter that asks a service whether a request is over a
// limit (Envoy source/extensions/filters/http/ratelimit/ratelimit.cc).
//
//	request ─▶ descriptors ─▶ service ─▶ OK: headers and metadata are added ─▶ on
//	              │ none         │      └▶ over a limit: 429, RL
//	              └▶ on          └ no answer: on, or status_on_error, RLSE
//
// The request's coroutine waits, its worker does not. What limits want to be told
// of when a request is over is said then, and nobody waits for the answer.
package ratelimit

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.RateLimitFilter
	env    filter.Env
	method callout.Method
	limits *route.RateLimits // its own; nil: the route's count
	answer []route.Op
	local  filter.PerWorker[local]
}

// local are a worker's counters, by the name of the cluster that was asked for.
type local struct{ by map[string]*counters }

type counters struct{ ok, over, failed, allowed uint64 }

// own is what a route says of it.
type own struct {
	*config.RateLimitRoute
	limits *route.RateLimits
}

// New compiles it.
func New(cfg *config.RateLimitFilter, env filter.Env) *Filter {
	f := &Filter{
		cfg: cfg, env: env, limits: route.CompileRateLimits(cfg.Limits, cel.Format),
		answer: route.CompileOps(nil, cfg.ResponseAdd), local: filter.NewPerWorker[local](env.Workers),
	}
	s := &cfg.Service
	f.method = callout.Method{
		Authority: []byte(s.Authority), Path: []byte("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"),
		Timeout: s.Timeout, MaxMessage: int(s.MaxMessage),
	}
	for _, m := range s.Metadata {
		f.method.Metadata = append(f.method.Metadata, callout.Field(m.Key, m.Value))
	}
	f.method.Ready()
	return f
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.RateLimitRoute); ok {
		return &own{r, route.CompileRateLimits(r.Limits, cel.Format)}
	}
	return nil
}

// asking is one request of which the service is asked.
type asking struct {
	f       *Filter
	w       *loop.Worker
	call    callout.Call
	msg     []byte
	own     *own
	cluster string
	count   *counters
	result  result
}

// Serve asks about a request.
func (f *Filter) Serve(r *filter.Request) {
	if e := f.cfg.Enabled; e != nil && !filter.Chosen(e, r.Worker.Rand()) ||
		f.cfg.Internal && !r.View.Internal || f.cfg.External && r.View.Internal {
		r.Next()
		return
	}
	x := &asking{f: f, w: r.Worker}
	x.own, _ = r.Own().(*own)
	c, found := f.forward(r)
	if !found {
		r.Next()
		return
	}
	x.cluster = c.name
	x.count = f.local.On(r.Worker).of(c.stat)
	r.Defer(x)
	all := x.descriptors(r, false)
	if len(all) == 0 {
		r.Next()
		return
	}
	x.msg = x.message(r, all)
	if f.env.Cluster(f.cfg.Service.Cluster) != nil && !r.Await(x.ask, x.call.Cancel) {
		return
	}
	f.conclude(r, x)
}

// target is the route's cluster.
type target struct{ name, stat string }

// forward gives the cluster that the request goes to; false if it goes to none.
func (f *Filter) forward(r *filter.Request) (t target, ok bool) {
	to, at := r.Route()
	c := r.Cluster()
	if to == nil || at == nil || to.Kind != route.Forward || c == nil {
		return t, false
	}
	return target{c.Name, c.StatName}, true
}

func (l *local) of(cluster string) *counters {
	c := l.by[cluster]
	if c == nil {
		if l.by == nil {
			l.by = map[string]*counters{}
		}
		c = &counters{}
		l.by[cluster] = c
	}
	return c
}

// descriptors are what the service is asked about, or told of when all is over.
func (x *asking) descriptors(r *filter.Request, done bool) (all []route.Descriptor) {
	f := x.f
	to, _ := r.Route()
	if to == nil {
		return nil
	}
	a := &route.Asker{Request: r.Matched(), Cluster: x.cluster, Stage: f.cfg.Stage, OnDone: done, Rand: x.w.Rand()}
	a.View = r.Look()
	if limits := x.ownLimits(); limits != nil {
		a.AnyStage = true
		return limits.Append(nil, a)
	}
	all = to.Limits.Append(nil, a)
	how := config.HostLimitsIfNone
	switch {
	case to.BothLimits:
		how = config.HostLimitsToo
	case x.own != nil:
		how = x.own.Host
	}
	if how == config.HostLimitsToo || how == config.HostLimitsIfNone && to.Limits == nil {
		all = to.HostLimits.Append(all, a)
	}
	return all
}

// ownLimits are those that the route says in the filter's name, else the filter's.
func (x *asking) ownLimits() *route.RateLimits {
	if x.own != nil && x.own.limits != nil {
		return x.own.limits
	}
	return x.f.limits
}

// ask asks, in a coroutine of its own.
func (x *asking) ask() {
	f := x.f
	msg, s := x.call.Unary(x.w, f.env.Cluster(f.cfg.Service.Cluster), &f.method, x.msg, nil)
	if s.OK() {
		x.result = parse(msg)
	}
}

// End tells the service of a request that is over.
func (x *asking) End(r *filter.Request, _ outcome.Outcome) {
	all := x.descriptors(r, true)
	if len(all) == 0 || x.f.env.Cluster(x.f.cfg.Service.Cluster) == nil {
		return
	}
	last := &asking{f: x.f, w: x.w, msg: x.message(r, all)}
	x.w.Go(last.ask)
}

// conclude does what the service said.
func (f *Filter) conclude(r *filter.Request, x *asking) {
	s := &x.result
	if len(s.metadata) > 0 {
		r.Info.Metadata.Set("envoy.filters.http.ratelimit", s.metadata)
	}
	switch s.verdict {
	case under:
		x.count.ok++
	case over:
		x.count.over++
		if !f.cfg.Quiet {
			s.response = append(s.response, callout.Field("x-envoy-ratelimited", "true"))
		}
	case failed:
		x.count.failed++
		if filter.Chosen(f.cfg.DenyOnFailure, r.Worker.Rand()) {
			r.Info.Flags |= streaminfo.RateLimitServiceError
			r.Reply(&filter.Reply{Outcome: outcome.FilterFailed, Status: f.cfg.StatusOnError, Empty: true, Details: "rate_limiter_error"})
			return
		}
		x.count.allowed++
	}
	if f.cfg.Headers {
		s.response = s.appendHeaders(s.response)
	}
	if s.verdict == over && (f.cfg.Enforced == nil || filter.Chosen(f.cfg.Enforced, r.Worker.Rand())) {
		f.refuse(r, s)
		return
	}
	for i := range s.request {
		r.Headers.Append(string(s.request[i].Name), s.request[i].Value)
	}
	if r.Next() {
		for i := range s.response {
			r.AnswerHeaders.Append(string(s.response[i].Name), s.response[i].Value)
		}
	}
}

// refuse answers a request that is over a limit.
func (f *Filter) refuse(r *filter.Request, s *result) {
	a := &filter.Reply{Outcome: outcome.RateLimited, Status: f.cfg.Status, Body: s.body, Empty: s.body == ""}
	for _, h := range s.response {
		if string(h.Name) == "content-type" {
			a.ContentType = string(h.Value)
			continue
		}
		a.Headers = append(a.Headers, h)
	}
	if f.cfg.Exhausted {
		a.GRPCStatus, a.HasGRPCStatus = 8, true
	}
	r.Reply(a)
	if !r.Over() {
		r.ApplyAnswer(f.answer)
	}
}

// Stats yields what worker w has counted, in the names of the clusters that
// requests went to; what was refused counts as an answer of theirs.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	own := "ratelimit."
	if f.cfg.StatPrefix != "" {
		own += f.cfg.StatPrefix + "."
	}
	code := strconv.Itoa(f.cfg.Status)
	for name, c := range f.local.On(w).by {
		p := "cluster." + stats.Clean(name) + "."
		yield(p+own+"ok", c.ok)
		yield(p+own+"over_limit", c.over)
		yield(p+own+"error", c.failed)
		yield(p+own+"failure_mode_allowed", c.allowed)
		yield(p+"upstream_rq_completed", c.over)
		yield(p+"upstream_rq_"+code[:1]+"xx", c.over)
	}
}
