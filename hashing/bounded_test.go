package hashing

import (
	"slices"
	"testing"
)

// TestShuffleIsEnvoys checks the orders that Envoy's bounded_load_hlb_test.cc states.
func TestShuffleIsEnvoys(t *testing.T) {
	var s Shuffle
	for _, c := range []struct {
		hash uint64
		want []int
	}{
		{2, []int{2, 1, 0, 4, 3}},
		{6, []int{4, 0, 2, 3, 1}},
		{7, []int{0, 1, 4, 3, 2}},
		{7 + 1<<32, []int{0, 1, 4, 3, 2}}, // the seed is the lower half
	} {
		s.start(c.hash, 5)
		var got []int
		for range 5 {
			got = append(got, s.next())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("shuffle of 5 by %d = %v, want %v", c.hash, got, c.want)
		}
	}
}

// TestMersenneTwister checks the value that the C++ standard requires ([rand.predef]).
func TestMersenneTwister(t *testing.T) {
	var m mt19937
	m.seed(5489)
	var last uint32
	for range 10000 {
		last = m.next()
	}
	if last != 4123659995 {
		t.Errorf("10000th number = %d, want 4123659995", last)
	}
}

// TestBoundedPicks follows Envoy's bounded_load_hlb_test.cc: five equal hosts, of which some are full.
func TestBoundedPicks(t *testing.T) {
	five := named("0", "1", "2", "3", "4")
	for _, c := range []struct {
		name   string
		first  int
		hash   uint64
		total  uint32
		active []uint32
		want   int
	}{
		{"nobody is full", 2, 2, 5, []uint32{1, 1, 1, 1, 1}, 2},
		{"one is full", 2, 2, 3, []uint32{0, 0, 3, 0, 0}, 1},
		{"several are full", 2, 2, 9, []uint32{3, 3, 3, 0, 0}, 4},
		{"one is full, one hash", 3, 6, 3, []uint32{0, 0, 0, 3, 0}, 4},
		{"one is full, another hash", 3, 7, 3, []uint32{0, 0, 0, 3, 0}, 0},
		{"all are full, one least", 2, 2, 4, []uint32{9, 9, 9, 3, 9}, 3},
		{"all are full alike", 2, 2, 4, []uint32{9, 9, 9, 9, 9}, 2},
		{"no host", None, 2, 0, []uint32{0, 0, 0, 0, 0}, None},
	} {
		var s Shuffle
		b := must(NewBounded(five, 100))
		active := func(host int) uint32 { return c.active[host] }
		if got := b.Pick(c.first, c.hash, c.total, active, &s); got != c.want {
			t.Errorf("%s: host %d, want %d", c.name, got, c.want)
		}
	}
}

func TestBoundedGivesSlotsByWeight(t *testing.T) {
	b := must(NewBounded([]Host{{"light", 1}, {"heavy", 3}}, 125))
	// (99+1)·125 % = 125 slots: 32 for the light host, 94 for the heavy one.
	for _, c := range []struct {
		host   int
		active uint32
		full   bool
	}{{0, 32, false}, {0, 33, true}, {1, 94, false}, {1, 95, true}} {
		load := b.overload(c.host, 99, func(int) uint32 { return c.active })
		if full := load > 1; full != c.full {
			t.Errorf("host %d with %d requests in flight is full: %v, want %v", c.host, c.active, full, c.full)
		}
	}
}

func TestBoundedNeverTriesHostsWithoutAShare(t *testing.T) {
	hosts := named("0", "1", "2")
	b := must(NewBoundedWithShares(hosts, []float64{0.5, 0, 0.5}, 100))
	var s Shuffle
	for h := range uint64(100) {
		got := b.Pick(0, h, 0, func(host int) uint32 { return []uint32{5, 0, 5}[host] }, &s)
		if got == 1 {
			t.Fatalf("hash %d went to the host without a share", h)
		}
	}
}

// TestBoundedHoldsTheBound sends one hot key 1,000 times, none of which end, and looks at where they are.
func TestBoundedHoldsTheBound(t *testing.T) {
	const factor = 120
	hosts := spread(10)
	ring := must(NewRing(hosts, RingConfig{}))
	b := must(NewBounded(hosts, factor))
	active := make([]uint32, len(hosts))
	var s Shuffle
	for total := range uint32(1000) {
		h := XXH64String("hot", 0)
		i := b.Pick(ring.Lookup(h), h, total, func(host int) uint32 { return active[host] }, &s)
		active[i]++
	}
	// A host that is exactly at its bound takes one more (Envoy compares with <=).
	for i, n := range active {
		if bound := uint32(1000*factor/100/10 + 2); n > bound {
			t.Errorf("host %d has %d requests in flight, more than %d", i, n, bound)
		}
	}
}
