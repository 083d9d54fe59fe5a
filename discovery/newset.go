package discovery

// How sources make sets, so that equal content has an equal version everywhere.

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// NewSet makes a set of instances: sorted by ID, the first of equal IDs alone,
// and versioned by a hash of the content, so that two replicas that watch the
// same service, or one that was restarted, give equal sets equal versions. The
// slice is the set's from now on.
func NewSet(instances []Instance) *Set {
	slices.SortStableFunc(instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	instances = slices.CompactFunc(instances, func(a, b Instance) bool { return a.ID == b.ID })
	var d digest
	for i := range instances {
		d.instance(&instances[i])
	}
	return &Set{Version: strconv.FormatUint(xxhash.Sum64(d), 16), Instances: instances}
}

// digest is the content of a set as bytes that no other content has: every
// string and list carries its length.
type digest []byte

func (d *digest) instance(i *Instance) {
	addr, _ := i.Addr.MarshalBinary() // cannot fail
	d.strings(i.ID, string(addr), i.Path, i.Hostname, i.Region, i.Zone, i.SubZone)
	d.number(uint64(i.Weight))
	d.number(uint64(i.Health))
	d.number(uint64(i.Priority))
	d.list(i.ForZones)
	d.list(i.Tags)
	d.number(uint64(len(i.Metadata)))
	for _, key := range slices.Sorted(maps.Keys(i.Metadata)) {
		d.strings(key, i.Metadata[key])
	}
}

func (d *digest) number(n uint64) { *d = binary.AppendUvarint(*d, n) }

func (d *digest) strings(all ...string) {
	for _, s := range all {
		d.number(uint64(len(s)))
		*d = append(*d, s...)
	}
}

func (d *digest) list(all []string) {
	d.number(uint64(len(all)))
	d.strings(all...)
}
