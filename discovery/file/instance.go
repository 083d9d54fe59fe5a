package file

// One instance, in its short form or field by field.

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/discovery"
)

// instance is not ok if a problem was told.
func (d *decoder) instance(n *yaml.Node, at string) (i discovery.Instance, ok bool) {
	before := len(d.invalid.Problems) + d.invalid.More
	i.Weight = 1
	if n.Kind == yaml.ScalarNode {
		d.short(n, at, &i)
	} else {
		d.long(n, at, &i)
	}
	i.ID = cmp.Or(i.ID, place(i))
	return i, len(d.invalid.Problems)+d.invalid.More == before
}

func (d *decoder) short(n *yaml.Node, at string, i *discovery.Instance) {
	d.text(n, at, func(s string) (err error) {
		if path, ok := strings.CutPrefix(s, "unix:"); ok {
			i.Path, err = parsePath(path)
			return err
		}
		i.Addr, err = parseAddress(s)
		if err == nil && i.Addr.Port() == 0 {
			err = fmt.Errorf("%q: wants a port, as in \"10.0.0.1:11211\"", s)
		}
		return err
	})
}

func (d *decoder) long(n *yaml.Node, at string, i *discovery.Instance) {
	var port uint32
	texts := map[string]func(string) error{
		"id":       set(&i.ID),
		"address":  func(s string) (err error) { i.Addr, err = parseAddress(s); return err },
		"port":     func(s string) (err error) { port, err = parseNumber(s, 1, 65535); return err },
		"path":     func(s string) (err error) { i.Path, err = parsePath(s); return err },
		"hostname": set(&i.Hostname),
		"weight":   func(s string) (err error) { i.Weight, err = parseNumber(s, 1, maxWeight); return err },
		"health":   func(s string) (err error) { i.Health, err = parseHealth(s); return err },
		"priority": func(s string) (err error) { i.Priority, err = parseNumber(s, 0, maxPriority); return err },
		"region":   set(&i.Region),
		"zone":     set(&i.Zone),
		"sub_zone": set(&i.SubZone),
	}
	said := map[string]bool{}
	d.mapping(n, at, func(key, value *yaml.Node) {
		at := at + "." + clip(key.Value)
		said[key.Value] = true
		switch read := texts[key.Value]; {
		case read != nil:
			d.text(value, at, read)
		case key.Value == "tags":
			i.Tags = d.tags(value, at)
		case key.Value == "metadata":
			i.Metadata = d.metadata(value, at)
		default:
			d.bad(key, at, "unknown field")
		}
	})
	if n.Kind == yaml.MappingNode {
		d.where(n, at, said, i, port)
	}
}

func set(to *string) func(string) error {
	return func(s string) error { *to = s; return nil }
}

// where joins address and port, and tells if an instance has no place or two.
func (d *decoder) where(n *yaml.Node, at string, said map[string]bool, i *discovery.Instance, port uint32) {
	switch {
	case said["path"] && (said["address"] || said["port"]):
		d.bad(n, at, "path beside address or port: wants one of them")
	case said["path"]:
	case !said["address"]:
		d.bad(n, at, "wants address or path")
	case said["port"] && i.Addr.Port() != 0:
		d.bad(n, at, "port is in address too")
	case said["port"]:
		i.Addr = netip.AddrPortFrom(i.Addr.Addr(), uint16(port))
	case i.Addr.IsValid() && i.Addr.Port() == 0:
		d.bad(n, at, "wants port")
	}
}

func (d *decoder) tags(n *yaml.Node, at string) (tags []string) {
	d.list(n, at, func(at string, n *yaml.Node) {
		d.text(n, at, func(s string) error {
			if slices.Contains(tags, s) {
				return fmt.Errorf("%.100q twice", s)
			}
			if len(tags) == maxLabels {
				return fmt.Errorf("more than %d", maxLabels)
			}
			tags = append(tags, s)
			return nil
		})
	})
	slices.Sort(tags)
	return tags
}

func (d *decoder) metadata(n *yaml.Node, at string) map[string]string {
	m := map[string]string{}
	d.mapping(n, at, func(key, value *yaml.Node) {
		d.text(value, at+"."+clip(key.Value), func(s string) error {
			if len(m) == maxLabels || len(key.Value) > maxText {
				return fmt.Errorf("more than %d entries, or a key longer than %d bytes", maxLabels, maxText)
			}
			m[key.Value] = s
			return nil
		})
	})
	return m
}

// mapping gives each entry of a mapping once, keys being text.
func (d *decoder) mapping(n *yaml.Node, at string, entry func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "%s: wants a mapping", kindOf(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		line, twice := seen[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || isNull(key) || key.Tag == "!!merge" || key.Value == "":
			d.bad(key, at, "a key that is no text")
		case twice:
			d.bad(key, at, "%.100q again, first in line %d", key.Value, line)
		default:
			seen[key.Value] = key.Line
			entry(key, n.Content[i+1])
		}
	}
}

func (d *decoder) list(n *yaml.Node, at string, item func(at string, n *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		d.bad(n, at, "%s: wants a list", kindOf(n))
		return
	}
	for i, c := range n.Content {
		item(fmt.Sprintf("%s[%d]", at, i), c)
	}
}

// text gives a scalar as it is written, so that 1.10 stays 1.10.
func (d *decoder) text(n *yaml.Node, at string, use func(string) error) {
	switch {
	case n.Kind != yaml.ScalarNode || isNull(n):
		d.bad(n, at, "%s: wants one value", kindOf(n))
	case n.Value == "":
		d.bad(n, at, "empty")
	case len(n.Value) > maxText || !utf8.ValidString(n.Value):
		d.bad(n, at, "wants text of at most %d bytes", maxText)
	default:
		if err := use(n.Value); err != nil {
			d.bad(n, at, "%s", err)
		}
	}
}

func isNull(n *yaml.Node) bool { return n.Tag == "!!null" }

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}
