// Package hashing turns keys into hashes and hashes into places: the pure arithmetic that decides which host a key lives on.
//
// Everything here is a function of its arguments. A table is built once from a list of hosts, never changes, and may be
// read from any goroutine; a lookup allocates nothing and takes no lock. Two processes that are given the same hosts and
// the same key agree, whatever their versions, start times and machines: that is the package's whole promise, and the
// files under testdata hold it to what Envoy, twemproxy, libmemcached and Redis Cluster answer.
//
//	key ──Sum, XXH64, …──▶ hash ──Lookup──▶ index into the hosts that the table was built from
//	                                 │
//	                                 └──Bounded.Pick──▶ the same, unless that host already has more than its share
//
// The tables (n hosts, S table slots; "moves" is what happens when one host comes or goes):
//
//	table       reproduces                            lookup            moves
//	Ring        Envoy ring_hash_lb.cc                 O(1), ≤ O(log S)  the host's own keys, and up to as many others,
//	                                                                    since every host's points are renumbered with n
//	Maglev      Envoy maglev_lb.cc                    O(1)              the host's own keys and 1 or 2 % of the others
//	Ketama      twemproxy nc_ketama.c, libmemcached   O(1), ≤ O(log S)  the host's own keys, unless rounding gives the
//	            hosts.cc, spymemcached                                  other hosts another number of points
//	Modula      twemproxy nc_modula.c                 O(log n)          nearly every key
//	Rendezvous  attache's own (see its comment)       O(1)              the host's own keys and no other, ever
//	Bounded     Envoy thread_aware_lb_impl.cc         O(1), O(n) when   keys of full hosts go elsewhere
//	                                                  a host is full
package hashing

import (
	"fmt"
	"math"
)

// Host is one place a key can go. Tables speak of hosts by their index in the slice they were built from.
type Host struct {
	// Key is the host's identity: what is hashed to place it. "ip:port", a hostname, a metadata hash_key or a
	// twemproxy server name: the caller chooses, and two processes agree only if they choose alike.
	Key string
	// Weight is the host's part relative to the other hosts', from 1 to 2^32-1. The weights of a table's hosts may
	// sum to no more than 2^32-1 (Envoy's limit, too).
	Weight uint32
}

// None is the index that a lookup returns when the table has no hosts.
const None = -1

// totalWeight checks hosts and adds their weights up. It is the one door through which hosts come into any table.
func totalWeight(hosts []Host) (uint64, error) {
	var sum uint64
	for i, h := range hosts {
		switch {
		case h.Key == "":
			return 0, fmt.Errorf("hosts[%d]: key is empty", i)
		case h.Weight == 0:
			return 0, fmt.Errorf("hosts[%d] %q: weight is 0", i, h.Key)
		}
		sum += uint64(h.Weight)
		if sum > math.MaxUint32 {
			return 0, fmt.Errorf("hosts[%d] %q: weights sum to more than %d", i, h.Key, uint32(math.MaxUint32))
		}
	}
	return sum, nil
}
