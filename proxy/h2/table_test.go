package h2

import (
	"math/rand/v2"
	"testing"
)

// The table against a map, with streams of any age.
func TestTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var tab table
	want := map[uint32]*Stream{}
	next := uint32(1)
	for range 200_000 {
		if rng.IntN(100) < 52 && len(want) < 5000 {
			s := &Stream{id: next}
			next += 2
			tab.put(s)
			want[s.id] = s
		} else {
			for id, s := range want {
				tab.remove(s)
				delete(want, id)
				break
			}
		}
		if id := uint32(rng.IntN(int(next)+2)) | 1; tab.get(id) != want[id] {
			t.Fatalf("stream %d: got %v, want %v", id, tab.get(id), want[id])
		}
	}
	if tab.len != len(want) {
		t.Errorf("%d streams, want %d", tab.len, len(want))
	}
	all := tab.sorted()
	for i, s := range all {
		if want[s.id] != s || i > 0 && all[i-1].id >= s.id {
			t.Fatalf("sorted: %d is out of place", s.id)
		}
	}
}
