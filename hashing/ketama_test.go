package hashing

import (
	"strings"
	"testing"
)

// ketamaCase is a key, the server it belongs to, and where given the hash of the key and the point it lands on.
type ketamaCase struct {
	Key, Server  string
	Hash1, Hash2 uint32
}

func TestLibmemcachedKetama(t *testing.T) {
	type continuum struct {
		Servers []struct {
			Host   string
			Port   uint16
			Weight uint32
		}
		Cases   []ketamaCase
		WrapKey string `json:"wrap_key"`
	}
	var v struct {
		Weighted continuum `json:"weighted_ketama"`
		Spy      continuum `json:"spymemcached_compatible"`
	}
	load(t, "libmemcached_ketama_weighted.json", &v)
	check := func(name string, c continuum, key func(host string, port uint16) string) {
		var servers []Host
		var addresses []string
		for _, s := range c.Servers {
			servers = append(servers, Host{Key: key(s.Host, s.Port), Weight: s.Weight})
			addresses = append(addresses, s.Host)
		}
		k := must(NewLibmemcachedKetama(servers))
		for _, want := range c.Cases {
			h := Sum(HashMD5, []byte(want.Key))
			if h != want.Hash1 {
				t.Errorf("%s: md5 of %q is %d, want %d", name, want.Key, h, want.Hash1)
			}
			// The second list repeats the points of the first; libmemcached's own test looks at its servers only.
			if p := uint32(k.circle.hashes[k.circle.find(uint64(h)<<32)] >> 32); name == "weighted" && p != want.Hash2 {
				t.Errorf("%s: %q lands on point %d, want %d", name, want.Key, p, want.Hash2)
			}
			if got := addresses[k.Lookup(h)]; got != want.Server {
				t.Errorf("%s: %q is on %s, want %s", name, want.Key, got, want.Server)
			}
		}
		if c.WrapKey != "" && k.Lookup(Sum(HashMD5, []byte(c.WrapKey))) != int(k.circle.hosts[0]) {
			t.Errorf("%s: %q is past the last point, but not on the first one's server", name, c.WrapKey)
		}
	}
	check("weighted", v.Weighted, ServerName)
	check("spy", v.Spy, func(host string, _ uint16) string { return "/" + host + ":11211" })
}

func TestSpymemcachedKetama(t *testing.T) {
	var v struct {
		Two, Three struct {
			Servers []string
			Cases   []ketamaCase
		}
		Weighted struct {
			Servers []struct {
				Addr   string
				Weight uint32
			}
			Cases []ketamaCase
		} `json:"weighted_libmemcached"`
	}
	load(t, "spymemcached_ketama.json", &v)
	check := func(name string, k *Ketama, addresses []string, cases []ketamaCase) {
		for _, want := range cases {
			if got := addresses[k.Lookup(Sum(HashMD5, []byte(want.Key)))]; got != want.Server {
				t.Errorf("%s: %q is on %s, want %s", name, want.Key, got, want.Server)
			}
		}
	}
	check("two", must(NewSpymemcachedKetama(named(v.Two.Servers...))), v.Two.Servers, v.Two.Cases)
	check("three", must(NewSpymemcachedKetama(named(v.Three.Servers...))), v.Three.Servers, v.Three.Cases)
	var servers []Host
	var addresses []string
	for _, s := range v.Weighted.Servers {
		// Its addresses are made from a name, "localhost/127.0.0.1:11211", and the name is what is hashed.
		name := strings.TrimSuffix(strings.Replace(s.Addr, "127.0.0.1", "localhost", 1), ":11211")
		servers = append(servers, Host{Key: name, Weight: s.Weight})
		addresses = append(addresses, s.Addr)
	}
	check("weighted", must(NewLibmemcachedKetama(servers)), addresses, v.Weighted.Cases)
}

func TestServerName(t *testing.T) {
	for _, c := range []struct {
		address string
		port    uint16
		want    string
	}{
		{"10.0.0.1", 11211, "10.0.0.1"},
		{"10.0.0.1", 11212, "10.0.0.1:11212"},
		{"/run/memcached.sock", 0, "/run/memcached.sock:"},
	} {
		if got := ServerName(c.address, c.port); got != c.want {
			t.Errorf("ServerName(%s, %d) = %s, want %s", c.address, c.port, got, c.want)
		}
	}
}

// TestKetamaRoundsDown pins the float32 arithmetic: equal servers are each due 40 sums, and often get 39.
func TestKetamaRoundsDown(t *testing.T) {
	for _, c := range []struct{ servers, want int }{{1, 40}, {3, 40}, {10, 40}, {24, 40}, {25, 39}, {47, 39}, {50, 39}, {51, 40}} {
		if got := sumsDue(1, uint64(c.servers), c.servers); got != c.want {
			t.Errorf("%d servers: %d sums each, want %d", c.servers, got, c.want)
		}
	}
}

func TestEqualPoints(t *testing.T) {
	twins := named("same", "same")
	if got := must(NewKetama(twins)).Lookup(0); got != 0 {
		t.Errorf("twemproxy: server %d, want the earlier of two equals", got)
	}
	if got := must(NewSpymemcachedKetama(twins)).Lookup(0); got != 1 {
		t.Errorf("spymemcached: server %d, want the later of two equals", got)
	}
}

func TestLibmemcachedUnweighted(t *testing.T) {
	servers := []Host{{"10.0.1.1", 1}, {"10.0.1.2", 9}}
	k := must(NewLibmemcachedUnweighted(servers, HashOneAtATime))
	if k.Len() != 200 {
		t.Fatalf("%d points, want 100 for each server", k.Len())
	}
	for n := range 2 {
		for _, name := range []string{"-0", "-57", "-99"} {
			point := Sum(HashOneAtATime, []byte(servers[n].Key+name))
			if got := k.Lookup(point); got != n {
				t.Errorf("the point %s%s is server %d's, want %d's", servers[n].Key, name, got, n)
			}
		}
	}
}

func TestModulaGivesEachServerItsWeightInSlots(t *testing.T) {
	m := must(NewModula([]Host{{"a", 2}, {"b", 1}, {"c", 3}}))
	want := []int{0, 0, 1, 2, 2, 2, 0, 0}
	for h, w := range want {
		if got := m.Lookup(uint32(h)); got != w {
			t.Errorf("Lookup(%d) = %d, want %d", h, got, w)
		}
	}
	if m.Len() != 6 {
		t.Errorf("Len = %d, want 6", m.Len())
	}
}
