package file

// What a file of services may say.

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/discovery"
)

// The bounds of one file. A weight is at most what a hundred thousand instances
// can sum up in 32 bits, as Envoy's endpoints must.
const (
	MaxSize      = 8 << 20 // bytes
	maxInstances = 100_000 // of all services together
	maxText      = 1024    // bytes of one name or value
	maxLabels    = 64      // tags, or entries of metadata
	maxWeight    = 40_000
	maxPriority  = 127 // Envoy's LocalityLbEndpoints.priority
)

// Decode reads a file of services, YAML or JSON:
//
//	services:
//	  sessions:
//	  - 10.0.0.1:11211
//	  - unix:/run/memcached.sock
//	  - {id: shard-2, address: 10.0.0.3, port: 11211, weight: 2, zone: eu-1a, health: draining}
//
// The other fields of an instance are path (instead of address and port),
// hostname, priority, region, sub_zone, tags and metadata; address may hold the
// port. Without id the address is the identity. What is not known, wrong or there
// twice refuses the file: the error is an *Invalid with every problem found. The
// path is for errors, and a document whose path ends in .json must be JSON. Any
// goroutine.
func Decode(path string, doc []byte) (map[string]*discovery.Set, error) {
	d := &decoder{services: map[string]*discovery.Set{}, invalid: Invalid{Path: path}}
	if len(doc) > MaxSize {
		d.problem(Problem{Text: fmt.Sprintf("longer than %d bytes", MaxSize)})
	} else if root, problem := parse(path, doc); problem != nil {
		d.problem(*problem)
	} else {
		d.root(root)
	}
	if len(d.invalid.Problems) > 0 {
		return nil, &d.invalid
	}
	return d.services, nil
}

type decoder struct {
	services  map[string]*discovery.Set
	instances int
	invalid   Invalid
}

func (d *decoder) problem(p Problem) {
	if len(d.invalid.Problems) == maxProblems {
		d.invalid.More++
		return
	}
	d.invalid.Problems = append(d.invalid.Problems, p)
}

// bad tells a problem of a node and its place in the file's structure.
func (d *decoder) bad(n *yaml.Node, at, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at != "" {
		text = at + ": " + text
	}
	d.problem(Problem{n.Line, n.Column, text})
}

func (d *decoder) root(n *yaml.Node) {
	said := false
	d.mapping(n, "", func(key, value *yaml.Node) {
		if key.Value != "services" {
			d.bad(key, "", "unknown field %.100q", key.Value)
			return
		}
		said = true
		d.mapping(value, "services", d.service)
	})
	if !said && n.Kind == yaml.MappingNode {
		d.bad(n, "", `wants "services"`)
	}
}

func (d *decoder) service(key, value *yaml.Node) {
	at := "services." + clip(key.Value)
	if s, err := discovery.ParseService("file://" + key.Value); err != nil || s.Name != key.Value {
		d.bad(key, at, `no name of a service: wants letters, digits and "._~-", in parts parted by "/"`)
	}
	var all []discovery.Instance
	seen := map[string]string{}
	d.list(value, at, func(at string, n *yaml.Node) {
		d.instances++
		if d.instances > maxInstances {
			return
		}
		i, ok := d.instance(n, at)
		if ok && d.isNew(n, at, seen, i) {
			all = append(all, i)
		}
	})
	if d.instances > maxInstances {
		d.bad(value, at, "more than %d instances in the file", maxInstances)
	}
	d.services[key.Value], _ = discovery.MakeSet("", all)
}

// isNew refuses a second instance with an identity or an address.
func (d *decoder) isNew(n *yaml.Node, at string, seen map[string]string, i discovery.Instance) bool {
	address, id := "address "+place(i), "id "+i.ID
	for _, what := range []string{address, id} {
		if first, twice := seen[what]; twice {
			d.bad(n, at, "%.100s is that of %s too", what, first)
			return false
		}
	}
	seen[address], seen[id] = at, at
	return true
}

func place(i discovery.Instance) string {
	if i.Path != "" {
		return "unix:" + i.Path
	}
	return i.Addr.String()
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// parseAddress reads "10.0.0.1", "10.0.0.1:11211", "::1" and "[::1]:11211"; the
// port is 0 if there is none.
func parseAddress(s string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), 0), checkIP(ip)
	}
	a, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return a, fmt.Errorf("%.100q: wants an IP address, with or without a port (names are for dns://)", s)
	case a.Port() == 0:
		return a, fmt.Errorf("%.100q: port 0", s)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), checkIP(a.Addr())
}

func checkIP(ip netip.Addr) error {
	switch {
	case ip.IsUnspecified():
		return fmt.Errorf("%s is no address to connect to", ip)
	case ip.IsMulticast():
		return fmt.Errorf("%s is a multicast address", ip)
	case ip.Zone() != "":
		return fmt.Errorf("%s: a zone of an address means nothing on another machine", ip)
	}
	return nil
}

func parsePath(s string) (string, error) {
	switch {
	case len(s) > 107: // sun_path of unix(7), without its last 0
		return "", fmt.Errorf("path of %d bytes, a unix socket's has at most 107", len(s))
	case !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "@"):
		return "", fmt.Errorf(`path %q: wants to begin with "/" (or "@", for the abstract namespace)`, s)
	case strings.ContainsRune(s, 0):
		return "", fmt.Errorf("path %q has a zero byte", s)
	}
	return s, nil
}

// parseNumber reads decimal digits alone.
func parseNumber(s string, least, most uint64) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%.100q: wants a number from %d to %d", s, least, most)
	}
	return uint32(n), nil
}

func parseHealth(s string) (discovery.Health, error) {
	all := []discovery.Health{discovery.Healthy, discovery.Degraded, discovery.Draining, discovery.Unhealthy}
	i := slices.IndexFunc(all, func(h discovery.Health) bool { return h.String() == s })
	if i < 0 {
		return 0, fmt.Errorf("%.100q: wants one of %v", s, all)
	}
	return all[i], nil
}
