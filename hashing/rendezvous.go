package hashing

// Rendezvous: weighted rendezvous hashing over a fixed table of slots, filled by a race. attache's own default.

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// RendezvousSlots is the number of slots of every Rendezvous table. It is part of the algorithm: tables of another size
// send nearly every key elsewhere, so it does not follow the number of hosts.
const RendezvousSlots = 1 << rendezvousBits

const rendezvousBits = 16

// Rendezvous is weighted rendezvous hashing (Thaler and Ravishankar, 1998: the host with the best score for a key has the
// key) over RendezvousSlots slots in place of keys. A slot's winner depends on nothing but each host's own score for that
// slot, so
//
//   - when a host comes, keys move to it and nowhere else; when one goes, its keys move and no others;
//   - when a host's weight grows, keys move to it and nowhere else; when it shrinks, from it;
//   - the order of the hosts does not matter, and weights may all be multiplied by a power of two.
//
// To score every host for every slot takes 65 million hashes for 1,000 hosts. Instead the hosts race, as in Ertl's
// ProbMinHash (2019): a host of weight w arrives at slots drawn from its own endless random sequence, its k-th arrival at
// a time between k/w and (k+1)/w, and a slot belongs to whoever arrives first. A host's time of first arrival at a slot is
// its score. Fast runners are early, so shares follow weights; and the race is over when every slot has been reached, which
// takes about 12 arrivals a slot however many the hosts are.
//
// A table of S slots gives one of n equal hosts S/n of them, with a standard deviation of √(S/2n): shares are even to 1 %
// for 10 hosts and to 9 % for 1,000. It is immutable: any goroutine may look things up.
type Rendezvous struct {
	slots slots
}

// NewRendezvous builds the table of hosts. It fails on an empty key, a weight of 0, and weights that sum to more than
// 2^32-1. No hosts make an empty table. Of two hosts with the same key one gets all: the heavier, or else the first.
func NewRendezvous(hosts []Host) (*Rendezvous, error) {
	total, err := totalWeight(hosts)
	if err != nil {
		return nil, fmt.Errorf("rendezvous: %w", err)
	}
	switch len(hosts) {
	case 0:
		return &Rendezvous{}, nil
	case 1:
		return &Rendezvous{slots: packSlots(make([]uint32, RendezvousSlots), 1)}, nil
	}
	return &Rendezvous{slots: packSlots(race(hosts, total), len(hosts))}, nil
}

// race runs the hosts, in rounds of as many arrivals as there are slots, until every slot has been reached. A round ends at
// the same time for all, so whatever comes later is later than every arrival so far and cannot take a slot from it.
func race(hosts []Host, total uint64) []uint32 {
	owners := make([]uint32, RendezvousSlots)
	earliest := slices.Repeat([]float64{math.Inf(1)}, RendezvousSlots)
	runners := startingOrder(hosts)
	unreached := RendezvousSlots
	for round := 1; unreached > 0; round++ {
		end := float64(round) * RendezvousSlots / float64(total) * (1 << 32)
		for i := range runners {
			unreached -= runners[i].run(end, earliest, owners)
		}
	}
	return owners
}

// runner is one host in the race.
type runner struct {
	host     uint32
	seed     uint64
	pace     float64 // 1/weight
	arrivals uint64  // so far
}

// startingOrder returns the hosts by key: of two that arrive at the same instant, the first in this order wins, whatever
// order the caller gave.
func startingOrder(hosts []Host) []runner {
	runners := make([]runner, len(hosts))
	for i, h := range hosts {
		runners[i] = runner{host: uint32(i), seed: XXH64String(h.Key, 0), pace: 1 / float64(h.Weight)}
	}
	slices.SortStableFunc(runners, func(a, b runner) int {
		return cmp.Compare(hosts[a.host].Key, hosts[b.host].Key)
	})
	return runners
}

// run lets one host arrive at slots up to the time end, and returns how many it was the first of all to reach. Times count
// 2^-32ths. There is one multiplication from the integers to the time, so every machine comes to the same one.
func (r *runner) run(end float64, earliest []float64, owners []uint32) (reached int) {
	for {
		draw := mix(r.seed + r.arrivals*0x9e3779b97f4a7c15)
		at := float64(r.arrivals<<32|draw&math.MaxUint32) * r.pace
		if at >= end {
			return reached
		}
		r.arrivals++
		slot := draw >> (64 - rendezvousBits)
		if at < earliest[slot] {
			if math.IsInf(earliest[slot], 1) {
				reached++
			}
			earliest[slot], owners[slot] = at, r.host
		}
	}
}

// mix is SplitMix64's finisher (Steele, Lea and Flood, 2014; Stafford's variant 13): every bit of h moves every bit of the
// result.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Lookup returns the index of the host that owns h, or None. It mixes h first: hashes of 32 bits do as well as hashes of
// 64. Any goroutine; no allocation.
func (r *Rendezvous) Lookup(h uint64) int {
	if r.slots.len() == 0 {
		return None
	}
	return r.slots.at(mix(h) >> (64 - rendezvousBits))
}

// LookupN is Lookup for the attempt-th try of a request whose earlier hosts were turned down: the owner of another hash,
// made from h and attempt as Maglev makes it, which may be the same host. Attempt 0 is Lookup.
func (r *Rendezvous) LookupN(h uint64, attempt int) int {
	if attempt > 0 {
		h ^= -uint64(attempt)
	}
	return r.Lookup(h)
}

// Len returns the number of slots: RendezvousSlots, or 0 if there are no hosts.
func (r *Rendezvous) Len() int { return r.slots.len() }
