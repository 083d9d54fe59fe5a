package load

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// entry is one key of a mapping; value may still be an alias.
type entry struct {
	key   string
	at    *yaml.Node // the key, for its place
	value *yaml.Node
}

// entries are the keys of a mapping in file order, then those that merge keys
// (<<) bring in. A key tagged !ignore is dropped: people hang anchors on such
// keys. A key given twice is refused.
func (w *walker) entries(p *path, n *yaml.Node) []entry {
	if !w.enter(p, n) {
		return nil
	}
	defer w.leave()
	out := make([]entry, 0, len(n.Content)/2)
	index := make(map[string]int, len(n.Content)/2) // key -> place in out
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), n.Content[i+1]
		if key.Tag == "!ignore" {
			continue
		}
		if isMerge(key) {
			merged = append(merged, value)
			continue
		}
		if !w.visit(p, key) || !w.visit(p, value) {
			return nil
		}
		if key.Kind != yaml.ScalarNode {
			w.refuse(p, key, "a key must be a plain value, not %s", describe(key))
			continue
		}
		i, twice := index[key.Value]
		if twice {
			w.duplicateKey(p, key, out[i].at)
			out[i] = entry{key.Value, key, value}
			continue
		}
		index[key.Value] = len(out)
		out = append(out, entry{key.Value, key, value})
	}
	for _, from := range merged {
		out = w.merge(p, from, out, index)
	}
	return out
}

func (w *walker) duplicateKey(p *path, second, first *yaml.Node) {
	if protoreflect.Name(second.Value).IsValid() {
		p = p.field(cut(second.Value))
	} else {
		p = p.key(second.Value)
	}
	w.report(Problem{
		Path: p.String(), Line: second.Line, Column: second.Column,
		Text:    fmt.Sprintf("duplicate key %s, first at line %d", quoted(second.Value), first.Line),
		Warning: w.opts.AllowDuplicateKeys,
	})
}

// merge adds the keys of a mapping, or of a list of mappings, that are not
// there yet.
func (w *walker) merge(p *path, from *yaml.Node, out []entry, index map[string]int) []entry {
	from = deref(from)
	if !w.visit(p, from) {
		return nil
	}
	switch from.Kind {
	case yaml.MappingNode:
		for _, e := range w.entries(p, from) {
			if _, there := index[e.key]; !there {
				index[e.key] = len(out)
				out = append(out, e)
			}
		}
	case yaml.SequenceNode:
		if !w.enter(p, from) {
			return nil
		}
		for _, item := range from.Content {
			out = w.merge(p, item, out, index)
		}
		w.leave()
	default:
		w.refuse(p, from, "a merge key (<<) takes a mapping or a list of mappings, not %s", describe(from))
	}
	return out
}

// isMerge recognises a plain <<.
func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Value == "<<" && isPlain(n) }

// lookup finds what a mapping says about a field, for the place of a problem;
// nil if nothing.
func lookup(n *yaml.Node, names ...string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 { // of a duplicate key the last counts
		if slices.Contains(names, n.Content[i].Value) {
			return deref(n.Content[i+1])
		}
	}
	return nil
}
