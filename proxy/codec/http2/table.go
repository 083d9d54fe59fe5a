// HPACK's dynamic table (RFC 7541 2.3.2, 4): the same for decoder and encoder.

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

// fieldOverhead is what a field costs in a table or list beside its bytes (RFC 7541 4.1).
const fieldOverhead = 32

// table keeps the newest fields whose sizes together stay within max. Names and values lie one behind the other
// in buf, the oldest first; when its end is reached, what lives moves to the front:
//
//	buf   [ dead | oldest … newest | free ]     entries  ring of spans into buf, by sequence number
//
// Memory grows with what the peer puts in, to twice max and 24 bytes for each entry.
type table struct {
	buf       []byte
	entries   []entry // ring; its length is a power of two
	oldest    uint64  // sequence number of the oldest that lives
	next      uint64  // of the next one to come
	size, max uint32
}

// entry is where a field lies.
type entry struct {
	at, name, value uint32
	id              http1.FieldID
	look            look
}

func (t *table) len() int { return int(t.next - t.oldest) }

// entry is the one with a sequence number from oldest up to next.
func (t *table) entry(seq uint64) *entry { return &t.entries[seq&uint64(len(t.entries)-1)] }

// bytes are name and value of e, good until the next insert.
func (t *table) bytes(e *entry) []byte { return t.buf[e.at : e.at+e.name+e.value] }

// setMax changes the size that must not be exceeded.
func (t *table) setMax(n uint32) {
	t.max = n
	t.evict(0)
}

// evict makes room for need bytes of size.
func (t *table) evict(need uint32) {
	for t.size > 0 && uint64(t.size)+uint64(need) > uint64(t.max) {
		e := t.entry(t.oldest)
		t.size -= e.name + e.value + fieldOverhead
		t.oldest++
	}
	if t.size == 0 {
		t.buf = t.buf[:0]
	}
}

// insert puts a field in as the newest; one that is larger than the table empties it (RFC 7541 4.4). name and
// value are not in the table's own memory.
func (t *table) insert(f *field) bool {
	n := len(f.name) + len(f.value)
	if uint64(n)+fieldOverhead > uint64(t.max) {
		t.oldest, t.size, t.buf = t.next, 0, t.buf[:0]
		return false
	}
	t.evict(uint32(n) + fieldOverhead)
	if t.len() == len(t.entries) {
		t.moreEntries()
	}
	if len(t.buf)+n > cap(t.buf) {
		t.moreBytes(n)
	}
	*t.entry(t.next) = entry{uint32(len(t.buf)), uint32(len(f.name)), uint32(len(f.value)), f.id, f.look}
	t.buf = append(append(t.buf, f.name...), f.value...)
	t.size += uint32(n) + fieldOverhead
	t.next++
	return true
}

// moreEntries doubles the ring. Not again once it has held as many as fit.
func (t *table) moreEntries() {
	old := *t
	t.entries = make([]entry, max(8, 2*len(old.entries)))
	for seq := t.oldest; seq != t.next; seq++ {
		*t.entry(seq) = *old.entry(seq)
	}
}

// moreBytes moves what lives to the front, of a larger buffer while that is below twice max.
func (t *table) moreBytes(n int) {
	at := len(t.buf)
	if t.len() > 0 {
		at = int(t.entry(t.oldest).at)
	}
	live, to := t.buf[at:], t.buf[:0]
	if room := cap(t.buf) - len(live); room < max(n, len(live)) {
		want := max(2*(len(live)+n), 1024)
		to = make([]byte, 0, min(want, max(2*int(t.max), len(live)+n)))
	}
	t.buf = append(to, live...)
	for seq := t.oldest; seq != t.next; seq++ {
		t.entry(seq).at -= uint32(at)
	}
}
