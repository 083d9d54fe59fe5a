package main

import (
	"syscall"
	"testing"
	"time"
)

func TestUsageOfAChildGroup(t *testing.T) {
	// The shell is the group's leader and idle; the work is done by its child.
	c, err := start("busy", t.TempDir(), syscall.SIGKILL, "sh", "-c", "(while :; do :; done) & wait")
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	before, err := c.readUsage()
	if err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; <-again.C {
		after, err := c.readUsage()
		if err != nil {
			t.Fatal(err)
		}
		if after.since(before) > 20*time.Millisecond {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("only %v of CPU in 10 s of spinning", after.since(before))
		}
	}
	if rss, err := c.residentBytes(); err != nil || rss < 100<<10 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	c.stop()
	if _, err := c.readUsage(); err == nil {
		t.Error("an ended group has usage")
	}
}

func TestUsageFallsBackToTicksWhenAThreadEnded(t *testing.T) {
	before := usage{map[string]time.Duration{"a": 5, "b": 7}, 10 * time.Millisecond}
	for name, test := range map[string]struct {
		after usage
		want  time.Duration
	}{
		"all alive":    {usage{map[string]time.Duration{"a": 6, "b": 9}, time.Second}, 3},
		"one new":      {usage{map[string]time.Duration{"a": 6, "b": 9, "c": 4}, time.Second}, 7},
		"one ended":    {usage{map[string]time.Duration{"a": 6}, 30 * time.Millisecond}, 20 * time.Millisecond},
		"no schedstat": {usage{nil, 40 * time.Millisecond}, 30 * time.Millisecond},
	} {
		if got := test.after.since(before); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
