package client

// What is asked for when the first request wants it: clusters (ODCDS), virtual hosts
// (VHDS), and the route tables of scopes.
//
//	Demand ─▶ a queue ─▶ Run: subscribe to one name more ─▶ response ─▶ assemble, apply
//	                              │ refused, not there, or too late          │ live
//	                              ▼                                          ▼
//	                          done(false)                               done(true)
//
// What came stays subscribed, and is updated and removed as everything is. What did not
// come is unsubscribed, so that requests for names that there are not leave nothing.

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
)

// Bounds on what requests make the client ask for.
const (
	maxQueued   = 4096   // demands that Run has not looked at
	maxPending  = 1024   // different things that are waited for
	maxDemanded = 10_000 // of each kind that stay subscribed
)

// demands are all of them. mu guards queue and ended, for any goroutine; the rest is
// Client.mu's.
type demands struct {
	mu    sync.Mutex
	queue []asking
	ended bool
	wake  chan struct{}

	pending map[config.DemandKey]*demanded
	// clusters and tables are subscribed by name; hosts by "table/host", the alias of
	// a virtual host.
	clusters, hosts, tables map[string]*config.Source
	// aliases say which virtual host came for an alias.
	aliases map[string]string
	// whole are the route tables together with the virtual hosts that came.
	whole map[string]*whole
	// clashes say what is wrong with a virtual host beside the others.
	clashes map[string]string
}

// asking is a demand in the queue.
type asking struct {
	config.Demand
	done func(found bool)
}

// demanded is a demand that is waited for.
type demanded struct {
	config.Demand
	done  []func(found bool)
	until time.Time
	none  bool // the server has said that there is none
}

func newDemands() demands {
	return demands{
		wake: make(chan struct{}, 1), pending: map[config.DemandKey]*demanded{},
		clusters: map[string]*config.Source{}, hosts: map[string]*config.Source{}, tables: map[string]*config.Source{},
		aliases: map[string]string{}, whole: map[string]*whole{},
	}
}

