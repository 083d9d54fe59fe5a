package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parse reads the document into a tree of nodes within the limits. What is
// valid JSON is read as JSON (YAML readers trip over surrogate escapes and long
// keys), everything else as one YAML document.
func parse(doc []byte, name string) (*yaml.Node, *Problem) {
	if len(doc) > MaxSize {
		return nil, &Problem{Text: fmt.Sprintf("%d bytes long; at most %d are read", len(doc), MaxSize)}
	}
	if n := possibleNodes(doc); n > 2*maxNodes {
		return nil, &Problem{Text: fmt.Sprintf("may hold %d values; at most %d are read", n, 2*maxNodes)}
	}
	if first := bytes.TrimLeft(doc, " \t\r\n"); len(first) > 0 && (first[0] == '{' || strings.HasSuffix(name, ".json")) {
		if root, problem, isJSON := parseJSON(doc); isJSON {
			return root, problem
		}
	}
	return parseYAML(doc)
}

// possibleNodes bounds from above how many nodes doc can parse into, by
// counting what can begin a node or a comment: either takes a hundred times the
// memory of its first character.
func possibleNodes(doc []byte) int {
	n := 0
	for _, c := range doc {
		switch c {
		case '\n', '\r', ',', ':', '-', '?', '[', '{', '#':
			n++
		}
	}
	return n
}

// parseYAML returns the root node of the only document in doc.
func parseYAML(doc []byte) (root *yaml.Node, problem *Problem) {
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; its bug must not end the process
			root, problem = nil, &Problem{Text: fmt.Sprintf("not readable as YAML: %v", r)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var first, second yaml.Node
	if err := dec.Decode(&first); errors.Is(err, io.EOF) || (err == nil && len(first.Content) == 0) {
		return nil, &Problem{Line: 1, Column: 1, Text: "empty: want a mapping"}
	} else if err != nil {
		return nil, syntaxProblem(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, &Problem{Line: second.Line, Column: second.Column, Text: "a second YAML document: Envoy would read only the first; remove one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(err)
	}
	return first.Content[0], nil
}

// syntaxProblem finds the line in the parser's error text.
func syntaxProblem(err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := &Problem{Text: "not readable as YAML: " + text}
	if m := regexp.MustCompile(`^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column = 1
		p.Text = "not readable as YAML: " + m[2]
	}
	return p
}

// deref follows aliases to the anchored node.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
