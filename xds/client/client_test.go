package client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"go.uber.org/goleak"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ports(s *config.Snapshot, cluster string) (all []uint16) {
	c := s.Cluster(cluster)
	if c == nil {
		return nil
	}
	for _, l := range c.Endpoints.Localities {
		for _, e := range l.Endpoints {
			all = append(all, e.Address.IP.Port())
		}
	}
	return all
}

func is(ports []uint16, want ...uint16) bool { return fmt.Sprint(ports) == fmt.Sprint(want) }

// A control plane as others write them, in every way of connecting: everything
// comes, one change of endpoints, a new cluster that a route moves to, and the
// old one goes.
func TestStockControlPlane(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			s.set(t, m.cluster("a"), endpoints("a", 1001), m.listener("l", 0, "r"), table("r", "a"))
			c := run(t, m.options(s.address, r))
			readySoon(t, c)
			if snap := r.last(); !is(ports(snap, "a"), 1001) || snap.Listener("l") == nil || snap.RouteTable("r") == nil {
				t.Fatalf("ready with %+v", snap)
			}
			before := r.last().Listener("l")

			s.set(t, m.cluster("a"), endpoints("a", 1001, 1002), m.listener("l", 0, "r"), table("r", "a"))
			r.until(t, "the second endpoint", func(s *config.Snapshot) bool { return is(ports(s, "a"), 1001, 1002) })
			if r.last().Listener("l") != before {
				t.Error("a change of endpoints made a new listener")
			}

			s.set(t, m.cluster("b"), endpoints("b", 2001), m.listener("l", 0, "r"), table("r", "b"))
			r.until(t, "b, and a gone", func(s *config.Snapshot) bool { return is(ports(s, "b"), 2001) && s.Cluster("a") == nil })
			if n := s.refusals(); n != nil {
				t.Errorf("refused: %q", n)
			}
		})
	}
}

// One bad resource among 100: the others live, the NACK names it, its field and
// the reason, it keeps what it was, and a mended one is taken with the next push.
func TestOneBadAmongMany(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			world := func(port uint32, mend bool) (all []types.Resource) {
				for i := range 100 {
					name := fmt.Sprintf("c%02d", i)
					c := m.cluster(name)
					if i == 42 && !mend {
						c.LbPolicy = 99
					}
					all = append(all, c, endpoints(name, port))
				}
				return append(all, m.listener("l", 0, "r"), table("r", "c01"))
			}
			s.set(t, world(1000, true)...)
			c := run(t, m.options(s.address, r))
			readySoon(t, c)
			url := kinds[cds].url
			sent := s.responses(url)

			s.set(t, world(2000, false)...)
			begin := time.Now()
			r.until(t, "the others", func(s *config.Snapshot) bool { return is(ports(s, "c99"), 2000) && is(ports(s, "c42"), 2000) })
			if took := time.Since(begin); took > time.Second {
				t.Errorf("the others took %s", took)
			}
			eventually(t, "the NACK", func() bool { return len(s.refusals()) > 0 })
			nack := s.refusals()[0]
			for _, want := range []string{"cluster 'c42'", "lb_policy"} {
				if !strings.Contains(nack, want) {
					t.Errorf("the NACK does not say %q: %s", want, nack)
				}
			}
			<-time.After(time.Until(begin.Add(500 * time.Millisecond))) // time for a storm
			if n := s.responses(url) - sent; n > 2 {
				t.Errorf("%d responses for one bad resource", n)
			}
			begin = time.Now()
			s.set(t, world(3000, true)...)
			eventually(t, "the mended one", func() bool {
				for _, x := range c.states() {
					if x.refused != nil {
						return false
					}
				}
				return is(ports(r.last(), "c42"), 3000)
			})
			t.Logf("mended in %s", time.Since(begin))
		})
	}
}
