package server

import "time"

// Events tells of what happens, for metrics and traces. Each may be nil. They
// are called with the server's locks held: they must not call the server, and
// must not wait.
type Events struct {
	// Opened: a stream sent its first request; Closed: it ended.
	Opened, Closed func(Client)
	// Pushed: a response goes out.
	Pushed func(Push)
	// Acked and Nacked: the client answered a response.
	Acked, Nacked func(Answer)
	// Settled: every stream that a publish concerns has answered, or ended.
	Settled func(Settled)
	// Quarantined: a resource was refused and is held back (or, Alone, only from
	// the one node); Released: it is no longer held back, and why.
	Quarantined func(Quarantine)
	Released    func(q Quarantine, why string)
}

// Push is one response.
type Push struct {
	Client  Client
	TypeURL string
	// Version is of the group's whole set of the type.
	Version, Nonce string
	// Generation is the publish whose content it has; see Publish.
	Generation uint64
	Sent       time.Time
	// Resources sent and removed.
	Resources int
}

// Answer is a client's ACK or NACK of a response.
type Answer struct {
	Push
	At time.Time
	// Error is the client's message in a NACK, cut at 1 KiB.
	Error string
}

// Settled is the end of a publish: from Published to At every stream that it
// concerned has had it and answered.
type Settled struct {
	Group      string
	Generation uint64
	Published  time.Time
	At         time.Time
	// Watches is how many streams' types it concerned, or might have.
	Watches int
}

// filled is e with something to call everywhere.
func (e Events) filled() Events {
	fill(&e.Opened, func(Client) {})
	fill(&e.Closed, func(Client) {})
	fill(&e.Pushed, func(Push) {})
	fill(&e.Acked, func(Answer) {})
	fill(&e.Nacked, func(Answer) {})
	fill(&e.Settled, func(Settled) {})
	fill(&e.Quarantined, func(Quarantine) {})
	if e.Released == nil {
		e.Released = func(Quarantine, string) {}
	}
	return e
}

func fill[T any](f *func(T), nothing func(T)) {
	if *f == nil {
		*f = nothing
	}
}
