package config

import (
	"slices"
	"strings"
	"testing"
)

// What serves connections by discovery stays when a cluster goes that it names, as it would if it
// stood in the listener itself; another one that names what is not there is refused.
func TestServedWithoutItsCluster(t *testing.T) {
	l := testListener("l", "80", "tcp=x", nil)
	tcp := l.Chains[0].Handler
	l.Chains[0].Handler = nil
	l.Chains[0].Discovery = &FilterDiscovery{Name: "served", Of: NetworkFilters, Last: true, Types: []string{"tcp", "http"}}
	inline := testListener("", "80", "inline=x", nil).Chains[0].Handler
	for _, h := range []Handler{tcp, inline} {
		served := &Extension{Name: "served", Type: "tcp", Config: h}
		now := Resources{Clusters: []*Cluster{testCluster("x", nil)}, Listeners: []*Listener{l}, Extensions: []*Extension{served}}
		s, pending, problems := Assemble(nil, now)
		if len(pending)+len(problems) > 0 || s.Listener("l").Chains[0].Handler != h {
			t.Fatal(pending, problems)
		}
		first := s.Listener("l")

		now.Clusters = nil
		s, pending, problems = Assemble(s, now)
		if len(pending)+len(problems) > 0 || s.Listener("l") != first {
			t.Errorf("%T without its cluster: %v %v, it serves by %T", h, pending, problems, s.Listener("l").Chains[0].Handler)
		}
		if !slices.Contains(s.Kept, "x") {
			t.Errorf("%T: these clusters are kept: %q", h, s.Kept)
		}

		now.Extensions = []*Extension{{Name: "served", Type: "tcp", Config: &TCP{Clusters: []WeightedCluster{{Name: "y"}}}}}
		s, _, problems = Assemble(s, now)
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), "unknown cluster 'y'") || s.Listener("l") != first {
			t.Errorf("%T, then one to a cluster that there is not: %v, it serves by %T", h, problems, s.Listener("l").Chains[0].Handler)
		}
	}
}
