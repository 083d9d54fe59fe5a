package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHistogramBucketsTile(t *testing.T) {
	next := uint64(0)
	for i := range bucketsAll {
		low, width := bucketBounds(i)
		if low != next {
			t.Fatalf("bucket %d begins at %d, want %d", i, low, next)
		}
		if bucketOf(low) != i || bucketOf(low+width-1) != i {
			t.Fatalf("bucket %d: its bounds %d, %d are in %d, %d", i, low, low+width-1, bucketOf(low), bucketOf(low+width-1))
		}
		if width > 1 && width > low/16 {
			t.Fatalf("bucket %d of %d is %d wide", i, low, width)
		}
		next = low + width
	}
	if next != MaxValue+1 {
		t.Errorf("the last bucket ends at %d, want %d", next-1, uint64(MaxValue))
	}
}

// Quantiles lie within the width of a bucket of the exact ones, merged or not.
func TestHistogramQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() uint64{
		"uniform":     func() uint64 { return r.Uint64N(100_000) },
		"small":       func() uint64 { return r.Uint64N(12) },
		"exponential": func() uint64 { return uint64(r.ExpFloat64() * 3000) },
		"one value":   func() uint64 { return 4711 },
		"wide":        func() uint64 { return 1 << r.Uint64N(36) },
	}
	for name, draw := range shapes {
		var parts [3]Histogram
		var exact []uint64
		for i := range 10_000 {
			v := draw()
			exact = append(exact, v)
			parts[i%3].Record(v)
		}
		h := &parts[0]
		h.Merge(&parts[1])
		h.Merge(&parts[2])
		slices.Sort(exact)
		for _, q := range quantiles {
			want := float64(exact[min(int(math.Ceil(q*10_000)), 9999)])
			before := float64(exact[max(int(math.Ceil(q*10_000))-1, 0)])
			got := h.Quantile(q)
			if got < before*15/16-1 || got > want*17/16+1 {
				t.Errorf("%s: quantile %g is %g, want about %g to %g", name, q, got, before, want)
			}
		}
		if got := h.Quantile(0); got != float64(exact[0]) {
			t.Errorf("%s: least is %g, want %d", name, got, exact[0])
		}
		if got := h.Quantile(1); got != float64(exact[9999]) {
			t.Errorf("%s: greatest is %g, want %d", name, got, exact[9999])
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if !math.IsNaN(h.Quantile(0.5)) || h.AtMost(1e9) != 0 {
		t.Errorf("an empty histogram has a median of %g and %d values", h.Quantile(0.5), h.AtMost(1e9))
	}
	h.Record(0)
	h.Record(math.MaxUint64)
	if h.Quantile(0) != 0 || h.Quantile(1) != MaxValue || h.Sum() != MaxValue || h.Count() != 2 {
		t.Errorf("got %g to %g, sum %d of %d", h.Quantile(0), h.Quantile(1), h.Sum(), h.Count())
	}
	if h.AtMost(0.5) != 1 || h.AtMost(MaxValue) != 2 {
		t.Errorf("at most 0.5: %d, at most all: %d", h.AtMost(0.5), h.AtMost(MaxValue))
	}
}

func TestHistogramAtMostGrows(t *testing.T) {
	var h Histogram
	for v := range uint64(5000) {
		h.Record(v)
	}
	last := uint64(0)
	for b := 0.0; b < 6000; b += 0.5 {
		n := h.AtMost(b)
		if want := min(b+1, 5000); n < last || math.Abs(float64(n)-want) > want/16+2 {
			t.Fatalf("at most %g: %d, want about %g", b, n, want)
		}
		last = n
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	h := new(Histogram)
	v := uint64(1)
	if n := testing.AllocsPerRun(1000, func() { h.Record(v); v = v*5 + 1 }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	h := new(Histogram)
	for i := range b.N {
		h.Record(uint64(i))
	}
}
