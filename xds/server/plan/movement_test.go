package plan

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/attache-mesh/attache/discovery"
)

// hosts makes n instances of weight w each, the way that the figures below were
// first measured: by address.
func hosts(n int, w uint32) (all []discovery.Instance) {
	for i := range n {
		addr := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:11211", i+1))
		all = append(all, discovery.Instance{ID: addr.String(), Addr: addr, Weight: w})
	}
	return all
}

// TestMovement holds the comparison to figures that were measured independently
// of this code (percent of keys: what moves, the minimum, and what moves between
// instances that stay).
func TestMovement(t *testing.T) {
	heavy := func() []discovery.Instance {
		all := hosts(11, 1)
		all[10].Weight = 4
		return all
	}
	for _, c := range []struct {
		policy              Policy
		name                string
		before, after       []discovery.Instance
		moved, least, waste float64
	}{
		{RingHash, "3 to 4", hosts(3, 1), hosts(4, 1), 36.8, 25, 11.9},
		{RingHash, "10 to 11", hosts(10, 1), hosts(11, 1), 16.3, 9.1, 7.2},
		{RingHash, "10 and one of weight 4", hosts(10, 1), heavy(), 42, 28.6, 13.9},
		{Ketama, "3 to 4", hosts(3, 1), hosts(4, 1), 24.1, 25, 0},
		{Ketama, "24 to 25", hosts(24, 1), hosts(25, 1), 6.3, 4, 2},
		{Ketama, "10 and one of weight 4", hosts(10, 1), heavy(), 39.4, 28.6, 10.6},
		{Maglev, "3 to 4", hosts(3, 1), hosts(4, 1), 25.2, 25, 0},
		{Maglev, "100 to 101", hosts(100, 1), hosts(101, 1), 1.5, 1, 0.6},
		{Rendezvous, "3 to 4", hosts(3, 1), hosts(4, 1), 24.8, 25, 0},
		{Rendezvous, "10 to 11", hosts(10, 1), hosts(11, 1), 9, 9.1, 0},
		{Rendezvous, "10 and one of weight 4", hosts(10, 1), heavy(), 28.6, 28.6, 0},
		{Rendezvous, "4 to 3", hosts(4, 1), hosts(3, 1), 25, 25, 0},
		{Rendezvous, "nothing", hosts(4, 1), hosts(4, 1), 0, 0, 0},
		{Rendezvous, "none to 3", nil, hosts(3, 1), 100, 100, 0},
		{Rendezvous, "3 to none", hosts(3, 1), nil, 100, 100, 0},
	} {
		t.Run(string(c.policy)+" "+c.name, func(t *testing.T) {
			m, err := Compare(Table{Policy: c.policy, Identity: ByID}, c.before, c.after)
			if err != nil {
				t.Fatal(err)
			}
			// Which keys move depends on the hosts' names: a ring of three hosts differs
			// by two points from name to name.
			off := 2.5
			if c.policy != RingHash && c.policy != Ketama {
				off = 0.8
			}
			near(t, "moved", 100*m.Moved, c.moved, off)
			near(t, "least", 100*m.Least, c.least, 0.05)
			near(t, "between those that stay", 100*m.Between, c.waste, off)
			if c.waste == 0 && m.Between != 0 && c.policy == Rendezvous {
				t.Errorf("%v of the keys move between hosts that stay, want none", m.Between)
			}
		})
	}
}

func near(t *testing.T, what string, got, want, off float64) {
	t.Helper()
	if math.Abs(got-want) > off {
		t.Errorf("%s: %.2f %%, want %.2f ± %.1f", what, got, want, off)
	}
}

func TestLoad(t *testing.T) {
	m, err := Compare(Table{Policy: Maglev, Identity: ByID}, hosts(49, 1), hosts(50, 1))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "max over mean of 50", 100*m.After.MaxOverMean, 107, 5)
	sum := 0.0
	for _, h := range m.After.Hosts {
		sum += h.Share
	}
	if len(m.After.Hosts) != 50 || math.Abs(sum-1) > 1e-9 {
		t.Errorf("%d hosts with %v of the keys, want 50 with all", len(m.After.Hosts), sum)
	}
}

func TestHugeWeightsAreScaled(t *testing.T) {
	if _, err := Compare(Table{Policy: Rendezvous}, hosts(3, math.MaxUint32), hosts(4, math.MaxUint32)); err != nil {
		t.Error(err)
	}
}

func TestIdentity(t *testing.T) {
	in := discovery.Instance{ID: "s-0", Hostname: "s-0.example.org", Addr: netip.MustParseAddrPort("[::ffff:10.0.0.1]:11211")}
	for _, c := range []struct {
		table Table
		want  string
	}{
		{Table{Policy: Rendezvous, Identity: ByID}, "s-0"},
		{Table{Policy: Rendezvous, Identity: ByHostname}, "s-0.example.org"},
		{Table{Policy: RingHash, Identity: ByAddress}, "10.0.0.1:11211"},
		{Table{Policy: Ketama, Identity: ByAddress}, "10.0.0.1"},
		{Table{Policy: Ketama, Identity: ByID}, "s-0"},
	} {
		if got := c.table.key(&in); got != c.want {
			t.Errorf("%v places by %q, want %q", c.table, got, c.want)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, p := range []Policy{Rendezvous, RingHash, Maglev, Ketama} {
		b.Run(string(p), func(b *testing.B) {
			before, after := hosts(50, 1), hosts(51, 1)
			for b.Loop() {
				if _, err := Compare(Table{Policy: p}, before, after); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
