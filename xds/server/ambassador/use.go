package ambassador

// What is asked of the sources: services, and how their instances are used.

import (
	"cmp"
	"slices"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// Use is a service as some ports use it: not hashed, or hashed one way. It is
// comparable, and names one resource of endpoints.
type Use struct {
	Service discovery.Service
	Table   plan.Table // the zero Table: not hashed
}

// String is the use as the name of its resource: the reference of the service,
// and after a # how it is hashed.
func (u Use) String() string {
	if !u.Table.Hashed() {
		return u.Service.String()
	}
	return u.Service.String() + "#" + u.Table.String()
}

// target is one cluster of a port.
type target struct {
	name         string
	use          Use
	http1, http2 bool // other than the port's protocol says
}

// targets settles the port's clusters: its service's has the port's name, those
// of routes the port's and the service's.
func (p *Port) targets() {
	table := p.table()
	byService := map[discovery.Service]*target{}
	names := map[string]bool{}
	add := func(name string, s discovery.Service) *target {
		if t := byService[s]; t != nil {
			return t
		}
		if names[name] {
			name = p.Name + "/" + s.String()
		}
		t := &target{name: name, use: Use{s, table}}
		byService[s], names[name] = t, true
		p.clusters = append(p.clusters, t)
		return t
	}
	p.clusters = nil
	if p.Service.Source != "" {
		add(p.Name, p.Service)
	}
	for i := range p.Routes {
		p.Routes[i].target = add(p.Name+"/"+p.Routes[i].Service.Name, p.Routes[i].Service)
	}
}

// table is how the port hashes.
func (p *Port) table() plan.Table {
	if p.Sharding == nil {
		return plan.Table{}
	}
	s := p.Sharding
	return plan.Table{
		Policy: plan.Policy(s.Policy), Identity: plan.Identity(s.Identity),
		MinRing: s.MinRing, MaxRing: s.MaxRing, Size: s.TableSize,
	}
}

// Services are all services of the file, sorted by name.
func (c *Config) Services() []discovery.Service {
	seen := map[discovery.Service]bool{}
	for use := range c.Uses() {
		seen[use.Service] = true
	}
	var all []discovery.Service
	for s := range seen {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b discovery.Service) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// Uses are all uses of the file, and the strictest plan that goes for each.
func (c *Config) Uses() map[Use]Plan {
	all := map[Use]Plan{}
	for _, a := range c.Ambassadors {
		for _, p := range a.Ports {
			for _, t := range p.allTargets() {
				all[t.use] = stricter(all, t.use, *p.Plan)
			}
		}
		for _, s := range a.Envoy.services() {
			if _, ok := all[Use{Service: s}]; !ok {
				all[Use{Service: s}] = c.Plan
			}
		}
	}
	return all
}

// stricter is the plan that holds more back: the smaller share, then the longer
// time (0 is for ever).
func stricter(all map[Use]Plan, use Use, b Plan) Plan {
	a, ok := all[use]
	if !ok || b.MaxMovedShare < a.MaxMovedShare {
		return b
	}
	if a.MaxMovedShare == b.MaxMovedShare && (b.HoldFor == 0 || a.HoldFor != 0 && b.HoldFor > a.HoldFor) {
		return b
	}
	return a
}

// Uses are what the group's resources depend on.
func (g Group) Uses() (all []Use) {
	seen := map[Use]bool{}
	add := func(u Use) {
		if !seen[u] {
			seen[u] = true
			all = append(all, u)
		}
	}
	for _, p := range g.Ambassador.Ports {
		for _, t := range p.targetsFor(g.Namespace) {
			if p.clients.has(g.Client) {
				add(t.use)
			}
		}
	}
	if g.Ambassador.rawClients().has(g.Client) {
		for _, s := range g.Ambassador.Envoy.services() {
			add(Use{Service: s})
		}
	}
	return all
}
