package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 68.65    0.087504          10      8492           read
 12.33    0.015711           9      1689        12 epoll_pwait
 10.24    0.013056          16       815           writev
  0.00    0.000000           0         5         5 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.116271          10     11001        17 total
`

func TestSummaryCountsWithAndWithoutErrors(t *testing.T) {
	got, err := parseSummary(summary)
	want := calls{"read": 8492, "epoll_pwait": 1689, "writev": 815, "futex": 5}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	if got.all() != 8492+815 || got.writes() != 815 {
		t.Errorf("all %d, writes %d; want %d and 815", got.all(), got.writes(), 8492+815)
	}
}

func TestEmptySummaryIsAnError(t *testing.T) {
	if got, err := parseSummary("strace: Process 7 detached\n"); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}
