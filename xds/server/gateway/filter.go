package gateway

// Filters of rules and backends.

import (
	"slices"
	"strings"
)

// incompatible is the reason of combinations that cannot be.
const incompatible = "IncompatibleFilters"

// filters reads a rule's.
func (r *reader) filters(kind Kind, given []filter, path string, into *rule) {
	seen := map[string]bool{}
	made := &into.made
	for i := range given {
		f, path := &given[i], at(path, i)
		if !r.filter(kind, f, path, seen) {
			continue
		}
		switch f.Type {
		case "RequestHeaderModifier":
			made.Request = r.headers(f.RequestHeaderModifier, dot(path, "requestHeaderModifier"))
		case "ResponseHeaderModifier":
			made.Response = r.headers(f.ResponseHeaderModifier, dot(path, "responseHeaderModifier"))
		case "RequestMirror":
			into.mirrors = append(into.mirrors, r.mirror(f.RequestMirror, dot(path, "requestMirror")))
		case "RequestRedirect":
			made.Redirect = r.redirect(f.RequestRedirect, dot(path, "requestRedirect"), into.matches)
		case "URLRewrite":
			made.Rewrite = r.rewrite(f.URLRewrite, dot(path, "urlRewrite"), into.matches)
		case "CORS":
			made.CORS = r.cors(f.CORS, dot(path, "cors"))
		}
	}
	if seen["RequestRedirect"] && seen["URLRewrite"] {
		r.refuseAs(incompatible, path, "a RequestRedirect and a URLRewrite")
	}
}

// filter says that one of a known type has what goes with it and nothing else.
func (r *reader) filter(kind Kind, f *filter, path string, seen map[string]bool) bool {
	types := []string{"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror"}
	if kind == HTTPRoute {
		types = append(types, "RequestRedirect", "URLRewrite", "CORS")
	}
	bodies := map[string]bool{
		"RequestHeaderModifier": f.RequestHeaderModifier != nil, "ResponseHeaderModifier": f.ResponseHeaderModifier != nil,
		"RequestMirror": f.RequestMirror != nil, "RequestRedirect": f.RequestRedirect != nil, "URLRewrite": f.URLRewrite != nil, "CORS": f.CORS != nil,
	}
	good := slices.Contains(types, f.Type)
	switch {
	case !good:
		r.refuse(dot(path, "type"), "%.100q is not supported: want %s", f.Type, oneOf(types))
	case !bodies[f.Type]:
		r.refuse(path, "what a %s needs is not given", f.Type)
	case seen[f.Type] && f.Type != "RequestMirror":
		r.refuseAs(incompatible, path, "a second %s", f.Type)
	}
	good = good && bodies[f.Type]
	for _, other := range []string{"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite", "CORS"} {
		if good && other != f.Type && bodies[other] {
			r.refuse(path, "of type %s, with the settings of a %s", f.Type, other)
		}
	}
	seen[f.Type] = true
	return good
}

// backendFilters are those that can be done for one of several backends.
func (r *reader) backendFilters(kind Kind, given []filter, path string, into *Backend) {
	seen := map[string]bool{}
	for i := range given {
		f, path := &given[i], at(path, i)
		if !r.filter(kind, f, path, seen) {
			continue
		}
		switch f.Type {
		case "RequestHeaderModifier":
			into.Request = r.headers(f.RequestHeaderModifier, dot(path, "requestHeaderModifier"))
		case "ResponseHeaderModifier":
			into.Response = r.headers(f.ResponseHeaderModifier, dot(path, "responseHeaderModifier"))
		case "URLRewrite":
			if f.URLRewrite.Path != nil {
				r.refuse(dot(path, "urlRewrite.path"), "not supported of a backend: it may be a rule's")
			}
			into.Host = r.host(f.URLRewrite.Hostname, dot(path, "urlRewrite.hostname"))
		default:
			r.refuse(path, "%s is not supported of a backend: it may be a rule's", f.Type)
		}
	}
}

