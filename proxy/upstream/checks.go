package upstream

// Active health checks: each host is checked by one of the workers, and a change
// makes a new view.
//
//	show ─▶ supervise: a health.Check for each host ─▶ Start on its worker
//	Check ─▶ report (its worker) ─▶ settle (another goroutine, under mu) ─▶ flags, a new view

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/transport"
	"github.com/attache-mesh/attache/proxy/upstream/health"
)

// checks are the health checks of one cluster. Cluster.mu guards them, but for
// count.
type checks struct {
	asked *config.HealthCheck
	log   *health.Log
	fresh map[*Host]bool // whose first check has not ended
	count health.Counters
}

// checked is the check of one host.
type checked struct {
	*health.Check
	of   *checks
	w    *loop.Worker
	host *Host
	made checkKey
}

// checkKey is what a check was made for: with another it is begun anew.
type checkKey struct {
	address  config.Address
	hostname string
	path     *transport.Path
}

func (c *Cluster) checkKey(asked *config.Cluster, m *member) checkKey {
	k := checkKey{address: m.endpoint.CheckAddress(), path: m.path}
	if m.endpoint.Check != nil {
		k.hostname = m.endpoint.Check.Hostname
	}
	if l := asked.HealthCheck.Labels; l != nil {
		e := *m.endpoint
		e.SocketLabels = l
		k.path = c.paths.of(asked, &e)
	}
	return k
}

// toCheck reports whether hosts of an endpoint are checked.
func toCheck(asked *config.Cluster, e *config.Endpoint) bool {
	return asked.HealthCheck != nil && (e.Check == nil || !e.Check.Disabled)
}

// supervise gives each host of the view the check that it is to have. Hosts keep
// what was found out about them as long as they are checked at all. c.mu is held.
func (c *Cluster) supervise(asked *config.Cluster) {
	k := c.checks.Load()
	switch {
	case k == nil && asked.HealthCheck == nil:
		return
	case k == nil || asked.HealthCheck == nil || !reflect.DeepEqual(k.asked, asked.HealthCheck):
		c.endChecks()
		if asked.HealthCheck == nil {
			c.forgetChecks()
			return
		}
		k = &checks{asked: asked.HealthCheck, log: health.NewLog(asked.HealthCheck, c.Name), fresh: map[*Host]bool{}}
		c.checks.Store(k)
	}
	for h := range k.fresh {
		if h.Removed() {
			delete(k.fresh, h)
		}
	}
	members := c.view.Load().members
	freed := false
	for i := range members {
		freed = c.superviseHost(k, asked, &members[i]) || freed
	}
	if freed {
		c.weighAnew()
	}
	c.tryReady()
}

// superviseHost reports whether what was found out about the host is forgotten,
// since it is not checked any more.
func (c *Cluster) superviseHost(k *checks, asked *config.Cluster, m *member) (freed bool) {
	h := m.host
	now := h.check.Load()
	switch want := toCheck(asked, m.endpoint); {
	case want && now != nil && now.of == k && now.made == c.checkKey(asked, m), !want && now == nil:
		return false
	case now != nil:
		now.stop()
		h.check.Store(nil)
		if !want {
			delete(k.fresh, h)
			freed = h.has(checkFlags)
			h.set(checkFlags|flagChecked, false)
			return freed
		}
	}
	w := c.workers[c.turn()]
	state := health.State{New: true, Failed: h.has(flagUnfit), Degraded: h.has(flagDegraded), Late: h.has(flagLate)}
	x := &checked{of: k, w: w, host: h, made: c.checkKey(asked, m)}
	x.Check = health.New(w, k.asked, c.checkHost(asked, m, &x.made), state, c.wasUsed, &k.count, x.report)
	k.fresh[h] = true
	h.check.Store(x)
	w.Post(x.Start)
	return false
}

const checkFlags = flagUnfit | flagLate | flagDegraded | flagPending | flagExcluded

// turn spreads checks over the workers.
func (c *Cluster) turn() int {
	c.turns++
	return c.turns % len(c.workers)
}

// checkHost says how a host is reached for its checks.
func (c *Cluster) checkHost(asked *config.Cluster, m *member, k *checkKey) health.Host {
	t := newTarget(asked)
	t.Address, t.Hostname, t.ConnectTimeout = k.address, m.endpoint.Hostname, asked.HealthCheck.Timeout
	t.IdleTimeout, t.MaxUses, t.MaxAge, t.Preconnect, t.Path = 0, 0, 0, 1, k.path
	return health.Host{Target: &t, Hostname: k.hostname, Cluster: c.Name}
}

// wasUsed reports whether a connection was ever made for somebody. Any goroutine.
func (c *Cluster) wasUsed() bool {
	if c.used.Load() {
		return true
	}
	for _, m := range c.view.Load().members {
		if m.host.seen.Connections.Load() > 0 {
			c.used.Store(true)
			return true
		}
	}
	return false
}

// report is called after each check, in a coroutine of the worker's. Mostly
// nothing has changed, and nobody is told.
func (x *checked) report(s health.State, change health.Change, r health.Result, exclude bool) {
	h := x.host
	h.set(flagLate, s.Late)
	if exclude {
		h.set(flagExcluded, true)
	}
	if change != health.Changed && h.has(flagChecked) && (r.Bad() || !h.has(flagEjected)) && !x.of.log.Wants(s, r) {
		return
	}
	first := !h.has(flagChecked)
	h.set(flagChecked, true)
	now := time.Duration(x.w.Now())
	x.w.Offload(func() {
		x.of.log.Tell(h.subject(), s, change, r, first)
		h.Cluster.settleCheck(x, s, change, r, now)
	})
}

