package conformance

import (
	"testing"
	"time"
)

// TestChaos: no value for another key, no answer lost, while one of three real memcached servers after the other is
// killed. make chaos asks for a hundred times as much.
func TestChaos(t *testing.T) {
	p := launch(t, program(t, "./conformance/chaos"), "-attache", program(t, "./cmd/attache"),
		"-requests", "100000", "-kill-every", "20ms..100ms", "-dead-for", "0s..50ms")
	if code := p.code(2 * time.Minute); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, &p.said)
	}
	mustHave(t, p.said.String(), "requests=100000 ", " crossed=0 lost=0 connections_lost=0 ")
}
