package filter

// Header lines as filters read and change them.

import (
	"bytes"
	"unsafe"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// Fields are the header lines, or the trailers, of one message, in order. Names
// are given in lower case and found in any. Lines that are for one connection
// only are not there. What Get and Each give is good until the request ends; what
// is put in must be.
type Fields struct{ lines *[]http1.Header }

// FieldsOf are the fields in a list of lines.
func FieldsOf(lines *[]http1.Header) Fields { return Fields{lines} }

func (f Fields) find(from int, name string) int {
	if f.lines == nil {
		return -1
	}
	all := *f.lines
	for i := from; i < len(all); i++ {
		if h := &all[i]; !h.Hop && EqualFold(h.Name, name) {
			return i
		}
	}
	return -1
}

// Get gives the value of the first line of a name; ok says whether there is one.
func (f Fields) Get(name string) (value []byte, ok bool) {
	if i := f.find(0, name); i >= 0 {
		return (*f.lines)[i].Value, true
	}
	return nil, false
}

// Has says whether there is a line of that name.
func (f Fields) Has(name string) bool { return f.find(0, name) >= 0 }

// Joined gives the values of all lines of a name with commas between them, as
// Envoy's matchers see them. Only several lines cost an allocation.
func (f Fields) Joined(name string) (value []byte, ok bool) {
	i := f.find(0, name)
	if i < 0 {
		return nil, false
	}
	value = (*f.lines)[i].Value
	for i = f.find(i+1, name); i >= 0; i = f.find(i+1, name) {
		value = bytes.Join([][]byte{value, (*f.lines)[i].Value}, []byte{','})
	}
	return value, true
}

// Each calls yield with each line.
func (f Fields) Each(yield func(name, value []byte) bool) {
	if f.lines == nil {
		return
	}
	for i := range *f.lines {
		if h := &(*f.lines)[i]; !h.Hop && !yield(h.Name, h.Value) {
			return
		}
	}
}

// Len counts the lines.
func (f Fields) Len() (n int) {
	f.Each(func(_, _ []byte) bool { n++; return true })
	return n
}

// Remove takes all lines of a name out.
func (f Fields) Remove(name string) { f.removeFrom(0, name) }

func (f Fields) removeFrom(at int, name string) {
	if f.find(at, name) < 0 {
		return
	}
	all := *f.lines
	kept := all[:at]
	for _, h := range all[at:] {
		if h.Hop || !EqualFold(h.Name, name) {
			kept = append(kept, h)
		}
	}
	*f.lines = kept
}

// RemoveIf takes out the lines of whose name gone says so.
func (f Fields) RemoveIf(gone func(name []byte) bool) {
	if f.lines == nil {
		return
	}
	kept := (*f.lines)[:0]
	for _, h := range *f.lines {
		if h.Hop || !gone(h.Name) {
			kept = append(kept, h)
		}
	}
	*f.lines = kept
}

// Set makes one line of a name, where the first one was or at the end.
func (f Fields) Set(name, value string) { f.Put(name, bytesOf(value)) }

// Put is Set of bytes.
func (f Fields) Put(name string, value []byte) {
	i := f.find(0, name)
	if i < 0 {
		f.Append(name, value)
		return
	}
	(*f.lines)[i].Value = value
	f.removeFrom(i+1, name)
}

// Add adds a line at the end.
func (f Fields) Add(name, value string) { f.Append(name, bytesOf(value)) }

// Append is Add of bytes.
func (f Fields) Append(name string, value []byte) {
	n := bytesOf(name)
	*f.lines = append(*f.lines, http1.Header{Name: n, Value: value, ID: http1.LookupField(n)})
}

// bytesOf is s without a copy; nobody writes to it: lines are only read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// EqualFold reports whether b in lower case is s, which is.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}
