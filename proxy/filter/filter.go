// Package filter is the contract between the HTTP room and its filters: what a
// filter is, how a chain is put together, and what a filter may do to a request
// and to its answer.
//
// A request is a coroutine, so a filter is code that runs from top to bottom. It
// works on the request, calls Next, which is everything behind it up to the head
// of an answer, and then works on the answer:
//
//	client ─▶ first ──Next──▶ second ──Next──▶ third ──Next──▶ route, host
//	                                                             │
//	client ◀─ first ◀──────── second ◀──────── third ◀────── head of the answer
//
// What it needs to remember between the two is a local variable. It may wait
// anywhere: its worker goes on with others. It answers by itself by calling Reply
// instead of Next, and it may send requests of its own, several if it likes, and
// make its answer of theirs.
//
// Bodies flow after the heads, through readers: a filter that changes one puts
// its reader around the one that was there (body.go).
package filter

import (
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/demand"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Filter is a filter of a chain, compiled: immutable and shared by all workers,
// but for what it keeps for each worker (PerWorker).
type Filter interface {
	// Serve is the filter's part of one request. It must call either r.Next or
	// r.Reply; where Next is false it must return at once. In a coroutine of the
	// request's worker.
	Serve(r *Request)
}

// Unconfigured is a filter whose configuration has not come: what it sees is answered 500
// (Envoy common/http/filter_chain_helper.h, MissingConfigFilter).
type Unconfigured struct{}

// Serve answers.
func (Unconfigured) Serve(r *Request) { r.Reply(&Reply{Outcome: outcome.NoFilterConfig}) }

// Answerer is a Filter that works on answers even if it has not seen their
// requests: Envoy shows an answer that a filter makes to all filters, those
// behind that one included (FilterManager::commonEncodePrefix), and so it does
// with what the connection manager refuses.
type Answerer interface {
	Filter
	// Answer works on an answer that was made before the request came to the
	// filter. Serve is not called.
	Answer(r *Request)
}

// Counter is a Filter that has statistics.
type Counter interface {
	// Stats yields what worker w has counted, under the full names. On w only.
	Stats(w *loop.Worker, yield func(name string, v uint64))
}

// Looker is a Filter that asks more of what is known of a request than the head of the
// message that it works on.
type Looker interface {
	// Needs says what is to be noted for it.
	Needs() format.Needs
}

// Living is a Filter that does something between requests, too.
type Living interface {
	Filter
	// Begin is called once the chain is live, Quit when nothing is left that may pass it, on
	// each worker. On w only; they must not wait.
	Begin(w *loop.Worker)
	Quit(w *loop.Worker)
}

// Ender hears of the end of a request.
type Ender interface {
	// End is called once, when everything of the answer is sent or nothing more
	// will be, or when the request's coroutine has panicked. It must not wait.
	End(r *Request, o outcome.Outcome)
}

// Env is what filters are compiled with.
type Env struct {
	// Prefix is how the names of the connection manager's statistics begin,
	// "http.<stat_prefix>.".
	Prefix string
	// Workers is how many workers there are: IDs are below it.
	Workers int
	// Cluster gives the living cluster of a name, nil if there is none. Any
	// goroutine.
	Cluster func(name string) *upstream.Cluster
	// Failed says that the process is to fail its health checks. Any goroutine.
	Failed func() bool
	// Desk is where is asked for what a control plane may have; nil: nowhere.
	Desk *demand.Desk
	// Wall is the wall clock.
	Wall func() time.Time
}

// Place is a filter's place in a chain.
type Place struct {
	// Name is what routes call the filter by.
	Name   string
	Filter Filter
	// Disabled says that the filter is left out unless a route enables it.
	Disabled bool
	// Own compiles what a route, or something above it, says of the filter, for
	// Request.Own; nil for a filter that routes cannot configure. It gives nil for
	// a value that is not meant for this kind of filter.
	Own func(cfg any) any
}

// Chain is a connection manager's filters in the order in which requests pass
// them, without the router. Immutable.
type Chain struct {
	places    []Place
	answerers []Answerer // by place; nil where the filter is none
	plain     []setting  // where no route says anything
	unbound   *Bound     // the chain with that alone
	needs     format.Needs
	living    []Living // those of the places that live
}

// setting is how one place is set for a route.
type setting struct {
	on  bool
	own []any // of all levels, most specific first
	// around is what is said of a filter around this one, and not for this one.
	around Around
}

// Around is what a Place.Own gives for a filter that is put around another.
type Around interface{ Around() }

// NewChain makes a chain; nil if there are no places.
func NewChain(places []Place) *Chain {
	if len(places) == 0 {
		return nil
	}
	c := &Chain{places: places, answerers: make([]Answerer, len(places)), plain: make([]setting, len(places))}
	for i := range places {
		c.answerers[i], _ = places[i].Filter.(Answerer)
		c.plain[i].on = !places[i].Disabled
		if l, ok := places[i].Filter.(Looker); ok {
			c.needs |= l.Needs()
		}
		if l, ok := places[i].Filter.(Living); ok {
			c.living = append(c.living, l)
		}
	}
	c.unbound = &Bound{chain: c}
	return c
}

// Unbound is the chain where no route says anything of its filters.
func (c *Chain) Unbound() *Bound { return c.unbound }

// Place gives place i, as it was compiled; false if there is none. nil has none.
func (c *Chain) Place(i int) (Place, bool) {
	if c == nil || i >= len(c.places) {
		return Place{}, false
	}
	return c.places[i], true
}

// Counters yields the filters that have statistics; nil has none.
func (c *Chain) Counters(yield func(Counter) bool) {
	if c == nil {
		return
	}
	for i := range c.places {
		if f, ok := c.places[i].Filter.(Counter); ok && !yield(f) {
			return
		}
	}
}

// Living gives the filters that live; nil has none.
func (c *Chain) Living() []Living {
	if c == nil {
		return nil
	}
	return c.living
}

// Needs is what is to be noted of requests for the chain's filters; nil needs nothing.
func (c *Chain) Needs() format.Needs {
	if c == nil {
		return 0
	}
	return c.needs
}

// Stats yields what worker w has counted in all filters. On w only.
func (c *Chain) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	for i := range c.places {
		if f, ok := c.places[i].Filter.(Counter); ok {
			f.Stats(w, yield)
		}
	}
}

