// From fields to a header block (RFC 7541).

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

// Encoder makes one connection's header blocks, in the order in which they are sent.
//
// What goes into the table is what pays: fields that are alike in every message of a connection at once, and one
// of each name that no table has, for the name's sake; all others when the same field comes a second time within
// a short while. So a path with an id in it, a request id or a trace never pushes out what is used, and a gRPC
// method or the date of this second is sent once.
type Encoder struct {
	table table
	bound uint32 // the largest table that we keep, whatever the peer allows
	// A size to announce before the next field, and whether others were set before it.
	pending         uint32
	update, several bool

	memory *memory // nil until a field is worth remembering
	name   []byte  // scratch for names in other than lower case
}

// NewEncoder makes an encoder whose table is never larger than bound, whatever SETTINGS the peer sends. It
// begins at the initial size, or at bound.
func NewEncoder(bound uint32) *Encoder {
	e := &Encoder{}
	e.Init(bound)
	return e
}

// Init is NewEncoder for an Encoder that lies in the caller's memory.
func (e *Encoder) Init(bound uint32) {
	*e = Encoder{bound: bound}
	e.table.max = InitialTable
	if bound < InitialTable {
		e.SetMaxTable(InitialTable)
	}
}

// SetMaxTable takes in the peer's SETTINGS_HEADER_TABLE_SIZE; the next block announces the table's new size. After
// several changes it would have to announce the smallest too (RFC 7541 4.2); it announces 0, for x/net's decoder
// takes a second size only while its table is empty.
func (e *Encoder) SetMaxTable(n uint32) {
	n = min(n, e.bound)
	if n == e.table.max {
		return
	}
	if e.update {
		e.several = true
		e.table.setMax(0)
	}
	e.pending, e.update = n, true
	e.table.setMax(n)
}

// Begin begins a block: table size updates, where SETTINGS made them due.
func (e *Encoder) Begin(dst []byte) []byte {
	if !e.update {
		return dst
	}
	if e.several {
		dst = append(dst, 0x20)
	}
	e.update, e.several = false, false
	return appendInt(dst, 0x20, 5, e.pending)
}

// Request appends the pseudo-headers of a request. path is nil for CONNECT, and then scheme is not sent;
// protocol is that of an extended CONNECT (RFC 8441), else nil.
func (e *Encoder) Request(dst, method, scheme, authority, path, protocol []byte) []byte {
	dst = e.append(dst, named{static: staticMethod, policy: once}, method)
	if path != nil {
		dst = e.append(dst, named{static: staticScheme, policy: once}, scheme)
	}
	if len(authority) > 0 {
		dst = e.append(dst, named{static: staticAuthority, policy: once}, authority)
	}
	if path != nil {
		dst = e.append(dst, named{static: staticPath}, path)
	}
	if protocol != nil {
		dst = e.append(dst, named{name: protocolName, policy: once}, protocol)
	}
	return dst
}

// Status appends the pseudo-header of a response; code is 100 to 999.
func (e *Encoder) Status(dst []byte, code int) []byte {
	if code == 200 {
		return append(dst, 0x80|staticStatus)
	}
	digits := [3]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10)}
	return e.append(dst, named{static: staticStatus, policy: once}, digits[:])
}

// AppendFields appends the fields that are not marked Hop, in their order; those marked Sensitive so that no
// table on the way takes them in.
func (e *Encoder) AppendFields(dst []byte, headers []http1.Header) []byte {
	for i := range headers {
		switch h := &headers[i]; {
		case h.Hop:
		case h.Sensitive:
			dst = e.AppendSensitive(dst, h.Name, h.Value, h.ID)
		default:
			dst = e.Append(dst, h.Name, h.Value, h.ID)
		}
	}
	return dst
}

// Append appends one field; the name's case does not count, id is its http1.LookupField. A pseudo-header is given
// by its name. Credentials that are short enough to be guessed are sent as sensitive (RFC 7541 7.1.3; the bound
// is nghttp2's).
func (e *Encoder) Append(dst []byte, name, value []byte, id http1.FieldID) []byte {
	n := e.named(name, id)
	if n.policy == guessable {
		if len(value) < 20 {
			return e.never(dst, n, value)
		}
		n.policy = twice
	}
	return e.append(dst, n, value)
}

// AppendSensitive appends one field that nobody on the way may put into a table.
func (e *Encoder) AppendSensitive(dst []byte, name, value []byte, id http1.FieldID) []byte {
	return e.never(dst, e.named(name, id), value)
}

// append appends a field in the shortest form that there is, and remembers it if that will pay.
func (e *Encoder) append(dst []byte, n named, value []byte) []byte {
	if i := staticPair(n.static, value); i != 0 {
		return append(dst, 0x80|i)
	}
	if uint64(len(n.name)+len(value)+fieldOverhead)*4 > uint64(e.table.max)*3 {
		return e.literal(dst, 0, 4, n, value) // it would push out most of the rest
	}
	if e.memory == nil {
		e.memory = &memory{}
	}
	if n.policy == unique {
		if seq, ok := e.nameOf(n); ok { // packing a random number saves a quarter of it and costs more than it
			dst = appendInt(dst, 0, 4, e.index(seq))
			return append(appendInt(dst, 0, 7, uint32(len(value))), value...)
		}
	}
	h := hash(n.seed(), value)
	if seq, ok := e.pair(h, n, value); ok {
		return appendInt(dst, 0x80, 7, e.index(seq))
	}
	if n.policy != once && !e.memory.again(h) && e.hasName(n) {
		return e.literal(dst, 0, 4, n, value)
	}
	dst = e.literal(dst, 0x40, 6, n, value)
	e.remember(h, n, value)
	return dst
}

// never appends a field as a literal that stays one.
func (e *Encoder) never(dst []byte, n named, value []byte) []byte {
	return e.literal(dst, 0x10, 4, n, value)
}

// literal spells a field out; the name by its index, where it has one.
func (e *Encoder) literal(dst []byte, form byte, prefix uint8, n named, value []byte) []byte {
	switch {
	case n.static != 0:
		dst = appendInt(dst, form, prefix, uint32(n.static))
	default:
		if seq, ok := e.nameOf(n); ok {
			dst = appendInt(dst, form, prefix, e.index(seq))
		} else {
			dst = appendString(append(dst, form), n.name)
		}
	}
	return appendString(dst, value)
}

// index is the number of an entry of the table now.
func (e *Encoder) index(seq uint64) uint32 { return uint32(e.table.next-1-seq) + uint32(len(static)) }

// appendInt appends n, of which the first byte has prefix bits, behind form (RFC 7541 5.1).
func appendInt(dst []byte, form byte, prefix uint8, n uint32) []byte {
	limit := uint32(1)<<prefix - 1
	if n < limit {
		return append(dst, form|byte(n))
	}
	dst = append(dst, form|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendString appends s, packed if that is shorter (RFC 7541 5.2).
func appendString(dst, s []byte) []byte {
	if n := huffmanLen(s); n < len(s) {
		return appendHuffman(appendInt(dst, 0x80, 7, uint32(n)), s)
	}
	return append(appendInt(dst, 0, 7, uint32(len(s))), s...)
}
