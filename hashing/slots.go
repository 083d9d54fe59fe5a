package hashing

// Slots: a table of host indexes, in one, two or four bytes each. A sidecar holds one per cluster, and most clusters have
// fewer than 256 hosts.

// slots is immutable after packSlots. Exactly one of its slices is used.
type slots struct {
	narrow []uint8
	middle []uint16
	wide   []uint32
}

// packSlots copies owners, the index of a host for each slot, into the narrowest table that holds n hosts.
func packSlots(owners []uint32, n int) slots {
	switch {
	case n <= 1<<8:
		return slots{narrow: narrowed[uint8](owners)}
	case n <= 1<<16:
		return slots{middle: narrowed[uint16](owners)}
	}
	return slots{wide: owners}
}

func narrowed[T uint8 | uint16](owners []uint32) []T {
	to := make([]T, len(owners))
	for i, o := range owners {
		to[i] = T(o)
	}
	return to
}

// at returns the host of slot i.
func (s *slots) at(i uint64) int {
	switch {
	case s.narrow != nil:
		return int(s.narrow[i])
	case s.middle != nil:
		return int(s.middle[i])
	}
	return int(s.wide[i])
}

func (s *slots) len() int { return max(len(s.narrow), len(s.middle), len(s.wide)) }
