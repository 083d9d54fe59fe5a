package load

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	tagJSONNumber = "!json-number" // a number written as a JSON number, not a YAML scalar
	tagNull       = "!!null"
)

// parseJSON builds the same tree from JSON; isJSON is false if doc is not JSON.
func parseJSON(doc []byte) (root *yaml.Node, problem *Problem, isJSON bool) {
	if !json.Valid(doc) {
		return nil, nil, false
	}
	r := &jsonReader{doc: doc, dec: json.NewDecoder(bytes.NewReader(doc)), line: 1}
	r.dec.UseNumber()
	root = r.value(0)
	return root, r.problem, true
}

// jsonReader turns tokens into nodes. The document is known to be valid, so
// token errors cannot happen.
type jsonReader struct {
	doc       []byte
	dec       *json.Decoder
	pos       int // how far line and lineStart have counted
	line      int
	lineStart int
	problem   *Problem
}

func (r *jsonReader) value(depth int) *yaml.Node {
	n := r.place()
	tok, err := r.dec.Token()
	if err != nil || r.problem != nil {
		return n
	}
	switch t := tok.(type) {
	case json.Delim:
		if depth > MaxDepth {
			r.problem = &Problem{Line: n.Line, Column: n.Column, Text: tooDeep}
			return n
		}
		r.container(n, t, depth)
	case string:
		n.Kind, n.Style, n.Tag, n.Value = yaml.ScalarNode, yaml.DoubleQuotedStyle, "!!str", t
	case json.Number:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, tagJSONNumber, t.String()
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", fmt.Sprint(t)
	case nil:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, tagNull, "null"
	}
	return n
}

func (r *jsonReader) container(n *yaml.Node, open json.Delim, depth int) {
	n.Kind = yaml.SequenceNode
	if open == '{' {
		n.Kind = yaml.MappingNode
	}
	for r.dec.More() && r.problem == nil {
		n.Content = append(n.Content, r.value(depth+1))
	}
	if r.problem == nil {
		_, _ = r.dec.Token() // the closing bracket of a valid document
	}
}

// place is an empty node at the start of the next token.
func (r *jsonReader) place() *yaml.Node {
	at := int(r.dec.InputOffset())
	for at < len(r.doc) && bytes.IndexByte([]byte(" \t\r\n,:"), r.doc[at]) >= 0 {
		at++
	}
	for ; r.pos < at; r.pos++ {
		if r.doc[r.pos] == '\n' {
			r.line++
			r.lineStart = r.pos + 1
		}
	}
	return &yaml.Node{Line: r.line, Column: at - r.lineStart + 1}
}

// structNode is the tree of a Struct; its nodes have no place.
func structNode(s *structpb.Struct) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for k, v := range sorted(s.GetFields()) {
		n.Content = append(n.Content, stringNode(k), valueNode(v))
	}
	return n
}

func stringNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Tag: "!!str", Value: s}
}

func valueNode(v *structpb.Value) *yaml.Node {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StructValue:
		return structNode(k.StructValue)
	case *structpb.Value_ListValue:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range k.ListValue.GetValues() {
			n.Content = append(n.Content, valueNode(item))
		}
		return n
	case *structpb.Value_StringValue:
		return stringNode(k.StringValue)
	case *structpb.Value_BoolValue:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(k.BoolValue)}
	case *structpb.Value_NumberValue:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tagJSONNumber, Value: formatNumber(k.NumberValue)}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tagNull, Value: "null"}
	}
}
