package dns

// What to report of a look-up, and when to look again.

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/discovery"
)

// maxBackOff is the longest wait after a failure, or for another answer that
// there is nothing.
const maxBackOff = 30 * time.Second

// watch is one service that is watched. Its goroutine alone uses it, but for
// count and last.
type watch struct {
	source   *Source
	service  discovery.Service
	question question
	count    counters
	targets  map[string]*target // of an srv:// service, by name

	negatives int    // answers in a row that there is nothing
	failures  int    // look-ups in a row after which nothing was known
	has       family // those of the last set

	mu   sync.Mutex
	last Last
}

func (w *watch) run(ctx context.Context, report func(discovery.Report)) {
	for {
		f, err := w.lookup(ctx)
		if ctx.Err() != nil {
			return
		}
		r, wait := w.judge(f, err)
		w.note(r, wait)
		report(r)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// judge decides what to report. An answer that there is nothing is a failure
// until it has come as often as Confirm wants, and so is one that there are no
// addresses of a family where there were; a real failure says nothing either
// way.
func (w *watch) judge(f found, err error) (r discovery.Report, wait time.Duration) {
	var e *Error
	isNegative := errors.As(err, &e) && e.isNegative()
	if err == nil && w.has&f.none != 0 {
		e = &Error{Kind: Empty, Name: w.question.name, Type: typeOf(f.none), Server: "all", TTL: f.ttl}
		isNegative, err = true, e
	}
	switch {
	case isNegative:
		w.failures = 0
		w.negatives++
		if w.negatives < w.source.options.Confirm {
			return discovery.Report{Err: err}, jitter(min(w.clamp(e.TTL), maxBackOff))
		}
		w.has = f.has
		set, _ := discovery.MakeSet("", f.instances) // of the other family, if any
		return discovery.Report{Set: set}, jitter(w.clamp(e.TTL))
	case err != nil:
		wait := min(w.source.options.MinTTL<<min(w.failures, 10), maxBackOff)
		w.failures++
		return discovery.Report{Err: err}, jitter(max(wait, w.source.options.MinTTL))
	}
	w.negatives, w.failures, w.has = 0, 0, f.has
	set, _ := discovery.MakeSet("", f.instances)
	return discovery.Report{Set: set}, jitter(w.clamp(f.ttl))
}

func typeOf(f family) uint16 {
	if f&v4 != 0 {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

func (w *watch) clamp(ttl time.Duration) time.Duration {
	return min(max(ttl, w.source.options.MinTTL), w.source.options.MaxTTL)
}

// jitter adds up to a tenth, so that sources that began together do not ask
// together for ever. It never asks early: a cache would only give the rest.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1))
}
