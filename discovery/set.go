package discovery

// Whole sets of instances: made, compared.

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// MakeSet sorts instances by ID and makes them a set; of several with one ID
// the first stays and the others are counted. With version "" the set's version
// is a hash of its content, the same in every process. The instances are the
// set's from now on.
func MakeSet(version string, instances []Instance) (set *Set, duplicates int) {
	slices.SortStableFunc(instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	n := len(instances)
	instances = slices.CompactFunc(instances, func(a, b Instance) bool { return a.ID == b.ID })
	if version == "" {
		version = contentVersion(instances)
	}
	return &Set{version, instances}, n - len(instances)
}

// Equal reports whether both have the same instances, whatever their versions.
func (s *Set) Equal(t *Set) bool {
	return s == t || s != nil && t != nil && slices.EqualFunc(s.Instances, t.Instances, Instance.Equal)
}

// Equal reports whether nothing that is known of two instances differs.
func (i Instance) Equal(j Instance) bool {
	return i.ID == j.ID && i.Addr == j.Addr && i.Path == j.Path && i.Hostname == j.Hostname &&
		i.Weight == j.Weight && i.Health == j.Health && i.Priority == j.Priority &&
		i.Region == j.Region && i.Zone == j.Zone && i.SubZone == j.SubZone &&
		slices.Equal(i.ForZones, j.ForZones) && slices.Equal(i.Tags, j.Tags) && maps.Equal(i.Metadata, j.Metadata)
}

func contentVersion(instances []Instance) string {
	h := content{sum: xxhash.New()}
	for _, i := range instances {
		h.text(i.ID, i.Addr.String(), i.Path, i.Hostname, i.Region, i.Zone, i.SubZone)
		h.numbers(int(i.Weight), int(i.Health), int(i.Priority), len(i.ForZones), len(i.Tags), len(i.Metadata))
		h.text(i.ForZones...)
		h.text(i.Tags...)
		for _, key := range slices.Sorted(maps.Keys(i.Metadata)) {
			h.text(key, i.Metadata[key])
		}
	}
	return hex.EncodeToString(h.sum.Sum(nil))
}

// content hashes with lengths in front, so that no two contents read alike.
type content struct {
	sum    *xxhash.Digest
	number [8]byte
}

func (c *content) text(all ...string) {
	for _, s := range all {
		c.numbers(len(s))
		_, _ = c.sum.WriteString(s)
	}
}

func (c *content) numbers(all ...int) {
	for _, n := range all {
		binary.LittleEndian.PutUint64(c.number[:], uint64(n))
		_, _ = c.sum.Write(c.number[:])
	}
}
