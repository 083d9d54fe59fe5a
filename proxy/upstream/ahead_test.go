package upstream

import (
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// What Peek tells is what the next picks give, in order; no more is told than there
// are healthy hosts, and nothing where nobody can know.
func TestPeekTellsTheNextPicks(t *testing.T) {
	for name, c := range map[string]struct {
		kind    config.BalanceKind
		weights []uint32
		none    bool
	}{
		"round robin":             {config.RoundRobin, []uint32{1, 1, 1}, false},
		"weighted round robin":    {config.RoundRobin, []uint32{1, 5, 2}, false},
		"random":                  {config.Random, []uint32{1, 1, 1, 1}, false},
		"weighted least request":  {config.LeastRequest, []uint32{1, 5, 2}, false},
		"least request of equals": {config.LeastRequest, []uint32{1, 1, 1}, true},
		"by hash":                 {config.RingHashLB, []uint32{1, 1, 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, l := opened(t, static(c.kind, c.weights...))
			for range 50 {
				var told []*Host
				for h := l.Peek(); h != nil; h = l.Peek() {
					told = append(told, h)
				}
				if c.none {
					if told != nil {
						t.Fatal("somebody was told")
					}
					return
				}
				if len(told) != len(c.weights) {
					t.Fatalf("%d were told of %d", len(told), len(c.weights))
				}
				for i, want := range told {
					if h, o := l.Pick(&Pick{}); o != outcome.OK || h != want {
						t.Fatalf("pick %d is another one", i)
					}
				}
				l.Pick(&Pick{})
			}
		})
	}
}

// What was told is forgotten with the hosts that it was told of.
func TestPeekEndsWithItsHosts(t *testing.T) {
	_, l := opened(t, static(config.RoundRobin, 1, 1, 1))
	l.Peek()
	if err := l.Update(static(config.RoundRobin, 1)); err != nil {
		t.Fatal(err)
	}
	if h, _ := l.Pick(&Pick{}); h == nil || h.Removed() {
		t.Error("a host that has left was picked")
	}
}

// A retry that avoids a host does not get it because it was told ahead.
func TestPeekGivesWayToARetry(t *testing.T) {
	_, l := opened(t, static(config.RoundRobin, 1, 1, 1))
	bad := l.Peek()
	if h, _ := l.Pick(&Pick{Avoid: bad, Attempt: 1}); h == bad {
		t.Error("the host that was to be avoided was picked")
	}
}
