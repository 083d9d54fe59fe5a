package upstream

// Weighted turns: earliest deadline first.

import "math/rand/v2"

// edf gives each entry a turn whenever its deadline comes, 1/weight after the
// last: Envoy's EdfScheduler (upstream/edf_scheduler.h), without the part that
// looks ahead. Entries are known by number. Its zero value is empty. Worker
// only; it does not allocate once it is made.
type edf struct {
	now   float64
	order uint64 // breaks ties: first come, first served
	heap  []turn
}

type turn struct {
	deadline float64
	order    uint64
	entry    int
}

func (t turn) before(o turn) bool {
	return t.deadline < o.deadline || t.deadline == o.deadline && t.order < o.order
}

// maxPicks bounds the picks that newEDF pretends were made (Envoy's limit).
const maxPicks = 429_496_729

// newEDF makes a schedule of n entries as it would be after a random number of
// picks, so that workers and restarts do not all begin with the same host.
func newEDF(n int, weight func(int) float64, r *rand.Rand) edf {
	e := edf{heap: make([]turn, 0, n), order: uint64(n)}
	sum := 0.0
	for i := range n {
		sum += weight(i) + epsilon
	}
	picks := uint32(r.Uint64() % maxPicks)
	made := uint32(0)
	for i := range n {
		w := weight(i) + epsilon
		had := uint32(w * float64(picks) / sum)
		if had > 0 && float64(had)/w >= float64(picks)/sum {
			had-- // floating point rounded up
		}
		e.now = max(e.now, float64(had)/w)
		e.heap = append(e.heap, turn{float64(had+1) / w, uint64(i), i})
		made += had
	}
	for i := n/2 - 1; i >= 0; i-- {
		e.down(i)
	}
	for ; made < picks && n > 0; made++ {
		e.again(weight(e.first()))
	}
	return e
}

// epsilon keeps weights from being multiples of each other to the last bit,
// where rounding alone would decide.
const epsilon = 1e-13

// first is whose turn it is. The schedule must not be empty. again, with the
// entry's weight as it is now, gives it its next turn.
func (e *edf) first() int { return e.heap[0].entry }

func (e *edf) again(weight float64) {
	t := &e.heap[0]
	e.now = t.deadline
	t.deadline = e.now + 1/weight
	t.order = e.order
	e.order++
	e.down(0)
}

func (e *edf) down(i int) {
	h := e.heap
	t := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(t) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = t
}
