package real

import (
	"testing"

	"github.com/attache-mesh/attache/conformance/ports"
)

// Ports are n different loopback ports that nothing listens on, by TCP or UDP,
// and that no other call is given.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	claimed, err := ports.Claim(n)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}
