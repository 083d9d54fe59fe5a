package h2

// Which stream has a number.

import (
	"cmp"
	"slices"
)

// table finds the streams of a connection by their numbers. These grow by two,
// so those that live together mostly fall into slots of their own; one whose
// slot is taken by an old stream goes to rest. Its zero value is empty.
type table struct {
	slots []*Stream // a power of two
	rest  map[uint32]*Stream
	len   int
}

// Sizes of a table, in slots. The largest has room for as many streams as a
// connection has by default.
const (
	leastSlots = 16
	mostSlots  = 2048
)

func (t *table) slot(id uint32) **Stream { return &t.slots[int(id>>1)&(len(t.slots)-1)] }

func (t *table) get(id uint32) *Stream {
	if t.len == 0 {
		return nil
	}
	if s := *t.slot(id); s != nil && s.id == id {
		return s
	}
	return t.rest[id]
}

// put takes a stream in; no other has its number.
func (t *table) put(s *Stream) {
	t.len++
	if t.slots == nil {
		t.slots = make([]*Stream, leastSlots)
	}
	for *t.slot(s.id) != nil && len(t.slots) < mostSlots && 2*t.len > len(t.slots) {
		t.grow()
	}
	if p := t.slot(s.id); *p == nil {
		*p = s
		return
	}
	if t.rest == nil {
		t.rest = make(map[uint32]*Stream)
	}
	t.rest[s.id] = s
}

func (t *table) grow() {
	before := t.slots
	t.slots = make([]*Stream, 2*len(before))
	for _, s := range before {
		if s != nil {
			*t.slot(s.id) = s // two of one slot before are never of one slot after
		}
	}
}

// remove takes a stream out that is there.
func (t *table) remove(s *Stream) {
	t.len--
	if p := t.slot(s.id); *p == s {
		*p = nil
		return
	}
	delete(t.rest, s.id)
}

// sorted gives all streams in the order of their numbers.
func (t *table) sorted() []*Stream {
	all := make([]*Stream, 0, t.len)
	for _, s := range t.slots {
		if s != nil {
			all = append(all, s)
		}
	}
	for _, s := range t.rest {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stream) int { return cmp.Compare(a.id, b.id) })
	return all
}
