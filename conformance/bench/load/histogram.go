package load

import (
	"math/bits"
	"time"
)

const (
	stepBits = 6 // 64 steps per power of two: a quantile is at most 1.6 % too high
	steps    = 1 << stepBits
)

// Histogram counts durations in steps of at most 1/64 of their size. It has a fixed
// size and allocates nothing; the zero value is empty. One goroutine at a time.
type Histogram struct {
	counts [(64 - stepBits + 1) * steps]uint64
	total  uint64
}

// Add counts one duration; a negative one counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// Merge adds all that other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Quantile is the smallest bucket bound that at least q (0 to 1) of the durations do not exceed; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	want := max(uint64(q*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= want {
			return time.Duration(upper(i))
		}
	}
	return 0
}

// bucket: values below 2*steps have one each; above, the leading stepBits+1 bits choose.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-stepBits-1, 0)
	return shift*steps + int(v>>shift)
}

// upper is the largest value of bucket i.
func upper(i int) uint64 {
	if i < 2*steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return uint64(i-shift*steps+1)<<shift - 1
}
