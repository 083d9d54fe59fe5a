package server

import (
	"slices"
	"sync/atomic"
)

// maxOwed is how many publishes a watch may owe an answer for; the oldest is
// given up.
const maxOwed = 256

// settlement counts the watches that have not yet answered for a publish.
type settlement struct {
	Settled
	server  *Server
	waiting atomic.Int64
	watches atomic.Int64
}

func (s *settlement) done() {
	if s.waiting.Add(-1) == 0 {
		s.Settled.At, s.Settled.Watches = s.server.now(), int(s.watches.Load())
		s.server.events.Settled(s.Settled)
	}
}

// owe: s waits for w until it answers, or turns out to lack nothing.
func (w *watch) owe(s *settlement) {
	if len(w.owed) >= maxOwed {
		w.owed[0].done()
		w.owed = slices.Delete(w.owed, 0, 1)
	}
	s.waiting.Add(1)
	s.watches.Add(1)
	w.owed = append(w.owed, s)
}

// settle ends the wait of every publish up to a generation.
func (w *watch) settle(number uint64) {
	w.owed = slices.DeleteFunc(w.owed, func(s *settlement) bool {
		if s.Generation <= number {
			s.done()
		}
		return s.Generation <= number
	})
	if len(w.owed) == 0 {
		w.owed = nil
	}
}

// settleAll ends every wait: the stream is over.
func (w *watch) settleAll() {
	for _, s := range w.owed {
		s.done()
	}
	w.owed = nil
}
