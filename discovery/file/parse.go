package file

// From bytes to a tree whose nodes know their places.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds the memory that a tree takes: a node takes a hundred times
// its first byte.
const maxNodes = 2 << 20

// parse reads one document. What is valid JSON is read as JSON, for YAML readers
// trip over surrogate escapes; a file called .json has to be.
func parse(path string, doc []byte) (*yaml.Node, *Problem) {
	if n := possibleNodes(doc); n > maxNodes {
		return nil, &Problem{Text: fmt.Sprintf("may hold %d values, at most %d are read", n, maxNodes)}
	}
	isJSON := strings.HasSuffix(path, ".json")
	if first := bytes.TrimLeft(doc, " \t\r\n"); isJSON || len(first) > 0 && first[0] == '{' {
		root, problem := parseJSON(doc)
		if problem == nil || isJSON {
			return root, problem
		}
	}
	return parseYAML(doc)
}

// possibleNodes counts what can begin a node.
func possibleNodes(doc []byte) int {
	n := 0
	for _, c := range doc {
		if strings.IndexByte("\n\r,:-?[{#", c) >= 0 {
			n++
		}
	}
	return n
}

func parseYAML(doc []byte) (root *yaml.Node, problem *Problem) {
	defer func() {
		if r := recover(); r != nil { // the parser is not ours; its bug must not end the process
			root, problem = nil, &Problem{Text: fmt.Sprintf("not readable as YAML: %v", r)}
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(doc))
	var first, second yaml.Node
	if err := d.Decode(&first); errors.Is(err, io.EOF) || err == nil && len(first.Content) == 0 {
		return nil, &Problem{1, 1, `empty: wants "services:"`}
	} else if err != nil {
		return nil, syntaxProblem(doc, err)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, &Problem{max(second.Line, 1), max(second.Column, 1), "a second document: one file holds one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(doc, err)
	}
	return first.Content[0], nil
}

// syntaxProblem finds the line in the parser's text; the column, which the
// parser does not tell, is where that line's text begins. Where a token is
// missing the parser tells the line before that of the collection that it is
// missing in.
func syntaxProblem(doc []byte, err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := regexp.MustCompile(`(?s)^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	what := "not readable as YAML: "
	if strings.HasPrefix(text, "did not find expected") {
		what = "not readable as YAML, here or in what begins here: "
		line++
	}
	column := 1
	if lines := bytes.Split(doc, []byte("\n")); line <= len(lines) {
		l := lines[line-1]
		column += len(l) - len(bytes.TrimLeft(l, " \t"))
	}
	return &Problem{line, column, what + text}
}

func parseJSON(doc []byte) (*yaml.Node, *Problem) {
	r := jsonReader{doc: doc, d: json.NewDecoder(bytes.NewReader(doc))}
	r.d.UseNumber()
	var all json.RawMessage
	if err := json.Unmarshal(doc, &all); err != nil { // syntax and depth
		line, column := r.place(r.offset(err))
		return nil, &Problem{line, column, "not readable as JSON: " + err.Error()}
	}
	return r.value(), nil
}

// jsonReader makes nodes of the tokens of a valid document.
type jsonReader struct {
	doc []byte
	d   *json.Decoder

	at, line, lineStart int // how far place has counted
}

// offset is where a syntax error is: the decoder counts the byte that it stopped
// at as read.
func (r *jsonReader) offset(err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset > 0 {
		return int(syntax.Offset) - 1
	}
	return 0
}

func (r *jsonReader) value() *yaml.Node {
	start := int(r.d.InputOffset())
	for start < len(r.doc) && strings.IndexByte(" \t\r\n,:", r.doc[start]) >= 0 {
		start++
	}
	n := &yaml.Node{Kind: yaml.ScalarNode}
	n.Line, n.Column = r.place(start)
	token, err := r.d.Token()
	if err != nil {
		panic("file: valid JSON has a token that is not: " + err.Error())
	}
	switch t := token.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if t == '{' {
			n.Kind = yaml.MappingNode
		}
		for r.d.More() {
			n.Content = append(n.Content, r.value())
		}
		_, _ = r.d.Token() // the closing bracket
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n
}

// place is line and column, from 1, of an offset not before the last one.
func (r *jsonReader) place(offset int) (line, column int) {
	for ; r.at < min(offset, len(r.doc)); r.at++ {
		if r.doc[r.at] == '\n' {
			r.line++
			r.lineStart = r.at + 1
		}
	}
	return r.line + 1, offset - r.lineStart + 1
}
