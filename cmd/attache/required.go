package main

// Ready means that what is required has answered once: a cluster whose metadata says so,
// or that --require names.

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// awaitRequired makes the program ready when every required cluster has answered, at once
// if there is none. One that the control plane brings later, and requires, holds nothing
// up.
func (p *program) awaitRequired() {
	names := slices.Concat(p.f.require, p.server.Required())
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		p.becomeReady("everything that is configured is live")
		return
	}
	w := &waiting{last: map[string]string{}}
	p.life.WaitFor(w.what)
	go func() {
		if p.roundTrips(p.ending, names, w) == nil {
			p.log.Info("everything that is required has answered", "clusters", strings.Join(names, " "), "after", time.Since(p.started).Round(time.Millisecond))
			p.becomeReady("everything that is configured is live, and what is required has answered")
		}
	}()
}

// roundTrips returns when all of the clusters have answered, or with the cause of ctx.
func (p *program) roundTrips(ctx context.Context, names []string, w *waiting) error {
	var all sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		w.tell(name, "")
		all.Go(func() {
			if errs[i] = p.roundTrip(ctx, name, func(what string) { w.tell(name, what) }); errs[i] == nil {
				w.answered(name)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// roundTrip waits for one cluster, which may still have to come.
func (p *program) roundTrip(ctx context.Context, name string, tell func(what string)) error {
	for {
		if p.server.Cluster(name) != nil {
			return p.server.RoundTrip(ctx, name, nil, tell)
		}
		tell("there is no such cluster")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// waiting are the clusters that have not answered, and what went wrong last. Any
// goroutine.
type waiting struct {
	mu   sync.Mutex
	last map[string]string
}

func (w *waiting) tell(name, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[name] = what
}

func (w *waiting) answered(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, name)
}

// what is for people.
func (w *waiting) what() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, last := range w.last {
		all = append(all, "cluster "+name+": "+cmp.Or(last, "no host has answered yet"))
	}
	slices.Sort(all)
	return all
}
