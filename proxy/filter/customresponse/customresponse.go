// Package customresponse is the filter that puts other answers in the place of those
// that a tree names: one made here, or one that is asked for elsewhere
// (Envoy source/extensions/filters/http/custom_response, source/extensions/http/
// custom_response).
//
//	head of an answer ──▶ route's trees, own tree ──┬─ nothing ──▶ it goes on
//	                                                ├─ local ────▶ Reply
//	                                                └─ redirect ─▶ Restart: the request begins anew,
//	                                                               and the answer to that is told apart by Resumed
package customresponse

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct {
	plan   *plan
	prefix string
	count  filter.PerWorker[counters]
}

// counters are of the chain's own policies, and of the routes'.
type counters struct{ own, routes tally }

type tally struct{ noRoute, badURI uint64 }

// plan is a compiled config.CustomResponse. Immutable.
type plan struct {
	tree     *tree.Tree // nil: it names no answer
	policies []policy
}

// policy is a compiled config.ResponsePolicy.
type policy struct {
	local    *local
	redirect *redirect
}

type local struct {
	status int
	body   string
	format *format.Body // nil: body as it is
	ops    []route.Op
}

// New compiles it.
func New(cfg *config.CustomResponse, env filter.Env) *Filter {
	return &Filter{plan: compile(cfg), prefix: env.Prefix, count: filter.NewPerWorker[counters](env.Workers)}
}

// Own compiles what a route says.
func Own(cfg any) any {
	if c, ok := cfg.(*config.CustomResponse); ok {
		return compile(c)
	}
	return nil
}

func compile(cfg *config.CustomResponse) *plan {
	p := &plan{}
	if cfg.Tree != nil {
		p.tree = tree.New(cfg.Tree)
	}
	for i := range cfg.Policies {
		a := &cfg.Policies[i]
		if a.Redirect != nil {
			p.policies = append(p.policies, policy{redirect: newRedirect(a.Redirect)})
			continue
		}
		l := &local{status: a.Local.Status, body: a.Local.Body}
		if a.Local.Format != nil {
			l.format = format.CompileBody(a.Local.Format, cel.Format)
		}
		l.ops, _ = route.CompileAdditions(a.Local.Headers)
		p.policies = append(p.policies, policy{local: l})
	}
	return p
}

// Serve looks at the answer, or makes the one that a redirect has brought what its
// policy says.
func (f *Filter) Serve(r *filter.Request) {
	if !r.Next() {
		return
	}
	if m, ok := r.Resumed().(*moved); ok {
		m.finish(r)
		return
	}
	f.change(r, true)
}

// Answer looks at an answer whose request never came here: it is not asked for
// elsewhere.
func (f *Filter) Answer(r *filter.Request) {
	if m, ok := r.Resumed().(*moved); ok {
		m.finish(r)
		return
	}
	f.change(r, false)
}

// change does what the most specific tree says that says anything.
func (f *Filter) change(r *filter.Request, asked bool) {
	facts := tree.Facts{View: *r.Look(), Code: r.Status}
	facts.Request = nil // Envoy shows its trees the answer alone
	t := &f.count.On(r.Worker).own
	p := f.plan.find(&facts)
	for _, own := range r.Owns() {
		if q := own.(*plan).find(&facts); q != nil {
			p, t = q, &f.count.On(r.Worker).routes
			break
		}
	}
	switch {
	case p == nil:
	case p.local != nil:
		p.local.answer(r)
	case asked:
		p.redirect.follow(r, t)
	}
}

func (p *plan) find(facts *tree.Facts) *policy {
	if p.tree == nil {
		return nil
	}
	if action, v := p.tree.Match(facts); v == tree.Found {
		return &p.policies[action]
	}
	return nil
}

// answer makes the answer; what went wrong before still did.
func (l *local) answer(r *filter.Request) {
	a := &filter.Reply{Outcome: r.Outcome(), Status: l.status, Body: l.body, Details: r.Details}
	if a.Status == 0 {
		a.Status = r.Status
	}
	if l.format != nil {
		v := r.Look()
		v.Body = l.body
		a.Body = string(l.format.Append(nil, v))
	}
	if len(l.ops) > 0 {
		lines := filter.FieldsOf(&a.Headers)
		r.ApplyTo(l.ops, lines, true)
		if kind, ok := lines.Get("content-type"); ok {
			a.ContentType = string(kind)
			lines.Remove("content-type")
		}
	}
	a.Empty = a.Body == ""
	r.Reply(a)
}

// Stats yields the filter's counters; what routes say counts under no connection
// manager's name.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"custom_response_redirect_no_route", c.own.noRoute)
	yield(f.prefix+"custom_response_invalid_uri", c.own.badURI)
	if c.routes != (tally{}) {
		yield("custom_response_redirect_no_route", c.routes.noRoute)
		yield("custom_response_invalid_uri", c.routes.badURI)
	}
}
