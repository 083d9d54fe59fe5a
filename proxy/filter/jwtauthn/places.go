package jwtauthn

// Where a request has tokens (Envoy jwt_authn/extractor.cc).

import (
	"bytes"
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/filter"
)

// places are where tokens of some providers may be.
type places struct {
	headers, params, cookies []place
	sanitized                []string // headers that are the filter's to write
}

// place is one header, parameter or cookie.
type place struct {
	name, prefix string
	issuers      []string // whose tokens may be there
	anyone       bool     // one of its providers names no issuer
}

// found is a token, and where it was.
type found struct {
	text []byte
	at   *place
	kind byte // 'h', 'p' or 'c'
}

func newPlaces(providers []*provider) *places {
	x := &places{}
	for _, p := range providers {
		c := p.cfg
		for _, h := range c.FromHeaders {
			add(&x.headers, h.Name, h.Prefix, c.Issuer)
		}
		for _, name := range c.FromParams {
			add(&x.params, name, "", c.Issuer)
		}
		for _, name := range c.FromCookies {
			add(&x.cookies, name, "", c.Issuer)
		}
		if len(c.FromHeaders)+len(c.FromParams)+len(c.FromCookies) == 0 {
			add(&x.headers, "authorization", "Bearer ", c.Issuer)
			add(&x.params, "access_token", "", c.Issuer)
		}
		if c.PayloadHeader != "" {
			x.sanitized = append(x.sanitized, c.PayloadHeader)
		}
		for _, h := range c.ClaimHeaders {
			x.sanitized = append(x.sanitized, h.Header)
		}
	}
	for _, list := range [][]place{x.headers, x.params, x.cookies} {
		slices.SortFunc(list, func(a, b place) int { return cmp.Compare(a.name+a.prefix, b.name+b.prefix) })
	}
	return x
}

func add(to *[]place, name, prefix, issuer string) {
	i := slices.IndexFunc(*to, func(p place) bool { return p.name == name && p.prefix == prefix })
	if i < 0 {
		i = len(*to)
		*to = append(*to, place{name: name, prefix: prefix})
	}
	p := &(*to)[i]
	p.issuers = append(p.issuers, issuer)
	p.anyone = p.anyone || issuer == ""
}

// allows says whether a token of that issuer may be there.
func (p *place) allows(issuer string) bool { return p.anyone || slices.Contains(p.issuers, issuer) }

// find gives all tokens that a request has.
func (x *places) find(r *filter.Request) (all []found) {
	for i := range x.headers {
		p := &x.headers[i]
		r.Headers.Each(func(name, value []byte) bool {
			if !filter.EqualFold(name, p.name) {
				return true
			}
			if p.prefix != "" {
				at := bytes.Index(value, []byte(p.prefix))
				if at < 0 {
					return true
				}
				value = tokenIn(value, at+len(p.prefix))
			}
			all = append(all, found{value, p, 'h'})
			return true
		})
	}
	if len(x.params) > 0 {
		if _, query, ok := bytes.Cut(r.View.Path, []byte{'?'}); ok {
			for i := range x.params {
				p := &x.params[i]
				if v, ok := parameter(string(query), p.name); ok {
					all = append(all, found{[]byte(v), p, 'p'})
				}
			}
		}
	}
	for i := range x.cookies {
		p := &x.cookies[i]
		if v, ok := cookie(r, p.name); ok {
			all = append(all, found{v, p, 'c'})
		}
	}
	return all
}

// tokenIn skips what no token begins with.
func tokenIn(value []byte, at int) []byte {
	i := bytes.IndexFunc(value[at:], func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	})
	if i < 0 {
		return value
	}
	return value[at+i:]
}

// parameter is the first value of a query parameter, decoded.
func parameter(query, name string) (string, bool) {
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if k, err := url.PathUnescape(key); err != nil || k != name {
			continue
		}
		if v, err := url.PathUnescape(value); err == nil {
			value = v
		}
		return value, true
	}
	return "", false
}

// cookie is the first cookie of a name, without quotes.
func cookie(r *filter.Request, name string) (value []byte, ok bool) {
	r.Headers.Each(func(header, line []byte) bool {
		if !filter.EqualFold(header, "cookie") {
			return true
		}
		for part := range bytes.SplitSeq(line, []byte{';'}) {
			key, v, _ := bytes.Cut(bytes.TrimSpace(part), []byte{'='})
			if string(key) != name {
				continue
			}
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			value, ok = v, true
			return false
		}
		return true
	})
	return value, ok
}

// remove takes the token out of the request; cookies stay, as in Envoy.
func (f *found) remove(r *filter.Request) {
	switch f.kind {
	case 'h':
		r.Headers.Remove(f.at.name)
	case 'p':
		path, query, _ := bytes.Cut(r.View.Path, []byte{'?'})
		var kept []string
		for part := range strings.SplitSeq(string(query), "&") {
			key, _, _ := strings.Cut(part, "=")
			if k, err := url.PathUnescape(key); err != nil || k != f.at.name {
				kept = append(kept, part)
			}
		}
		out := bytes.Clone(path)
		if len(kept) > 0 {
			out = append(append(out, '?'), strings.Join(kept, "&")...)
		}
		r.Put(":path", out)
	}
}

// allProviders are the providers as places want them.
func allProviders(all []provider) (list []*provider) {
	for i := range all {
		list = append(list, &all[i])
	}
	return list
}

// audiences are compared without their scheme and last slash
// (jwt_verify_lib check_audience.cc).
func audiences(of []string) map[string]bool {
	m := map[string]bool{}
	for _, a := range of {
		m[bareAudience(a)] = true
	}
	return m
}

func bareAudience(a string) string {
	switch {
	case strings.HasPrefix(a, "https://"):
		a = a[len("https://"):]
	case strings.HasPrefix(a, "http://"):
		a = a[len("http://"):]
	}
	return strings.TrimSuffix(a, "/")
}

func allowed(set map[string]bool, aud []string) bool {
	return len(set) == 0 || slices.ContainsFunc(aud, func(a string) bool { return set[bareAudience(a)] })
}
