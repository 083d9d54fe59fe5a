package upstream

// Hash tables: which host of a priority a hash belongs to.

import (
	"net"
	"slices"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
)

// table is the hash table of one priority. Exactly one of the tables is set,
// as kind says. Immutable; any goroutine.
type table struct {
	kind config.BalanceKind
	// What it was built from: a table is used again while these are the same.
	balance config.Balance
	keys    []hashing.Host
	shares  []float64

	hosts      []*Host // of the view that this table was made for
	ring       *hashing.Ring
	maglev     *hashing.Maglev
	rendezvous *hashing.Rendezvous
	ketama     *hashing.Ketama
	bounded    *hashing.Bounded // nil: loads are not bounded
}

// newTable builds the table of a priority's hosts, or takes over old's.
func newTable(c *config.Cluster, members []member, old *table) (*table, error) {
	t := &table{kind: c.Balance.Kind, balance: c.Balance}
	t.hosts, t.keys = make([]*Host, len(members)), make([]hashing.Host, len(members))
	for i := range members {
		m := &members[i]
		t.hosts[i] = m.host
		t.keys[i] = hashing.Host{Key: hashKey(&c.Balance, m), Weight: max(m.endpoint.Weight, 1)}
	}
	var err error
	if t.shares, err = t.share(members); err != nil {
		return nil, err
	}
	if old != nil && old.balance == t.balance && slices.Equal(old.keys, t.keys) && slices.Equal(old.shares, t.shares) {
		t.ring, t.maglev, t.rendezvous, t.ketama, t.bounded = old.ring, old.maglev, old.rendezvous, old.ketama, old.bounded
		return t, nil
	}
	if err := t.build(); err != nil {
		return nil, err
	}
	return t, nil
}

// share gives each host its part: by weight, or by the weights of localities
// first if those count.
func (t *table) share(members []member) ([]float64, error) {
	if !t.balance.LocalityWeighted {
		return hashing.Shares(t.keys)
	}
	var groups [][]hashing.Host
	var weights []uint32
	at, sum := 0, uint32(0)
	for _, g := range localities(members) {
		groups = append(groups, t.keys[at:at+len(g)])
		weights = append(weights, g[0].locality.Weight)
		at += len(g)
		sum += g[0].locality.Weight
	}
	if sum == 0 {
		return hashing.Shares(t.keys)
	}
	return hashing.LocalityShares(groups, weights)
}

func (t *table) build() error {
	var err error
	b := &t.balance
	switch t.kind {
	case config.RingHashLB:
		t.ring, err = hashing.NewRingWithShares(t.keys, t.shares, hashing.RingConfig{
			MinSize: b.MinRing, MaxSize: b.MaxRing, Murmur: b.RingHash == config.RingMurmur2,
		})
	case config.MaglevLB:
		t.maglev, err = hashing.NewMaglevWithShares(t.keys, t.shares, b.MaglevTable)
	case config.Rendezvous:
		t.rendezvous, err = hashing.NewRendezvous(t.keys)
	case config.Ketama:
		t.ketama, err = hashing.NewKetama(t.keys)
	case config.Libmemcached:
		t.ketama, err = hashing.NewLibmemcachedKetama(t.keys)
	}
	if err != nil || b.BalanceFactor == 0 {
		return err
	}
	t.bounded, err = hashing.NewBoundedWithShares(t.keys, t.shares, b.BalanceFactor)
	return err
}

// lookup gives the index of the host at the attempt-th try, or hashing.None.
// Ketama's circle is one of 32 bits and takes the low half of h.
func (t *table) lookup(h uint64, attempt int) int {
	switch t.kind {
	case config.RingHashLB:
		return t.ring.LookupN(h, attempt)
	case config.MaglevLB:
		return t.maglev.LookupN(h, attempt)
	case config.Rendezvous:
		return t.rendezvous.LookupN(h, attempt)
	}
	return t.ketama.LookupN(uint32(h), attempt)
}

// hashKey is what places a host: its hash_key, else its host name if that is
// asked for, else its address. twemproxy and libmemcached leave their usual
// port out of it.
func hashKey(b *config.Balance, m *member) string {
	switch e := m.endpoint; {
	case e.HashKey != "":
		return e.HashKey
	case b.Kind == config.Ketama || b.Kind == config.Libmemcached:
		return serverName(b, e)
	case b.UseHostname && e.Hostname != "":
		return e.Hostname
	case m.logical != nil:
		return e.Address.String()
	}
	return m.host.name
}

func serverName(b *config.Balance, e *config.Endpoint) string {
	name, port := e.Address.Path, uint16(0)
	if name == "" {
		name, port = e.Address.IP.Addr().String(), e.Address.IP.Port()
	}
	if b.UseHostname && e.Hostname != "" {
		name = e.Hostname
		if _, _, err := net.SplitHostPort(name); err == nil {
			return name // the host name says it all
		}
	}
	return hashing.ServerName(name, port)
}
