package hashing

// What moves when hosts come, go and change weight; how even the shares are; what depends on the order of hosts.

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// spread returns n hosts of weight 1.
func spread(n int) []Host {
	hosts := make([]Host, n)
	for i := range hosts {
		hosts[i] = Host{Key: fmt.Sprintf("10.%d.%d.%d:11211", i>>16, i>>8&255, i&255), Weight: 1}
	}
	return hosts
}

// tables builds each kind of table and returns its lookup, given a hash of 64 bits.
var tables = map[string]func(hosts []Host) func(h uint64) int{
	"ring":       func(hosts []Host) func(uint64) int { return must(NewRing(hosts, RingConfig{MinSize: 65536})).Lookup },
	"maglev":     func(hosts []Host) func(uint64) int { return must(NewMaglev(hosts, 0)).Lookup },
	"rendezvous": func(hosts []Host) func(uint64) int { return must(NewRendezvous(hosts)).Lookup },
	"ketama": func(hosts []Host) func(uint64) int {
		k := must(NewKetama(hosts))
		return func(h uint64) int { return k.Lookup(uint32(h)) }
	},
}

// hashes returns n hashes, always the same.
func hashes(n int) []uint64 {
	random := rand.New(rand.NewPCG(1, 2))
	v := make([]uint64, n)
	for i := range v {
		v[i] = random.Uint64()
	}
	return v
}

// moves compares two lookups: how many of the hashes change hosts, and how many of those change between two hosts neither of
// which is changed.
func moves(before, after []Host, changed string, from, to func(uint64) int, hs []uint64) (all, gratuitous int) {
	for _, h := range hs {
		a, b := before[from(h)].Key, after[to(h)].Key
		if a != b {
			all++
			if a != changed && b != changed {
				gratuitous++
			}
		}
	}
	return all, gratuitous
}

// TestOneHostGoes takes one host of n away, which is also, read backwards, one host that comes.
func TestOneHostGoes(t *testing.T) {
	hs := hashes(100_000)
	for _, c := range []struct {
		table      string
		n          int
		gratuitous float64 // at most, of all keys
	}{
		{"rendezvous", 2, 0},
		{"rendezvous", 10, 0},
		{"rendezvous", 100, 0},
		{"rendezvous", 1000, 0},
		{"ketama", 10, 0},
		{"ketama", 20, 0},
		{"ring", 10, 0.1},
		{"ring", 100, 0.01}, // the points of every host change in number: about 1/n
		{"maglev", 10, 0.02},
		{"maglev", 100, 0.03},
	} {
		t.Run(fmt.Sprint(c.table, " ", c.n), func(t *testing.T) {
			before := spread(c.n)
			gone := c.n / 3
			after := slices.Delete(slices.Clone(before), gone, gone+1)
			build := tables[c.table]
			all, gratuitous := moves(before, after, before[gone].Key, build(before), build(after), hs)
			share := float64(all-gratuitous) / float64(len(hs)) * float64(c.n)
			if share < 0.6 || share > 1.6 {
				t.Errorf("the host that went had %.2f times its share", share)
			}
			if got := float64(gratuitous) / float64(len(hs)); got > c.gratuitous {
				t.Errorf("%.4f of the keys moved between hosts that stayed, more than %.4f", got, c.gratuitous)
			}
		})
	}
}

// TestRendezvousMovesNothingElse: any hosts, any weights, any one change. Every slot is looked at.
func TestRendezvousMovesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Host {
			return Host{
				Key:    rapid.StringMatching(`[a-z0-9]{1,8}`).Draw(t, "key"),
				Weight: rapid.OneOf(rapid.Uint32Range(1, 10), rapid.Uint32Range(1, 10_000_000)).Draw(t, "weight"),
			}
		}), 2, 40, func(h Host) string { return h.Key }).Draw(t, "hosts")
		before := must(NewRendezvous(hosts))
		i := rapid.IntRange(0, len(hosts)-1).Draw(t, "changed")
		changed := slices.Clone(hosts)
		kind := rapid.SampledFrom([]string{"gone", "heavier", "lighter"}).Draw(t, "kind")
		switch kind {
		case "gone":
			changed = slices.Delete(changed, i, i+1)
		case "heavier":
			changed[i].Weight += rapid.Uint32Range(1, 1000).Draw(t, "more")
		case "lighter":
			changed[i].Weight = rapid.Uint32Range(1, changed[i].Weight).Draw(t, "less")
		}
		// The order does not matter either.
		swap := rapid.IntRange(0, len(changed)-1).Draw(t, "swap")
		changed[0], changed[swap] = changed[swap], changed[0]
		after := must(NewRendezvous(changed))
		for slot := range uint64(RendezvousSlots) {
			a, b := hosts[before.slots.at(slot)].Key, changed[after.slots.at(slot)].Key
			if a == b {
				continue
			}
			if kind == "heavier" && b != hosts[i].Key || kind != "heavier" && a != hosts[i].Key {
				t.Fatalf("%q %s: slot %d moved from %q to %q", hosts[i].Key, kind, slot, a, b)
			}
		}
	})
}

