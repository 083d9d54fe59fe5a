package upstream

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// level of 100 hosts.
func of100(healthy, degraded int) available {
	return available{total: 100, healthy: healthy, degraded: degraded, overprovision: 140}
}

// The tables of Envoy's priority.rst, panic_threshold.rst and degraded.rst.
func TestShareAgreesWithEnvoysTables(t *testing.T) {
	for _, x := range []struct {
		healthy []int // percent by priority
		load    []uint32
		panic   []bool
	}{
		{[]int{100, 100}, []uint32{100, 0}, nil},
		{[]int{72, 100}, []uint32{100, 0}, nil},
		{[]int{71, 100}, []uint32{99, 1}, nil},
		{[]int{50, 100}, []uint32{70, 30}, nil},
		{[]int{25, 100}, []uint32{35, 65}, nil},
		{[]int{0, 100}, []uint32{0, 100}, nil},

		{[]int{72, 72}, []uint32{100, 0}, nil},
		{[]int{71, 71}, []uint32{99, 1}, nil},
		{[]int{50, 50}, []uint32{70, 30}, nil},
		{[]int{50, 60}, []uint32{70, 30}, nil},
		{[]int{25, 25}, []uint32{50, 50}, []bool{true, true}},
		{[]int{5, 65}, []uint32{8, 92}, []bool{true, false}}, // the page says 7 and 93: it leaves the remainder out

		{[]int{100, 100, 100}, []uint32{100, 0, 0}, nil},
		{[]int{72, 72, 100}, []uint32{100, 0, 0}, nil},
		{[]int{71, 71, 100}, []uint32{99, 1, 0}, nil},
		{[]int{50, 50, 100}, []uint32{70, 30, 0}, nil},
		{[]int{25, 100, 100}, []uint32{35, 65, 0}, nil},
		{[]int{25, 25, 100}, []uint32{35, 35, 30}, nil},
	} {
		var of []available
		for _, h := range x.healthy {
			of = append(of, of100(h, 0))
		}
		if x.panic == nil {
			x.panic = make([]bool, len(of))
		}
		got := share(of, 50)
		if !slices.Equal(got.healthy, x.load) || !slices.Equal(got.panic, x.panic) {
			t.Errorf("%v: load %v, panic %v; want %v, %v", x.healthy, got.healthy, got.panic, x.load, x.panic)
		}
	}
}

func TestShareOfDegradedHosts(t *testing.T) {
	for _, x := range []struct{ healthy, degraded, toHealthy, toDegraded int }{
		{100, 0, 100, 0},
		{71, 0, 100, 0},
		{71, 29, 99, 1},
		{25, 65, 35, 65},
		{5, 0, 100, 0},
	} {
		got := share([]available{of100(x.healthy, x.degraded)}, 0)
		if got.healthy[0] != uint32(x.toHealthy) || got.degraded[0] != uint32(x.toDegraded) {
			t.Errorf("%d/%d: %d and %d, want %d and %d", x.healthy, x.degraded,
				got.healthy[0], got.degraded[0], x.toHealthy, x.toDegraded)
		}
	}
}

// In total panic the hosts share alike, whatever their health.
func TestShareInTotalPanicIsByHosts(t *testing.T) {
	got := share([]available{{total: 2, healthy: 0, degraded: 0, overprovision: 140}, {total: 8, healthy: 0, degraded: 0, overprovision: 140}}, 50)
	if !slices.Equal(got.healthy, []uint32{20, 80}) || !got.panic[0] || !got.panic[1] {
		t.Errorf("%+v", got)
	}
	off := share([]available{{total: 2, healthy: 0, degraded: 0, overprovision: 140}, {total: 8, healthy: 0, degraded: 0, overprovision: 140}}, 0)
	if !slices.Equal(off.healthy, []uint32{100, 0}) || off.panic[0] || off.panic[1] {
		t.Errorf("without panic: %+v", off)
	}
	if none := share([]available{{total: 0, healthy: 0, degraded: 0, overprovision: 140}}, 50); none.healthy[0] != 100 {
		t.Errorf("without hosts: %+v", none)
	}
}

// Loads make 100; panic only where too little is left; every hash has a place,
// and as many of 100 go to a priority as its load says.
func TestShareProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var of []available
		for range rapid.IntRange(1, 5).Draw(t, "levels") {
			total := rapid.IntRange(0, 50).Draw(t, "total")
			healthy := rapid.IntRange(0, total).Draw(t, "healthy")
			of = append(of, available{total: total, healthy: healthy, degraded: rapid.IntRange(0, total-healthy).Draw(t, "degraded"), overprovision: 140})
		}
		l := share(of, float64(rapid.IntRange(0, 100).Draw(t, "threshold")))
		sum, enough := uint32(0), false
		for i, a := range of {
			sum += l.healthy[i] + l.degraded[i]
			enough = enough || a.total > 0 && (a.healthy+a.degraded)*140 >= a.total*100+139
		}
		if sum != 100 {
			t.Fatalf("%+v: loads make %d", of, sum)
		}
		if enough && slices.Contains(l.panic, true) {
			t.Fatalf("%+v: panic though one priority can carry all: %+v", of, l)
		}
		got := loads{healthy: make([]uint32, len(of)), degraded: make([]uint32, len(of))}
		for h := range uint64(100) {
			i, degraded := l.choose(h)
			if degraded {
				got.degraded[i]++
			} else {
				got.healthy[i]++
			}
		}
		if !slices.Equal(got.healthy, l.healthy) || !slices.Equal(got.degraded, l.degraded) {
			t.Fatalf("loads %+v, chosen %+v", l, got)
		}
	})
}
