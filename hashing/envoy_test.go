package hashing

// Envoy's own ring and Maglev tests, as vectors.

import (
	"math"
	"testing"
)

// envoyHost is a host as Envoy's tests write it down.
type envoyHost struct {
	Address  string
	HashKey  string `json:"hash_key"`
	Weight   uint32
	Locality string
}

// envoyCase is what ring and Maglev cases have in common.
type envoyCase struct {
	Name            string
	Hosts           []envoyHost
	LocalityWeights map[string]uint32 `json:"locality_weights"`
	Picks           []struct {
		Hash uint64 `json:",string"`
		Host string
	}
	RetryPicks []struct {
		Hash    uint64 `json:",string"`
		Retries int
		Reject  any
		Host    string
	} `json:"retry_picks"`
	Error string
}

// hosts returns the case's hosts and their shares. Hosts are already grouped by locality.
func (c *envoyCase) hosts(t *testing.T) ([]Host, []float64) {
	var hosts []Host
	var localities [][]Host
	var weights []uint32
	for i, h := range c.Hosts {
		host := Host{Key: h.HashKey, Weight: h.Weight}
		if host.Key == "" {
			host.Key = h.Address
		}
		hosts = append(hosts, host)
		if i == 0 || c.Hosts[i-1].Locality != h.Locality {
			localities = append(localities, nil)
			weights = append(weights, c.LocalityWeights[h.Locality])
		}
		localities[len(localities)-1] = append(localities[len(localities)-1], host)
	}
	if c.LocalityWeights == nil {
		return hosts, must(Shares(hosts))
	}
	shares, err := LocalityShares(localities, weights)
	if err != nil {
		t.Fatal(err)
	}
	return hosts, shares
}

// key returns a host's key, as the cases name hosts.
func key(hosts []Host, i int) string {
	if i == None {
		return ""
	}
	return hosts[i].Key
}

// check looks the case's picks up, as ThreadAwareLoadBalancerBase::chooseHost does.
func (c *envoyCase) check(t *testing.T, hosts []Host, lookup func(h uint64, attempt int) int) {
	for _, p := range c.Picks {
		if got := key(hosts, lookup(p.Hash, 0)); got != p.Host {
			t.Errorf("hash %d: %s, want %s", p.Hash, got, p.Host)
		}
	}
	for _, p := range c.RetryPicks {
		rejected := func(host string) bool {
			list, some := p.Reject.([]any)
			for _, r := range list {
				if r == host {
					return true
				}
			}
			return !some
		}
		got := ""
		for attempt := range p.Retries + 1 {
			got = key(hosts, lookup(p.Hash, attempt))
			if !rejected(got) {
				break
			}
		}
		if got != p.Host {
			t.Errorf("hash %d with %d retries, rejecting %v: %s, want %s", p.Hash, p.Retries, p.Reject, got, p.Host)
		}
	}
}

func TestEnvoyRing(t *testing.T) {
	var v struct {
		Cases []struct {
			envoyCase
			Hash    string
			MinSize uint64 `json:"minimum_ring_size"`
			MaxSize uint64 `json:"maximum_ring_size"`
			Stats   *struct {
				Size   int
				Fewest int `json:"min_hashes_per_host"`
				Most   int `json:"max_hashes_per_host"`
			}
			Ring []struct {
				Host     string
				Position uint64 `json:",string"`
			}
			Histogram struct {
				N      uint64
				Counts map[string]int
			}
			Property string
		}
	}
	load(t, "envoy_ring_hash.json", &v)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			hosts, shares := c.hosts(t)
			r, err := NewRingWithShares(hosts, shares, RingConfig{
				MinSize: c.MinSize, MaxSize: c.MaxSize, Murmur: c.Hash == "MURMUR_HASH_2",
			})
			if c.Error != "" {
				if err == nil || err.Error() != "ring: minimum_ring_size (20) > maximum_ring_size (10)" {
					t.Errorf("error %v, want one like %q", err, c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Stats != nil {
				if size, fewest, most := r.Spread(); size != c.Stats.Size || fewest != c.Stats.Fewest || most != c.Stats.Most {
					t.Errorf("spread %d, %d, %d; want %+v", size, fewest, most, *c.Stats)
				}
			}
			if c.Ring != nil && r.Len() != len(c.Ring) {
				t.Fatalf("%d points, want %d", r.Len(), len(c.Ring))
			}
			for i, p := range c.Ring {
				if r.circle.hashes[i] != p.Position || hosts[r.circle.hosts[i]].Key != p.Host {
					t.Errorf("point %d: %d of %s, want %d of %s", i, r.circle.hashes[i], hosts[r.circle.hosts[i]].Key, p.Position, p.Host)
				}
			}
			counts := map[string]int{}
			for i := range c.Histogram.N {
				counts[key(hosts, r.Lookup(i*(math.MaxUint64/c.Histogram.N)))]++
			}
			for host, want := range c.Histogram.Counts {
				if counts[host] != want {
					t.Errorf("%s got %d of %d keys, want %d", host, counts[host], c.Histogram.N, want)
				}
			}
			if c.Property != "" {
				checkTwoHostsIdle(t, r, len(hosts))
			}
			if c.Name == "ZeroLocalityWeights" && r.Lookup(0) != None {
				t.Error("a ring without shares has a host")
			}
			c.check(t, hosts, r.LookupN)
		})
	}
}

// checkTwoHostsIdle is the property of Envoy's SmallFractionalScale: over 1024 even hashes, exactly two hosts get nothing.
func checkTwoHostsIdle(t *testing.T, r *Ring, n int) {
	busy := map[int]bool{}
	for i := range uint64(1024) {
		busy[r.Lookup(i*(math.MaxUint64/1024))] = true
	}
	if idle := n - len(busy); idle != 2 {
		t.Errorf("%d idle hosts, want 2", idle)
	}
}

func TestEnvoyMaglev(t *testing.T) {
	var v struct {
		Cases []struct {
			envoyCase
			TableSize        uint64 `json:"table_size"`
			DefaultTableSize uint64 `json:"default_table_size"`
			Table            []string
			Stats            *struct {
				Fewest int `json:"min_entries_per_host"`
				Most   int `json:"max_entries_per_host"`
			}
		}
	}
	load(t, "envoy_maglev.json", &v)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			hosts, shares := c.hosts(t)
			if c.DefaultTableSize != 0 {
				hosts = named("a")
				shares = []float64{1}
			}
			m, err := NewMaglevWithShares(hosts, shares, c.TableSize)
			if c.Error != "" {
				if err == nil || err.Error() != "maglev: table_size (8) is not a prime" {
					t.Errorf("error %v, want one like %q", err, c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.DefaultTableSize != 0 && uint64(m.Len()) != c.DefaultTableSize {
				t.Errorf("%d slots, want %d", m.Len(), c.DefaultTableSize)
			}
			for i, want := range c.Table {
				if got := key(hosts, m.Lookup(uint64(i))); got != want {
					t.Errorf("slot %d: %s, want %s", i, got, want)
				}
			}
			if c.Stats != nil {
				if fewest, most := m.Spread(); fewest != c.Stats.Fewest || most != c.Stats.Most {
					t.Errorf("spread %d, %d; want %+v", fewest, most, *c.Stats)
				}
			}
			c.check(t, hosts, m.LookupN)
		})
	}
}
