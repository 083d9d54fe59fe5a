// Package demand is the desk at which requests ask for what they lack and a control
// plane may have, and wait:
//
//	request ─▶ Desk.Ask ─▶ Ticket.Wait (its coroutine yields) ─▶ found, or not, or too late
//	               │  those of a worker who want the same wait for one answer
//	               ▼                                   ▲
//	           the client of the control plane ────────┘ posted to the worker
//
// Everything is bounded: what is asked for at once, those that wait, and each wait.
package demand

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Bounds for each worker.
const (
	MaxAsked   = 256  // different things that are waited for at once
	MaxWaiting = 4096 // tickets
)

// Desk is one process's. Ask is for workers; New for any goroutine.
type Desk struct {
	ask func(d config.Demand, done func(found bool))
	per []local
}

// local is the desk as one worker has it.
type local struct {
	asked   map[config.DemandKey]*asked
	waiting int
}

// asked is one thing, and who waits for it.
type asked struct{ tickets []*Ticket }

// New makes a desk for workers whose IDs are below n. ask takes a demand without
// waiting, from any goroutine, and calls done once, from any goroutine, when what was
// asked for is live, or is not to be had; nil: nothing is ever to be had.
func New(n int, ask func(d config.Demand, done func(found bool))) *Desk {
	return &Desk{ask: ask, per: make([]local, max(n, 1))}
}

// Ticket is a wait. Its worker's.
type Ticket struct {
	w     *loop.Worker
	at    *local
	of    *asked
	until int64
	wake  loop.Waiter
	timer loop.Timer
	over  bool
	found bool
	late  bool
}

// Ask asks for d; nil if there is nobody to be asked, or too much is waited for. Worker
// only.
func (k *Desk) Ask(w *loop.Worker, d config.Demand) *Ticket {
	if k == nil || k.ask == nil {
		return nil
	}
	l := &k.per[w.ID]
	if l.waiting >= MaxWaiting {
		return nil
	}
	a := l.asked[d.Key()]
	if a == nil {
		if len(l.asked) >= MaxAsked {
			return nil
		}
		a = &asked{}
		if l.asked == nil {
			l.asked = map[config.DemandKey]*asked{}
		}
		l.asked[d.Key()] = a
		k.ask(d, func(found bool) { w.Post(func() { l.answered(d.Key(), a, found) }) })
	}
	t := &Ticket{w: w, at: l, of: a, until: w.Now() + int64(d.Timeout)}
	a.tickets = append(a.tickets, t)
	l.waiting++
	return t
}

// answered wakes those that wait.
func (l *local) answered(key config.DemandKey, a *asked, found bool) {
	if l.asked[key] == a {
		delete(l.asked, key)
	}
	for _, t := range a.tickets {
		t.end(found)
	}
	a.tickets = nil
}

func (t *Ticket) end(found bool) {
	if t.over {
		return
	}
	t.over, t.found = true, found
	t.at.waiting--
	t.wake.Wake(t.w)
}

// Wait waits until what was asked for is live (true), is not to be had, or is not
// waited for any longer. For coroutines only, once.
func (t *Ticket) Wait() (found bool) {
	for !t.over {
		left := time.Duration(t.until - t.w.Now())
		if left <= 0 {
			t.late = true
			t.Cancel()
			break
		}
		t.w.SetTimer(&t.timer, left, func() { t.wake.Wake(t.w) })
		t.wake.Wait(t.w)
	}
	t.w.ClearTimer(&t.timer)
	return t.found
}

// Found and Late say how the wait has ended.
func (t *Ticket) Found() bool { return t.found }

// Late is Found's other half: it was too long.
func (t *Ticket) Late() bool { return t.late }

// Cancel ends the wait. Worker only.
func (t *Ticket) Cancel() {
	if t.over {
		return
	}
	if i := slices.Index(t.of.tickets, t); i >= 0 {
		t.of.tickets = slices.Delete(t.of.tickets, i, i+1)
	}
	t.end(false)
}