// headers: one header may be named once (HTTPHeaderFilter).
func (r *reader) headers(f *headerFilter, path string) (h Headers) {
	seen := map[string]bool{}
	name := func(text, path string) string {
		low := strings.ToLower(text)
		switch {
		case !isToken(text):
			r.refuse(path, "%.100q is no name of a header", text)
		case low == "host":
			r.refuse(path, "%s is changed by urlRewrite.hostname", text)
		case seen[low]:
			r.refuse(path, "%s has another action already", text)
		}
		seen[low] = true
		return low
	}
	for i, one := range f.Set {
		h.Set = append(h.Set, Header{name(one.Name, dot(at(dot(path, "set"), i), "name")), one.Value})
	}
	for i, one := range f.Add {
		h.Add = append(h.Add, Header{name(one.Name, dot(at(dot(path, "add"), i), "name")), one.Value})
	}
	for i, one := range f.Remove {
		h.Remove = append(h.Remove, name(one, at(dot(path, "remove"), i)))
	}
	return h
}

func (r *reader) mirror(m *mirror, path string) mirrored {
	one := mirrored{path: dot(path, "backendRef"), object: m.BackendRef, millionth: 1_000_000}
	switch {
	case m.Percent != nil && m.Fraction != nil:
		r.refuse(path, "percent and fraction: want one of them")
	case m.Percent != nil:
		if *m.Percent < 0 || *m.Percent > 100 {
			r.refuse(dot(path, "percent"), "want 0 to 100")
		}
		one.millionth = uint32(*m.Percent) * 10_000
	case m.Fraction != nil:
		of := int64(100)
		if m.Fraction.Denominator != nil {
			of = *m.Fraction.Denominator
		}
		if n := m.Fraction.Numerator; of < 1 || n < 0 || n > of {
			r.refuse(dot(path, "fraction"), "want a numerator from 0 to the denominator, which is at least 1")
		} else {
			one.millionth = uint32(n * 1_000_000 / of)
		}
	}
	return one
}

func (r *reader) redirect(f *redirect, path string, matches []Match) *Redirect {
	made := &Redirect{Scheme: f.Scheme, Host: r.host(f.Hostname, dot(path, "hostname")), Status: 302}
	made.Path = r.pathChange(f.Path, dot(path, "path"), matches)
	if f.Port < 0 || f.Port > 65535 {
		r.refuse(dot(path, "port"), "want 1 to 65535")
	}
	made.Port = uint16(f.Port)
	if f.StatusCode != nil {
		if !slices.Contains([]int64{301, 302, 303, 307, 308}, *f.StatusCode) {
			r.refuse(dot(path, "statusCode"), "%d is not supported: want 301, 302, 303, 307 or 308", *f.StatusCode)
		}
		made.Status = uint32(*f.StatusCode)
	}
	return made
}

func (r *reader) rewrite(f *rewrite, path string, matches []Match) Rewrite {
	return Rewrite{Host: r.host(f.Hostname, dot(path, "hostname")), Path: r.pathChange(f.Path, dot(path, "path"), matches)}
}

// pathChange: a prefix can be replaced where exactly one was matched.
func (r *reader) pathChange(f *pathModifier, path string, matches []Match) PathChange {
	if f == nil {
		return PathChange{}
	}
	whole, prefix := f.ReplaceFullPath, f.ReplacePrefixMatch
	change := PathChange{Kind: ReplacePath}
	value, field := whole, "replaceFullPath"
	if f.Type == "ReplacePrefixMatch" {
		change.Kind, value, field = ReplacePrefix, prefix, "replacePrefixMatch"
		if len(matches) != 1 || matches[0].Path.Kind != PathPrefix {
			r.refuse(path, "ReplacePrefixMatch needs exactly one match, with a path of type PathPrefix")
		}
	}
	if value == nil || whole != nil && prefix != nil {
		r.refuse(path, "of type %s: want %s and nothing else", f.Type, field)
		return change
	}
	if len(*value) > 1024 || strings.ContainsAny(*value, "?# \t") {
		r.refuse(dot(path, field), "%.100q: want a path of at most 1024 bytes, without a query", *value)
	}
	change.Value = "/" + strings.TrimPrefix(*value, "/")
	if change.Kind == ReplacePrefix {
		change.Value = strings.TrimSuffix(change.Value, "/")
	}
	return change
}

// host is a host name without a wildcard (PreciseHostname).
func (r *reader) host(text, path string) string {
	if len(text) > 253 || strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.'
	}) {
		r.refuse(path, "%.100q is no name of a host in lower case", text)
	}
	return text
}