// Demand asks for d and calls done once, from any goroutine: true when d is live, false
// when it is not to be had or d.Timeout is over. It does not wait.
func (c *Client) Demand(d config.Demand, done func(found bool)) {
	q := &c.demands
	q.mu.Lock()
	full := q.ended || len(q.queue) >= maxQueued
	if !full {
		q.queue = append(q.queue, asking{d, done})
	}
	q.mu.Unlock()
	if full {
		done(false)
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// takeDemands looks at the queue.
func (c *Client) takeDemands(now time.Time) {
	q := &c.demands
	q.mu.Lock()
	queue := q.queue
	q.queue = nil
	q.mu.Unlock()
	for _, a := range queue {
		switch d := q.pending[a.Key()]; {
		case d != nil:
			d.done = append(d.done, a.done)
		case c.live(&a.Demand):
			a.done(true)
		case !c.canAsk(&a.Demand):
			a.done(false)
		default:
			q.pending[a.Key()] = &demanded{Demand: a.Demand, done: []func(bool){a.done}, until: now.Add(a.Timeout)}
			q.of(a.Kind)[a.resource()] = a.Source
			c.renamed = true
		}
	}
}

// of are those of a kind that are subscribed.
func (q *demands) of(k config.DemandKind) map[string]*config.Source {
	switch k {
	case config.DemandHost:
		return q.hosts
	case config.DemandTable:
		return q.tables
	}
	return q.clusters
}

// resource is what d is subscribed as.
func (a *asking) resource() string { return resourceOf(&a.Demand) }

func resourceOf(d *config.Demand) string {
	if d.Kind == config.DemandHost {
		return d.Table + "/" + d.Name // source/common/router/rds_impl.cc, domainNameToAlias
	}
	return d.Name
}

// canAsk reports whether there is somebody to be asked for d.
func (c *Client) canAsk(d *config.Demand) bool {
	q := &c.demands
	if _, again := q.of(d.Kind)[resourceOf(d)]; !again && len(q.of(d.Kind)) >= maxDemanded || len(q.pending) >= maxPending {
		c.log.Warn("xds: too much is asked for on demand", "kind", d.Kind.String(), "name", short(d.Name))
		return false
	}
	switch {
	case d.Kind == config.DemandTable:
		return true
	case d.Source.Kind == config.SourceADS:
		if c.o.ADS == nil || !c.o.ADS.Delta {
			c.log.Warn("xds: only the incremental protocol can be asked on demand, and ADS is not: give it api_type DELTA_GRPC", "kind", d.Kind.String(), "name", short(d.Name))
			return false
		}
		return true
	}
	return d.Source.API != nil && d.Source.API.Delta
}

// live reports whether what is in use has d.
func (c *Client) live(d *config.Demand) bool {
	if c.snapshot == nil || c.dirty {
		return false
	}
	switch d.Kind {
	case config.DemandHost:
		name, came := c.demands.aliases[resourceOf(d)]
		e := c.world[vhds].entries[name]
		return came && e != nil && e.used != nil && c.snapshot.RouteTable(d.Table) != nil
	case config.DemandTable:
		return c.snapshot.RouteTable(d.Name) != nil
	}
	return c.snapshot.Cluster(d.Name) != nil
}

// satisfy answers the demands of which it is known by now what became of them.
func (c *Client) satisfy(now time.Time) {
	if c.dirty {
		return
	}
	for key, d := range c.demands.pending {
		late := !now.Before(d.until)
		switch {
		case c.live(&d.Demand):
			c.endDemand(key, d, true)
		case d.none || late || c.refusedDemand(&d.Demand):
			if late {
				c.log.Warn("xds: not in time: a request goes on without", "kind", d.Kind.String(), "name", short(d.Name), "after", d.Timeout)
			}
			c.endDemand(key, d, false)
		}
	}
}

// refusedDemand reports whether what came for d is no good, and nothing was before.
func (c *Client) refusedDemand(d *config.Demand) bool {
	k, name := cds, d.Name
	switch d.Kind {
	case config.DemandHost:
		k, name = vhds, c.demands.aliases[resourceOf(d)]
	case config.DemandTable:
		k = rds
	}
	e := c.world[k].entries[name]
	return e != nil && e.refused != nil && e.used == nil
}

// endDemand answers d, and forgets what did not come.
func (c *Client) endDemand(key config.DemandKey, d *demanded, found bool) {
	q := &c.demands
	delete(q.pending, key)
	name := resourceOf(&d.Demand)
	if !found && !c.came(&d.Demand) {
		delete(q.of(d.Kind), name)
		c.renamed = true
		if e := c.world[cds].entries[name]; d.Kind == config.DemandCluster && e != nil && e.wanted && e.now == nil {
			c.world[cds].drop(name)
		}
	}
	for _, done := range d.done {
		done(found)
	}
}

// came reports whether something has come for d, that may be live later.
func (c *Client) came(d *config.Demand) bool {
	switch d.Kind {
	case config.DemandHost:
		_, came := c.demands.aliases[resourceOf(d)]
		return came
	case config.DemandTable:
		return true // it is waited for as any route table
	}
	e := c.world[cds].entries[d.Name]
	return e != nil && e.now != nil
}

// missing notes that the server says that there is no such resource.
func (c *Client) missing(k kind, name string) {
	q := &c.demands
	switch k {
	case cds:
		if _, asked := q.clusters[name]; asked {
			delete(q.clusters, name) // whoever wants it again asks again
			c.renamed = true
		}
		if d := q.pending[config.DemandKey{Kind: config.DemandCluster, Name: name}]; d != nil {
			d.none = true
		}
	case vhds:
		for key, d := range q.pending {
			if key.Kind == config.DemandHost && resourceOf(&d.Demand) == name {
				d.none = true
			}
		}
	}
}

// endDemands answers all that are left: nobody is asked any more.
func (c *Client) endDemands() {
	q := &c.demands
	q.mu.Lock()
	left := q.queue
	q.queue, q.ended = nil, true
	q.mu.Unlock()
	for _, a := range left {
		a.done(false)
	}
	for _, d := range q.pending {
		for _, done := range d.done {
			done(false)
		}
	}
	clear(q.pending)
}

// addDemands names what requests have asked for.
func (n *naming) addDemands(c *Client) {
	q := &c.demands
	for name, s := range q.clusters {
		n.add(cds, name, s)
	}
	for _, e := range c.world[rds].entries {
		for _, v := range []*version{e.now, e.used} {
			if v == nil || v.value.(*config.RouteTable).VHDS == nil {
				continue
			}
			from := v.value.(*config.RouteTable).VHDS
			n.add(vhds, e.name, from)
			for alias := range q.hosts {
				if strings.HasPrefix(alias, e.name+"/") {
					n.add(vhds, alias, from)
				}
			}
		}
	}
	for alias := range q.hosts { // of tables that are gone
		if n.of[vhds][alias] == nil {
			delete(q.hosts, alias)
			delete(q.aliases, alias)
		}
	}
}

// hearHosts notes which virtual hosts come for which names. What has no body says that
// there is none (vhds.cc, onConfigUpdate).
func (c *Client) hearHosts(u *protocol.Update) {
	q := &c.demands
	for i := range u.Resources {
		r := &u.Resources[i]
		for _, id := range append([]string{r.Name}, r.Aliases...) {
			if r.Body == nil {
				c.missing(vhds, id)
			} else if _, asked := q.hosts[id]; asked {
				q.aliases[id] = r.Name
			}
		}
	}
	u.Resources = slices.DeleteFunc(u.Resources, func(r protocol.Resource) bool { return r.Body == nil })
}

// removeHost forgets a virtual host, and the names that it came for.
func (c *Client) removeHost(name string) (changed bool) {
	q, s := &c.demands, &c.world[vhds]
	c.missing(vhds, name)
	for alias, of := range q.aliases {
		if of == name {
			delete(q.aliases, alias)
			delete(q.hosts, alias)
			c.renamed = true
		}
	}
	e := s.entries[name]
	if e == nil || e.now == nil {
		return false
	}
	s.drop(name)
	return true
}

// isOfTable reports whether a virtual host is one of a table that has some by VHDS.
func (c *Client) isOfTable(name string) bool {
	for at := 1; at < len(name); at++ {
		if name[at] == '/' {
			if e := c.world[vhds].entries[name[:at]]; e != nil && e.wanted {
				return true
			}
		}
	}
	return false
}

// forgetHosts drops the virtual hosts of tables that are gone.
func (c *Client) forgetHosts() {
	for name, e := range c.world[vhds].entries {
		if e.now != nil && !c.isOfTable(name) {
			c.world[vhds].drop(name)
			c.dirty = true
		}
	}
}
