package tcpproxy

import (
	"slices"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// list is header lines as operations change them; it is route.Headers. Names are in
// lower case.
type list struct{ lines *[]http1.Header }

func (l list) find(name string) int {
	return slices.IndexFunc(*l.lines, func(h http1.Header) bool { return string(h.Name) == name })
}

// Has says whether there is a line of that name.
func (l list) Has(name string) bool { return l.find(name) >= 0 }

// Remove takes all lines of that name out.
func (l list) Remove(name string) {
	*l.lines = slices.DeleteFunc(*l.lines, func(h http1.Header) bool { return string(h.Name) == name })
}

// Set makes one line of that name.
func (l list) Set(name, value string) {
	l.Remove(name)
	l.Add(name, value)
}

// Add adds a line.
func (l list) Add(name, value string) {
	n := []byte(name)
	*l.lines = append(*l.lines, http1.Header{Name: n, Value: []byte(value), ID: http1.LookupField(n)})
}
