package gateway

// Backends that rules name, among the Services that there are.

import (
	"slices"
	"strconv"
)

// World is what is known beside the routes.
type World struct {
	Services map[ID]Service
	Grants   []Grant
}

// Reasons of the condition ResolvedRefs.
const (
	resolved     = "ResolvedRefs"
	invalidKind  = "InvalidKind"
	notPermitted = "RefNotPermitted"
	notFound     = "BackendNotFound"
	protocol     = "UnsupportedProtocol"
)

// resolve makes the rules of a route of what can be resolved, and says what
// cannot.
func (w *World) resolve(p *Parsed) (rules []*Rule, unresolved []problem) {
	for i := range p.rules {
		one := &p.rules[i]
		made := one.made
		for _, ref := range one.backends {
			at, speaks, wrong := w.find(p, &ref.object, ref.path)
			if wrong != nil {
				unresolved = append(unresolved, *wrong)
				made.Broken += ref.weight
				continue
			}
			if ref.weight > 0 {
				b := ref.backend
				b.Frontend, b.Protocol, b.Weight = at, speaks, ref.weight
				made.Backends = append(made.Backends, b)
			}
		}
		for _, m := range one.mirrors {
			at, speaks, wrong := w.find(p, &m.object, m.path)
			if wrong != nil {
				unresolved = append(unresolved, *wrong)
				continue
			}
			made.Mirrors = append(made.Mirrors, Mirror{Backend{Frontend: at, Protocol: speaks}, m.millionth})
		}
		rules = append(rules, &made)
	}
	return rules, unresolved
}

// find is the port of a Service that a reference means, and what it speaks.
func (w *World) find(p *Parsed, b *backendObject, path string) (at Frontend, speaks Protocol, wrong *problem) {
	to := ID{b.Namespace, b.Name}
	if to.Namespace == "" {
		to.Namespace = p.Namespace
	}
	refuse := func(reason, text string) (Frontend, Protocol, *problem) {
		return Frontend{}, AsPort, &problem{path, text, reason}
	}
	if b.Group != "" || b.Kind != "Service" {
		return refuse(invalidKind, "kind "+cutText(b.Kind, 100)+" of group \""+cutText(b.Group, 100)+"\": want a Service")
	}
	if to.Namespace != p.Namespace && !slices.ContainsFunc(w.Grants, func(g Grant) bool { return g.permits(p.Kind, p.Namespace, to) }) {
		return refuse(notPermitted, "no ReferenceGrant of namespace "+cutText(to.Namespace, 100)+" lets routes of "+p.Namespace+" send there")
	}
	service, known := w.Services[to]
	switch {
	case !known:
		return refuse(notFound, "there is no Service "+cutText(to.String(), 200))
	case service.External:
		return refuse(notFound, "Service "+to.String()+" is an ExternalName")
	}
	if b.Port < 1 || b.Port > 65535 {
		return refuse(notFound, "port: want that of the Service")
	}
	port := service.port(uint16(b.Port))
	if port == nil {
		return refuse(notFound, "Service "+to.String()+" has no TCP port "+strconv.FormatInt(b.Port, 10))
	}
	speaks, ok := speaking(p.Kind, port.Protocol)
	if !ok {
		return refuse(protocol, "Service "+to.String()+" speaks "+cutText(port.Protocol, 100)+" at port "+number(port.Number))
	}
	return Frontend{to, port.Number}, speaks, nil
}

// speaking is what an appProtocol means for a kind of route. TLS to instances is
// the ambassador's to say, and not a route's.
func speaking(kind Kind, app string) (Protocol, bool) {
	switch app {
	case "":
		if kind == GRPCRoute {
			return HTTP2, true
		}
		return AsPort, true
	case "http2", "grpc", "kubernetes.io/h2c":
		return HTTP2, true
	case "http", "kubernetes.io/ws":
		return HTTP1, kind == HTTPRoute
	}
	return AsPort, false
}

func number(n uint16) string { return strconv.Itoa(int(n)) }
