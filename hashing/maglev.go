package hashing

// Maglev: Envoy's Maglev table, bit for bit.

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Envoy's default for a Maglev table's size, in slots, and its limit.
const (
	DefaultMaglevSize = 65537
	MaxMaglevSize     = 5_000_011
)

// Maglev is Envoy's Maglev load balancer (maglev_lb.cc, after Eisenbud et al., "Maglev: A Fast and Reliable Software Network
// Load Balancer", NSDI 2016, section 3.4, with weights). It is immutable: any goroutine may look things up. It does not
// depend on the order of the hosts, but on the order of their keys.
type Maglev struct {
	slots        slots
	size         uint64
	fewest, most int
}

// NewMaglev builds the table of hosts as Envoy does without locality weights. The size must be a prime of at most
// MaxMaglevSize; 0 means DefaultMaglevSize. It fails on such a size, an empty key, a weight of 0, and weights that sum to
// more than 2^32-1. No hosts make an empty table.
func NewMaglev(hosts []Host, size uint64) (*Maglev, error) {
	shares, err := Shares(hosts)
	if err != nil {
		return nil, fmt.Errorf("maglev: %w", err)
	}
	return NewMaglevWithShares(hosts, shares, size)
}

// NewMaglevWithShares is NewMaglev with shares from LocalityShares in place of the hosts' weights.
func NewMaglevWithShares(hosts []Host, shares []float64, size uint64) (*Maglev, error) {
	if size == 0 {
		size = DefaultMaglevSize
	}
	if size > MaxMaglevSize {
		return nil, fmt.Errorf("maglev: table_size (%d) > %d", size, MaxMaglevSize)
	}
	if !isPrime(size) {
		return nil, fmt.Errorf("maglev: table_size (%d) is not a prime", size)
	}
	if err := checkShares(hosts, shares); err != nil {
		return nil, fmt.Errorf("maglev: %w", err)
	}
	m := &Maglev{size: size}
	if greatestShare(shares) == 0 {
		return m, nil
	}
	owners, counts := fillMaglev(hosts, shares, size)
	m.slots = packSlots(owners, len(hosts))
	m.fewest, m.most = fewestAndMost(counts, shares)
	return m, nil
}

// maglevEntry is one host while the table is filled.
type maglevEntry struct {
	host   uint32
	slot   uint64  // the slot it wants next
	skip   uint64  // how far it goes from there if that is taken
	share  float64 // its weight
	target float64 // it may not take another turn before round*share reaches this
}

// fillMaglev lets the hosts take turns, in rounds, in the order of their keys; in its turn a host takes the first free slot
// of its own permutation. The heaviest host has a turn in every round, another has one when round*share has caught up
// with the turns it has had. Envoy asks every host in every round; here a heap holds the round of each host's next turn,
// so that a thousand light hosts beside a heavy one cost nothing in the rounds they sit out.
func fillMaglev(hosts []Host, shares []float64, size uint64) (owners []uint32, counts []int) {
	const free = math.MaxUint32
	owners = slices.Repeat([]uint32{free}, int(size))
	counts = make([]int, len(hosts))
	entries := maglevEntries(hosts, shares, size)
	turns := make(turnHeap, len(entries)) // all in round 1, in order: already a heap
	for i := range entries {
		turns[i] = turn(1, i)
	}
	heaviest := greatestShare(shares)
	for range size {
		round, i := turns[0].split()
		e := &entries[i]
		for owners[e.slot] != free {
			e.advance(size)
		}
		owners[e.slot] = e.host
		counts[e.host]++
		e.advance(size)
		e.target += heaviest
		turns.replaceFirst(turn(e.turnAfter(round), i))
	}
	return owners, counts
}

// maglevEntries returns the hosts that have a share, sorted by key.
func maglevEntries(hosts []Host, shares []float64, size uint64) []maglevEntry {
	entries := make([]maglevEntry, 0, len(hosts))
	for i, h := range hosts {
		if shares[i] == 0 {
			continue
		}
		entries = append(entries, maglevEntry{
			host:  uint32(i),
			slot:  XXH64String(h.Key, 0) % size,
			skip:  XXH64String(h.Key, 1)%(size-1) + 1,
			share: shares[i],
		})
	}
	slices.SortStableFunc(entries, func(a, b maglevEntry) int {
		return cmp.Compare(hosts[a.host].Key, hosts[b.host].Key)
	})
	return entries
}

func (e *maglevEntry) advance(size uint64) {
	e.slot += e.skip
	if e.slot >= size {
		e.slot -= size
	}
}

// turnAfter returns the first round after this one in which round*share >= target, in Envoy's arithmetic: the quotient is
// only a guess that the exact comparison then corrects by a step or two.
func (e *maglevEntry) turnAfter(round uint32) uint32 {
	next := round + 1
	if float64(next)*e.share >= e.target {
		return next
	}
	guess := e.target / e.share
	if guess > math.MaxInt32 {
		return math.MaxUint32 // the table is full long before
	}
	next = max(next, uint32(guess))
	for next > round+1 && float64(next-1)*e.share >= e.target {
		next--
	}
	for float64(next)*e.share < e.target {
		next++
	}
	return next
}

// Lookup returns the index of the host that owns h, or None. Any goroutine; no allocation.
func (m *Maglev) Lookup(h uint64) int {
	if m.slots.len() == 0 {
		return None
	}
	return m.slots.at(h % m.size)
}

// LookupN is Lookup for the attempt-th try of a request whose earlier hosts were turned down (Envoy's retry host
// predicates): the owner of another hash, made from h and attempt, which may be the same host. Attempt 0 is Lookup.
func (m *Maglev) LookupN(h uint64, attempt int) int {
	if attempt > 0 {
		h ^= -uint64(attempt)
	}
	return m.Lookup(h)
}

// Len returns the number of slots, 0 if there are no hosts.
func (m *Maglev) Len() int { return m.slots.len() }

// Spread returns Envoy's maglev_lb gauges: min_entries_per_host and max_entries_per_host.
func (m *Maglev) Spread() (fewest, most int) { return m.fewest, m.most }

func isPrime(n uint64) bool {
	if n < 2 {
		return false
	}
	for d := uint64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}
