package load

import (
	"math"
	"testing"
	"time"
)

func TestBucketsAreContiguousAndTight(t *testing.T) {
	for _, v := range []uint64{0, 1, 63, 64, 127, 128, 129, 255, 256, 1000, 123456, 1 << 40, math.MaxInt64} {
		i := bucket(v)
		if up := upper(i); up < v || float64(up-v) > float64(v)/steps+1 {
			t.Errorf("value %d falls in bucket %d with upper bound %d", v, i, up)
		}
		if i > 0 && upper(i-1) >= v {
			t.Errorf("value %d is not above bucket %d, which ends at %d", v, i-1, upper(i-1))
		}
	}
}

func TestQuantiles(t *testing.T) {
	var a, b Histogram
	for i := range 50 {
		a.Add(time.Duration(i+1) * time.Microsecond)
		b.Add(time.Duration(i+51) * time.Microsecond)
	}
	a.Merge(&b)
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Microsecond, 0.99: 99 * time.Microsecond, 1: 100 * time.Microsecond} {
		if got := a.Quantile(q); got < want || got > want+want/steps+1 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if got := new(Histogram).Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing is %v, want 0", got)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Add(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations per Add, want 0", n)
	}
}
