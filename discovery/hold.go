package discovery

// What is used, given what the source says and has said.

import (
	"maps"
	"time"
)

// hold is the state of one service. Reports and the passing of time are its only
// inputs and it starts nothing, so that every path can be tested alone. Only an
// answer of the source takes instances away, or GiveUp: a failure never does,
// not even when an empty answer came before it.
type hold struct {
	options Options // with defaults
	state   State
	doubt   doubt
	count   Counters
}

// doubt is an answer that is not believed yet.
type doubt struct {
	kind    Kind // HeldEmpty or HeldDrop; 0 for no doubt
	set     *Set
	answers int       // of this kind, in a row
	since   time.Time // the first answer of either kind
	last    time.Time
	behind  time.Duration
}

func newHold(options Options, now time.Time) *hold {
	return &hold{options: options.withDefaults(), state: State{Since: now}}
}

// hear takes a report; it reports whether followers have to be told.
func (h *hold) hear(r Report, now time.Time) bool {
	before := h.state
	switch {
	case r.Err != nil:
		h.failed(r.Err, now)
	case len(r.Set.Instances) == 0:
		h.count.Empties++
		h.answered(r, now)
	default:
		h.answered(r, now)
	}
	return h.isNews(before)
}

// pass lets time pass; it reports whether followers have to be told.
func (h *hold) pass(now time.Time) bool {
	if h.state.Until.IsZero() || now.Before(h.state.Until) {
		return false
	}
	before := h.state
	if h.state.Kind == Failed {
		h.outlasted(now)
	} else {
		h.settle(now)
	}
	return h.isNews(before)
}

// isNews: a source that says the same again is not news.
func (h *hold) isNews(before State) bool {
	if h.state.Set != before.Set {
		h.count.Changes++
		return true
	}
	return h.state.Kind != before.Kind
}

func (h *hold) become(k Kind, now, until time.Time) {
	if h.state.Kind != k {
		h.state.Since = now
	}
	h.state.Kind, h.state.Until = k, until
	if k != Failed && k != Expired {
		h.state.Err = nil
	}
}

func (h *hold) failed(err error, now time.Time) {
	if h.count.Failures == nil {
		h.count.Failures = map[string]uint64{}
	}
	h.count.Failures[FailureKind(err)]++
	h.count.LastFailure = now
	isKnown := h.state.Err != nil // Failed, or Expired after it
	h.state.Err = err
	switch {
	case isKnown:
	case h.isHolding():
		h.become(Failed, now, now.Add(h.options.Retention))
	default:
		h.become(Failed, now, time.Time{})
	}
}

// isHolding reports whether there is something to lose.
func (h *hold) isHolding() bool { return h.state.Set != nil && len(h.state.Set.Instances) > 0 }

// outlasted: the source has failed for longer than its set is trusted.
func (h *hold) outlasted(now time.Time) {
	if h.options.GiveUp {
		set, _ := MakeSet("given-up", nil)
		h.state.Set, h.state.Answered, h.state.Behind = set, time.Time{}, 0
		h.doubt = doubt{}
	}
	h.become(Expired, now, time.Time{})
}

func (h *hold) answered(r Report, now time.Time) {
	h.count.Answers++
	h.count.LastAnswer = now
	kind := h.doubts(r.Set)
	if kind == Fresh {
		h.use(r.Set, now, r.Behind)
		h.become(Fresh, now, time.Time{})
		return
	}
	h.count.Doubted++
	d := &h.doubt
	if d.kind == 0 {
		d.since = now
	}
	if d.kind != kind {
		d.answers = 0
	}
	d.kind, d.set, d.last, d.behind = kind, r.Set, now, r.Behind
	d.answers++
	until := d.since.Add(h.options.EmptyRetention)
	if h.options.EmptyRetention < 0 {
		until = d.since.Add(h.options.Retention)
	}
	if !now.Before(until) || kind == HeldDrop && d.answers >= h.options.Confirm {
		h.settle(now)
		return
	}
	h.become(kind, now, until)
}

// doubts says as what an answer is held back: HeldEmpty, HeldDrop or, if it is
// believed, Fresh.
func (h *hold) doubts(set *Set) Kind {
	had := 0
	if h.state.Set != nil {
		had = len(h.state.Set.Instances)
	}
	left := len(set.Instances)
	switch {
	case had == 0, h.options.EmptyRetention < 0 && left == 0:
		return Fresh
	case left == 0:
		return HeldEmpty
	case h.options.MaxDrop > 0 && float64(had-left) > h.options.MaxDrop*float64(had):
		return HeldDrop
	}
	return Fresh
}

// settle believes what was doubted.
func (h *hold) settle(now time.Time) {
	d := h.doubt
	h.use(d.set, d.last, d.behind)
	if d.kind == HeldEmpty {
		h.become(Expired, now, time.Time{})
		h.state.Err = nil
		return
	}
	h.become(Fresh, now, time.Time{})
}

// use keeps the set that it has if the new one is equal.
func (h *hold) use(set *Set, answered time.Time, behind time.Duration) {
	if !h.state.Set.Equal(set) {
		h.state.Set = set
	}
	h.state.Answered, h.state.Behind = answered, behind
	h.doubt = doubt{}
}

// counters is a copy that nobody changes.
func (h *hold) counters() Counters {
	c := h.count
	c.Failures = maps.Clone(c.Failures)
	return c
}