// Bound is a chain with what the routes of one table say of it, so that no name
// is looked up while a request passes. Immutable.
type Bound struct {
	chain *Chain
	sets  [][]setting
}

// Bind binds the chain to a table: overrides[i] are the levels that route i's
// settings come from, most specific first.
func (c *Chain) Bind(overrides [][][]config.FilterOverride) *Bound {
	b := &Bound{chain: c, sets: make([][]setting, len(overrides))}
	for i, levels := range overrides {
		b.sets[i] = c.settings(levels)
	}
	return b
}

// settings sets each place as the levels say: the most specific one that names a
// filter says whether it is on (RouteEntryImplBase::filterDisabled).
func (c *Chain) settings(levels [][]config.FilterOverride) []setting {
	all := make([]setting, len(c.places))
	for i := range c.places {
		p, s := &c.places[i], &all[i]
		s.on = !p.Disabled
		said := false
		for _, level := range levels {
			for j := range level {
				o := &level[j]
				if o.Name != p.Name {
					continue
				}
				if !said {
					s.on, said = !o.Disabled, true
				}
				if o.Config == nil || p.Own == nil {
					continue
				}
				own := p.Own(o.Config)
				if a, ok := own.(Around); ok {
					if s.around == nil {
						s.around = a
					}
					continue
				}
				if own != nil {
					s.own = append(s.own, own)
				}
			}
		}
	}
	return all
}

// Answers says whether any filter of the chain is an Answerer.
func (b *Bound) Answers() bool {
	for _, a := range b.chain.answerers {
		if a != nil {
			return true
		}
	}
	return false
}

// set gives the settings of a route: those of overrides[i]; -1: plain.
func (b *Bound) set(i int) []setting {
	if i < 0 || i >= len(b.sets) {
		return b.chain.plain
	}
	return b.sets[i]
}

// PerWorker is one T for each worker, made when it is first asked for. A filter
// keeps its counters, and whatever else a worker owns, in one.
type PerWorker[T any] struct{ all []*T }

// NewPerWorker makes it for workers whose IDs are below n.
func NewPerWorker[T any](n int) PerWorker[T] { return PerWorker[T]{make([]*T, max(n, 1))} }

// On gives worker w's own. On w only.
func (p PerWorker[T]) On(w *loop.Worker) *T {
	t := p.all[w.ID]
	if t == nil {
		t = new(T)
		p.all[w.ID] = t
	}
	return t
}
