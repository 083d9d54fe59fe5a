package httpproxy

// Filters that wait, while the client may go and the request's time may end.

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// pause is one wait.
type pause struct {
	waiter loop.Waiter
	timer  loop.Timer
	over   bool // what is waited for has happened
}

// Await runs fn in a coroutine of its own.
func (f *filtered) Await(fn, cancel func()) bool {
	w, p := f.x.w, &pause{}
	w.Go(func() {
		defer func() {
			p.over = true
			p.waiter.Wake(w)
		}()
		fn()
	})
	ok := f.wait(p, 0)
	if !ok && cancel != nil {
		cancel()
	}
	return ok
}

// Sleep waits for d.
func (f *filtered) Sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	return f.wait(&pause{}, f.x.w.Now()+int64(d))
}

// wait waits until p is over or it is until; false if the request is over before.
func (f *filtered) wait(p *pause, until int64) bool {
	x := f.x
	w := x.w
	f.keepAnswer()
	wake := func() { p.waiter.Wake(w) }
	f.pauses = append(f.pauses, p)
	defer func() {
		if i := slices.Index(f.pauses, p); i >= 0 {
			f.pauses = slices.Delete(f.pauses, i, i+1)
		}
	}()
	for !p.over {
		d := x.patience()
		if until != 0 {
			if w.Now() >= until {
				return true
			}
			d = min(d, time.Duration(until-w.Now()))
		}
		w.SetTimer(&p.timer, d, wake)
		p.waiter.Wait(w)
		w.ClearTimer(&p.timer)
		if p.over || until != 0 && w.Now() >= until {
			return true
		}
		if o := f.overdue(); o != outcome.OK {
			f.why = o
			return false
		}
	}
	return true
}

// overdue says whether the request is over.
func (f *filtered) overdue() outcome.Outcome {
	x := f.x
	switch {
	case x.pumpEnd != outcome.OK:
		return x.pumpEnd
	case x.stop:
		return outcome.DownstreamGone
	}
	return x.overdue()
}

// wakeFilters has filters that wait look whether the request is over.
func (x *exchange) wakeFilters() {
	if x.flt != nil {
		x.flt.wake()
	}
	if x.tried != nil {
		x.tried.wake()
	}
}

// wake has those that wait look whether the request is over.
func (f *filtered) wake() {
	for _, p := range f.pauses {
		p.waiter.Wake(f.x.w)
	}
}
