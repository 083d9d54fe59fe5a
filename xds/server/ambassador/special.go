package ambassador

// Values that read themselves: references, keys, sources, kinds of client.

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/discovery"
)

// word reads plain text for a type that reads itself; false if n is none.
func (r *reader) word(n *yaml.Node, path, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" || len(n.Value) > maxText {
		r.refuse(path, "want %s", want)
		return "", false
	}
	return n.Value, true
}

// service reads a reference.
func (r *reader) service(n *yaml.Node, path string) (s discovery.Service) {
	text, ok := r.word(n, path, "a service such as consul://sessions or dns://cache.internal:11211")
	if !ok {
		return s
	}
	s, err := discovery.ParseService(text)
	if err != nil {
		r.refuse(path, "%v", err)
	}
	r.references = append(r.references, reference{s, path, r.placeOf(path)})
	return s
}

// reference is a service and where the file names it.
type reference struct {
	service discovery.Service
	path    string
	at      location
}

// CheckServices asks check of every service where the file names it, and gives
// what it refuses as problems, by line.
func (c *Config) CheckServices(check func(discovery.Service) error) (all []Problem) {
	for _, r := range c.references {
		if err := check(r.service); err != nil {
			all = append(all, Problem{Path: r.path, Line: r.at.line, Column: r.at.column, Text: err.Error()})
		}
	}
	return all
}

func (k *Key) fromNode(r *reader, n *yaml.Node, path string) {
	const want = "header:NAME, cookie:NAME, query:NAME or source_ip"
	text, ok := r.word(n, path, want)
	if !ok {
		return
	}
	kind, name, named := strings.Cut(text, ":")
	switch kind {
	case "header", "cookie", "query":
		if ok = named && name != "" && !strings.ContainsFunc(name, notInToken); ok {
			*k = Key{kind, name}
		}
	case "source_ip":
		if ok = !named; ok {
			*k = Key{kind: kind}
		}
	default:
		ok = false
	}
	if !ok {
		r.refuse(path, "%s: want %s", strconv.Quote(text), want)
	}
}

// notInToken is a character that stands in no name of a header, cookie or
// parameter here (RFC 9110 section 5.6.2, and what needs escapes).
func notInToken(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}&`, c)
}

func (c *Client) fromNode(r *reader, n *yaml.Node, path string) {
	text, ok := r.word(n, path, oneOf(clientNames[:]))
	if !ok {
		return
	}
	i := slices.Index(clientNames[:], text)
	if i < 0 {
		r.refuse(path, "%q: %s", text, unknown(text, clientNames[:]))
		return
	}
	*c = Client(i)
}

// fromNode reads the kind first, then the settings that go with it.
func (s *Source) fromNode(r *reader, n *yaml.Node, path string) {
	var names []string
	for _, k := range sourceKinds() {
		names = append(names, k.Kind)
	}
	if n.Kind != yaml.MappingNode {
		r.refuse(path, "want a mapping with kind: %s", oneOf(names))
		return
	}
	rest := *n
	rest.Content = nil
	kind := ""
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "kind" {
			rest.Content = append(rest.Content, n.Content[i], n.Content[i+1])
			continue
		}
		value := n.Content[i+1]
		r.places[dot(path, "kind")] = location{value.Line, value.Column}
		if kind = value.Value; !slices.Contains(names, kind) {
			r.refuse(dot(path, "kind"), "%q: %s", kind, unknown(kind, names))
			return
		}
	}
	if kind == "" {
		r.refuse(path, "kind is required: %s", oneOf(names))
		return
	}
	*s = sourceKinds()[slices.Index(names, kind)]
	r.record(&rest, path, reflect.ValueOf(s.Settings).Elem(), "")
}

// address reads an IP address.
func (r *reader) address(text, path string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		r.refuse(path, "%q: want an IP address without a zone", text)
		return netip.Addr{}
	}
	return a.Unmap()
}
