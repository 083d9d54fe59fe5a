package upstream

// From configuration and DNS answers to members, hosts and their targets.

import (
	"fmt"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/transport"
)

// membersOf lists what is asked for, in the configuration's order; names of a
// DNS cluster stand for what they were last resolved to.
func (c *Cluster) membersOf(asked *config.Cluster, paths paths) ([]member, error) {
	n := 0
	for i := range asked.Endpoints.Localities {
		n += len(asked.Endpoints.Localities[i].Endpoints)
	}
	all := make([]member, 0, n)
	for i := range asked.Endpoints.Localities {
		l := &asked.Endpoints.Localities[i]
		for j := range l.Endpoints {
			e := l.Endpoints[j]
			if e.Address.Host == "" {
				all = append(all, member{endpoint: e, locality: l, path: paths.of(asked, e)})
				continue
			}
			if asked.Discovery == config.DiscoveryStatic || asked.Discovery == config.DiscoveryEDS {
				return nil, fmt.Errorf("localities[%d].endpoints[%d]: %q is a name, and only DNS clusters look names up", i, j, e.Address.Host)
			}
			found := c.resolved(e)
			if asked.Discovery == config.DiscoveryLogicalDNS && len(found) > 0 {
				for _, at := range found[1:] {
					found[0].Others = append(found[0].Others, at.Address)
				}
				all = append(all, member{endpoint: found[0], locality: l, path: paths.of(asked, e), logical: &e.Address})
				continue
			}
			for _, at := range found {
				all = append(all, member{endpoint: at, locality: l, path: paths.of(asked, e)})
			}
		}
	}
	return all, nil
}

// key is the member's identity. A LOGICAL_DNS host stays the same whatever its
// name resolves to: connections go on, and new ones go to the new address.
func (m *member) key() hostKey {
	return hostKey{*m.identity(), m.endpoint.Hostname, m.path}
}

func (m *member) identity() *config.Address {
	if m.logical != nil {
		return m.logical
	}
	return &m.endpoint.Address
}

// is compares keys.
func (m *member) is(o *member) bool {
	return *m.identity() == *o.identity() && m.endpoint.Hostname == o.endpoint.Hostname && m.path == o.path
}

// newHost makes a host with its place on every worker. Nobody else knows it
// yet.
func newHost(c *Cluster, asked *config.Cluster, m *member) *Host {
	h := &Host{Cluster: c, Address: m.key().address, path: m.path}
	h.name = h.Address.String()
	h.asked.Store(m.endpoint)
	if asked.Balance.SlowStart > 0 && len(c.workers) > 0 {
		h.fitSince.Store(c.workers[0].Clock())
	}
	if toCheck(asked, m.endpoint) {
		h.set(flagUnfit, true)
		h.set(flagPending, asked.ExcludeNewHosts)
	}
	t := newTarget(asked)
	h.target.Store(h.aimed(&t, m.endpoint))
	for i, w := range c.workers {
		h.local = append(h.local, &HostLocal{
			Host: h, Worker: w,
			Exclusive: pool.NewExclusive(w, h.Target(), &c.local[i].Pool),
		})
	}
	return h
}

// use tells a host what is asked of it now; same says that the cluster's target
// t has not changed. New connections follow a changed target; those that stand
// stay.
func (h *Host) use(t pool.Target, same bool, m *member) {
	if same && h.asked.Load() == m.endpoint {
		return
	}
	h.asked.Store(m.endpoint)
	if old := h.Target(); same && old.Address == m.endpoint.Address && len(m.endpoint.AddedTLVs) == 0 && old.TLVs == "" &&
		len(m.endpoint.Others) == 0 && old.Others == nil {
		return
	}
	h.turn(h.aimed(&t, m.endpoint))
}

// aimed is the cluster's target for this host.
func (h *Host) aimed(t *pool.Target, e *config.Endpoint) *pool.Target {
	own := *t
	own.Address, own.Seen = e.Address, &h.seen
	own.Path, own.Hostname, own.TLVs = h.path, e.Hostname, transport.AppendTLVs(e.AddedTLVs)
	if t.Handed != nil {
		own.Handed = t.Handed.To(e)
	}
	if len(e.Others) > 0 {
		own.Others = &pool.Addresses{All: t.Order.Sort(append([]config.Address{e.Address}, e.Others...))}
	}
	return &own
}

func (h *Host) turn(t *pool.Target) {
	if *t == *h.Target() {
		return
	}
	h.target.Store(t)
	for _, l := range h.local {
		l.Worker.Post(func() { l.aim(t) })
	}
}

func (l *HostLocal) aim(t *pool.Target) {
	l.Exclusive.SetTarget(t)
	if l.shared != nil {
		l.shared.SetTarget(t)
	}
	if s, ok := l.Session.(interface{ SetTarget(*pool.Target) }); ok {
		s.SetTarget(t)
	}
}

// Defaults, for a configuration that leaves them to us.
const (
	defaultConnectTimeout = 5 * time.Second
	defaultBackoffBase    = 25 * time.Millisecond
	defaultBackoffCap     = time.Second
	defaultConnecting     = 8
)

// hostLimit is the least that one of the priorities allows of connections to a
// host: they share its pools. 0: there is no limit.
func hostLimit(asked *config.Cluster) uint32 {
	a, b := asked.Breakers[0].PerHost, asked.Breakers[1].PerHost
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// newTarget is what the targets of a cluster's hosts have in common.
func newTarget(asked *config.Cluster) pool.Target {
	t := pool.Target{
		ConnectTimeout: asked.ConnectTimeout,
		Keepalive:      asked.Keepalive,
		Backoff:        asked.Backoff,
		IdleTimeout:    asked.HTTP.IdleTimeout,
		MaxConnecting:  int(asked.Pool.MaxConnecting),
		Preconnect:     asked.PreconnectPerHost,
		MaxUses:        asked.HTTP.MaxRequests,
		MaxAge:         asked.HTTP.MaxConnAge,
		MaxConnections: hostLimit(asked),
		From:           asked.From,
		Order:          asked.Eyeballs,
	}
	for tr := range asked.Transports {
		if len(tr.Passes) > 0 {
			t.Handed = &pool.Handed{Of: asked}
		}
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = defaultConnectTimeout
	}
	if t.Backoff.Base <= 0 {
		t.Backoff.Base = defaultBackoffBase
	}
	if t.Backoff.Cap <= 0 {
		t.Backoff.Cap = defaultBackoffCap
	}
	if t.MaxConnecting <= 0 {
		t.MaxConnecting = defaultConnecting
	}
	return t
}