func TestSpread(t *testing.T) {
	hs := hashes(1_000_000)
	for _, c := range []struct {
		table    string
		n        int
		most     float64 // of the mean
		expected string  // what theory says of the deviation
	}{
		{"rendezvous", 10, 1.04, "1.2 % from the slots, 0.3 % from the keys"},
		{"rendezvous", 100, 1.12, "2.8 % from the slots, 1 % from the keys"},
		{"rendezvous", 1000, 1.45, "8.7 % from the slots, 3 % from the keys"},
		{"maglev", 100, 1.05, "1 % from the keys"},
		{"ring", 100, 1.15, "655 points a host: 3.9 %"},
		{"ketama", 10, 1.30, "160 points a host: 8 %"},
	} {
		t.Run(fmt.Sprint(c.table, " ", c.n), func(t *testing.T) {
			lookup := tables[c.table](spread(c.n))
			counts := make([]int, c.n)
			for _, h := range hs {
				counts[lookup(h)]++
			}
			mean := float64(len(hs)) / float64(c.n)
			most, fewest := float64(slices.Max(counts))/mean, float64(slices.Min(counts))/mean
			if most > c.most || fewest < 2-c.most {
				t.Errorf("shares from %.3f to %.3f of the mean, want within %.2f (deviation: %s)", fewest, most, c.most, c.expected)
			}
		})
	}
}

func TestWeightsAreShares(t *testing.T) {
	hs := hashes(200_000)
	hosts := []Host{{"a", 1}, {"b", 2}, {"c", 3}, {"d", 14}, {"e", 20}}
	for name, tolerance := range map[string]float64{"rendezvous": 0.06, "maglev": 0.03, "ring": 0.10, "ketama": 0.35} {
		lookup := tables[name](hosts)
		counts := make([]int, len(hosts))
		for _, h := range hs {
			counts[lookup(h)]++
		}
		for i, h := range hosts {
			share := float64(counts[i]) / float64(len(hs)) / (float64(h.Weight) / 40)
			if share < 1-tolerance || share > 1+tolerance {
				t.Errorf("%s: %s has %.3f times its share", name, h.Key, share)
			}
		}
	}
}

