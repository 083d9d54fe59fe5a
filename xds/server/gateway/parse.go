package gateway

// A route by itself: its parents, and its rules as far as they can be told
// without the Services that they name.

import (
	"fmt"
	"reflect"
	"strconv"
)

// Parsed is a route as it was read. It is immutable; any goroutine.
type Parsed struct {
	Object
	parents   []parent
	rules     []rule
	all       int       // rules that were given
	wrong     []problem // the whole route is refused
	dropped   []dropped // rules that are
	hostnames bool
}

// parent is one of kind Service, and the reference as it was given.
type parent struct {
	ref     any
	service ID
	section string
	port    uint16
}

// rule is one that can be served, if its backends can.
type rule struct {
	path     string
	matches  []Match // without Rule
	made     Rule    // without what follows from backends
	backends []reference
	mirrors  []mirrored
}

// reference is a backend as a rule names it.
type reference struct {
	path    string
	object  backendObject
	weight  uint32
	backend Backend // what is the reference's own
}

type mirrored struct {
	path      string
	object    backendObject
	millionth uint32
}

// dropped is a rule that is refused.
type dropped struct {
	index    int
	problems []problem
}

// maxMatches is of one route (the Gateway API's bound).
const maxMatches = 128

// Parse reads a route. It never fails: what is wrong is in its verdict.
func Parse(o Object) *Parsed {
	p := &Parsed{Object: o}
	r := &reader{}
	var s spec
	r.value(decode(o.Spec), "spec", reflect.ValueOf(&s).Elem(), "")
	p.hostnames = len(s.Hostnames) > 0
	given, _ := decode(o.Spec).(map[string]any)
	refs, _ := given["parentRefs"].([]any)
	for i := range s.ParentRefs {
		if of, ok := p.parentOf(&s.ParentRefs[i], refs[i]); ok {
			p.parents = append(p.parents, of)
		}
	}
	if s.Rules == nil && o.Kind == HTTPRoute {
		s.Rules = []any{map[string]any{}} // the API's default: all, and nowhere to go
	}
	if len(s.Rules) == 0 {
		r.refuse("spec.rules", "there is none")
	}
	p.all = len(s.Rules)
	count := 0
	for i, one := range s.Rules {
		read := &reader{}
		made := p.rule(read, one, at("spec.rules", i), strconv.Itoa(i))
		if count += len(made.matches); count > maxMatches {
			read.refuse(made.path+".matches", "the route has more than %d", maxMatches)
		}
		if len(read.problems) > 0 {
			p.dropped = append(p.dropped, dropped{i, read.problems})
			continue
		}
		p.rules = append(p.rules, made)
	}
	p.wrong = r.problems
	return p
}

// parentOf tells those that are ours.
func (p *Parsed) parentOf(ref *parentRef, given any) (parent, bool) {
	if ref.Group == nil || *ref.Group != "" || ref.Kind == nil || *ref.Kind != "Service" {
		return parent{}, false
	}
	of := parent{ref: given, service: ID{ref.Namespace, ref.Name}, section: ref.SectionName}
	if of.service.Namespace == "" {
		of.service.Namespace = p.Namespace
	}
	if ref.Port > 0 && ref.Port <= 65535 {
		of.port = uint16(ref.Port)
	}
	return of, true
}

// rule reads one; index is its place, as text.
func (p *Parsed) rule(r *reader, v any, path, index string) rule {
	made := rule{path: path}
	var filters []filter
	var backends []backendRef
	if p.Kind == GRPCRoute {
		var one grpcRule
		r.value(v, path, reflect.ValueOf(&one).Elem(), "")
		made.matches = r.grpcMatches(one.Matches, dot(path, "matches"))
		filters, backends, index = one.Filters, one.BackendRefs, named(one.Name, index)
	} else {
		var one httpRule
		r.value(v, path, reflect.ValueOf(&one).Elem(), "")
		made.matches = r.httpMatches(one.Matches, dot(path, "matches"))
		r.timeouts(one.Timeouts, dot(path, "timeouts"), &made.made)
		r.retry(one.Retry, dot(path, "retry"), &made.made)
		filters, backends, index = one.Filters, one.BackendRefs, named(one.Name, index)
	}
	for i := range made.matches {
		made.matches[i].Name = fmt.Sprintf("%s/%s/%s/%s", p.Kind, p.Namespace, p.Name, index)
	}
	r.filters(p.Kind, filters, dot(path, "filters"), &made)
	if made.made.Redirect != nil && len(backends) > 0 {
		r.refuseAs(incompatible, path, "a RequestRedirect and backendRefs")
	}
	for i := range backends {
		made.backends = append(made.backends, r.backend(p.Kind, &backends[i], at(dot(path, "backendRefs"), i)))
	}
	return made
}

func named(name, index string) string {
	if name != "" {
		return name
	}
	return index
}

func (r *reader) backend(kind Kind, ref *backendRef, path string) reference {
	one := reference{path: path, object: ref.object(), weight: 1}
	if ref.Weight != nil {
		if *ref.Weight < 0 || *ref.Weight > 1_000_000 {
			r.refuse(dot(path, "weight"), "want 0 to 1000000")
		} else {
			one.weight = uint32(*ref.Weight)
		}
	}
	r.backendFilters(kind, ref.Filters, dot(path, "filters"), &one.backend)
	return one
}
