package upstream

// Hosts that nobody lists: one comes when a request asks for it, and goes when
// none has for a while and no connection to it is left (Envoy ORIGINAL_DST,
// clusters/original_dst/original_dst_cluster.cc).
//
//	Pick.To ─▶ this worker's map ─▶ Host
//	              └─ not there ─▶ the cluster's map (a short lock) ─▶ Host, new or not
//	tend (a goroutine): new hosts, and those that go ─▶ show ─▶ a new view

import (
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/transport"
)

// provided are the hosts of such a cluster.
type provided struct {
	every time.Duration
	wake  chan struct{} // there is a new host
	end   chan struct{}
	place config.Locality

	mu    sync.Mutex // guards what follows; held for moments
	asked *config.Cluster
	path  *transport.Path
	hosts map[string]*Host
	list  []*Host                    // in the order in which they came
	names *nameCache                 // of a dynamic forward proxy cluster; set once
	moved map[*Host]*config.Endpoint // where names have moved to, for the next view
	shut  bool
}

// provide begins, changes or ends the providing of hosts, as asked, and gives those
// that there are as members. c.mu is held.
func (c *Cluster) provide(asked *config.Cluster, paths paths) []member {
	p := c.provided
	byName := asked.Discovery == config.DiscoveryDynamic
	if !byName && asked.Discovery != config.DiscoveryOriginalDst {
		c.endProviding()
		return nil
	}
	if p != nil && (byName != (p.names != nil) || byName && !reflect.DeepEqual(p.names.conf, asked.Names)) {
		c.endProviding() // names are looked up in another way: all anew
		p = nil
	}
	if p == nil || p.every != asked.OriginalDst.Cleanup {
		p = &provided{
			every: asked.OriginalDst.Cleanup, wake: make(chan struct{}, 1), end: make(chan struct{}), hosts: map[string]*Host{},
			moved: map[*Host]*config.Endpoint{},
		}
		if old := c.provided; old != nil {
			p.hosts, p.list = old.stop()
		}
		if byName {
			p.names = newNames(asked.Names, c.resolve)
		}
		c.provided = p
		go c.tend(p)
	}
	all := p.use(asked, paths.of(asked, &config.Endpoint{}))
	if byName {
		c.preresolve(p)
	}
	return all
}

// preresolve begins to look up the names that are known from the start.
func (c *Cluster) preresolve(p *provided) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.names.conf.Preresolve {
		if p.names.entries[name] == nil {
			c.follow(p, name)
		}
	}
}

// use notes what new hosts are made from. Hosts of another path are no hosts any
// more.
func (p *provided) use(asked *config.Cluster, path *transport.Path) []member {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != nil && path != p.path {
		for _, h := range p.list {
			h.retire()
		}
		clear(p.hosts)
		p.list = nil
		if p.names != nil {
			for _, e := range p.names.entries { // the next look-up makes others
				e.is, e.known = nil, false
			}
		}
	}
	p.asked, p.path = asked, path
	return p.members()
}

// members are the hosts as members. p.mu is held.
func (p *provided) members() []member {
	all := make([]member, len(p.list))
	defer clear(p.moved)
	for i, h := range p.list {
		all[i] = member{endpoint: h.Endpoint(), locality: &p.place, path: h.path, host: h}
		if h.Address.Host != "" {
			all[i].logical = &h.Address
		}
		if to := p.moved[h]; to != nil {
			all[i].endpoint = to
		}
	}
	return all
}

// pickProvided chooses the host that the request asks for.
func (l *Local) pickProvided(p *provided, q *Pick) (*Host, outcome.Outcome) {
	if p == nil { // the cluster is closed
		return nil, outcome.NoHost
	}
	h := l.met[string(q.To)]
	if h == nil || h.Removed() {
		if h = l.Cluster.meet(p, q.To); h == nil {
			l.Count.CxNoneHealthy++
			return nil, outcome.NoHost
		}
		if l.met == nil {
			l.met = map[string]*Host{}
		}
		l.met[h.name] = h
	}
	if !h.used.Load() { // what is shared is written but once in a while
		h.used.Store(true)
	}
	return h, outcome.OK
}

// meet gives the host of an address, a new one if need be; nil if it is none. It
// blocks no longer than it takes another worker to do the same.
func (c *Cluster) meet(p *provided, to []byte) *Host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.names != nil {
		return p.hosts[string(to)] // Find makes them
	}
	at, err := netip.ParseAddrPort(string(to))
	if err != nil || p.shut {
		return nil
	}
	e := &config.Endpoint{Address: config.Address{IP: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}, Weight: 1}
	if h := p.hosts[e.Address.String()]; h != nil {
		return h
	}
	h := p.add(c, &member{endpoint: e, locality: &p.place, path: p.path}, e.Address.String())
	p.tell()
	return h
}

// add makes a host that is found by name. p.mu is held.
func (p *provided) add(c *Cluster, m *member, name string) *Host {
	h := newHost(c, p.asked, m)
	h.met, h.name = true, name
	h.used.Store(true)
	p.hosts[name] = h
	p.list = append(p.list, h)
	return h
}

// remove lets a host go; the next view has it no more. p.mu is held.
func (p *provided) remove(h *Host) {
	delete(p.hosts, h.name)
	p.list = slices.DeleteFunc(p.list, func(o *Host) bool { return o == h })
}

// tell has a view made of what there is now.
func (p *provided) tell() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// tend is the goroutine that lists new hosts and lets old ones go. It ends with
// the cluster.
func (c *Cluster) tend(p *provided) {
	var sweep <-chan time.Time // names go by themselves
	if p.every > 0 {
		t := time.NewTicker(p.every)
		defer t.Stop()
		sweep = t.C
	}
	for {
		select {
		case <-p.end:
			return
		case <-p.wake:
			c.list(p, false)
		case <-sweep:
			c.list(p, true)
		}
	}
}

// list makes a view of the hosts that there are, after those that are of no use
// any more were let go if sweep says so.
func (c *Cluster) list(p *provided, sweep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.provided != p {
		return
	}
	p.mu.Lock()
	if sweep && !p.sweep() {
		p.mu.Unlock()
		return
	}
	members := p.members()
	p.mu.Unlock()
	if err := c.show(c.asked, members); err != nil {
		c.log.Warn("hosts cannot be listed", "error", err)
	}
}

// sweep lets the hosts go that were not asked for since the last time and have
// neither connections nor requests; false if there are none. p.mu is held.
func (p *provided) sweep() bool {
	n := len(p.list)
	p.list = slices.DeleteFunc(p.list, func(h *Host) bool {
		if h.used.Swap(false) || h.seen.Active.Load() > 0 || h.active.Load() > 0 {
			return false
		}
		delete(p.hosts, h.name)
		return true
	})
	return len(p.list) < n
}

// stop ends the providing and gives the hosts.
func (p *provided) stop() (map[string]*Host, []*Host) {
	close(p.end)
	if p.names != nil {
		p.names.cancel()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	return p.hosts, p.list
}

// endProviding is for a cluster that is closed, or finds its hosts otherwise from
// now on. c.mu is held.
func (c *Cluster) endProviding() {
	if c.provided == nil {
		return
	}
	_, list := c.provided.stop()
	c.provided = nil
	for _, h := range list {
		h.retire()
	}
}

// forget takes a host that has left out of the worker's map.
func (l *HostLocal) forget() {
	if met := l.Cluster.On(l.Worker).met; met[l.name] == l.Host {
		delete(met, l.name)
	}
}
