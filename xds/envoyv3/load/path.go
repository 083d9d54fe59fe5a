package load

import (
	"slices"
	"strconv"
	"strings"
)

// path is where the walk is, from the leaf up. It is rendered only when there
// is a problem to report: rendering each would cost memory in the square of
// long map keys.
type path struct {
	up    *path
	name  string // a field name, or a map key if quote is set
	quote bool
	index int // list index if name is empty
}

// rootPath starts at a rendered path; "" is nil.
func rootPath(s string) *path {
	if s == "" {
		return nil
	}
	return &path{name: s}
}

func (p *path) field(name string) *path { return &path{up: p, name: name} }
func (p *path) at(i int) *path          { return &path{up: p, index: i} }
func (p *path) key(k string) *path      { return &path{up: p, name: k, quote: true} }

// String renders static_resources.clusters[0].metadata.filter_metadata["envoy.lb"].
func (p *path) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		switch {
		case p.quote:
			parts = append(parts, "["+strconv.Quote(cut(p.name))+"]")
		case p.name == "":
			parts = append(parts, "["+strconv.Itoa(p.index)+"]")
		case p.up == nil:
			parts = append(parts, p.name)
		default:
			parts = append(parts, "."+p.name)
		}
	}
	slices.Reverse(parts)
	const longest = 64 // nobody nests deeper on purpose
	if len(parts) > longest {
		parts = append(parts[:longest], "…")
	}
	return strings.TrimPrefix(strings.Join(parts, ""), ".")
}

// cut shortens text that a document gives, for messages.
func cut(s string) string {
	const longest = 100
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// quoted is cut text in quotes.
func quoted(s string) string { return strconv.Quote(cut(s)) }