// subject is the host as the log of its checks names it.
func (h *Host) subject() health.Subject {
	s := health.Subject{At: h.Address}
	for _, m := range h.Cluster.view.Load().members {
		if m.host == h {
			s.At, s.Metadata, s.Place = m.endpoint.Address, m.endpoint.FilterMetadata, m.locality.Place()
		}
	}
	return s
}

// settleCheck takes a result into the cluster.
func (c *Cluster) settleCheck(x *checked, s health.State, change health.Change, r health.Result, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := x.host
	if h.check.Load() != x || c.checks.Load() != x.of {
		return
	}
	before := flag(h.flags.Load())
	h.set(flagUnfit, s.Failed)
	h.set(flagDegraded, s.Degraded)
	h.set(flagPending, false)
	if !s.Failed && change == health.Changed {
		h.set(flagExcluded, false)
		if c.asked.Balance.SlowStart > 0 {
			h.fitSince.Store(int64(now))
		}
	}
	delete(x.of.fresh, h)
	if m := h.monitor.Load(); m != nil && !r.Bad() && !s.Failed {
		if d := c.detection.Load(); d != nil && d.Passed(m, now) {
			h.set(flagEjected, false)
		}
	}
	if flag(h.flags.Load()) != before {
		c.weighAnew()
	}
	if s.Failed {
		c.failed(h)
	}
	c.tryReady()
}

// failed deals with a host that has become unfit: one that is not listed goes, and
// nobody else is sent over the connections of the others. c.mu is held.
func (c *Cluster) failed(h *Host) {
	if h.has(flagLeaving) {
		if err := c.show(c.asked, c.staying(h)); err != nil {
			c.log.Warn("a host cannot be removed", "cluster", c.Name, "host", h.name, "error", err)
		}
		return
	}
	h.drain(c.asked.EndOnFailure)
}

// staying are the members but for one host.
func (c *Cluster) staying(but *Host) []member {
	return slices.DeleteFunc(slices.Clone(c.view.Load().members), func(m member) bool { return m.host == but })
}

// linger adds to members those of before that are not listed any more and still
// pass their checks (Envoy BaseDynamicClusterImpl::updateDynamicHostList). c.mu is
// held.
func (c *Cluster) linger(asked *config.Cluster, members []member) []member {
	dynamic := asked.Discovery == config.DiscoveryEDS || asked.Discovery == config.DiscoveryStrictDNS
	v := c.view.Load()
	if asked.HealthCheck == nil || asked.RemoveAtOnce || !dynamic || v == nil {
		return members
	}
	listed := make(map[hostKey]bool, len(members))
	for i := range members {
		listed[members[i].key()] = true
		if h := c.hosts[members[i].key()]; h != nil {
			h.set(flagLeaving, false)
		}
	}
	n := len(members)
	for i := range v.members {
		m := &v.members[i]
		if listed[m.key()] || m.host.check.Load() == nil || m.host.has(flagUnfit) || healthOf(m.endpoint.Health) == unhealthy {
			continue
		}
		m.host.set(flagLeaving, true)
		stay := *m
		if i := place(asked, m); i >= 0 {
			stay.locality = &asked.Endpoints.Localities[i]
		}
		members = append(members, stay)
	}
	if len(members) > n {
		// Members come locality by locality.
		slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(place(asked, &a), place(asked, &b)) })
	}
	return members
}

// place is where the locality of a member stands, -1: it is not listed.
func place(asked *config.Cluster, m *member) int {
	return slices.IndexFunc(asked.Endpoints.Localities, func(l config.Locality) bool { return sameLocality(&l, m.locality) })
}

func sameLocality(a, b *config.Locality) bool {
	return a.Region == b.Region && a.Zone == b.Zone && a.SubZone == b.SubZone && a.Priority == b.Priority
}

// endChecks ends all checks; the flags stay. c.mu is held.
func (c *Cluster) endChecks() {
	if c.checks.Swap(nil) == nil {
		return
	}
	for _, h := range c.hosts {
		if x := h.check.Swap(nil); x != nil {
			x.stop()
		}
	}
}

// forgetChecks takes back what checks have found out. c.mu is held.
func (c *Cluster) forgetChecks() {
	changed := false
	for _, h := range c.hosts {
		changed = changed || h.has(checkFlags)
		h.set(checkFlags|flagChecked, false)
	}
	if changed {
		c.weighAnew()
	}
	c.tryReady()
}

func (x *checked) stop() { x.w.Post(x.End) }

// FailNow takes the word of an answer that the host is not fit: it is out until it
// passes its checks again. It does nothing for a host that is not checked. Worker
// only.
func (l *HostLocal) FailNow() {
	if x := l.check.Load(); x != nil {
		l.set(flagExcluded, true)
		x.w.Post(x.FailNow)
	}
}

// Checked reports whether the host is actively checked. Any goroutine.
func (h *Host) Checked() bool { return h.check.Load() != nil }

func (h *Host) checkAddress() config.Address { return h.asked.Load().CheckAddress() }

// drain has requests go over new connections: another path may be better. Those that
// stand end when they are idle; sessions only if they are to end, at once (Envoy
// ThreadLocalClusterManagerImpl::onHostHealthFailure). Any goroutine.
func (h *Host) drain(sessions bool) {
	for _, l := range h.local {
		l.Worker.Post(func() { l.drain(sessions) })
	}
}

// renew ends the connections that are idle, and those in use after their
// request. Any goroutine.
func (h *Host) renew() {
	for _, l := range h.local {
		l.Worker.Post(l.renew)
	}
}

func (k *checks) stats(yield func(name string, value uint64)) { k.count.Stats(yield) }
