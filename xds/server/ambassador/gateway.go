package ambassador

// Routes of the Gateway API, in place of what http and grpc ports do with a
// service of theirs.
//
//	gateway.Table ─▶ WithRoutes ─▶ a port's routed services ─▶ Scope of the group ─▶ gateway_route.go
//
// Who is in a namespace that consumers' routes are for is a group of its own; a
// port that no route concerns stays the very same.

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server/gateway"
)

// routed is what routes say of a service that a port uses.
type routed struct {
	at     gateway.Frontend
	scopes map[string]*scope // by the namespace of consumers; "" is producers'
}

// scope is routes that go together, and the clusters that they send to.
type scope struct {
	*gateway.Scope
	targets map[backend]*target
	sorted  []*target
}

// backend is what tells clusters of a port apart.
type backend struct {
	gateway.Frontend
	http2 bool
}

// WithRoutes is c with the routes of a cluster; local says which sources, by
// scheme, ask that cluster. c itself stays as it is.
func (c *Config) WithRoutes(t *gateway.Table, local func(scheme string) bool) *Config {
	if t == nil || len(t.Frontends) == 0 {
		return c
	}
	merged := *c
	merged.Ambassadors = slices.Clone(c.Ambassadors)
	for i, a := range c.Ambassadors {
		for n, p := range a.Ports {
			with := p.withRoutes(t, local)
			if with == p {
				continue
			}
			if merged.Ambassadors[i] == a {
				own := *a
				own.Ports = slices.Clone(a.Ports)
				merged.Ambassadors[i] = &own
			}
			merged.Ambassadors[i].Ports[n] = with
		}
	}
	return &merged
}

// withRoutes is p with what routes say of the services that it sends whole hosts
// to; p itself if that is nothing. What has a path of its own in the file stays.
func (p *Port) withRoutes(t *gateway.Table, local func(string) bool) *Port {
	if !p.Protocol.web() {
		return p
	}
	services := []discovery.Service{p.Service}
	for i := range p.Routes {
		if p.Routes[i].wholeHost() {
			services = append(services, p.Routes[i].Service)
		}
	}
	own := *p
	own.routed = map[discovery.Service]*routed{}
	for _, s := range services {
		if s.Source == "" || !local(s.Source) || own.routed[s] != nil {
			continue
		}
		namespace, name, _ := strings.Cut(s.Name, "/")
		at, found := t.Routed(gateway.ID{Namespace: namespace, Name: name}, s.Port)
		if found == nil {
			continue
		}
		r := &routed{at: at, scopes: map[string]*scope{}}
		for namespace, of := range found.Scopes {
			r.scopes[namespace] = own.scopeOf(of, s, at)
		}
		own.routed[s] = r
	}
	if len(own.routed) == 0 {
		return p
	}
	return &own
}

// wholeHost says that the route has no condition but the host.
func (r *Route) wholeHost() bool { return r.Prefix == "" && r.Path == "" }

// scopeOf settles the clusters of a scope: those of the port where they are the
// same, and others, named after the port and the service.
func (p *Port) scopeOf(of *gateway.Scope, service discovery.Service, at gateway.Frontend) *scope {
	s := &scope{Scope: of, targets: map[backend]*target{}}
	for i := range of.Matches {
		rule := of.Matches[i].Rule
		for n := range rule.Backends {
			s.add(p, &rule.Backends[n], service, at)
		}
		for n := range rule.Mirrors {
			s.add(p, &rule.Mirrors[n].To, service, at)
		}
	}
	s.sorted = slices.SortedFunc(maps.Values(s.targets), func(a, b *target) int { return cmp.Compare(a.name, b.name) })
	s.sorted = slices.Compact(s.sorted)
	return s
}

func (s *scope) add(p *Port, b *gateway.Backend, service discovery.Service, at gateway.Frontend) {
	key := p.backend(b)
	if s.targets[key] != nil {
		return
	}
	to := service
	if b.Frontend != at {
		to = discovery.Service{Source: service.Source, Name: b.Service.String(), Port: strconv.Itoa(int(b.Port))}
	}
	for _, t := range p.clusters {
		if t.use.Service == to && key.http2 == (p.Protocol == ProtocolGRPC) {
			s.targets[key] = t
			return
		}
	}
	t := &target{name: p.Name + "/" + to.String(), use: Use{to, p.table()}, http2: key.http2}
	if key.http2 && p.Protocol == ProtocolHTTP {
		t.name += "/http2"
	}
	if !key.http2 && p.Protocol == ProtocolGRPC {
		t.name += "/http1"
		t.http1 = true
	}
	s.targets[key] = t
}

func (p *Port) backend(b *gateway.Backend) backend {
	return backend{b.Frontend, b.Protocol == gateway.HTTP2 || b.Protocol == gateway.AsPort && p.Protocol == ProtocolGRPC}
}

// scopeFor is what goes for a service in a namespace: what its consumers say, or
// else what the producers say; nil if nobody says anything.
func (r *routed) scopeFor(namespace string) *scope {
	if r == nil {
		return nil
	}
	if s := r.scopes[namespace]; s != nil {
		return s
	}
	return r.scopes[""]
}

// targetsFor are the port's clusters in a namespace.
func (p *Port) targetsFor(namespace string) []*target {
	all := p.clusters
	for _, service := range p.routedServices() {
		if s := p.routed[service].scopeFor(namespace); s != nil {
			all = appendNew(all, s.sorted)
		}
	}
	return all
}

// allTargets are the port's clusters in any namespace.
func (p *Port) allTargets() []*target {
	all := p.clusters
	for _, service := range p.routedServices() {
		r := p.routed[service]
		for _, namespace := range slices.Sorted(maps.Keys(r.scopes)) {
			all = append(slices.Clip(all), r.scopes[namespace].sorted...)
		}
	}
	return all
}

func (p *Port) routedServices() []discovery.Service {
	if len(p.routed) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Keys(p.routed), func(a, b discovery.Service) int { return cmp.Compare(a.String(), b.String()) })
}

// appendNew leaves out what has a name that is there: two scopes may send to one
// service.
func appendNew(all, more []*target) []*target {
	all = slices.Clip(all)
	for _, t := range more {
		if !slices.ContainsFunc(all, func(have *target) bool { return have.name == t.name }) {
			all = append(all, t)
		}
	}
	return all
}

// consumes says that routes of a namespace go for its own pods alone.
func (a *Ambassador) consumes(namespace string) bool {
	for _, p := range a.Ports {
		for _, r := range p.routed {
			if r.scopes[namespace] != nil {
				return namespace != ""
			}
		}
	}
	return false
}

// Stays says that a is still to be told apart by the group's namespace, if it
// has one.
func (g Group) Stays(a *Ambassador) bool { return g.Namespace == "" || a.consumes(g.Namespace) }
