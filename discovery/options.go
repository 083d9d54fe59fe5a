package discovery

// How long to hold on to what a source no longer says.

import (
	"fmt"
	"time"
)

// Options say how far one source is believed. The zero value is the default.
type Options struct {
	// Retention is how long the last set is held while the source fails, counted
	// from the first failure; default 10 minutes.
	Retention time.Duration
	// EmptyRetention is how long the last set that was not empty is held while the
	// source says that there is nothing (or too little: MaxDrop), counted from
	// the first such answer; default Retention. Negative believes "nothing" at
	// once, and holds "too little" for Retention.
	EmptyRetention time.Duration
	// GiveUp empties a set that failures have made older than Retention. Without
	// it the set stays in use and is called Expired: old addresses are mostly
	// right, none are always wrong.
	GiveUp bool
	// MaxDrop, above 0 and below 1, is what share of the instances one answer may
	// take away; one that leaves fewer is believed once Confirm answers in a row
	// say so, or after EmptyRetention. 0 is no limit.
	MaxDrop float64
	// Confirm is the number of answers, the first among them, after which a drop
	// above MaxDrop is believed; default 2.
	Confirm int
}

// Check refuses options that mean nothing, by field.
func (o Options) Check() error {
	switch {
	case o.Retention < 0:
		return fmt.Errorf("retention %s: below 0", o.Retention)
	case !(o.MaxDrop >= 0 && o.MaxDrop < 1):
		return fmt.Errorf("max_drop %v: wants a share from 0 to below 1", o.MaxDrop)
	case o.Confirm < 0:
		return fmt.Errorf("confirm %d: below 0", o.Confirm)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Retention == 0 {
		o.Retention = 10 * time.Minute
	}
	if o.EmptyRetention == 0 {
		o.EmptyRetention = o.Retention
	}
	if o.Confirm == 0 {
		o.Confirm = 2
	}
	return o
}
