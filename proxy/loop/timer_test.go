package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Timers fire in order, never early, at most one tick late when the clock is
// looked at every tick, and none is lost, whatever the distances.
func TestWheelFiresInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, span := range []int64{50, 5_000, 500_000, 100_000_000, 90 * 24 * 3600 * 1000} {
		var h wheel
		start := rng.Int64N(1 << 40)
		h.init(start * tick)
		timers := make([]Timer, 500)
		want := map[*Timer]int64{}
		for i := range timers {
			at := start + 1 + rng.Int64N(span)
			h.add(&timers[i], at*tick)
			want[&timers[i]] = at
		}
		for i := 0; i < len(timers); i += 7 {
			h.remove(&timers[i])
			delete(want, &timers[i])
		}
		var fired []int64
		for h.count > 0 {
			at, ok := h.next()
			if !ok {
				t.Fatalf("span %d: %d timers set but no next", span, h.count)
			}
			h.advance(at*tick, func(tm *Timer) {
				if h.now != want[tm] {
					t.Fatalf("span %d: timer for %d fired at %d", span, want[tm], h.now)
				}
				fired = append(fired, h.now)
				delete(want, tm)
			})
		}
		if len(want) != 0 || !slices.IsSorted(fired) {
			t.Errorf("span %d: %d never fired, sorted %v", span, len(want), slices.IsSorted(fired))
		}
	}
}

// A clock that jumps far runs everything that is due, in order.
func TestWheelJump(t *testing.T) {
	var h wheel
	h.init(0)
	timers := make([]Timer, 1000)
	for i := range timers {
		h.add(&timers[i], int64(i*i)*tick)
	}
	last, n := int64(-1), 0
	h.advance(2_000_000*tick, func(tm *Timer) {
		if tm.at < last {
			t.Errorf("timer of %d after one of %d", tm.at, last)
		}
		last = tm.at
		n++
	})
	if n != len(timers) || h.count != 0 {
		t.Errorf("fired %d of %d, %d left", n, len(timers), h.count)
	}
}

// A timer set from a firing timer is kept.
func TestWheelResetWhileFiring(t *testing.T) {
	var h wheel
	h.init(0)
	var tm Timer
	h.add(&tm, 5*tick)
	n := 0
	for now := int64(0); now < 100; now++ {
		h.advance(now*tick, func(x *Timer) {
			n++
			h.add(x, (now+10)*tick)
		})
	}
	if n != 10 {
		t.Errorf("fired %d times, want 10", n)
	}
}

func BenchmarkWheelSetClear(b *testing.B) {
	var h wheel
	h.init(0)
	var tm Timer
	for i := range b.N {
		h.add(&tm, int64(i%100_000)*tick)
		h.remove(&tm)
	}
}
