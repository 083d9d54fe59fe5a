package upstream

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Open makes a cluster live on the workers, whose IDs are their indices. Hosts
// of a STATIC cluster are there at once; those of a DNS cluster come with the
// first answer. resolve looks names up for DNS clusters (nil: the system's).
// Any goroutine.
func Open(c *config.Cluster, workers []*loop.Worker, log *slog.Logger, resolve Resolver) (*Cluster, error) {
	k := newCluster(c, workers, log, resolve)
	return k, k.Update(c)
}

func newCluster(c *config.Cluster, workers []*loop.Worker, log *slog.Logger, resolve Resolver) *Cluster {
	k := &Cluster{
		Name: c.Name, StatName: c.Name,
		log: log, workers: workers,
		hosts: map[hostKey]*Host{}, resolve: resolve,
		ready: make(chan struct{}), tls: transport.NewTally(len(workers)),
	}
	if resolve == nil {
		k.resolve = SystemResolver{}
	}
	if c.AltStatName != "" {
		k.StatName = c.AltStatName
	}
	for _, w := range workers {
		k.local = append(k.local, &Local{Cluster: k, Worker: w})
	}
	return k
}

// OpenSecured is Open of a cluster that may have TLS on its way to the hosts.
func OpenSecured(c *config.Cluster, workers []*loop.Worker, log *slog.Logger, resolve Resolver, security *Security) (*Cluster, error) {
	k := newCluster(c, workers, log, resolve)
	k.security = security
	return k, k.Update(c)
}

var errClosed = errors.New("the cluster is closed")

// Update changes what is asked of the cluster: new view first, then hosts that
// left are retired on each worker. On an error, which says what the
// configuration cannot mean but not the cluster's name, nothing has changed. Any
// goroutine.
func (c *Cluster) Update(asked *config.Cluster) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	paths, err := c.pave(asked)
	if err != nil {
		return err
	}
	members, err := c.membersOf(asked, paths)
	if err != nil {
		return err
	}
	old := c.paths
	c.paths = paths
	if asked.Discovery.Provides() || c.provided != nil {
		members = append(c.provide(asked, paths), members...)
	}
	if len(members) == 0 && c.unanswered(asked) {
		c.asked, c.held = asked, true // its names are looked up first; meanwhile the hosts stay
	} else if err := c.show(asked, c.linger(asked, members)); err != nil {
		c.paths = old
		return err
	}
	c.limit(asked)
	c.detect(asked)
	c.discover(asked)
	return nil
}

// show makes members the cluster's hosts: those that stay are kept, a new view
// is swapped in, and those that left are retired. c.mu is held.
func (c *Cluster) show(asked *config.Cluster, members []member) error {
	before := c.view.Load()
	if before == nil {
		before = &view{}
	}
	members, fresh := c.settle(asked, members, before.members)
	v, err := newView(asked, members, before)
	if err != nil {
		c.updates.rejected.Add(1)
		return err
	}
	v.provided = c.provided
	t := newTarget(asked)
	same := t == c.target && c.provided == nil // a host that has just come may have another
	for i := range members {
		members[i].host.use(t, same, &members[i])
	}
	c.asked, c.target, c.held = asked, t, false
	c.view.Store(v)
	maps.Copy(c.hosts, fresh)
	left := 0
	for i := range before.members {
		m := &before.members[i]
		if m.host.round != c.round {
			delete(c.hosts, m.key())
			m.host.retire()
			left++
		}
	}
	if left+len(fresh) > 0 {
		c.updates.membership.Add(1)
		if asked.EndOnChange && before.asked != nil {
			for i := range v.members {
				v.members[i].host.renew()
			}
		}
	}
	c.monitor()
	c.supervise(asked)
	return nil
}

// weighAnew makes a new view of the hosts that there are, because one has come
// to another health. c.mu is held.
func (c *Cluster) weighAnew() {
	before := c.view.Load()
	if c.closed || before == nil {
		return
	}
	v, err := newView(before.asked, slices.Clone(before.members), before)
	if err != nil { // the same hosts were good for a view before
		c.log.Warn("hosts cannot be balanced", "cluster", c.Name, "error", err)
		return
	}
	v.provided = before.provided
	c.view.Store(v)
}

