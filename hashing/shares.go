package hashing

// Shares: what part of the whole each host gets, as Envoy computes it before it builds a ring or a Maglev table.

import (
	"fmt"
	"math"
)

// Shares returns each host's part of the whole, in the order of hosts; the parts sum to 1. It is Envoy's
// normalizeHostWeights (thread_aware_lb_impl.cc), and fails as the tables do: on an empty key, a weight of 0, or weights
// that sum to more than 2^32-1.
func Shares(hosts []Host) ([]float64, error) {
	return appendShares(nil, hosts, 1)
}

// LocalityShares is Shares for locality-weighted load balancing: locality i gets its part of weights, and its hosts share
// that part. The result is in the order of the localities' hosts laid end to end. A locality whose weight is 0 gives its
// hosts a share of 0, which keeps them out of the table. It is Envoy's normalizeLocalityWeights.
func LocalityShares(localities [][]Host, weights []uint32) ([]float64, error) {
	if len(localities) != len(weights) {
		return nil, fmt.Errorf("%d localities, but %d locality weights", len(localities), len(weights))
	}
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	if sum > math.MaxUint32 {
		return nil, fmt.Errorf("locality weights sum to more than %d", uint32(math.MaxUint32))
	}
	var shares []float64
	for i, hosts := range localities {
		part := 0.0
		if weights[i] != 0 {
			part = float64(weights[i]) / float64(sum)
		}
		var err error
		if shares, err = appendShares(shares, hosts, part); err != nil {
			return nil, fmt.Errorf("localities[%d]: %w", i, err)
		}
	}
	return shares, nil
}

// appendShares divides part between hosts by weight. The order of operations is Envoy's: rings depend on its rounding.
func appendShares(to []float64, hosts []Host, part float64) ([]float64, error) {
	sum, err := totalWeight(hosts)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		to = append(to, float64(h.Weight)*part/float64(sum))
	}
	return to, nil
}

// checkShares refuses shares that did not come from Shares or LocalityShares, and hosts without a key.
func checkShares(hosts []Host, shares []float64) error {
	if len(hosts) != len(shares) {
		return fmt.Errorf("%d hosts, but %d shares", len(hosts), len(shares))
	}
	sum := 0.0
	for i, s := range shares {
		if hosts[i].Key == "" {
			return fmt.Errorf("hosts[%d]: key is empty", i)
		}
		if !(s >= 0 && s <= 1) { // also refuses NaN
			return fmt.Errorf("shares[%d]: %v is not between 0 and 1", i, s)
		}
		sum += s
	}
	if sum > 1.000001 {
		return fmt.Errorf("shares sum to %v, more than 1", sum)
	}
	return nil
}

// leastShare returns the smallest share that is not 0, or 1. It is Envoy's min_normalized_weight.
func leastShare(shares []float64) float64 {
	least := 1.0
	for _, s := range shares {
		if s > 0 {
			least = min(least, s)
		}
	}
	return least
}

// greatestShare returns the largest share, or 0. It is Envoy's max_normalized_weight.
func greatestShare(shares []float64) float64 {
	greatest := 0.0
	for _, s := range shares {
		greatest = max(greatest, s)
	}
	return greatest
}

// fewestAndMost returns the smallest and the largest count among the hosts that have a share.
func fewestAndMost(counts []int, shares []float64) (fewest, most int) {
	fewest = math.MaxInt
	for i, n := range counts {
		if shares[i] > 0 {
			fewest, most = min(fewest, n), max(most, n)
		}
	}
	if fewest == math.MaxInt {
		return 0, 0
	}
	return fewest, most
}
