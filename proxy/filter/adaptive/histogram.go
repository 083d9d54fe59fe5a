package adaptive

// Latencies, counted by their first two digits (Envoy's libcircllhist).

import (
	"math"
	"sync/atomic"
)

// digits is how many bins there are for each power of ten, powers how many of those:
// up to 10^11 microseconds, a day and more.
const (
	digits = 90
	powers = 11
)

// histogram counts microseconds. Any goroutine may add; who clears it, or asks for a
// percentile, is the only one who does.
type histogram struct {
	count atomic.Int64
	bins  [1 + digits*powers]atomic.Uint32
}

// bin finds where a number of microseconds is counted: 0 by itself, else
// 1 + digits × power + (the first two digits − 10).
func bin(us int64) int {
	if us <= 0 {
		return 0
	}
	power := 0
	lead := us * 10 // the two digits of a number below ten
	if us >= 10 {
		lead = us
		for power = 1; lead >= 100; power++ {
			lead /= 10
		}
	}
	if power >= powers {
		return digits * powers
	}
	return 1 + power*digits + int(lead) - 10
}

// span is where a bin begins, and how wide it is.
func span(i int) (from, width float64) {
	if i == 0 {
		return 0, 0
	}
	i--
	width = 0.1
	for range i / digits {
		width *= 10
	}
	return float64(i%digits+10) * width, width
}

func (h *histogram) add(us int64) {
	h.bins[bin(us)].Add(1)
	h.count.Add(1)
}

func (h *histogram) clear() {
	for i := range h.bins {
		if h.bins[i].Load() > 0 {
			h.count.Add(-int64(h.bins[i].Swap(0)))
		}
	}
}

// percentile takes all latencies out and gives the one that a share of them, 0 to 1,
// is not above, in whole microseconds (hist_approx_quantile).
func (h *histogram) percentile(share float64) float64 { return math.Trunc(h.take(share)) }

func (h *histogram) take(share float64) float64 {
	var counts [len(h.bins)]uint32
	all := 0.0
	for i := range h.bins {
		if h.bins[i].Load() > 0 {
			counts[i] = h.bins[i].Swap(0)
			all += float64(counts[i])
		}
	}
	h.count.Add(-int64(all))
	want, below, last := all*share, 0.0, 0.0
	for i, n := range counts {
		if n == 0 {
			continue
		}
		from, width := span(i)
		if below == want {
			return from
		}
		last = from + width
		if below+float64(n) >= want {
			return from + (want-below)/float64(n)*width
		}
		below += float64(n)
	}
	return last
}
