package discovery

// The goroutine behind a followed service.

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watch is one service that is followed. Its goroutine alone moves the state
// and calls followers; Catalog.mu guards who they are.
type watch struct {
	catalog   *Catalog
	service   Service
	followers map[*follower]bool // true: not told anything yet
	nudged    chan struct{}      // somebody came or left

	mu   sync.Mutex // guards hold: written by run, read by status
	hold *hold
}

// follower is one call of Follow.
type follower struct{ changed func(State) }

// start begins to watch. Under Catalog.mu.
func (c *Catalog) start(service Service) *watch {
	mount := c.sources[service.Source]
	w := &watch{
		catalog: c, service: service,
		followers: map[*follower]bool{}, nudged: make(chan struct{}, 1),
		hold: newHold(mount.Options, time.Now()),
	}
	source := mount.Source
	if err := c.Check(service); err != nil {
		source = refusal{err}
	}
	c.watches[service] = w
	c.running.Go(func() { w.run(source) })
	return w
}

// refusal is the source of what no source can answer.
type refusal struct{ err error }

func (r refusal) Watch(ctx context.Context, _ Service, report func(Report)) {
	report(Report{Err: r.err})
	<-ctx.Done()
}

func (w *watch) nudge() {
	select {
	case w.nudged <- struct{}{}:
	default:
	}
}

// run lets the source talk, time pass and followers come and go, until nobody
// has followed for a while.
func (w *watch) run(source Source) {
	ctx, cancel := context.WithCancel(w.catalog.ctx)
	reports, ended := w.listen(ctx, source)
	defer func() { cancel(); <-ended }()
	alarm := time.NewTimer(linger)
	defer alarm.Stop()
	var alone time.Time // since when nobody follows
	for {
		resetTo(alarm, w.nextTime(alone))
		select {
		case <-ctx.Done():
			return
		case r := <-reports:
			w.tell(func(h *hold) bool { return h.hear(r, time.Now()) })
		case <-alarm.C:
			if w.endIfAlone(alone) {
				return
			}
			w.tell(func(h *hold) bool { return h.pass(time.Now()) })
		case <-w.nudged:
			alone = w.sinceAlone(alone)
			w.tell(func(*hold) bool { return false })
		}
	}
}

// listen runs the source's Watch in a goroutine that waits until each report
// is taken.
func (w *watch) listen(ctx context.Context, source Source) (<-chan Report, <-chan struct{}) {
	reports, ended := make(chan Report), make(chan struct{})
	go func() {
		defer close(ended)
		source.Watch(ctx, w.service, func(r Report) {
			if (r.Set == nil) == (r.Err == nil) {
				panic(fmt.Sprintf("discovery: source of %s reports neither or both of a set and an error", w.service))
			}
			select {
			case reports <- r:
			case <-ctx.Done():
			}
		})
		if ctx.Err() == nil {
			panic(fmt.Sprintf("discovery: source of %s stopped watching unasked", w.service))
		}
	}()
	return reports, ended
}

// resetTo rings the alarm at the time at, or not at all if it is zero.
func resetTo(alarm *time.Timer, at time.Time) {
	if at.IsZero() {
		alarm.Stop()
		return
	}
	alarm.Reset(time.Until(at))
}

// nextTime is when time alone changes something: what is held expires, or the
// watch ends.
func (w *watch) nextTime(alone time.Time) time.Time {
	next := w.hold.state.Until
	if alone.IsZero() {
		return next
	}
	if end := alone.Add(linger); next.IsZero() || end.Before(next) {
		next = end
	}
	return next
}

func (w *watch) sinceAlone(before time.Time) time.Time {
	w.catalog.mu.Lock()
	defer w.catalog.mu.Unlock()
	switch {
	case len(w.followers) > 0:
		return time.Time{}
	case before.IsZero():
		return time.Now()
	}
	return before
}

// endIfAlone takes the watch out of the catalog if its time is over and nobody
// has come back meanwhile.
func (w *watch) endIfAlone(alone time.Time) bool {
	if alone.IsZero() || time.Since(alone) < linger {
		return false
	}
	w.catalog.mu.Lock()
	defer w.catalog.mu.Unlock()
	if len(w.followers) > 0 {
		return false
	}
	delete(w.catalog.watches, w.service)
	return true
}

// tell moves the state, and calls every follower if that is news, else those
// that have been told nothing.
func (w *watch) tell(move func(*hold) (news bool)) {
	w.mu.Lock()
	news := move(w.hold)
	state := w.hold.state
	w.mu.Unlock()
	if !state.Synced() {
		return
	}
	for _, f := range w.toTell(news) {
		if w.isFollower(f) {
			f.changed(state)
		}
	}
}

func (w *watch) toTell(all bool) []*follower {
	w.catalog.mu.Lock()
	defer w.catalog.mu.Unlock()
	var fs []*follower
	for f, fresh := range w.followers {
		if all || fresh {
			fs = append(fs, f)
			w.followers[f] = false
		}
	}
	return fs
}

// isFollower: another follower's call may have stopped this one.
func (w *watch) isFollower(f *follower) bool {
	w.catalog.mu.Lock()
	defer w.catalog.mu.Unlock()
	_, ok := w.followers[f]
	return ok
}

// status is under Catalog.mu.
func (w *watch) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{w.service, w.hold.state, len(w.followers), w.hold.counters()}
}
