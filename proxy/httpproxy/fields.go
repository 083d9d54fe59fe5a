package httpproxy

// Header lines as operations change them, and the texts that attache adds.

import (
	"math/rand/v2"
	"strconv"
	"unsafe"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
)

// fields is a head's list of lines; it is route.Headers. Lines marked Hop are
// not there.
type fields struct{ lines *[]http1.Header }

func (f fields) all() filter.Fields { return filter.FieldsOf(f.lines) }

// find gives the index of the first line of a name, in lower case, or -1.
func (f fields) find(name string) int {
	for i := range *f.lines {
		if h := &(*f.lines)[i]; !h.Hop && equalFold(h.Name, name) {
			return i
		}
	}
	return -1
}

// put adds a line; the value is borrowed until the head is written.
func (f fields) put(name string, value []byte) {
	*f.lines = append(*f.lines, http1.Header{Name: bytesOf(name), Value: value})
}

// setBytes is Set of a value that is borrowed until the head is written.
func (f fields) setBytes(name string, value []byte) {
	if i := f.find(name); i >= 0 {
		(*f.lines)[i].Value = value
		return
	}
	f.put(name, value)
}

// Has says whether there is a line of that name.
func (f fields) Has(name string) bool { return f.find(name) >= 0 }

// Remove takes all lines of that name out.
func (f fields) Remove(name string) { f.all().Remove(name) }

// Set makes one line of that name, where the first one was.
func (f fields) Set(name, value string) { f.all().Set(name, value) }

// Add adds a line.
func (f fields) Add(name, value string) { f.all().Add(name, value) }

// bytesOf is s without a copy; nobody writes to it: lines are only read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// equalFold reports whether b in lower case is s, which is.
func equalFold(b []byte, s string) bool { return filter.EqualFold(b, s) }

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func digits(n int64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// appendUUID appends a random UUID (RFC 9562, version 4).
func appendUUID(dst []byte, rng *rand.Rand) []byte {
	const hex = "0123456789abcdef"
	hi, lo := rng.Uint64(), rng.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 1<<63
	var b [36]byte
	at := 0
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			b[at] = '-'
			at++
		}
		word := hi
		if i >= 16 {
			word = lo
		}
		b[at] = hex[word>>(60-4*(i&15))&15]
		at++
	}
	return append(dst, b[:]...)
}

// dateText is the value of the date header, made once a second.
func (l *local) dateText() []byte {
	if now := l.w.Now(); now >= l.dateUntil {
		t := l.room.env.Wall().UTC()
		t.AppendFormat(l.date[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
		l.dateUntil = now + int64(1e9) - int64(t.Nanosecond())
	}
	return l.date[:]
}
