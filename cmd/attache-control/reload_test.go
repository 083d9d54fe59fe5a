package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestReadAfter: a burst of events is one look, one that was lost is one too and
// holds nothing up, and without any the file is looked at all the same.
func TestReadAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, missed := make(chan fsnotify.Event), make(chan error)
		var looks []time.Duration
		began := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			readAfter(ctx, events, missed, func() { looks = append(looks, time.Since(began)) })
		}()
		for range 10 {
			events <- fsnotify.Event{}
			missed <- fsnotify.ErrEventOverflow
			events <- fsnotify.Event{}
		}
		<-time.After(time.Second)
		missed <- fsnotify.ErrEventOverflow
		<-time.After(lookEvery)
		synctest.Wait()
		cancel()
		<-ended
		want := []time.Duration{still, time.Second + still, lookEvery}
		if len(looks) != len(want) {
			t.Fatalf("looked at %v, want %v", looks, want)
		}
		for i := range want {
			if looks[i] != want[i] {
				t.Errorf("looked at %v, want %v", looks, want)
			}
		}
	})
}
