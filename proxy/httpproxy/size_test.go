package httpproxy

// How much memory does a request hold while it is in progress?

import (
	"testing"
	"unsafe"
)

// Each worker keeps its exchanges and connections for the next; they are allocated in
// size classes of the Go runtime (runtime/sizeclasses.go), so one byte too many may cost
// hundreds. Whoever raises a limit here has looked at what idle connections cost before
// and after (conformance/bench, idle10k).
func TestSizes(t *testing.T) {
	for _, of := range []struct {
		name         string
		size, within uintptr
	}{
		{"exchange", unsafe.Sizeof(exchange{}), 4864},
		{"conn", unsafe.Sizeof(conn{}), 352},
	} {
		if t.Logf("%s: %d bytes of the %d of its size class", of.name, of.size, of.within); of.size > of.within {
			t.Errorf("%s: %d bytes are more than its size class, %d, holds", of.name, of.size, of.within)
		}
	}
}
