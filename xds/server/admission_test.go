package server

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdmissionKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{StreamRate: 100, StreamBurst: 10, StreamWait: time.Minute})
		start := time.Now()
		entered := make(chan time.Duration, 1000)
		for range 1000 {
			go func() {
				if retry, err := a.enter(t.Context(), true); retry != 0 || err != nil {
					t.Error(retry, err)
				}
				entered <- time.Since(start)
			}()
		}
		var times []time.Duration
		for range 1000 {
			times = append(times, <-entered)
		}
		if last := times[999]; last < 9800*time.Millisecond || last > 10*time.Second {
			t.Error("the last came in after", last)
		}
		for i, at := range times { // no second has more than rate and burst
			if i >= 110 && at-times[i-110] < time.Second-time.Millisecond {
				t.Fatal(i, times[i-110], at)
			}
		}
	})
}

func TestAdmissionLetsTheRequiredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{StreamRate: 1, StreamBurst: 1, StreamWait: time.Minute})
		order := make(chan string, 6)
		enter := func(name string, required bool) {
			go func() {
				if _, err := a.enter(t.Context(), required); err != nil {
					t.Error(err)
				}
				order <- name
			}()
			synctest.Wait()
		}
		for _, name := range []string{"first", "late 1", "late 2"} {
			enter(name, false)
		}
		enter("required 1", true)
		enter("required 2", true)
		var got []string
		for range 5 {
			got = append(got, <-order)
		}
		if want := []string{"first", "required 1", "required 2", "late 1", "late 2"}; !slices.Equal(got, want) {
			t.Error(got)
		}
	})
}

func TestAdmissionRefusesAWaitThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(Limits{StreamRate: 1, StreamBurst: 1, StreamWait: 2 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go func() { _, _ = a.enter(ctx, true) }() // one enters, two wait
		}
		synctest.Wait()
		if n, _ := a.state(); n != 2 {
			t.Fatal(n)
		}
		if retry, err := a.enter(t.Context(), true); retry != 3*time.Second || err != nil {
			t.Error(retry, err)
		}
		cancel()
		synctest.Wait()
		if n, _ := a.state(); n != 0 {
			t.Error("who left is in line:", n)
		}
		// Nobody used the second's token.
		time.Sleep(time.Second)
		if retry, err := a.enter(t.Context(), true); retry != 0 || err != nil {
			t.Error(retry, err)
		}
	})
}
