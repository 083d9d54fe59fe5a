// What the encoder knows of names, and how it finds what it sent before.

package http2

import (
	"bytes"
	"encoding/binary"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// policy is when a field goes into the table.
type policy uint8

const (
	twice     policy = iota // when it comes again
	once                    // at once
	unique                  // its name at once, its values never: none comes twice
	guessable               // not if it is short
)

// policies are those that differ from twice. Once: what a client or a server says in each of its messages.
// Written once, here.
var policies = func() (t [256]policy) {
	for _, id := range []http1.FieldID{
		http1.FieldAccept, http1.FieldAcceptEncoding, http1.FieldAcceptLanguage, http1.FieldUserAgent,
		http1.FieldContentType, http1.FieldServer, http1.FieldTE, http1.FieldXForwardedProto, http1.FieldVia,
		http1.FieldVary, http1.FieldCacheControl, http1.FieldContentEncoding, http1.FieldGrpcStatus,
	} {
		t[id] = once
	}
	t[http1.FieldXRequestID] = unique
	t[http1.FieldAuthorization], t[http1.FieldProxyAuthorization] = guessable, guessable
	t[http1.FieldCookie], t[http1.FieldSetCookie] = guessable, guessable
	return t
}()

// Indexes of the static table's pseudo-headers: the first of each name.
const (
	staticAuthority = 1
	staticMethod    = 2
	staticPath      = 4
	staticScheme    = 6
	staticStatus    = 8
)

// protocolName is the one pseudo-header that the static table has not.
var protocolName = []byte(":protocol")

// named is what the encoder knows of a field's name. One with an index in the static table needs no bytes
// unless it goes into the dynamic one.
type named struct {
	name   []byte
	static uint8 // an index with that name, or 0
	id     http1.FieldID
	policy policy
}

// knownNames are the names of http1's numbers. Written once, here.
var knownNames = func() (t [256][]byte) {
	for id := range http1.FieldCount {
		if name := id.String(); name != "" {
			t[id] = []byte(name)
		}
	}
	return t
}()

func (e *Encoder) named(name []byte, id http1.FieldID) named {
	if known := knownNames[id]; known != nil {
		return named{known, staticName[id], id, policies[id]}
	}
	if len(name) > 0 && name[0] == ':' {
		switch pseudo(name) {
		case pseudoMethod:
			return named{static: staticMethod, policy: once}
		case pseudoScheme:
			return named{static: staticScheme, policy: once}
		case pseudoAuthority:
			return named{static: staticAuthority, policy: once}
		case pseudoPath:
			return named{static: staticPath}
		case pseudoStatus:
			return named{static: staticStatus, policy: once}
		}
	}
	return named{name: e.lower(name)}
}

// lower is name itself or, in scratch, its lower case.
func (e *Encoder) lower(name []byte) []byte {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			e.name = append(e.name[:0], name...)
			for j := i; j < len(e.name); j++ {
				if c := e.name[j]; c >= 'A' && c <= 'Z' {
					e.name[j] = c | 0x20
				}
			}
			return e.name
		}
	}
	return name
}

// bytes is the name, wherever it is.
func (n *named) bytes() []byte {
	if n.name == nil && n.static != 0 {
		return static[n.static].name
	}
	return n.name
}

// seed is the name's part of a field's hash.
func (n *named) seed() uint64 {
	if n.static != 0 {
		return uint64(n.static) * hashPrime
	}
	return hash(0, n.name)
}

// staticPair is the index of a whole field in the static table, among those that follow the first of its name.
func staticPair(first uint8, value []byte) uint8 {
	if first == 0 {
		return 0
	}
	for i := first; int(i) < len(static) && len(static[i].value) > 0; i++ {
		if static[i].look != static[first].look || static[i].id != static[first].id {
			return 0
		}
		if bytes.Equal(static[i].value, value) {
			return i
		}
	}
	return 0
}

// memory finds entries of the table by what they hold. It forgets: of two fields with the same slot the newer
// stays, which costs bytes on the wire and nothing else.
type memory struct {
	pairs [128]slot  // by the hash of name and value
	names [32]uint32 // sequence numbers, by the hash of a name that the static table has not
	seen  [64]uint32 // hashes of fields that came once
}

// slot is an entry's sequence number, its low half, and the hash of what it holds.
type slot struct{ seq, hash uint32 }

// live turns the low half of a sequence number into that of an entry that may be meant.
func (e *Encoder) live(low uint32) (seq uint64, ok bool) {
	back := uint32(e.table.next) - low // 1 is the newest
	return e.table.next - uint64(back), back >= 1 && uint64(back) <= e.table.next-e.table.oldest
}

// pair finds the entry that is this field.
func (e *Encoder) pair(h uint64, n named, value []byte) (seq uint64, ok bool) {
	s := &e.memory.pairs[h%uint64(len(e.memory.pairs))]
	if s.hash != uint32(h>>32) {
		return 0, false
	}
	if seq, ok = e.live(s.seq); !ok {
		return 0, false
	}
	f := e.table.entry(seq)
	b := e.table.bytes(f)
	return seq, bytes.Equal(b[f.name:], value) && bytes.Equal(b[:f.name], n.bytes())
}

// nameOf finds an entry that has this name.
func (e *Encoder) nameOf(n named) (seq uint64, ok bool) {
	if e.memory == nil {
		return 0, false
	}
	if seq, ok = e.live(e.memory.names[n.seed()%uint64(len(e.memory.names))]); !ok {
		return 0, false
	}
	f := e.table.entry(seq)
	return seq, bytes.Equal(e.table.bytes(f)[:f.name], n.name)
}

// hasName says that a literal of this name need not spell it.
func (e *Encoder) hasName(n named) bool {
	if n.static != 0 {
		return true
	}
	_, ok := e.nameOf(n)
	return ok
}

// remember puts a field into the table.
func (e *Encoder) remember(h uint64, n named, value []byte) {
	seq := uint32(e.table.next)
	if !e.table.insert(&field{name: n.bytes(), value: value}) {
		return
	}
	e.memory.pairs[h%uint64(len(e.memory.pairs))] = slot{seq, uint32(h >> 32)}
	if n.static == 0 {
		e.memory.names[n.seed()%uint64(len(e.memory.names))] = seq
	}
}

// again says that a field came before, not long ago.
func (m *memory) again(h uint64) bool {
	s := &m.seen[h%uint64(len(m.seen))]
	if *s == uint32(h>>32) {
		return true
	}
	*s = uint32(h >> 32)
	return false
}

const hashPrime = 0x9e3779b97f4a7c15

// hash mixes b into h, eight bytes at a time. Who can make two fields collide makes their own connection's blocks
// longer.
func hash(h uint64, b []byte) uint64 {
	h ^= uint64(len(b)) * hashPrime
	for len(b) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(b)) * hashPrime
		h ^= h >> 32
		b = b[8:]
	}
	var tail uint64
	for i, c := range b {
		tail |= uint64(c) << (8 * i)
	}
	h = (h ^ tail) * hashPrime
	return h ^ h>>32
}
