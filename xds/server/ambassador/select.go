package ambassador

// Which ambassador serves a sidecar.

import (
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Group is all clients that get the same resources. It is comparable.
type Group struct {
	Ambassador *Ambassador
	Client     Client
	// Zone is the clients' zone where instances may be meant for some zones; else
	// "".
	Zone string
	// Namespace is the clients' where routes of its consumers go for them alone;
	// else "".
	Namespace string
	// Collections: the clients take large sets as collections (LEDS), which only
	// attache does, and only on a delta stream.
	Collections bool
}

// String is the group's name: equal before and after the file is read again, and
// told from all others.
func (g Group) String() string {
	name := g.Ambassador.Name + "/" + g.Client.String()
	if g.Client == Attache && !g.Collections {
		name += "/sotw"
	}
	if g.Namespace != "" {
		name += "#" + g.Namespace
	}
	if g.Zone != "" {
		name += "@" + g.Zone
	}
	return name
}

// Select finds the group of a node that asks on a delta stream of all types, or
// on another: the first ambassador that takes it. False if none does. Any
// goroutine.
func (c *Config) Select(node *corev3.Node, delta bool) (Group, bool) {
	for _, a := range c.Ambassadors {
		if !a.takes(node) {
			continue
		}
		g := Group{Ambassador: a, Client: ClientOf(node)}
		g.Collections = delta && g.Client == Attache
		if a.zoned(c) {
			g.Zone = node.GetLocality().GetZone()
		}
		if namespace := node.GetMetadata().GetFields()["namespace"].GetStringValue(); a.consumes(namespace) {
			g.Namespace = namespace
		}
		return g, true
	}
	return Group{}, false
}

func (a *Ambassador) takes(node *corev3.Node) bool {
	if a.pods != nil {
		return a.pods.take(node)
	}
	return a.Sidecars.take(node)
}

// zoned says that a source of the ambassador may mean instances for zones, and
// that nobody hashes over them: keys must not depend on who asks.
func (a *Ambassador) zoned(c *Config) bool {
	for _, p := range a.Ports {
		for _, t := range p.clusters {
			if p.Sharding == nil && c.Sources[t.use.Service.Source].Kind == "kubernetes" {
				return true
			}
		}
	}
	return false
}

func (s *Sidecars) take(node *corev3.Node) bool {
	at := node.GetLocality()
	fits := wild(s.ID, node.GetId()) && wild(s.Cluster, node.GetCluster()) &&
		wild(s.Locality.Region, at.GetRegion()) && wild(s.Locality.Zone, at.GetZone()) &&
		wild(s.Locality.SubZone, at.GetSubZone())
	for key, pattern := range s.Metadata {
		if !fits {
			break
		}
		text, ok := metadataText(node.GetMetadata(), key)
		fits = ok && wild(pattern, text)
	}
	return fits
}

// metadataText is the plain value at a dotted key. A key with dots of its own
// is found first.
func metadataText(m *structpb.Struct, key string) (string, bool) {
	if v, ok := m.GetFields()[key]; ok {
		switch kind := v.GetKind().(type) {
		case *structpb.Value_StringValue:
			return kind.StringValue, true
		case *structpb.Value_BoolValue:
			return strconv.FormatBool(kind.BoolValue), true
		case *structpb.Value_NumberValue:
			return strconv.FormatFloat(kind.NumberValue, 'g', -1, 64), true
		}
		return "", false
	}
	first, rest, nested := strings.Cut(key, ".")
	if inner := m.GetFields()[first].GetStructValue(); nested && inner != nil {
		return metadataText(inner, rest)
	}
	return "", false
}

// wild matches text against a pattern in which * stands for any bytes and ? for
// one; "" matches all. It takes time in proportion to the lengths' product.
func wild(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	p, t := 0, 0
	star, mark := -1, 0 // the last *, and the text that it has not swallowed yet
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
