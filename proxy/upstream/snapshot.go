package upstream

// Read-only views for the admin: the hosts and where a hash goes.

import (
	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
)

// Entry is a host as a cluster's view has it.
type Entry struct {
	Host     *Host
	Endpoint *config.Endpoint
	// Address is where connections go: the resolved one.
	Address             config.Address
	Locality            *config.Locality // Region, Zone, SubZone, Priority, Weight
	Health              string           // healthy, degraded, unhealthy
	Active              int64            // requests in progress, all workers
	Connections, Failed uint64           // made, and attempts that failed
	Connected           int64            // connections now
	Flags               Flags            // what was found out about the host
	// The rates are those of the last interval, in percent; -1: not known.
	SuccessRate, LocalSuccessRate float64
}

// Entries yields the hosts in the order of the configuration. Any goroutine.
func (c *Cluster) Entries(yield func(Entry) bool) {
	for _, m := range c.view.Load().members {
		h := m.host
		e := Entry{
			Host: h, Endpoint: m.endpoint, Address: m.endpoint.Address, Locality: m.locality,
			Health: m.health().String(), Active: max(h.active.Load(), 0),
			Connections: h.seen.Connections.Load(), Failed: h.seen.ConnectFail.Load(), Connected: h.seen.Active.Load(),
			Flags: h.Flags(), SuccessRate: -1, LocalSuccessRate: -1,
		}
		if watch := h.monitor.Load(); watch != nil {
			e.SuccessRate, e.LocalSuccessRate = watch.SuccessRate(false), watch.SuccessRate(true)
		}
		if !yield(e) {
			return
		}
	}
}

// Hosts is how many hosts there are now, whatever their health. Any goroutine.
func (c *Cluster) Hosts() int { return c.view.Load().hosts }

// Explanation is why a hash goes where it goes.
type Explanation struct {
	Priority int
	// Load is the percentage of each priority, healthy and degraded hosts
	// together; Panic says which priorities ignore health.
	Load  []uint32
	Panic []bool
	// Host is the hash's owner; nil if the balance is not by hash, or there is
	// none. With bounded loads the request may go elsewhere.
	Host *Host
	// Attempts are the owners at the first, second … try, Host being the first.
	Attempts []*Host
	// Candidates are the hosts that the priority chooses from.
	Candidates []*Host
	Key        string // what places Host
}

// Explain says where a request with this hash goes, and why. It changes
// nothing. Any goroutine.
func (c *Cluster) Explain(hash uint64) Explanation {
	v := c.view.Load()
	level, degraded := v.loads.choose(hash)
	x := Explanation{Priority: level, Panic: v.loads.panic}
	for i, n := range v.loads.healthy {
		x.Load = append(x.Load, n+v.loads.degraded[i])
	}
	l := &v.levels[level]
	if l.table == nil {
		x.Candidates = l.candidates(v.loads.panic[level], degraded).hosts
		return x
	}
	x.Candidates = l.table.hosts
	first := l.table.lookup(hash, 0)
	if first == hashing.None {
		return x
	}
	x.Host, x.Key = l.table.hosts[first], l.table.keys[first].Key
	for attempt := range explainAttempts {
		q := Pick{Attempt: attempt}
		x.Attempts = append(x.Attempts, l.table.hosts[l.table.find(hash, &q)])
	}
	return x
}

const explainAttempts = 3

func (l *level) candidates(panic, wantDegraded bool) *hostSet {
	switch {
	case panic:
		return &l.all
	case wantDegraded:
		return &l.degraded
	}
	return &l.healthy
}
