// A decoded header list and the memory that it lies in.

package http2

import "github.com/attache-mesh/attache/proxy/codec/http1"

// keptArena is how much a Fields keeps for its next list; a list that needed more gives it back.
const keptArena = 8 << 10

// keptFields is the same for the number of fields.
const keptFields = 128

// Fields is a decoded header list. The zero Fields is ready. Names and values are good until the next Decode
// into it or its Reset, and do not change with the decoder.
type Fields struct {
	// Headers are the fields in their order, pseudo-headers (":path") among them; names as they came, which is
	// lower case unless the head is malformed. ID is known; Hop is not set before ReadTrailers.
	Headers []http1.Header
	// Size is the list's size by RFC 7541 4.1: its bytes and 32 for each field, of all fields that came, even
	// past the limits.
	Size int

	looks []look // of each Header
	arena []byte
	over  error // what was exceeded; what came after it is not kept
	count int   // of all fields that came
}

// Reset forgets the list. Memory is kept up to 8 KiB and 128 fields.
func (f *Fields) Reset() {
	if cap(f.arena) > keptArena {
		f.arena = nil
	}
	if cap(f.Headers) > keptFields {
		f.Headers, f.looks = nil, nil
	}
	clear(f.Headers)
	f.Headers, f.looks, f.arena = f.Headers[:0], f.looks[:0], f.arena[:0]
	f.Size, f.over, f.count = 0, nil, 0
}

// begin makes ready for a list. Most fit the first arrays.
func (f *Fields) begin() {
	f.Reset()
	if f.Headers == nil {
		f.Headers, f.looks = make([]http1.Header, 0, 24), make([]look, 0, 24)
	}
}

// reserve returns n bytes behind the arena's end. Where it has not as many, a new and larger one takes its
// place; what points into the old one keeps that alive.
func (f *Fields) reserve(n int) []byte {
	at := len(f.arena)
	if cap(f.arena)-at < n {
		f.arena = make([]byte, 0, max(n, 2*cap(f.arena), 1024))
		at = 0
	}
	return f.arena[at : at+n : at+n]
}

// keep makes the first n of the reserved bytes part of the list.
func (f *Fields) keep(n int) { f.arena = f.arena[:len(f.arena)+n] }

// drop gives back what was kept since the arena was before: all that is in a newer one.
func (f *Fields) drop(before []byte) {
	if cap(f.arena) == cap(before) {
		f.arena = before
	} else {
		f.arena = f.arena[:0]
	}
}

// admit counts a field of so many bytes and says whether it is within the limits.
func (f *Fields) admit(n int, lim *http1.Limits) bool {
	f.count++
	f.Size += n + fieldOverhead
	switch {
	case f.over != nil:
		return false
	case f.count > lim.MaxHeaders:
		f.over = http1.ErrTooManyHeaders
		return false
	case f.Size > lim.MaxHeaderBytes:
		f.over = http1.ErrHeadersTooLarge
		return false
	}
	return true
}

// add puts a field at the end; its bytes live as long as the list.
func (f *Fields) add(d *field) {
	value := d.value
	if d.look&padded != 0 { // RFC 9113 8.2.1 forbids it, Envoy allows it, HTTP/1 does not count it
		value = trim(value)
	}
	f.Headers = append(f.Headers, http1.Header{Name: d.name, Value: value, ID: d.id, Sensitive: d.look&sensitive != 0})
	f.looks = append(f.looks, d.look)
}
