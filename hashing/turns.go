package hashing

// Turns: which Maglev host is next. A binary heap whose first item is replaced, never removed.

// aTurn is a round and, below it, the number of a host: in numeric order, turns are in the order they are taken.
type aTurn uint64

func turn(round uint32, i int) aTurn { return aTurn(uint64(round)<<32 | uint64(i)) }

func (t aTurn) split() (round uint32, i int) { return uint32(t >> 32), int(uint32(t)) }

type turnHeap []aTurn

// replaceFirst puts t in the place of the first turn and lets it sink to where it belongs.
func (h turnHeap) replaceFirst(t aTurn) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if t <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = t
}
