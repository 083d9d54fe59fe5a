package hashing

// Modula: twemproxy's other deterministic distribution, hash modulo weight.

import (
	"fmt"
	"slices"
)

// Modula is twemproxy's modula distribution (nc_modula.c): server i has as many slots as its weight, one after the other,
// and a hash belongs to slot hash modulo their number. It is immutable: any goroutine may look things up. When a server
// comes or goes, nearly every key moves.
type Modula struct {
	ends []uint32 // ends[i] is the slot after server i's last
}

// NewModula builds the distribution of the servers that are live. It fails on an empty key, a weight of 0, and weights that
// sum to more than 2^32-1. No servers make an empty distribution.
func NewModula(servers []Host) (*Modula, error) {
	if _, err := totalWeight(servers); err != nil {
		return nil, fmt.Errorf("modula: %w", err)
	}
	m := &Modula{ends: make([]uint32, len(servers))}
	var end uint32
	for i, s := range servers {
		end += s.Weight
		m.ends[i] = end
	}
	return m, nil
}

// Lookup returns the index of the server that owns h, or None. Any goroutine; no allocation.
func (m *Modula) Lookup(h uint32) int {
	if len(m.ends) == 0 {
		return None
	}
	slot := h % m.ends[len(m.ends)-1]
	i, _ := slices.BinarySearch(m.ends, slot+1)
	return i
}

// Len returns the number of slots: the sum of the weights.
func (m *Modula) Len() int {
	if len(m.ends) == 0 {
		return 0
	}
	return int(m.ends[len(m.ends)-1])
}
