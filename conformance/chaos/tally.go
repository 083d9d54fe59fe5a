package main

// What was seen, and the verdict.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

type tally struct {
	requests    int64 // commands sent
	values      int64 // values that were checked
	misses      int64 // keys without a value
	errors      map[string]int64
	crossed     int64         // answers that their command cannot have: another's value, one too many, a torn one
	lost        int64         // answers that never came
	connections int64         // that ended although nobody ended them
	slowest     time.Duration // from a batch's first byte out to its last answer in
	kills       int
	faults      []string
	took        time.Duration
}

func (t *tally) add(o *tally) {
	t.requests += o.requests
	t.values += o.values
	t.misses += o.misses
	t.crossed += o.crossed
	t.lost += o.lost
	t.connections += o.connections
	t.slowest = max(t.slowest, o.slowest)
	t.faults = append(t.faults, o.faults...)
	for text, n := range o.errors {
		t.errors[text] += n
	}
}

// text is the errors by text, the first faults, and the final line.
func (t *tally) text(settled time.Duration) string {
	var b strings.Builder
	var failed int64
	for _, text := range slices.Sorted(maps.Keys(t.errors)) {
		fmt.Fprintf(&b, "%10d  %s\n", t.errors[text], text)
		failed += t.errors[text]
	}
	for _, f := range t.faults[:min(len(t.faults), 10)] {
		fmt.Fprintln(&b, f)
	}
	fmt.Fprintf(&b, "requests=%d values=%d misses=%d errors=%d kills=%d crossed=%d lost=%d connections_lost=%d rate=%.0f/s took=%v slowest=%v settled=%v\n",
		t.requests, t.values, t.misses, failed, t.kills, t.crossed, t.lost, t.connections,
		float64(t.requests)/t.took.Seconds(), t.took.Round(time.Millisecond), t.slowest.Round(time.Millisecond), settled.Round(time.Millisecond))
	return b.String()
}

// verdict is nil if everything was as promised, and if anything was tried at all.
func (t *tally) verdict(requests int64) error {
	switch {
	case t.crossed > 0 || t.lost > 0 || t.connections > 0:
		return errors.New("answers were crossed or lost")
	case t.requests != requests:
		return fmt.Errorf("%d requests were sent, not %d", t.requests, requests)
	case requests > 0 && t.values == 0:
		return errors.New("no value was ever read: nothing was checked")
	}
	return nil
}
