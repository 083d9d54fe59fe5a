package hashing

import (
	"testing"
)

// hot is everything that runs for each request, over 1,000 hosts.
func hot() map[string]func(h uint64) int {
	hosts := spread(1000)
	ring, maglev := must(NewRing(hosts, RingConfig{})), must(NewMaglev(hosts, 0))
	rendezvous, ketama := must(NewRendezvous(hosts)), must(NewKetama(hosts))
	modula, bounded := must(NewModula(hosts)), must(NewBounded(hosts, 150))
	var shuffle Shuffle
	full := func(host int) uint32 { return uint32(host & 7) }
	idle := func(int) uint32 { return 0 }
	return map[string]func(h uint64) int{
		"ring":         ring.Lookup,
		"maglev":       maglev.Lookup,
		"rendezvous":   rendezvous.Lookup,
		"ketama":       func(h uint64) int { return ketama.Lookup(uint32(h)) },
		"modula":       func(h uint64) int { return modula.Lookup(uint32(h)) },
		"bounded idle": func(h uint64) int { return bounded.Pick(int(h%1000), h, 0, idle, &shuffle) },
		"bounded full": func(h uint64) int { return bounded.Pick(int(h%1000)|7, h, 3500, full, &shuffle) },
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	key := []byte("a key of {some} ordinary length: 42")
	h := uint64(1)
	check := func(name string, run func()) {
		if got := testing.AllocsPerRun(100, run); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
	for name, lookup := range hot() {
		check(name, func() { h = h*0x9e3779b97f4a7c15 + uint64(lookup(h)) })
	}
	for f := Function(1); int(f) <= Functions; f++ {
		check(f.String(), func() { h += uint64(Sum(f, key)) })
	}
	check("XXH64", func() { h = XXH64(key, h) })
	check("XXH64String", func() { h = XXH64String("a key", h) })
	check("Murmur2", func() { h = Murmur2(key, h) })
	check("RedisSlot", func() { h += uint64(RedisSlot(key)) })
}

func BenchmarkLookup(b *testing.B) {
	for name, lookup := range hot() {
		b.Run(name, func(b *testing.B) {
			h := uint64(1)
			for b.Loop() {
				h = h*0x9e3779b97f4a7c15 + uint64(lookup(h))
			}
		})
	}
}

func BenchmarkBuild1000Hosts(b *testing.B) {
	hosts := spread(1000)
	skewed := spread(1000)
	skewed[0].Weight = 1_000_000
	for name, build := range map[string]func() error{
		"ring 1024":         func() error { return second(NewRing(hosts, RingConfig{})) },
		"ring 65536":        func() error { return second(NewRing(hosts, RingConfig{MinSize: 65536})) },
		"maglev":            func() error { return second(NewMaglev(hosts, 0)) },
		"maglev skewed":     func() error { return second(NewMaglev(skewed, 0)) },
		"ketama":            func() error { return second(NewKetama(hosts)) },
		"rendezvous":        func() error { return second(NewRendezvous(hosts)) },
		"rendezvous skewed": func() error { return second(NewRendezvous(skewed)) },
		"rendezvous of 3":   func() error { return second(NewRendezvous(hosts[:3])) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := build(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSum(b *testing.B) {
	key := []byte("user:session:0123456789abcdef")
	for f := Function(1); int(f) <= Functions; f++ {
		b.Run(f.String(), func(b *testing.B) {
			for b.Loop() {
				Sum(f, key)
			}
		})
	}
	b.Run("xxh64", func(b *testing.B) {
		for b.Loop() {
			XXH64(key, 0)
		}
	})
	b.Run("xxh64 seeded", func(b *testing.B) {
		for b.Loop() {
			XXH64(key, 1)
		}
	})
	b.Run("murmur2", func(b *testing.B) {
		for b.Loop() {
			Murmur2(key, MurmurSeed)
		}
	})
}
