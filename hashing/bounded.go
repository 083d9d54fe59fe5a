package hashing

// Bounded: no host gets much more than its share of the requests in flight, whatever the keys.

import (
	"fmt"
	"math"
	"slices"
)

// Bounded is Envoy's hash_balance_factor (BoundedLoadHashingLoadBalancer, thread_aware_lb_impl.cc; after Mirrokni et al.,
// arXiv:1608.01350, and Chen et al., arXiv:1908.08762): a host may have factor percent of its share of the requests in
// flight; past that, its keys go to other hosts, in an order that the key's hash determines. It is immutable and stands
// over any table: any goroutine may pick, each with its own Shuffle.
type Bounded struct {
	shares  []float64
	members []uint32 // the hosts that have a share: what Envoy shuffles
	factor  uint32
}

// NewBounded makes the bound for hosts, the ones that the table was built from, in the same order. The factor is in percent
// and at least 100. It fails on a smaller factor and where the tables fail.
func NewBounded(hosts []Host, factor uint32) (*Bounded, error) {
	shares, err := Shares(hosts)
	if err != nil {
		return nil, fmt.Errorf("bounded load: %w", err)
	}
	return NewBoundedWithShares(hosts, shares, factor)
}

// NewBoundedWithShares is NewBounded with shares from LocalityShares in place of the hosts' weights.
func NewBoundedWithShares(hosts []Host, shares []float64, factor uint32) (*Bounded, error) {
	if factor < 100 {
		return nil, fmt.Errorf("bounded load: hash_balance_factor (%d) < 100", factor)
	}
	if err := checkShares(hosts, shares); err != nil {
		return nil, fmt.Errorf("bounded load: %w", err)
	}
	b := &Bounded{shares: slices.Clone(shares), factor: factor}
	for i, share := range shares {
		if share > 0 {
			b.members = append(b.members, uint32(i))
		}
	}
	return b, nil
}

// Pick returns the host for a request with hash h, to which a table's Lookup or LookupN gave the host first: first itself
// unless it is full; else the first host of h's shuffle that is not; else, if all are full, the least overloaded of them.
// total is the number of requests in flight in the cluster, and active gives each host's. A first of None is returned.
//
// It reads active once while first is not full, and up to n times if it is. It does not allocate, unless s meets more hosts
// than ever before.
func (b *Bounded) Pick(first int, h uint64, total uint32, active func(host int) uint32, s *Shuffle) int {
	if first == None {
		return None
	}
	least := b.overload(first, total, active)
	if least <= 1 {
		return first
	}
	best := first
	s.start(h, len(b.members))
	for range b.members {
		host := int(b.members[s.next()])
		if host == first {
			continue
		}
		load := b.overload(host, total, active)
		if load <= 1 {
			return host
		}
		if load < least {
			best, least = host, load
		}
	}
	return best
}

// overload is Envoy's hostOverloadFactor: the host's requests in flight over those it may have. The products are of 32
// bits and wrap as Envoy's do.
func (b *Bounded) overload(host int, total uint32, active func(host int) uint32) float64 {
	all := ((total+1)*b.factor + 99) / 100
	slots := max(uint32(math.Ceil(float64(all)*b.shares[host])), 1)
	return float64(active(host)) / float64(slots)
}
