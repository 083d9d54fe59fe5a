package upstream

// Panic, priorities and ejections on virtual time, as a seed decides: what Envoy's
// documentation says of them, worked out here a second time, against the picks.

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// openedBy is opened, as a seed decides, until end is called.
func openedBy(t *testing.T, seed uint64, asked *config.Cluster) (s *loop.Sim, l *Local, end func()) {
	t.Helper()
	s = loop.NewSim(seed, nil)
	w := s.Worker("proxy")
	c, err := Open(asked, []*loop.Worker{w}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, c.On(w), func() {
		c.Close()
		s.Close()
	}
}

// expected are the shares of hosts, in the order of levels; 0 is the share of no host
// (intro/arch_overview/upstream/load_balancing: priority, panic_threshold, degraded).
func expected(healths []string, overprovision, threshold float64) map[int]float64 {
	n := len(healths)
	total, healthy, degraded := make([]float64, n), make([]float64, n), make([]float64, n)
	score := func(i int, hosts float64) float64 {
		if total[i] == 0 {
			return 0
		}
		return min(100, math.Floor(overprovision*hosts/total[i])) // whole, as in Envoy: a third is 33
	}
	all, sum := 0.0, 0.0
	for i, line := range healths {
		total[i], healthy[i], degraded[i] = float64(len(line)), float64(strings.Count(line, "h")), float64(strings.Count(line, "d"))
		all += total[i]
		sum += score(i, healthy[i]) + score(i, degraded[i])
	}
	sum = min(100, sum)
	inPanic := make([]bool, n)
	everywhere := true
	for i := range healths {
		share := 0.0
		if total[i] > 0 {
			share = 100 * (healthy[i] + degraded[i]) / total[i]
		}
		inPanic[i] = sum < 100 && share < threshold
		everywhere = everywhere && inPanic[i]
	}
	shares, left := map[int]float64{}, 100.0
	give := func(i int, of string, part float64) {
		first := 1 + len(strings.Join(healths[:i], ""))
		var to []int
		for k, x := range healths[i] {
			if inPanic[i] || strings.ContainsRune(of, x) {
				to = append(to, first+k)
			}
		}
		for _, k := range to {
			shares[k] += part / 100 / float64(len(to))
		}
		if len(to) == 0 {
			shares[0] += part / 100
		}
	}
	switch {
	case all == 0, threshold == 0 && sum == 0:
		return map[int]float64{0: 1}
	case everywhere:
		for i := range healths {
			if total[i] > 0 {
				give(i, "hdu", 100*total[i]/all)
			}
		}
		return shares
	}
	for _, tier := range []struct {
		of    string
		hosts []float64
	}{{"h", healthy}, {"d", degraded}} {
		for i := range healths {
			part := min(left, 100*score(i, tier.hosts[i])/sum)
			if part > 0 {
				give(i, tier.of, part)
			}
			left -= part
		}
	}
	return shares
}

// Hosts come, go, fail and get well: the picks are spread as the documentation says,
// panic or not. Rounding is Envoy's, to whole percents.
func TestSimSharesOfPriorities(t *testing.T) {
	const n = 3000
	worst, panics, checked := 0.0, 0, 0
	for seed := range loop.Seeds(t, 200) {
		r := rand.New(rand.NewPCG(seed, 3))
		kind := []config.BalanceKind{config.RoundRobin, config.LeastRequest, config.Random}[r.IntN(3)]
		over := []uint32{100, 140, 200}[r.IntN(3)]
		threshold := []float64{0, 10, 50, 100}[r.IntN(4)]
		draw := func() ([]string, *config.Cluster) {
			healths := make([]string, 1+r.IntN(3))
			for i := range healths {
				for range r.IntN(7) {
					healths[i] += string("hhhduu"[r.IntN(6)])
				}
			}
			asked := levels(kind, healths...)
			asked.PanicThreshold, asked.Endpoints.OverprovisioningFactor = threshold, over
			return healths, asked
		}
		healths, asked := draw()
		_, l, end := openedBy(t, seed, asked)
		for range 3 {
			want, got := expected(healths, float64(over), threshold), count(l, n, Pick{})
			for host := range 30 {
				off := float64(got[host])/n - want[host]
				worst = max(worst, off, -off)
				if off > 0.07 || off < -0.07 {
					t.Fatalf("seed %d: %v of kind %d, %d %%, panic below %v: got %v of %d, want %v", seed, healths, kind, over, threshold, got, n, want)
				}
			}
			checked++
			if strings.Contains(strings.Join(healths, ""), "u") && want[0] == 0 {
				panics++
			}
			healths, asked = draw()
			if err := l.Cluster.Update(asked); err != nil {
				t.Fatal(err)
			}
		}
		end()
	}
	t.Logf("%d spreads of %d picks, the farthest share off by %.3f; %d with unfit hosts", checked, n, worst, panics)
}

// Hosts fail in turns. No more are left out than may be; who is left out is so for its
// time at least, and all are back when it is over.
func TestSimEjections(t *testing.T) {
	ejected, most := uint64(0), 0.0
	for seed := range loop.Seeds(t, 200) {
		r := rand.New(rand.NewPCG(seed, 4))
		hosts := 1 + r.IntN(12)
		weights := make([]uint32, hosts)
		asked := watched(weights...)
		o := asked.Outlier
		o.Interval, o.BaseEjection = time.Duration(1+r.IntN(10))*time.Second, time.Duration(1+r.IntN(30))*time.Second
		o.MaxEjection = o.BaseEjection * time.Duration(1+r.IntN(4))
		o.MaxEjectionPercent, o.AlwaysEjectOne = uint32(r.IntN(101)), r.IntN(2) == 0
		o.SuccessRateVolume, o.FailureVolume, o.FailureThreshold = 5, 5, 85
		o.Enforcing = [config.OutlierKinds]uint32{}
		for k := range o.Enforcing {
			o.Enforcing[k] = []uint32{0, 50, 100}[r.IntN(3)]
		}
		may := int(o.MaxEjectionPercent) * hosts / 100
		if o.AlwaysEjectOne {
			may = max(may, 1)
		}
		s, l, end := openedBy(t, seed, asked)
		run := func(d time.Duration) {
			if err := s.RunFor(d); err != nil {
				t.Fatal(err)
			}
		}
		out := map[int]time.Duration{} // since when
		look := func() {
			for i := 1; i <= hosts; i++ {
				is := hostAt(t, l.Cluster, address(i)).Ejected()
				since, was := out[i]
				switch {
				case is && !was:
					out[i] = s.Now()
					ejected++
				case was && !is:
					delete(out, i)
					if d := s.Now() - since; d+time.Second < min(o.BaseEjection, o.MaxEjection) {
						t.Errorf("seed %d: host %d was left out for %v, at least %v", seed, i, d, o.BaseEjection)
					}
				}
			}
			if len(out) > may {
				t.Fatalf("seed %d: %d of %d hosts are left out, %d %% may be", seed, len(out), hosts, o.MaxEjectionPercent)
			}
			most = max(most, float64(len(out))/float64(hosts))
		}
		run(time.Millisecond)
		for range 20 + r.IntN(40) {
			bad := r.Uint32() & r.Uint32() // hosts that fail this second
			for range 10 {
				for i := 1; i <= hosts; i++ {
					status := 200
					if bad>>i&1 == 1 && r.IntN(8) > 0 {
						status = 503
					}
					hostAt(t, l.Cluster, address(i)).On(l.Worker).Report(outlier.Answered, status)
				}
				run(100 * time.Millisecond)
				look()
			}
		}
		run(o.MaxEjection + 2*o.Interval)
		look()
		if len(out) > 0 {
			t.Fatalf("seed %d: %v are left out still, %+v", seed, out, o)
		}
		end()
	}
	t.Logf("%d ejections; at most %.0f %% of the hosts at once", ejected, 100*most)
	if ejected == 0 {
		t.Error("the scenario shows nothing")
	}
}

// The priorities of an aggregate's members are one row, whichever of them changes.
func TestSimSharesOfAggregates(t *testing.T) {
	const n = 3000
	worst, checked := 0.0, 0
	for seed := range loop.Seeds(t, 200) {
		r := rand.New(rand.NewPCG(seed, 5))
		members := 1 + r.IntN(3)
		draw := func(name string) ([]string, *config.Cluster) {
			healths := make([]string, 1+r.IntN(2))
			for i := range healths {
				for range r.IntN(4) {
					healths[i] += string("hhhdu"[r.IntN(5)])
				}
			}
			asked := levels(config.Random, healths...)
			asked.Name, asked.PanicThreshold = name, 0
			return healths, asked
		}
		asked := static(config.RoundRobin)
		asked.Discovery, asked.PanicThreshold = config.DiscoveryAggregate, 0
		asked.Endpoints = config.Endpoints{}
		all, healths := map[string]*Cluster{}, map[string][]string{}
		for i := range members {
			asked.Aggregate = append(asked.Aggregate, string(rune('a'+i)))
		}
		_, l, end := openedBy(t, seed, asked)
		for i, name := range asked.Aggregate {
			lines, member := draw(name)
			shift(member, i)
			c, err := Open(member, []*loop.Worker{l.Worker}, slog.New(slog.DiscardHandler), nil)
			if err != nil {
				t.Fatal(err)
			}
			all[name], healths[name] = c, lines
		}
		l.Cluster.Link(func(name string) *Cluster { return all[name] })
		for range 4 {
			var lines []string
			where := map[int]int{0: 0} // a host's number in the row: its address
			for i, name := range asked.Aggregate {
				k := 0
				for _, line := range healths[name] {
					for range line {
						k++
						where[len(where)] = 40*i + k
					}
					if line != "" {
						lines = append(lines, line)
					}
				}
			}
			want := expected(lines, 140, 0)
			got := count(l, n, Pick{})
			for host, part := range want {
				off := float64(got[where[host]])/n - part
				worst = max(worst, off, -off)
				if off > 0.07 || off < -0.07 {
					t.Fatalf("seed %d: %v: got %v of %d, want %v at %v", seed, healths, got, n, want, where)
				}
			}
			checked++
			i := r.IntN(members)
			next, member := draw(asked.Aggregate[i])
			shift(member, i)
			if err := all[asked.Aggregate[i]].Update(member); err != nil {
				t.Fatal(err)
			}
			healths[asked.Aggregate[i]] = next
		}
		for _, c := range all {
			c.Close()
		}
		end()
	}
	t.Logf("%d spreads of %d picks, the farthest share off by %.3f", checked, n, worst)
}

// shift gives the hosts of member i addresses of their own.
func shift(c *config.Cluster, i int) {
	n := 0
	for k := range c.Endpoints.Localities {
		for _, e := range c.Endpoints.Localities[k].Endpoints {
			n++
			e.Address = address(40*i + n)
		}
	}
}
