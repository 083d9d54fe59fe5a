package config

// How large the hash tables of clusters get, and may get.

import "math"

// tableEntries estimates the entries of the hash tables of a cluster over all
// its priorities.
func tableEntries(c *Cluster) uint64 {
	if !c.Balance.Kind.IsHash() {
		return 0
	}
	byPriority := map[uint32][]uint32{}
	for _, l := range c.Endpoints.Localities {
		for _, e := range l.Endpoints {
			byPriority[l.Priority] = append(byPriority[l.Priority], e.Weight)
		}
	}
	var sum uint64
	for _, weights := range byPriority {
		switch c.Balance.Kind {
		case RingHashLB:
			sum += ringEntries(weights, c.Balance)
		case MaglevLB:
			sum += c.Balance.MaglevTable
		default:
			sum += uint64(len(weights)) * pointsPerHost
		}
	}
	return sum
}

// maxEntries bounds the hash tables of all clusters together, in entries of 16
// bytes or less: 256 MiB per worker. One cluster may ask for 8 Mi.
const maxEntries = 16 << 20

// pointsPerHost is what a ketama continuum has for each host, on average.
const pointsPerHost = 160

// ringEntries is the size of Envoy's ring: it grows until the lightest host
// has a whole number of entries (ring_hash_lb.cc).
func ringEntries(weights []uint32, b Balance) uint64 {
	var sum uint64
	least := uint32(math.MaxUint32)
	for _, w := range weights {
		sum += uint64(w)
		least = min(least, w)
	}
	if sum == 0 || least == 0 {
		return 0
	}
	share := float64(least) / float64(sum)
	return uint64(min(math.Ceil(share*float64(b.MinRing))/share, float64(b.MaxRing)))
}
