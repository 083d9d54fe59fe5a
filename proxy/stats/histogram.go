package stats

// How values are counted without keeping them: buckets that double in width
// every 16, so that a bucket is never wider than a sixteenth of its values.

import (
	"math"
	"math/bits"
)

const (
	// subBits is the binary logarithm of the buckets per power of two.
	subBits = 4
	// valueBits bounds values: 2^36 is 19 hours in microseconds.
	valueBits  = 36
	bucketsAll = (valueBits-subBits)<<subBits + 1<<subBits
	// MaxValue is the greatest value that a Histogram tells from greater ones.
	MaxValue = 1<<valueBits - 1
)

// Histogram counts values in log-linear buckets, as HdrHistogram and Envoy's
// libcircllhist do: below 16 exactly, above within 1/16 of the value, above
// MaxValue as MaxValue. The unit is the caller's. The zero value is empty.
// 4 KiB; for the worker that owns it.
type Histogram struct {
	count, sum uint64
	// floor is the complement of the least value, so that zero is "none yet".
	floor, top uint64
	buckets    [bucketsAll]uint64
}

// Record counts one value. It does not allocate.
func (h *Histogram) Record(v uint64) {
	v = min(v, MaxValue)
	h.count++
	h.sum += v
	h.floor = max(h.floor, ^v)
	h.top = max(h.top, v)
	h.buckets[bucketOf(v)]++
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	h.count += other.count
	h.sum += other.sum
	h.floor = max(h.floor, other.floor)
	h.top = max(h.top, other.top)
	for i, n := range &other.buckets {
		h.buckets[i] += n
	}
}

// Count is how many values were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Sum is the sum of the values recorded, each at most MaxValue.
func (h *Histogram) Sum() uint64 { return h.sum }

// Quantile gives the value below which the share q, 0 to 1, of the values lies:
// exact at 0 and 1, between them linear within a bucket; NaN if there are none.
func (h *Histogram) Quantile(q float64) float64 {
	if h.count == 0 {
		return math.NaN()
	}
	least, top := float64(^h.floor), float64(h.top)
	switch rank := q * float64(h.count); {
	case rank <= 0:
		return least
	case rank >= float64(h.count):
		return top
	default:
		return min(max(h.at(rank), least), top)
	}
}

// at finds the value of a rank, which is over 0 and below count.
func (h *Histogram) at(rank float64) float64 {
	for i, n := range &h.buckets {
		if in := float64(n); rank > in {
			rank -= in
			continue
		}
		low, width := bucketBounds(i)
		if width == 1 {
			return float64(low)
		}
		return float64(low) + float64(width)*rank/float64(n)
	}
	return float64(h.top)
}

// AtMost estimates how many values are not over bound; within the bucket of the
// bound they are taken to be spread evenly.
func (h *Histogram) AtMost(bound float64) uint64 {
	var below uint64
	for i, n := range &h.buckets {
		low, width := bucketBounds(i)
		if last := float64(low + width - 1); last <= bound {
			below += n
			continue
		}
		if share := (bound - float64(low) + 1) / float64(width); share > 0 && width > 1 {
			below += uint64(share * float64(n))
		}
		break
	}
	return below
}

// bucketOf gives the bucket of v: its highest 5 bits say it.
//
//	v        0 … 15 | 16 … 31 | 32,33  34,35 … | 64…67 …
//	bucket   0 … 15 | 16 … 31 |  32     33     |  48
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// bucketBounds gives the least value of a bucket and how many it has.
func bucketBounds(i int) (low, width uint64) {
	if i < 2<<subBits {
		return uint64(i), 1
	}
	shift := i>>subBits - 1
	return uint64(i-shift<<subBits) << shift, 1 << shift
}
