package plan

// What a change does to the keys.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/hashing"
)

// Keys is how many synthetic keys a comparison looks up. A share is off by at
// most 0.16 % of the keys, one time in three.
const Keys = 100_000

// Movement is what a change of a set does to the keys, as shares from 0 to 1.
type Movement struct {
	// Moved is the share of keys that another instance owns afterwards.
	Moved float64
	// Least is the smallest share that any table must move for this change: what
	// new instances, and old ones that now weigh more, are due.
	Least float64
	// Between is the share that moves between two instances that both stay with
	// the weight that they have: pure loss.
	Between float64
	// Before and After are the load of each instance.
	Before, After Load
}

// Load is how keys lie on instances.
type Load struct {
	// MaxOverMean is the largest share in proportion to what the instance's
	// weight is due; 0 without instances.
	MaxOverMean float64
	Hosts       []HostShare // by id
}

// HostShare is an instance's share of the keys.
type HostShare struct {
	ID     string
	Weight uint32
	Share  float64
}

// String is the movement in a line.
func (m Movement) String() string {
	return fmt.Sprintf("%.1f %% of the keys move (%.1f %% at least), %.1f %% between instances that stay; %d instances, max/mean %.2f",
		100*m.Moved, 100*m.Least, 100*m.Between, len(m.After.Hosts), m.After.MaxOverMean)
}

// Compare says what becomes of the keys when the instances that take keys change
// from before to after. It fails only as the tables of package hashing do, on
// weights that sum to more than 32 bits.
func Compare(t Table, before, after []discovery.Instance) (Movement, error) {
	return compare(t, before, after, Keys)
}

func compare(t Table, before, after []discovery.Instance, keys int) (m Movement, err error) {
	from, err := newSide(t, before)
	if err != nil {
		return m, err
	}
	to, err := newSide(t, after)
	if err != nil {
		return m, err
	}
	moved, between := 0, 0
	for i := range keys {
		h := mix(uint64(i))
		a, b := from.owner(h), to.owner(h)
		if from.key(a) == to.key(b) {
			continue
		}
		moved++
		if a != hashing.None && b != hashing.None && to.weights[from.key(a)] == from.weights[from.key(a)] && from.weights[to.key(b)] == to.weights[to.key(b)] {
			between++
		}
	}
	m.Moved, m.Between = float64(moved)/float64(keys), float64(between)/float64(keys)
	m.Least = least(from, to)
	m.Before, m.After = from.load(keys), to.load(keys)
	return m, nil
}

// side is a table and what was looked up in it.
type side struct {
	members []discovery.Instance
	keys    []string          // of members, in the table
	weights map[string]uint64 // by key
	total   uint64
	find    lookup
	counts  []int
}

func newSide(t Table, members []discovery.Instance) (*side, error) {
	s := &side{members: members, weights: map[string]uint64{}, counts: make([]int, len(members))}
	for i := range members {
		key, w := t.key(&members[i]), uint64(max(members[i].Weight, 1))
		s.keys = append(s.keys, key)
		s.weights[key] = w
		s.total += w
	}
	divisor := uint32(s.total/(math.MaxUint32/2)) + 1 // as they are sent
	hosts := make([]hashing.Host, len(members))
	for i, key := range s.keys {
		hosts[i] = hashing.Host{Key: key, Weight: max(members[i].Weight/divisor, 1)}
	}
	var err error
	s.find, err = t.build(hosts)
	return s, err
}

// owner finds and counts the owner of a hash.
func (s *side) owner(h uint64) int {
	i := s.find(h)
	if i != hashing.None {
		s.counts[i]++
	}
	return i
}

// key is a member's; "" for none.
func (s *side) key(i int) string {
	if i == hashing.None {
		return ""
	}
	return s.keys[i]
}

// due is the part of all keys that a member's weight gives it.
func (s *side) due(key string) float64 {
	if s.total == 0 {
		return 0
	}
	return float64(s.weights[key]) / float64(s.total)
}

// least is the sum of what each member gains, or all if one side has none.
func least(from, to *side) (sum float64) {
	switch {
	case from.total == 0 && to.total == 0:
		return 0
	case from.total == 0 || to.total == 0:
		return 1
	}
	for key := range to.weights {
		sum += max(0, to.due(key)-from.due(key))
	}
	return sum
}

func (s *side) load(keys int) (l Load) {
	for i, m := range s.members {
		share := float64(s.counts[i]) / float64(keys)
		l.Hosts = append(l.Hosts, HostShare{m.ID, max(m.Weight, 1), share})
		l.MaxOverMean = max(l.MaxOverMean, share/s.due(s.keys[i]))
	}
	slices.SortFunc(l.Hosts, func(a, b HostShare) int { return cmp.Compare(a.ID, b.ID) })
	return l
}

// mix makes a hash of a number (SplitMix64; Steele, Lea and Flood, 2014).
func mix(i uint64) uint64 {
	h := (i + 1) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