func TestOrderOfHostsDoesNotMatter(t *testing.T) {
	hs := hashes(20_000)
	for name, build := range tables {
		if name == "ring" {
			continue // where the scale leaves a fraction of a point, Envoy's order decides who gets it
		}
		hosts := spread(30)
		shuffled := slices.Clone(hosts)
		rand.New(rand.NewPCG(3, 4)).Shuffle(len(hosts), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if all, _ := moves(hosts, shuffled, "", build(hosts), build(shuffled), hs); all != 0 {
			t.Errorf("%s: %d keys moved when the hosts were shuffled", name, all)
		}
	}
}

// TestRaceEndsWhenItIsDecided runs every host on until it has been to every slot, and compares first arrivals: what the
// comment on Rendezvous says a slot's winner is.
func TestRaceEndsWhenItIsDecided(t *testing.T) {
	hosts := []Host{{"a", 1}, {"b", 7}, {"c", 300}}
	r := must(NewRendezvous(hosts))
	best := slices.Repeat([]float64{math.Inf(1)}, RendezvousSlots)
	winner := make([]int, RendezvousSlots)
	for i, h := range hosts {
		seen := make([]bool, RendezvousSlots)
		seed := XXH64String(h.Key, 0)
		for k, left := uint64(0), RendezvousSlots; left > 0; k++ {
			draw := mix(seed + k*0x9e3779b97f4a7c15)
			slot := draw >> 48
			if seen[slot] {
				continue
			}
			seen[slot] = true
			left--
			if at := float64(k<<32|draw&0xffffffff) * (1 / float64(h.Weight)); at < best[slot] {
				best[slot], winner[slot] = at, i
			}
		}
	}
	for slot, want := range winner {
		if got := r.slots.at(uint64(slot)); got != want {
			t.Fatalf("slot %d is %s's, want %s's", slot, hosts[got].Key, hosts[want].Key)
		}
	}
}

// TestRendezvousIsSettled pins the algorithm itself: two versions of attache must agree.
func TestRendezvousIsSettled(t *testing.T) {
	var got uint64
	hosts := []Host{{"10.0.0.1:80", 1}, {"10.0.0.2:80", 2}, {"10.0.0.3:80", 3}, {"10.0.0.4:80", 100}}
	r := must(NewRendezvous(hosts))
	for h := range uint64(10_000) {
		got = Combine(got, uint64(r.LookupN(h, int(h%3))))
	}
	if want := uint64(0x26a5f1294c39924d); got != want {
		t.Errorf("10,000 lookups combine to %#x, want %#x", got, want)
	}
}

func TestRetriesReachOtherHosts(t *testing.T) {
	hosts := spread(5)
	ring, maglev, rendezvous := must(NewRing(hosts, RingConfig{})), must(NewMaglev(hosts, 0)), must(NewRendezvous(hosts))
	ketama := must(NewKetama(hosts))
	for name, lookup := range map[string]func(uint64, int) int{
		"ring": ring.LookupN, "maglev": maglev.LookupN, "rendezvous": rendezvous.LookupN,
		"ketama": func(h uint64, n int) int { return ketama.LookupN(uint32(h), n) },
	} {
		for _, h := range hashes(100) {
			seen := map[int]bool{}
			for attempt := range 64 {
				seen[lookup(h, attempt)] = true
			}
			if len(seen) != len(hosts) {
				t.Errorf("%s: 64 attempts for %d reached %d hosts of %d", name, h, len(seen), len(hosts))
			}
		}
	}
}

func TestNoHosts(t *testing.T) {
	for name, build := range tables {
		if got := build(nil)(1); got != None {
			t.Errorf("%s: Lookup = %d, want None", name, got)
		}
	}
	m := must(NewModula(nil))
	if got := m.Lookup(1); got != None || m.Len() != 0 {
		t.Errorf("modula: Lookup = %d, Len = %d, want None and 0", got, m.Len())
	}
}

func TestOneHostGetsEverything(t *testing.T) {
	for name, build := range tables {
		lookup := build([]Host{{"only", 7}})
		for _, h := range append(hashes(1000), 0, 1<<64-1) {
			if got := lookup(h); got != 0 {
				t.Fatalf("%s: Lookup(%d) = %d, want 0", name, h, got)
			}
		}
	}
}

func TestManyHostsFitTheTable(t *testing.T) {
	for _, n := range []int{255, 256, 257, 65_536, 65_537} {
		r := must(NewRendezvous(spread(n)))
		seen := make([]bool, n)
		for slot := range uint64(RendezvousSlots) {
			seen[r.slots.at(slot)] = true
		}
		if n < 1000 && slices.Contains(seen, false) {
			t.Errorf("%d hosts: one has no slot", n)
		}
		if last := slices.Index(seen[n-n/4:], true); last < 0 {
			t.Errorf("%d hosts: none of the last quarter has a slot", n)
		}
	}
}

func TestRefusedHosts(t *testing.T) {
	builders := map[string]func([]Host) error{
		"ring":                    func(h []Host) error { _, err := NewRing(h, RingConfig{}); return err },
		"maglev":                  func(h []Host) error { _, err := NewMaglev(h, 0); return err },
		"rendezvous":              func(h []Host) error { _, err := NewRendezvous(h); return err },
		"ketama":                  func(h []Host) error { _, err := NewKetama(h); return err },
		"libmemcached":            func(h []Host) error { _, err := NewLibmemcachedKetama(h); return err },
		"libmemcached unweighted": func(h []Host) error { _, err := NewLibmemcachedUnweighted(h, HashMD5); return err },
		"spymemcached":            func(h []Host) error { _, err := NewSpymemcachedKetama(h); return err },
		"modula":                  func(h []Host) error { _, err := NewModula(h); return err },
		"bounded":                 func(h []Host) error { _, err := NewBounded(h, 150); return err },
	}
	for name, build := range builders {
		for what, c := range map[string]struct {
			hosts []Host
			want  string
		}{
			"empty key": {[]Host{{"a", 1}, {"", 1}}, `hosts[1]: key is empty`},
			"no weight": {[]Host{{"a", 0}}, `hosts[0] "a": weight is 0`},
			"too heavy": {[]Host{{"a", 1 << 31}, {"b", 1 << 31}}, `hosts[1] "b": weights sum to more than 4294967295`},
		} {
			err := build(c.hosts)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s, %s: error %v, want … %s", name, what, err, c.want)
			}
		}
	}
}

func TestRefusedSizes(t *testing.T) {
	one := named("a")
	for name, err := range map[string]error{
		"ring too large":      second(NewRing(one, RingConfig{MaxSize: DefaultMaxRingSize + 1})),
		"maglev not prime":    second(NewMaglev(one, 65536)),
		"maglev of 1":         second(NewMaglev(one, 1)),
		"maglev too large":    second(NewMaglev(one, 5_000_077)),
		"bound under 100 %":   second(NewBounded(one, 99)),
		"too many servers":    second(NewKetama(make([]Host, 60_000))),
		"shares for others":   second(NewRingWithShares(one, []float64{0.5, 0.5}, RingConfig{})),
		"shares over 1":       second(NewMaglevWithShares(named("a", "b"), []float64{0.9, 0.9}, 0)),
		"share below 0":       second(NewMaglevWithShares(one, []float64{-1}, 0)),
		"localities mismatch": second(LocalityShares([][]Host{one}, nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }
