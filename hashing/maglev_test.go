package hashing

import (
	"testing"

	"pgregory.net/rapid"
)

// TestMaglevTurnsAreEnvoys fills tables the way the paper and Envoy describe it, asking every host in every round, and
// compares: the heap must change nothing.
func TestMaglevTurnsAreEnvoys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Host {
			return Host{
				Key:    rapid.StringMatching(`[a-z]{1,4}`).Draw(t, "key"),
				Weight: rapid.OneOf(rapid.Uint32Range(1, 10), rapid.Uint32Range(1, 100_000_000)).Draw(t, "weight"),
			}
		}), 1, 30).Draw(t, "hosts")
		size := rapid.SampledFrom([]uint64{2, 3, 17, 251, 4093}).Draw(t, "size")
		m := must(NewMaglev(hosts, size))
		shares := must(Shares(hosts))
		for slot, want := range askInTurns(hosts, shares, size) {
			if got := m.Lookup(uint64(slot)); got != want {
				t.Fatalf("slot %d: host %d, want %d", slot, got, want)
			}
		}
	})
}

func askInTurns(hosts []Host, shares []float64, size uint64) []int {
	table := make([]int, size)
	for i := range table {
		table[i] = None
	}
	entries := maglevEntries(hosts, shares, size)
	heaviest := greatestShare(shares)
	filled := uint64(0)
	for round := 1; ; round++ {
		for i := range entries {
			e := &entries[i]
			if float64(round)*e.share < e.target {
				continue
			}
			e.target += heaviest
			for table[e.slot] != None {
				e.advance(size)
			}
			table[e.slot] = int(e.host)
			e.advance(size)
			if filled++; filled == size {
				return table
			}
		}
	}
}
