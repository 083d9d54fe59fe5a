package bootstrap

// Lines for paths: decoding knows paths, people look for lines.

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Locate gives each problem the line and column of the deepest part of its path
// that stands in doc, which loading has found to be of bounded size.
func Locate(doc []byte, problems []Problem) {
	var top yaml.Node
	if len(problems) == 0 || yaml.Unmarshal(doc, &top) != nil || len(top.Content) == 0 {
		return
	}
	for i := range problems {
		at := find(top.Content[0], problems[i].Path)
		problems[i].Line, problems[i].Column = at.Line, at.Column
	}
}

// find goes down the path as far as it can.
func find(n *yaml.Node, path string) *yaml.Node {
	at := n
	for path != "" {
		var step string
		step, path = cutStep(path)
		key, value := child(n, step)
		if value == nil {
			return at
		}
		at, n = key, value
	}
	return at
}

// cutStep takes the first step off a path: name, [3] or ["key"].
func cutStep(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, `["`) {
		if key, err := strconv.QuotedPrefix(path[1:]); err == nil {
			return path[:1+len(key)] + "]", strings.TrimPrefix(path[1+len(key):], "]")
		}
	}
	if strings.HasPrefix(path, "[") {
		if end := strings.IndexByte(path, ']'); end >= 0 {
			return path[:end+1], path[end+1:]
		}
	}
	if end := strings.IndexAny(path, ".["); end > 0 {
		return path[:end], path[end:]
	}
	return path, ""
}

// child finds the node that a step leads to, and the one to point at.
func child(n *yaml.Node, step string) (at, value *yaml.Node) {
	n = deref(n)
	if inner, ok := strings.CutPrefix(step, "["); ok && !strings.HasPrefix(inner, `"`) {
		i, err := strconv.Atoi(strings.TrimSuffix(inner, "]"))
		switch {
		case err != nil:
			return nil, nil
		case n.Kind != yaml.SequenceNode: // one value where a list is due
			return n, n
		case i < 0 || i >= len(n.Content):
			return nil, nil
		}
		return n.Content[i], n.Content[i]
	}
	if key, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(step, "["), "]")); err == nil {
		step = key
	}
	return member(n, step, maxMerges)
}

// maxMerges bounds how many merged mappings are followed: they may form a ring.
const maxMerges = 16

// member finds a key of a mapping, in snake_case or camelCase, merged ones too.
func member(n *yaml.Node, name string, merges int) (at, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Value == name || k.Value == camel(name) {
			return k, n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" && merges > 0 {
			return member(deref(n.Content[i+1]), name, merges-1)
		}
	}
	return nil, nil
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// camel is protobuf's JSON name.
func camel(name string) string {
	var b strings.Builder
	up := false
	for _, c := range name {
		if c == '_' {
			up = true
			continue
		}
		if up {
			b.WriteString(strings.ToUpper(string(c)))
		} else {
			b.WriteRune(c)
		}
		up = false
	}
	return b.String()
}
