package filter

// Query parameters, decoded, and cookies taken out.

import (
	"bytes"
	"net/url"
	"strings"
)

// Query are the parameters of a path in the order of their names' first
// appearance (Envoy QueryParamsMulti).
type Query struct{ params []param }

type param struct{ name, value string }

// ParseQuery reads what follows the first '?' of a path and decodes it; a part
// that cannot be decoded stays as it is.
func ParseQuery(path []byte) Query {
	var q Query
	_, text, _ := bytes.Cut(path, []byte{'?'})
	for part := range strings.SplitSeq(string(text), "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q.params = append(q.params, param{decoded(name), decoded(value)})
	}
	return q
}

func decoded(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}

// Get gives the first value of a name.
func (q *Query) Get(name string) (string, bool) {
	for i := range q.params {
		if q.params[i].name == name {
			return q.params[i].value, true
		}
	}
	return "", false
}

// Add adds a value.
func (q *Query) Add(name, value string) { q.params = append(q.params, param{name, value}) }

// Remove takes all values of a name out.
func (q *Query) Remove(name string) {
	kept := q.params[:0]
	for _, p := range q.params {
		if p.name != name {
			kept = append(kept, p)
		}
	}
	q.params = kept
}

// Overwrite puts one value in place of all of a name.
func (q *Query) Overwrite(name, value string) {
	for i := range q.params {
		if q.params[i].name == name {
			q.params[i].value = value
			rest := Query{q.params[i+1:]}
			rest.Remove(name)
			q.params = q.params[:i+1+len(rest.params)]
			return
		}
	}
	q.Add(name, value)
}

// Replace is the path with these parameters in place of its own.
func (q *Query) Replace(path []byte) []byte {
	bare, _, _ := bytes.Cut(path, []byte{'?'})
	out := append([]byte(nil), bare...)
	for i, p := range q.params {
		sep := byte('&')
		if i == 0 {
			sep = '?'
		}
		out = append(append(append(append(out, sep), encoded(p.name)...), '='), encoded(p.value)...)
	}
	return out
}

// encoded writes what is not unreserved as %XX (RFC 3986, 2.3).
func encoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// RemoveCookie takes a cookie out of a request's lines.
func RemoveCookie(lines Fields, name string) {
	if lines.lines == nil {
		return
	}
	for i := range *lines.lines {
		h := &(*lines.lines)[i]
		if h.Hop || !EqualFold(h.Name, "cookie") {
			continue
		}
		var kept []string
		for part := range strings.SplitSeq(string(h.Value), ";") {
			part = strings.Trim(part, " \t")
			if key, _, _ := strings.Cut(part, "="); key != name && part != "" {
				kept = append(kept, part)
			}
		}
		h.Value = []byte(strings.Join(kept, "; "))
	}
	for {
		v, ok := lines.Get("cookie")
		if !ok || len(v) > 0 {
			return
		}
		lines.Remove("cookie")
	}
}
