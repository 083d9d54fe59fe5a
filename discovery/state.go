package discovery

// What the catalog says of a service.

import "time"

// State is a service as it is used now, and how far that can be trusted. It is
// a value; Set is shared and immutable.
type State struct {
	// Set is what to use; nil before the first answer and after Expired.
	Set *Set
	// Kind says why Set is what it is.
	Kind Kind
	// Answered is when the source last answered with Set (or with an equal one);
	// the age of what is used is the time since, plus Behind.
	Answered time.Time
	Behind   time.Duration
	// Err is the source's last failure while Kind is Failed or Expired.
	Err error
	// Since is when Kind became what it is.
	Since time.Time
}

// Kind says where a State's set comes from.
type Kind uint8

// The kinds of state. Held sets are given up after the retention time (default
// 10 minutes): Failed and HeldEmpty become Expired.
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
)

var kindNames = [...]string{"waiting", "fresh", "held-empty", "failed", "expired"}

// String is the kind as status pages and metrics write it.
func (k Kind) String() string { return kindNames[k] }

// Synced reports whether the first answer has come or the source has said that
// it cannot give one.
func (s State) Synced() bool { return s.Kind != Waiting }
