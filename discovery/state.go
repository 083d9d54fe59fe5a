package discovery

// What the catalog says of a service.

import "time"

// State is a service as it is used now, and how far that can be trusted. It is
// a value; Set is shared and immutable.
type State struct {
	// Set is what to use; nil only as long as the source has never answered. As
	// long as its content is the same it is the same pointer.
	Set *Set
	// Kind says why Set is what it is.
	Kind Kind
	// Answered is when the source last answered with Set (or with an equal one);
	// the zero time if Set is not the source's.
	Answered time.Time
	// Behind is how old that answer already was when it came.
	Behind time.Duration
	// Err is the source's last failure while Kind is Failed, or Expired after it.
	Err error
	// Since is when Kind became what it is.
	Since time.Time
	// Until is when what is held expires; the zero time if nothing is held.
	Until time.Time
}

// Age is how old what is used is at now; 0 without an answer.
func (s State) Age(now time.Time) time.Duration {
	if s.Answered.IsZero() {
		return 0
	}
	return now.Sub(s.Answered) + s.Behind
}

// Kind says where a State's set comes from.
type Kind uint8

// The kinds of state.
//
//	Waiting ─▶ Fresh ◀─▶ HeldEmpty ─ EmptyRetention ─▶ Expired (empty)
//	   │        ▲ ▲ ◀──▶ HeldDrop  ─ confirmed ──────▶ Fresh
//	   └────────┼─┴────▶ Failed    ─ Retention ──────▶ Expired (in use, or empty with GiveUp)
//	            └─────── Expired: the next answer
const (
	// Waiting: no answer yet.
	Waiting Kind = iota
	// Fresh: the source's own last word.
	Fresh
	// HeldEmpty: the source says that there is no instance; the set before is
	// held on to for the retention time.
	HeldEmpty
	// Failed: the source cannot answer; the last set is held on to. Without one,
	// Set is nil.
	Failed
	// Expired: what was held got too old. After HeldEmpty the set is now empty;
	// after Failed it stays in use unless the source is configured to give it up.
	Expired
	// HeldDrop: the source says that many instances are gone at once; the set
	// before is held on to until that is confirmed.
	HeldDrop
)

var kindNames = [...]string{"waiting", "fresh", "held-empty", "failed", "expired", "held-drop"}

// String is the kind as status pages and metrics write it.
func (k Kind) String() string { return kindNames[k] }

// Synced reports whether the first answer has come or the source has said that
// it cannot give one.
func (s State) Synced() bool { return s.Kind != Waiting }
