package transcoding

// Which method a path is: google.api.http's templates as a tree (path_matcher.h, http_template.cc, path_matcher_node.cc
// of grpc-httpjson-transcoding).
//
//	/shelves/{shelf}/books:read     "shelves", "*", "books"; verb "read"; shelf is segment 1
//	/v1/{name=shelves/*}            "v1", "shelves", "*"; name is segments 1 to 2
//	/files/{path=**}                "files", "**"; path is segment 1 to the end

import (
	"net/url"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

const (
	oneSegment  = "*"
	allSegments = "**"
)

// maxSegments bounds a path that is looked up, as each is a step.
const maxSegments = 512

// node is a place in the tree.
type node struct {
	next map[string]*node
	ends map[string]*end // by method and verb
}

type end struct {
	*method
	variables []variable
}

// variable is a part of a path that is the value of a field.
type variable struct {
	field    []string
	from, to int // segments; to is counted from the end if it is negative, -1 being the end
	many     bool
}

// template is a path that was read.
type template struct {
	segments  []string
	verb      string
	variables []variable
}

// parseTemplate reads a template; false if it is none.
func parseTemplate(text string) (t template, ok bool) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return t, false
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.ContainsAny(rest[i:], "/}") {
		if rest, t.verb = rest[:i], rest[i+1:]; t.verb == "" {
			return t, false
		}
	}
	for rest != "" {
		if rest[0] == '{' {
			stop := strings.IndexByte(rest, '}')
			if stop < 0 || !t.addVariable(rest[1:stop]) {
				return t, false
			}
			rest = rest[stop+1:]
		} else {
			var segment string
			stop := strings.IndexByte(rest, '/')
			if stop < 0 {
				stop = len(rest)
			}
			segment, rest = rest[:stop], rest[stop:]
			if segment == "" || !t.addSegment(segment) {
				return t, false
			}
		}
		if rest == "" {
			break
		}
		if rest[0] != '/' || len(rest) == 1 {
			return t, false
		}
		rest = rest[1:]
	}
	return t, t.wellFormed()
}

func (t *template) addSegment(s string) bool {
	if strings.ContainsAny(s, "{}=:") || s != oneSegment && s != allSegments && strings.Contains(s, "*") {
		return false
	}
	t.segments = append(t.segments, s)
	return true
}

func (t *template) addVariable(text string) bool {
	name, pattern, found := strings.Cut(text, "=")
	if !found {
		pattern = oneSegment
	}
	if name == "" || pattern == "" {
		return false
	}
	v := variable{field: strings.Split(name, "."), from: len(t.segments)}
	for s := range strings.SplitSeq(pattern, "/") {
		if s == "" || !t.addSegment(s) {
			return false
		}
		v.many = v.many || s == allSegments
	}
	v.to = len(t.segments)
	v.many = v.many || v.to-v.from > 1
	t.variables = append(t.variables, v)
	return true
}

// wellFormed says whether nothing but names follow "**", and counts what ends behind it from
// the end.
func (t *template) wellFormed() bool {
	wild := -1
	for i, s := range t.segments {
		switch {
		case wild < 0 && s == allSegments:
			wild = i
		case wild >= 0 && (s == oneSegment || s == allSegments):
			return false
		}
	}
	for i := range t.variables {
		v := &t.variables[i]
		if wild >= 0 && v.to > wild {
			v.to -= len(t.segments) + 1
		}
		if wild >= 0 && v.from > wild {
			v.from -= len(t.segments) + 1
		}
	}
	return true
}

// insert binds a method to a template; false if that is none, or there is one already.
func (t *Table) insert(verb, pattern string, m *method) bool {
	tpl, ok := parseTemplate(pattern)
	if !ok || verb == "" {
		return false
	}
	n := &t.root
	for _, s := range tpl.segments {
		if n.next == nil {
			n.next = map[string]*node{}
		}
		if n.next[s] == nil {
			n.next[s] = &node{}
		}
		n = n.next[s]
	}
	if n.ends == nil {
		n.ends = map[string]*end{}
	}
	key := verb + ":" + tpl.verb
	if n.ends[key] != nil {
		return false
	}
	n.ends[key] = &end{m, tpl.variables}
	if tpl.verb != "" {
		t.verbs[tpl.verb] = true
	}
	return true
}

// find looks segments up; names before "*" before "**".
func (n *node) find(key string, segments []string, wild bool) *end {
	if len(segments) == 0 {
		if e := n.ends[key]; e != nil {
			return e
		}
		if n.next[allSegments] != nil {
			return n.next[allSegments].ends[key]
		}
		return nil
	}
	if c := n.next[segments[0]]; c != nil && segments[0] != oneSegment && segments[0] != allSegments {
		if e := c.find(key, segments[1:], false); e != nil {
			return e
		}
	}
	if wild {
		return n.find(key, segments[1:], true)
	}
	if c := n.next[oneSegment]; c != nil {
		if e := c.find(key, segments[1:], false); e != nil {
			return e
		}
	}
	if c := n.next[allSegments]; c != nil {
		return c.find(key, segments[1:], true)
	}
	return nil
}

// split gives a path's segments and its verb.
func (t *Table) split(path string) (segments []string, verb string) {
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		if v := path[i+1:]; t.verbs[v] || t.cfg.UnregisteredVerb {
			path, verb = path[:i], v
		}
	}
	segments = strings.Split(strings.TrimPrefix(path, "/"), "/")
	for len(segments) > 0 && segments[len(segments)-1] == "" {
		segments = segments[:len(segments)-1]
	}
	return segments, verb
}

// value is what the path has for a variable.
func (v *variable) value(segments []string, how config.URLUnescape) string {
	from, to := v.from, v.to
	if from < 0 {
		from += len(segments) + 1
	}
	if to < 0 {
		to += len(segments) + 1
	}
	if !v.many {
		return unescape(segments[from], config.UnescapeAll)
	}
	var parts []string
	for _, s := range segments[min(from, to):to] {
		parts = append(parts, unescape(s, how))
	}
	return strings.Join(parts, "/")
}

// reserved are the characters that RFC 6570 reserves.
const reserved = "!#$&'()*+,/:;=?@[]"

// unescape decodes what is to be decoded of a text; what is no escape stays.
func unescape(s string, how config.URLUnescape) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			c, err := url.PathUnescape(s[i : i+3])
			kept := how == config.UnescapeNotReserved && strings.Contains(reserved, c) || how == config.UnescapeNotSlash && c == "/"
			if err == nil && !kept {
				b = append(b, c...)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
