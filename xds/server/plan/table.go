// Package plan says what a change of a hashed set does to the keys before it is
// made: what share of them moves, how small that share could be, what share
// moves although the instances on both ends stay, and how the load lies on the
// instances afterwards. It holds a change back that moves too much.
package plan

// The tables of the data plane, built from instances.

import (
	"fmt"
	"net/netip"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/hashing"
)

// Policy is how keys are spread, as files write it; "" is not hashed.
type Policy string

// The policies, those of the package hashing.
const (
	Rendezvous   Policy = "rendezvous"
	RingHash     Policy = "ring_hash"
	Maglev       Policy = "maglev"
	Ketama       Policy = "ketama"
	Libmemcached Policy = "libmemcached"
)

// Identity is what places an instance in the table.
type Identity string

// The identities.
const (
	ByID       Identity = "id"
	ByAddress  Identity = "address"
	ByHostname Identity = "hostname" // the id where there is none
)

// Table is how a set is hashed. It is comparable; the zero Table does not hash.
type Table struct {
	Policy   Policy
	Identity Identity
	// MinRing and MaxRing bound the points of a ring, Size is the slots of a
	// Maglev table; 0 is the default of package hashing.
	MinRing, MaxRing, Size uint64
}

// Hashed says whether the table places keys at all.
func (t Table) Hashed() bool { return t.Policy != "" }

// String is the policy, and what is not its default.
func (t Table) String() string {
	text := string(t.Policy)
	if t.MinRing > 0 || t.MaxRing > 0 {
		text += fmt.Sprintf("(%d-%d)", t.MinRing, t.MaxRing)
	}
	if t.Size > 0 {
		text += fmt.Sprintf("(%d)", t.Size)
	}
	if t.Identity != ByID {
		text += "," + string(t.Identity)
	}
	return text
}

// HashKey is the hash_key that an instance is sent with; "" leaves its address
// to be hashed.
func (t Table) HashKey(i *discovery.Instance) string {
	switch {
	case t.Identity == ByAddress:
		return ""
	case t.Identity == ByHostname && i.Hostname != "":
		return i.Hostname
	}
	return i.ID
}

// key is what a data plane hashes to place the instance (proxy/upstream, Envoy).
func (t Table) key(i *discovery.Instance) string {
	if key := t.HashKey(i); key != "" {
		return key
	}
	if t.Policy != Ketama && t.Policy != Libmemcached {
		if i.Path != "" {
			return i.Path
		}
		return netip.AddrPortFrom(i.Addr.Addr().Unmap(), i.Addr.Port()).String()
	}
	if i.Path != "" {
		return hashing.ServerName(i.Path, 0)
	}
	return hashing.ServerName(addrText(i.Addr), i.Addr.Port())
}

func addrText(a netip.AddrPort) string { return a.Addr().Unmap().String() }

// lookup finds the index of the host of a hash.
type lookup func(h uint64) int

// build makes the table of hosts.
func (t Table) build(hosts []hashing.Host) (lookup, error) {
	switch t.Policy {
	case RingHash:
		ring, err := hashing.NewRing(hosts, hashing.RingConfig{MinSize: t.MinRing, MaxSize: t.MaxRing})
		return ring.Lookup, err
	case Maglev:
		m, err := hashing.NewMaglev(hosts, t.Size)
		return m.Lookup, err
	case Ketama:
		k, err := hashing.NewKetama(hosts)
		return func(h uint64) int { return k.Lookup(uint32(h)) }, err
	case Libmemcached:
		k, err := hashing.NewLibmemcachedKetama(hosts)
		return func(h uint64) int { return k.Lookup(uint32(h)) }, err
	case Rendezvous:
		r, err := hashing.NewRendezvous(hosts)
		return r.Lookup, err
	}
	return nil, fmt.Errorf("policy %q hashes nothing", t.Policy)
}
