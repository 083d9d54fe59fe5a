package server

import (
	"maps"
	"slices"
	"time"
)

// absent stands for a version in known: the client was told that there is no
// such resource. No hash looks like it.
const absent = "-"

// maxFlight is how many responses of one type may wait for an ACK; a client
// that changes its subscription without ever answering gets no more.
const maxFlight = 4

// watch is one type on one stream: what the client asks for, what it has, and
// what is on the way to it. The stream's lock guards it.
//
//	open ──something to send──▶ queued ──go-control-plane takes it──▶ in flight
//	  ▲                                                                  │
//	  └────────────── next request of this type (ACK, NACK) ─────────────┘
type watch struct {
	typeURL string
	sotw    bool
	want    interest
	// known is what the client has: version by name. It is read and written
	// under the stream's lock, unlike go-control-plane's own record.
	known map[string]string

	// generation is what known was last compared with; all: compare everything;
	// recheck: these names besides what changed since.
	generation uint64
	all        bool
	recheck    []string

	owes   bool         // the first request is always answered
	open   bool         // go-control-plane waits for a response
	queued bool         // one is in its channel
	put    func() error // puts one there
	flight []*sent
	// refused is what this client refused, by name, newest last.
	refused map[string][]refusal
	// keeps: a state-of-the-world client that came with a version, so it may
	// have what this server never sent it, and to leave a resource out of a
	// response would remove that.
	keeps bool

	owed   []*settlement
	status TypeStatus
}

// refusal is one version that a client refused, and why.
type refusal struct {
	version, reason string
	at              time.Time
}

// item is one resource of a response.
type item struct {
	name   string
	entry  *entry // nil: removed
	before string // the version that the client had; empty for none
}

// sent is a response that waits for its ACK.
type sent struct {
	nonce, version string
	generation     uint64
	items          []item
	at             time.Time
}

// step is one difference between what a client has and what it should have.
type step struct {
	name  string
	entry *entry // nil: there is none
}

// view is one moment of a group as one stream sees it.
type view struct {
	now      *generation
	audience *audience
}

// differences are what w's client lacks of v, sorted by name; with first set it
// stops at one. The work is in proportion to what changed since w's generation.
func (w *watch) differences(v view, first bool) (steps []step) {
	set := v.now.set(w.typeURL)
	names, ok := v.now.since(w.generation, w.typeURL)
	if w.all || !ok {
		names = w.everything(set)
	} else if len(w.recheck) > 0 {
		names = merge(names, sorted(w.recheck))
	}
	for _, name := range names {
		if s, differs := w.compare(v, set.byName[name], name); differs {
			steps = append(steps, s)
			if first {
				break
			}
		}
	}
	return steps
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// everything is each name that may differ.
func (w *watch) everything(s *set) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(w.known)), maps.Keys(w.want.names))
	if w.want.all || len(w.want.globs) > 0 {
		names = slices.AppendSeq(names, maps.Keys(s.byName))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// compare reports whether the client has to be told something of a name.
func (w *watch) compare(v view, current *entry, name string) (step, bool) {
	if !w.want.covers(name) {
		return step{}, false
	}
	known, told := w.known[name]
	e, withheld := w.pick(v, current)
	switch {
	case e != nil:
		return step{name, e}, known != e.Version
	case withheld && told:
		return step{}, false // it keeps what it has
	case told:
		return step{name: name}, known != absent
	default:
		return step{name: name}, w.want.asks(name) && !v.now.set(w.typeURL).collected(name)
	}
}

// pick is what w's client gets of a resource: current, what stands in for it
// while it is in quarantine, or nothing.
func (w *watch) pick(v view, current *entry) (e *entry, withheld bool) {
	if current == nil {
		return nil, false
	}
	good, held := v.audience.withheld(w.typeURL, current)
	switch {
	case w.refusalOf(current) != nil:
		good = v.audience.lastGood(w.typeURL, current)
	case !held || w.known[current.Name] == current.Version:
		return current, false
	}
	if good != nil && w.refusalOf(good) != nil {
		good = nil
	}
	if good == nil && w.keeps {
		return current, false // see keeps
	}
	return good, true
}

// matters reports whether the steps are worth a response. State of the world
// cannot say that a resource of most types does not exist.
func (w *watch) matters(steps []step) bool {
	if w.sotw && !carriesAll(w.typeURL) {
		return slices.ContainsFunc(steps, func(s step) bool { return s.entry != nil })
	}
	return len(steps) > 0
}

// caughtUp: known has been compared with the generation.
func (w *watch) caughtUp(number uint64) {
	w.generation, w.all, w.recheck = number, false, nil
}

// apply records that the client is being told steps, and gives them as items.
func (w *watch) apply(steps []step) []item {
	items := make([]item, 0, len(steps))
	for _, s := range steps {
		it := item{name: s.name, entry: s.entry, before: w.known[s.name]}
		w.record(s)
		items = append(items, it)
	}
	return items
}

func (w *watch) record(s step) {
	switch {
	case s.entry != nil:
		w.known[s.name] = s.entry.Version
	case w.want.asks(s.name):
		w.known[s.name] = absent
	default:
		delete(w.known, s.name)
		delete(w.refused, s.name)
	}
}

// takeBack undoes what apply recorded of an item, unless something newer was
// sent since.
func (w *watch) takeBack(it item) {
	version := "" // what record left
	switch {
	case it.entry != nil:
		version = it.entry.Version
	case w.want.asks(it.name):
		version = absent
	}
	if w.known[it.name] != version || !w.want.covers(it.name) {
		return
	}
	if it.before == "" {
		delete(w.known, it.name)
	} else {
		w.known[it.name] = it.before
	}
	w.recheck = append(w.recheck, it.name)
}

// answered finds the response that a request's nonce answers and takes it, and
// in state of the world every one before it, off the flight; nil if there is
// none.
func (w *watch) answered(nonce string) *sent {
	if nonce == "" {
		return nil
	}
	i := slices.IndexFunc(w.flight, func(s *sent) bool { return s.nonce == nonce })
	if i < 0 {
		return nil
	}
	found, from := w.flight[i], i
	if w.sotw {
		from = 0
	}
	w.flight = slices.Delete(w.flight, from, i+1)
	return found
}

// refuse remembers that the client refused an entry.
func (w *watch) refuse(e *entry, reason string, at time.Time) {
	if w.refused == nil {
		w.refused = map[string][]refusal{}
	}
	if w.refusalOf(e) == nil {
		old := w.refused[e.Name]
		w.refused[e.Name] = append(old[max(0, len(old)-maxFlight):], refusal{e.Version, reason, at})
	}
}

// refusalOf is the client's refusal of an entry, nil if it did not.
func (w *watch) refusalOf(e *entry) *refusal {
	for i, r := range w.refused[e.Name] {
		if r.version == e.Version {
			return &w.refused[e.Name][i]
		}
	}
	return nil
}
