package gateway

// Which routes are for which ports of Services, and what they are told.

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// maxScopeMatches bounds the matches of one frontend and scope: of routes that
// would have more together, the newest are not taken.
const maxScopeMatches = 1024

// Verdict is what is said of one route.
type Verdict struct {
	Object
	// Parents are those of kind Service, in the order of the spec.
	Parents []Parent
}

// Parent is what is said to a route about one parent.
type Parent struct {
	Ref        any // as the spec has it
	Conditions []Said
}

// claim is a route that is for a frontend.
type claim struct {
	route  int // in the order of age and name
	parent int
	rules  []*Rule
}

// place is where routes go together.
type place struct {
	at    Frontend
	scope string
}

// Judge says what becomes of the routes.
func Judge(routes []*Parsed, world *World) (*Table, []Verdict) {
	routes = slices.Clone(routes)
	slices.SortFunc(routes, func(a, b *Parsed) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	j := &judge{
		routes: routes, world: world, claims: map[place][]claim{},
		table: &Table{Frontends: map[Frontend]*Routed{}, services: map[ID]Service{}},
	}
	for i := range routes {
		j.route(i)
	}
	for _, at := range slices.SortedFunc(maps.Keys(j.claims), comparePlaces) {
		j.settle(at, j.claims[at])
	}
	var verdicts []Verdict
	for i, p := range routes {
		verdicts = append(verdicts, j.verdict(p, j.outcomes[i]))
	}
	return j.table, verdicts
}

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(a.at.Service.String(), b.at.Service.String()), cmp.Compare(a.at.Port, b.at.Port), strings.Compare(a.scope, b.scope))
}

type judge struct {
	routes   []*Parsed
	world    *World
	table    *Table
	claims   map[place][]claim
	outcomes []outcome // by route
}

// outcome is what became of a route.
type outcome struct {
	unresolved []problem
	parents    []standing
}

// standing is how a route stands with one parent.
type standing struct {
	missing  string // why there is no such parent
	accepted int    // frontends that took it
	lost     string // why one did not
	reason   string // of lost
}

// route enters a route with the ports that it is for.
func (j *judge) route(i int) {
	p := j.routes[i]
	of := outcome{parents: make([]standing, len(p.parents))}
	rules, unresolved := j.world.resolve(p)
	of.unresolved = unresolved
	for n := range p.parents {
		ref := &p.parents[n]
		ports, why := j.world.portsOf(ref)
		of.parents[n].missing = why
		if len(p.wrong) > 0 || len(rules) == 0 {
			continue
		}
		scope := ""
		if ref.service.Namespace != p.Namespace {
			scope = p.Namespace
		}
		for _, port := range ports {
			at := place{Frontend{ref.service, port}, scope}
			j.claims[at] = append(j.claims[at], claim{i, n, rules})
		}
	}
	j.outcomes = append(j.outcomes, of)
}

// portsOf are the ports that a parent means, or why there is none.
func (w *World) portsOf(p *parent) (ports []uint16, why string) {
	service, known := w.Services[p.service]
	switch {
	case !known:
		return nil, "there is no Service " + cutText(p.service.String(), 200)
	case service.External:
		return nil, "Service " + p.service.String() + " is an ExternalName"
	}
	for _, port := range service.Ports {
		if (p.port == 0 || p.port == port.Number) && (p.section == "" || p.section == port.Name) {
			ports = append(ports, port.Number)
		}
	}
	if len(ports) == 0 {
		return nil, "Service " + p.service.String() + " has no such TCP port"
	}
	return ports, ""
}

// settle makes the scope of one place: routes of one kind, GRPCRoutes before
// HTTPRoutes (GEP-1294), the oldest first.
func (j *judge) settle(at place, claims []claim) {
	kind := HTTPRoute
	for _, c := range claims {
		if j.routes[c.route].Kind == GRPCRoute {
			kind = GRPCRoute
		}
	}
	var all []ranked
	taken := map[int]bool{} // a route may name a port twice
	for _, c := range claims {
		p := j.routes[c.route]
		standing := &j.outcomes[c.route].parents[c.parent]
		switch matches := matchesOf(p, c); {
		case p.Kind != kind:
			standing.lost, standing.reason = "a GRPCRoute is for port "+number(at.at.Port)+" already", "Conflicted"
		case taken[c.route]:
			standing.accepted++
		case len(all)+len(matches) > maxScopeMatches:
			standing.lost, standing.reason = "there are too many matches for port "+number(at.at.Port)+" already", "TooManyMatches"
		default:
			standing.accepted++
			taken[c.route] = true
			all = append(all, matches...)
		}
	}
	if len(all) == 0 {
		return
	}
	routed := j.table.Frontends[at.at]
	if routed == nil {
		routed = &Routed{map[string]*Scope{}}
		j.table.Frontends[at.at] = routed
		j.table.services[at.at.Service] = j.world.Services[at.at.Service]
	}
	routed.Scopes[at.scope] = &Scope{Kind: kind, Matches: inOrder(kind, all)}
}

func matchesOf(p *Parsed, c claim) (all []ranked) {
	for i, made := range c.rules {
		for _, m := range p.rules[i].matches {
			m.Rule = made
			all = append(all, ranked{m, c.route})
		}
	}
	return all
}
