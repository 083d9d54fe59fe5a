// Package headermutation is the filter that changes headers, trailers and query
// parameters (Envoy source/extensions/filters/http/header_mutation/header_mutation.cc).
package headermutation

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct {
	main         *mutations
	specificLast bool
}

// mutations are those of one level.
type mutations struct {
	request, response, requestTrailers, responseTrailers []route.Mutation
	query                                                []config.QueryMutation
}

// New compiles it.
func New(cfg *config.HeaderMutationFilter) *Filter {
	return &Filter{main: compile(&cfg.Mutations), specificLast: cfg.MostSpecificWins}
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if m, ok := cfg.(*config.Mutations); ok {
		return compile(m)
	}
	return nil
}

func compile(m *config.Mutations) *mutations {
	return &mutations{
		request: route.CompileMutations(m.Request), response: route.CompileMutations(m.Response),
		requestTrailers: route.CompileMutations(m.RequestTrailers), responseTrailers: route.CompileMutations(m.ResponseTrailers),
		query: m.Query,
	}
}

// levels are the filter's mutations and then those of the route's levels.
func (f *Filter) levels(r *filter.Request) []*mutations {
	owns := r.Owns() // most specific first
	all := append(make([]*mutations, 0, len(owns)+1), f.main)
	for i := range owns {
		if f.specificLast {
			i = len(owns) - 1 - i
		}
		all = append(all, owns[i].(*mutations))
	}
	return all
}

// Serve changes the request and its answer.
func (f *Filter) Serve(r *filter.Request) {
	levels, trailers := f.levels(r), false
	for _, m := range levels {
		apply(m.request, r.Headers, r.Apply)
		m.changeQuery(r)
		trailers = trailers || len(m.requestTrailers) > 0
	}
	if trailers {
		if b := r.Body(); b != nil {
			r.SetBody(&ending{b, r, levels, false}, filter.Same)
		}
	}
	if r.Next() {
		f.Answer(r)
	}
}

// Answer changes an answer.
func (f *Filter) Answer(r *filter.Request) {
	levels, trailers := f.levels(r), false
	for _, m := range levels {
		apply(m.response, r.AnswerHeaders, r.ApplyAnswer)
		trailers = trailers || len(m.responseTrailers) > 0
	}
	if trailers {
		if b := r.AnswerBody(); b != nil {
			r.SetAnswerBody(&ending{b, r, levels, true}, filter.Same)
		}
	}
}

func apply(all []route.Mutation, lines filter.Fields, run func([]route.Op)) {
	for i := range all {
		m := &all[i]
		if m.Gone == nil {
			run(m.Ops)
			continue
		}
		lines.RemoveIf(m.Takes)
	}
}

// ending is a body whose trailers are changed when they are there.
type ending struct {
	filter.Body
	r      *filter.Request
	levels []*mutations
	answer bool
}

// Next passes on what comes.
func (e *ending) Next() (piece []byte, last bool, err error) {
	piece, last, err = e.Body.Next()
	if err != nil || !last {
		return piece, last, err
	}
	lines := e.r.Trailers
	if e.answer {
		lines = e.r.AnswerTrailers
	}
	if lines.Len() == 0 {
		return piece, last, err // there are no trailers to change
	}
	for _, m := range e.levels {
		all := m.requestTrailers
		if e.answer {
			all = m.responseTrailers
		}
		apply(all, lines, func(ops []route.Op) { e.r.ApplyTo(ops, lines, e.answer) })
	}
	return piece, last, err
}

func (m *mutations) changeQuery(r *filter.Request) {
	if len(m.query) == 0 || len(r.View.Path) == 0 {
		return
	}
	q := filter.ParseQuery(r.View.Path)
	for i := range m.query {
		c := &m.query[i]
		_, there := q.Get(c.Key)
		switch {
		case c.Remove != "":
			q.Remove(c.Remove)
		case c.Append == config.AppendOrAdd, c.Append == config.AddIfAbsent && !there:
			q.Add(c.Key, c.Value)
		case c.Append == config.OverwriteOrAdd, c.Append == config.OverwriteIfExists && there:
			q.Overwrite(c.Key, c.Value)
		}
	}
	r.View.Path = q.Replace(r.View.Path)
}