// settle gives each member its host, an old one or one of fresh, and marks it as
// of this round. Of two members with one identity the first counts, as in Envoy.
// Mostly a member stands where it stood before.
func (c *Cluster) settle(asked *config.Cluster, members, before []member) (kept []member, fresh map[hostKey]*Host) {
	c.round++
	kept, fresh = members[:0], map[hostKey]*Host{}
	for i := range members {
		m := &members[i]
		if m.host != nil {
			if c.hosts[m.key()] != m.host {
				fresh[m.key()] = m.host
			}
		} else if i < len(before) && (m.endpoint == before[i].endpoint || m.is(&before[i])) {
			m.host = before[i].host
		} else if key := m.key(); c.hosts[key] != nil {
			m.host = c.hosts[key]
		} else if m.host = fresh[key]; m.host == nil {
			m.host = newHost(c, asked, m)
			fresh[key] = m.host
		}
		if m.host.round != c.round {
			m.host.round = c.round
			kept = append(kept, *m)
		}
	}
	return kept, fresh
}

// limit sets the circuit breakers.
func (c *Cluster) limit(asked *config.Cluster) {
	for i, b := range asked.Breakers {
		to := &c.Breakers[i]
		to.Connections.SetLimit(b.MaxConnections)
		to.Pending.SetLimit(b.MaxPending)
		to.Requests.SetLimit(b.MaxRequests)
		to.Retries.SetLimit(b.MaxRetries)
		if b.Budget != nil {
			to.SetBudget(b.Budget.Percent, b.Budget.MinConcurrency)
		} else {
			to.ClearBudget()
		}
	}
}

// Close retires every host and ends DNS. Requests in progress finish; no pick
// finds a host any more. It may be called twice. Any goroutine.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.endDNS()
	c.endProviding()
	c.endDetection()
	c.endChecks()
	c.setReady()
	if v, err := newView(c.asked, nil, nil); err == nil {
		c.view.Store(v)
	}
	for _, h := range c.hosts {
		h.retire()
	}
	clear(c.hosts)
}

// retire takes the host from its workers: idle connections end, leased ones
// when they are given back, sessions as the room says.
func (h *Host) retire() {
	if h.removed.Swap(true) {
		return
	}
	for _, l := range h.local {
		l.Worker.Post(l.close)
	}
}

// drain is Host's.
func (l *HostLocal) drain(sessions bool) {
	if l.Removed() {
		return
	}
	l.Exclusive.Drain()
	if l.shared != nil {
		l.shared.Drain()
	}
	if !sessions {
		return
	}
	for _, s := range slices.Collect(maps.Keys(l.bound)) {
		s.HostFailed()
	}
	l.endSession()
	l.Session = nil // a room that shares connections begins anew
}

// Bind has b told when the host fails, if the cluster ends sessions then; Unbind must
// follow.
func (l *HostLocal) Bind(b Bound) {
	if !l.Cluster.Config().EndOnFailure {
		return
	}
	if l.bound == nil {
		l.bound = map[Bound]struct{}{}
	}
	l.bound[b] = struct{}{}
}

// Unbind ends what Bind has begun, if it has.
func (l *HostLocal) Unbind(b Bound) { delete(l.bound, b) }

// Bound is a session that lasts as long as one connection to a host does. Worker only.
type Bound interface {
	// HostFailed is called when a host was found unfit: the session is to end.
	HostFailed()
}

// renew is close of a host that goes on: with other connections.
func (l *HostLocal) renew() {
	if l.Removed() {
		return
	}
	l.close()
	l.Exclusive = pool.NewExclusive(l.Worker, l.Target(), &l.Cluster.On(l.Worker).Pool)
	l.shared, l.sharedFor, l.Session = nil, nil, nil
}

func (l *HostLocal) close() {
	if l.met {
		l.forget()
	}
	l.Exclusive.Close()
	if l.shared != nil {
		l.shared.Close()
	}
	l.endSession()
}

func (l *HostLocal) endSession() {
	switch s := l.Session.(type) {
	case interface{ Close() }:
		s.Close()
	case io.Closer:
		_ = s.Close()
	}
}
