//go:build infra

package infra

import (
	"fmt"
	"os"
	"testing"
)

// TestMain refuses the machine's own network: servers would be left on it when
// a run is killed, and the cluster's pod addresses are not to be reached there.
func TestMain(m *testing.M) {
	if os.Getenv("ATTACHE_NETNS") == "" {
		fmt.Fprintln(os.Stderr, "not in a network namespace of its own: run make test-infra")
		os.Exit(2)
	}
	os.Exit(m.Run())
}
