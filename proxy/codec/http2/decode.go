// From a header block to its fields (RFC 7541).

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

// What can be wrong with a block. Each leaves the two tables different, so the connection must end.
var (
	errIndex      = connection(CompressionError, "HPACK index of no entry")
	errInteger    = connection(CompressionError, "HPACK integer cut off or too large")
	errString     = connection(CompressionError, "HPACK string cut off")
	errHuffman    = connection(CompressionError, "HPACK string with a malformed Huffman code")
	errUpdate     = connection(CompressionError, "HPACK table size update above SETTINGS_HEADER_TABLE_SIZE")
	errNoUpdate   = connection(CompressionError, "no HPACK table size update after SETTINGS_HEADER_TABLE_SIZE")
	errLateUpdate = connection(CompressionError, "HPACK table size update after a field")
)

// Decoder turns one connection's header blocks into fields, in the order in which they came.
type Decoder struct {
	table   table
	told    uint32 // SETTINGS_HEADER_TABLE_SIZE as the peer was told
	allowed uint32 // what a table size update may ask for
	owed    bool   // the next block must begin with an update
}

// NewDecoder makes a decoder for a peer that was told tableSize as SETTINGS_HEADER_TABLE_SIZE. Memory is taken as
// the peer fills the table, about twice its size in the end.
func NewDecoder(tableSize uint32) *Decoder {
	d := &Decoder{}
	d.Init(tableSize)
	return d
}

// Init is NewDecoder for a Decoder that lies in the caller's memory.
func (d *Decoder) Init(tableSize uint32) {
	*d = Decoder{told: tableSize, allowed: max(tableSize, InitialTable)}
	d.table.max = InitialTable
}

// Told says that the peer acknowledged our SETTINGS: from now on it keeps to the table size that it was told,
// and if that is below the one in use, its next block must say so first (RFC 7541 4.2).
func (d *Decoder) Told() {
	d.allowed = d.told
	d.owed = d.table.max > d.told
}

// Decode reads a whole block into f, whose former list is forgotten. The errors:
//
//	*Error       COMPRESSION_ERROR: the connection must end
//	http1.Error  ErrTooManyHeaders, ErrHeadersTooLarge: more fields than lim.MaxHeaders, or a list larger than
//	             lim.MaxHeaderBytes by RFC 7541 4.1. The table is right and f holds what came before, so only
//	             this stream fails. Every cookie counts.
//
// Memory for the list is at most the limits and 8/5 of the block, for the table what NewDecoder was given.
func (d *Decoder) Decode(f *Fields, block []byte, lim *http1.Limits) error {
	f.begin()
	for first := true; len(block) > 0; {
		b := block[0]
		var e *Error
		switch {
		case b >= 0x80 && !d.owed:
			block, e = d.indexed(f, block, lim)
		case b&0xe0 == 0x20:
			if !first {
				return errLateUpdate
			}
			if block, e = d.update(block); e != nil {
				return e
			}
			continue
		case d.owed:
			return errNoUpdate
		default:
			block, e = d.literal(f, block, lim)
		}
		if e != nil {
			return e
		}
		first = false
	}
	return f.over
}

// indexed adds a field that a table has: one byte, mostly.
func (d *Decoder) indexed(f *Fields, block []byte, lim *http1.Limits) ([]byte, *Error) {
	index, rest, ok := readInt(block, 7)
	if !ok {
		return nil, errInteger
	}
	if index < uint32(len(static)) {
		if index == 0 {
			return nil, errIndex
		}
		s := &static[index]
		if f.admit(len(s.name)+len(s.value), lim) {
			f.add(s)
		}
		return rest, nil
	}
	e := d.entry(index)
	if e == nil {
		return nil, errIndex
	}
	n := int(e.name + e.value)
	if f.admit(n, lim) {
		b := f.reserve(n)
		copy(b, d.table.bytes(e))
		f.keep(n)
		f.add(&field{b[:e.name:e.name], b[e.name:], e.id, e.look})
	}
	return rest, nil
}

// entry is the dynamic table's at an index, or nil.
func (d *Decoder) entry(index uint32) *entry {
	back := index - uint32(len(static)) // 0 is the newest
	if uint64(back) >= d.table.next-d.table.oldest {
		return nil
	}
	return d.table.entry(d.table.next - 1 - uint64(back))
}

// literal adds a field that the block spells out, and puts it into the table if it says so.
func (d *Decoder) literal(f *Fields, block []byte, lim *http1.Limits) ([]byte, *Error) {
	insert, prefix := block[0]&0x40 != 0, uint8(4)
	if insert {
		prefix = 6
	}
	never := !insert && block[0]&0x10 != 0
	index, rest, ok := readInt(block, prefix)
	if !ok {
		return nil, errInteger
	}
	before := f.arena
	var lit field
	var e *Error
	switch {
	case index == 0:
		if lit.name, rest, e = readString(f, rest); e != nil {
			return nil, e
		}
		lit.id, lit.look = lookup(lit.name), lookAtName(lit.name)
	case index < uint32(len(static)):
		s := &static[index]
		lit.name, lit.id, lit.look = s.name, s.id, s.look
	default:
		known := d.entry(index)
		if known == nil {
			return nil, errIndex
		}
		b := f.reserve(int(known.name))
		copy(b, d.table.bytes(known))
		f.keep(len(b))
		lit.name, lit.id, lit.look = b, known.id, known.look&^(badValue|padded)
	}
	if lit.value, rest, e = readString(f, rest); e != nil {
		return nil, e
	}
	lit.look |= lookAtValue(lit.value)
	if insert {
		d.table.insert(&lit)
	} else if never {
		lit.look |= sensitive
	}
	if f.admit(len(lit.name)+len(lit.value), lim) {
		f.add(&lit)
	} else {
		f.drop(before)
	}
	return rest, nil
}

// update changes the table's size as the peer says (RFC 7541 6.3).
func (d *Decoder) update(block []byte) ([]byte, *Error) {
	n, rest, ok := readInt(block, 5)
	if !ok {
		return nil, errInteger
	}
	if n > d.allowed {
		return nil, errUpdate
	}
	d.table.setMax(n)
	d.owed = false
	return rest, nil
}

// readInt reads an integer whose first byte has prefix bits of it (RFC 7541 5.1), up to 2^31-1 in at most five
// more bytes.
func readInt(b []byte, prefix uint8) (n uint32, rest []byte, ok bool) {
	mask := byte(1)<<prefix - 1
	first := b[0] & mask
	if first < mask {
		return uint32(first), b[1:], true
	}
	sum := uint64(mask)
	for i := 1; i < len(b) && i <= 5; i++ {
		sum += uint64(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return uint32(sum), b[i+1:], sum < 1<<31
		}
	}
	return 0, nil, false
}

// readString reads a string (RFC 7541 5.2) into the arena of f.
func readString(f *Fields, b []byte) (s, rest []byte, e *Error) {
	if len(b) == 0 {
		return nil, nil, errString
	}
	packed := b[0]&0x80 != 0
	length, b, ok := readInt(b, 7)
	if !ok {
		return nil, nil, errInteger
	}
	if uint64(length) > uint64(len(b)) {
		return nil, nil, errString
	}
	b, rest = b[:length], b[length:]
	if !packed {
		s = f.reserve(len(b))
		copy(s, b)
		f.keep(len(s))
		return s, rest, nil
	}
	s = f.reserve(maxUnpacked(len(b)))
	n, ok := unpack(s, b)
	if !ok {
		return nil, nil, errHuffman
	}
	f.keep(n)
	return s[:n:n], rest, nil
}
