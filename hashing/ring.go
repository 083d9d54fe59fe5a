package hashing

// Ring: Envoy's ring hash, bit for bit.

import (
	"fmt"
	"math"
	"strconv"
)

// Envoy's defaults for a ring's size, in points.
const (
	DefaultMinRingSize = 1024
	DefaultMaxRingSize = maxPoints
)

// RingConfig is Envoy's RingHashLbConfig.
type RingConfig struct {
	// MinSize is minimum_ring_size, in points; 0 means DefaultMinRingSize.
	MinSize uint64
	// MaxSize is maximum_ring_size, in points, and may not exceed DefaultMaxRingSize, which is what 0 means.
	MaxSize uint64
	// Murmur places the hosts with Murmur2 and MurmurSeed instead of XXH64 (hash_function MURMUR_HASH_2).
	Murmur bool
}

// Ring is Envoy's ring hash (ring_hash_lb.cc, after libketama): each host owns points in proportion to its weight, and a
// hash belongs to the first point at or after it. It is immutable: any goroutine may look things up.
//
// Where two hosts have the same Key, their points coincide and the first of the two gets the keys; Envoy leaves that to
// the sort of the C++ library it was built with.
type Ring struct {
	circle       circle
	scale        int
	fewest, most int
}

// NewRing builds the ring of hosts, in their order, as Envoy does without locality weights. It fails on an empty key, a
// weight of 0, weights that sum to more than 2^32-1, and sizes out of bounds. No hosts make an empty ring.
func NewRing(hosts []Host, cfg RingConfig) (*Ring, error) {
	shares, err := Shares(hosts)
	if err != nil {
		return nil, fmt.Errorf("ring: %w", err)
	}
	return NewRingWithShares(hosts, shares, cfg)
}

// NewRingWithShares is NewRing with shares from LocalityShares in place of the hosts' weights.
func NewRingWithShares(hosts []Host, shares []float64, cfg RingConfig) (*Ring, error) {
	if cfg.MinSize == 0 {
		cfg.MinSize = DefaultMinRingSize
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = DefaultMaxRingSize
	}
	if cfg.MaxSize > DefaultMaxRingSize {
		return nil, fmt.Errorf("ring: maximum_ring_size (%d) > %d", cfg.MaxSize, DefaultMaxRingSize)
	}
	if cfg.MinSize > cfg.MaxSize {
		return nil, fmt.Errorf("ring: minimum_ring_size (%d) > maximum_ring_size (%d)", cfg.MinSize, cfg.MaxSize)
	}
	if err := checkShares(hosts, shares); err != nil {
		return nil, fmt.Errorf("ring: %w", err)
	}
	return buildRing(hosts, shares, cfg), nil
}

// buildRing walks the hosts with two running sums, the points there should be by now and the points there are: hosts whose
// due is not a whole number take turns at the odd point. The sums are in Envoy's order and precision; the conversion to
// float64 around the product keeps a compiler from fusing it with the addition, which would round differently.
func buildRing(hosts []Host, shares []float64, cfg RingConfig) *Ring {
	least := leastShare(shares)
	scale := min(math.Ceil(least*float64(cfg.MinSize))/least, float64(cfg.MaxSize))
	if greatestShare(shares) == 0 {
		scale = 0
	}
	points := make([]point, 0, int(math.Ceil(scale)))
	counts := make([]int, len(hosts))
	var key []byte
	var target, current float64
	for i, h := range hosts {
		key = append(append(key[:0], h.Key...), '_')
		target += float64(scale * shares[i])
		for ; current < target; current++ {
			numbered := strconv.AppendInt(key, int64(counts[i]), 10)
			points = append(points, point{hash: cfg.place(numbered), host: uint32(i)})
			counts[i]++
		}
	}
	r := &Ring{circle: newCircle(points), scale: int(math.Ceil(scale))}
	r.fewest, r.most = fewestAndMost(counts, shares)
	return r
}

// place hashes the key of a point.
func (c RingConfig) place(key []byte) uint64 {
	if c.Murmur {
		return Murmur2(key, MurmurSeed)
	}
	return XXH64(key, 0)
}

// Lookup returns the index of the host that owns h, or None. Any goroutine; no allocation.
func (r *Ring) Lookup(h uint64) int { return r.circle.lookup(h, 0) }

// LookupN is Lookup for the attempt-th try of a request whose earlier hosts were turned down (Envoy's retry host
// predicates): the owner of the attempt-th point after h's, which may be the same host again. Attempt 0 is Lookup.
func (r *Ring) LookupN(h uint64, attempt int) int { return r.circle.lookup(h, attempt) }

// Len returns the number of points.
func (r *Ring) Len() int { return len(r.circle.hashes) }

// Spread returns Envoy's ring_hash_lb gauges: size, min_hashes_per_host and max_hashes_per_host.
func (r *Ring) Spread() (size, fewest, most int) { return r.scale, r.fewest, r.most }
