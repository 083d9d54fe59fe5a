package kube

// One service on its way to who asked for it.

import (
	"context"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// watch is one Watch. Its own goroutine has all but wake.
type watch struct {
	source *Source
	feed   *feed
	ref    *reference
	report func(discovery.Report)
	wake   chan struct{}

	last   *discovery.Set
	waited bool // a set that lost a healthy instance was not believed at once
}

// poke tells the watch to look again. Any goroutine.
func (w *watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been told
	}
}

// run reports until ctx is done.
func (w *watch) run(ctx context.Context) {
	if !w.listed(ctx) {
		return
	}
	for {
		again := w.look()
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			if !sleep(ctx, w.source.conf.Settle) {
				return
			}
			select { // what came meanwhile is looked at now
			case <-w.wake:
			default:
			}
		case <-time.After(again):
		}
	}
}

// listed waits for the first lists and reports meanwhile why there is none.
func (w *watch) listed(ctx context.Context) bool {
	w.poke() // the API server may be known to be away
	for _, informer := range w.feed.listed {
		for done := false; !done; {
			select {
			case <-ctx.Done():
				return false
			case <-informer.Done():
				done = true
			case <-w.wake:
				if err := w.feed.away(); err != nil {
					w.report(discovery.Report{Err: err})
				}
			}
		}
	}
	return true
}

// look reports how things are now, and says when to look again if nothing
// happens.
func (w *watch) look() (again time.Duration) {
	refresh := w.source.conf.Refresh
	if err := w.feed.away(); err != nil {
		w.report(discovery.Report{Err: err})
		return refresh
	}
	found, err := w.members()
	if err != nil {
		w.report(discovery.Report{Err: err})
		return refresh
	}
	set, _ := discovery.MakeSet("", found.instances)
	if !w.waited && found.slices > 1 && lostHealthy(w.last, set) {
		w.waited = true
		return moveTime
	}
	w.waited = false
	if w.last == nil || w.last.Version != set.Version {
		w.last = set
		w.source.Counters.Sets.Add(1)
		w.source.Counters.LeftOut.Add(uint64(len(found.leftOut)))
		if len(found.leftOut) > 0 {
			w.source.conf.Log.Warn("kubernetes endpoints left out", "service", w.ref.String(), "left_out", len(found.leftOut), "first", found.leftOut[0])
		}
	}
	w.report(discovery.Report{Set: w.last})
	return refresh
}

// moveTime is how long an endpoint may take from one slice to another: two
// writes of the controller and their events. An endpoint that really goes is
// seen to terminate first.
const moveTime = 250 * time.Millisecond

// lostHealthy reports whether an instance that was healthy is not there any
// more.
func lostHealthy(before, now *discovery.Set) bool {
	if before == nil {
		return false
	}
	rest := now.Instances // both are sorted
	for i := range before.Instances {
		if before.Instances[i].Health != discovery.Healthy {
			continue
		}
		id := before.Instances[i].ID
		for len(rest) > 0 && rest[0].ID < id {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].ID != id {
			return true
		}
	}
	return false
}

// sleep reports whether ctx was not done meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
