// Package matched is the filter around a filter: a tree says of each request whether it runs, and gives the composite
// filter others to run (Envoy source/extensions/filters/http/match_delegate, http/composite).
//
//	head ──▶ tree ──┬─ nothing ──▶ the filter
//	                ├─ skip ─────▶ past it
//	                ├─ filters ──▶ those, in the composite filter's place
//	                └─ not known yet ──▶ the filter; asked again when the answer's head is there
package matched

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Plan is a tree and what it leads to. Immutable; any goroutine.
type Plan struct {
	Tree    *tree.Tree // nil: skip
	Actions []Action
}

// Around marks it as what a route says of this filter, and not of the one inside.
func (*Plan) Around() {}

// Action is a compiled config.MatchedAction.
type Action struct {
	Skip    bool
	Name    string
	Filters []filter.Filter
	Share   *config.Fraction
}

// Filter is the filter of one chain.
type Filter struct {
	name  string
	inner filter.Filter // nil: the composite filter
	plan  *Plan
}

// New puts a tree around a filter; name is that of its place.
func New(name string, inner filter.Filter, plan *Plan) *Filter {
	if _, ok := inner.(Composite); ok {
		inner = nil
	}
	return &Filter{name, inner, plan}
}

// Composite is the composite filter without a tree: it does nothing.
type Composite struct{}

// Serve goes on.
func (Composite) Serve(r *filter.Request) { r.Next() }

// planFor is the route's tree, if it has one.
func (f *Filter) planFor(r *filter.Request) *Plan {
	if p, ok := r.Around().(*Plan); ok {
		return p
	}
	return f.plan
}

// Serve asks the tree.
func (f *Filter) Serve(r *filter.Request) {
	p := f.planFor(r)
	if p.Tree == nil {
		r.Next()
		return
	}
	facts := tree.Facts{View: *r.Look()}
	action, v := p.Tree.Match(&facts)
	switch {
	case v == tree.Found:
		f.act(r, &p.Actions[action])
	case f.inner == nil:
		if r.Next() && v == tree.Unknown {
			f.late(r, p)
		}
	case v == tree.Unknown:
		r.Gate(func(r *filter.Request) bool { return !p.skips(r) })
		f.inner.Serve(r)
	default:
		f.inner.Serve(r)
	}
}

// act does what a match at the request's head asks for.
func (f *Filter) act(r *filter.Request, a *Action) {
	switch {
	case f.inner == nil && !a.Skip && a.drawn(r):
		f.note(r, a)
		r.Through(a.Filters)
	case f.inner == nil || a.Skip:
		r.Next()
	default:
		f.inner.Serve(r)
	}
}

func (a *Action) drawn(r *filter.Request) bool {
	return a.Share == nil || filter.Chosen(a.Share, r.Worker.Rand())
}

// note leaves the action's name for others (MatchedActionInfo).
func (f *Filter) note(r *filter.Request, a *Action) {
	const key = "envoy.extensions.filters.http.composite.matched_actions"
	fields := map[string]config.Value{}
	if o := r.Info.State.Get(key); o != nil {
		for name, v := range o.Fields.Fields {
			fields[name] = v
		}
	}
	fields[f.name] = config.Value{Kind: config.ValueText, Text: a.Name}
	all := config.Value{Kind: config.ValueStruct, Fields: fields}
	// Nobody else sets the object, and it is not read-only.
	_ = r.Info.State.Set(streaminfo.Object{Name: key, Text: string(all.AppendJSON(nil)), Fields: all})
}

// answer asks the tree when the head of an answer is there.
func (p *Plan) answer(r *filter.Request) (*Action, bool) {
	facts := tree.Facts{View: *r.Look(), Code: r.Status}
	action, v := p.Tree.Match(&facts)
	if v != tree.Found {
		return nil, false
	}
	return &p.Actions[action], true
}

func (p *Plan) skips(r *filter.Request) bool {
	a, ok := p.answer(r)
	return ok && a.Skip
}

// late runs what a match at the answer's head asks for: of filters that have not seen the request, those that do not
// need to have.
func (f *Filter) late(r *filter.Request, p *Plan) {
	a, ok := p.answer(r)
	if !ok || a.Skip || !a.drawn(r) {
		return
	}
	f.note(r, a)
	for i := len(a.Filters) - 1; i >= 0; i-- {
		if x, ok := a.Filters[i].(filter.Answerer); ok {
			x.Answer(r)
		}
	}
}

// Answer lets the filter see an answer whose request it has not.
func (f *Filter) Answer(r *filter.Request) {
	p := f.planFor(r)
	x, ok := f.inner.(filter.Answerer)
	switch {
	case p.Tree == nil:
	case f.inner == nil:
		f.late(r, p)
	case ok && !p.skips(r):
		x.Answer(r)
	}
}

// Begin tells the filter inside, if that lives.
func (f *Filter) Begin(w *loop.Worker) {
	if l, ok := f.inner.(filter.Living); ok {
		l.Begin(w)
	}
}

// Quit is Begin's end.
func (f *Filter) Quit(w *loop.Worker) {
	if l, ok := f.inner.(filter.Living); ok {
		l.Quit(w)
	}
}

// Stats are those of the filter, and of all that may take its place.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	all := []filter.Filter{f.inner}
	for i := range f.plan.Actions {
		all = append(all, f.plan.Actions[i].Filters...)
	}
	for _, x := range all {
		if c, ok := x.(filter.Counter); ok {
			c.Stats(w, yield)
		}
	}
}
