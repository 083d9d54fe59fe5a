package inject

// The same to a file: every pod, and every pod template of a workload, in a
// stream of YAML documents. Comments and order stay as they are.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxManifest is the longest file that is read, in bytes.
const MaxManifest = 16 << 20

// Workload is what became of one document of a file.
type Workload struct {
	Kind, Name string
	Outcome
}

// Manifest injects every pod of a file and returns the file before and after,
// both written in one style, so that they differ where something was added and
// nowhere else. Documents without a pod stay as they are and are not in the
// list. An error names the document, counted from 1.
func Manifest(text []byte, namespace string, s *Settings) (before, after []byte, done []Workload, err error) {
	if len(text) > MaxManifest {
		return nil, nil, nil, fmt.Errorf("%d bytes: at most %d are read", len(text), MaxManifest)
	}
	documents, err := split(text)
	if err != nil {
		return nil, nil, nil, err
	}
	before, err = join(documents)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, d := range documents {
		found, err := injectInto(d, namespace, s)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("document %d: %w", i+1, err)
		}
		done = append(done, found...)
	}
	after, err = join(documents)
	return before, after, done, err
}

func split(text []byte) (documents []*yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		switch err := d.Decode(&n); {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return nil, fmt.Errorf("document %d: %w", len(documents)+1, err)
		}
		documents = append(documents, &n)
	}
}

func join(documents []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	for _, d := range documents {
		if err := e.Encode(d); err != nil {
			return nil, err
		}
	}
	err := e.Close()
	return out.Bytes(), err
}

// templates say where a kind has its pod.
var templates = map[string][]string{
	"Pod":                   {},
	"Deployment":            {"spec", "template"},
	"StatefulSet":           {"spec", "template"},
	"DaemonSet":             {"spec", "template"},
	"ReplicaSet":            {"spec", "template"},
	"ReplicationController": {"spec", "template"},
	"Job":                   {"spec", "template"},
	"CronJob":               {"spec", "jobTemplate", "spec", "template"},
}

// injectInto does one document: a pod, a workload, or a List of them.
func injectInto(document *yaml.Node, namespace string, s *Settings) ([]Workload, error) {
	root := document
	if root.Kind == yaml.DocumentNode {
		root = root.Content[0]
	}
	var head struct {
		Kind     string `yaml:"kind"`
		Metadata struct {
			Name         string `yaml:"name"`
			GenerateName string `yaml:"generateName"`
			Namespace    string `yaml:"namespace"`
		} `yaml:"metadata"`
	}
	if root.Kind != yaml.MappingNode || root.Decode(&head) != nil {
		return nil, nil // not an object of Kubernetes: it is none of ours
	}
	if head.Kind == "List" {
		var done []Workload
		if items := child(root, "items"); items != nil {
			for i, item := range items.Content {
				found, err := injectInto(item, namespace, s)
				if err != nil {
					return nil, fmt.Errorf("item %d: %w", i+1, err)
				}
				done = append(done, found...)
			}
		}
		return done, nil
	}
	path, known := templates[head.Kind]
	if !known {
		return nil, nil
	}
	at := root
	for _, key := range path {
		if at = child(at, key); at == nil {
			return nil, fmt.Errorf("%s %s: it has no %s", head.Kind, head.Metadata.Name, strings.Join(path, "."))
		}
	}
	w := Workload{Kind: head.Kind, Name: head.Metadata.Name}
	if w.Name == "" {
		w.Name = head.Metadata.GenerateName
	}
	if head.Metadata.Namespace != "" {
		namespace = head.Metadata.Namespace
	}
	var plain any
	err := at.Decode(&plain)
	var text []byte
	if err == nil {
		text, err = json.Marshal(plain)
	}
	if err == nil {
		w.Outcome, err = Pod(Request{Pod: text, Namespace: namespace, Wanted: true}, s)
	}
	if err == nil {
		err = apply(at, w.Patch)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", w.Kind, w.Name, err)
	}
	return []Workload{w}, nil
}

// apply does the operations to YAML.
func apply(root *yaml.Node, patch []Operation) error {
	for _, o := range patch {
		value, err := node(o.Value)
		if err != nil {
			return err
		}
		parts := strings.Split(o.Path[1:], "/")
		at := root
		at.Style &^= yaml.FlowStyle
		for _, part := range parts[:len(parts)-1] {
			if at = step(at, part); at == nil {
				return fmt.Errorf("%s: it is not there", o.Path)
			}
			at.Style &^= yaml.FlowStyle // what is added has many lines
		}
		last := strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[len(parts)-1])
		switch {
		case at.Kind == yaml.SequenceNode && last == "-":
			at.Content = append(at.Content, value)
		case at.Kind == yaml.SequenceNode && last == "0":
			at.Content = append([]*yaml.Node{value}, at.Content...)
		case at.Kind == yaml.MappingNode:
			set(at, last, value)
		default:
			return fmt.Errorf("%s: it is neither a list nor a map", o.Path)
		}
	}
	return nil
}

// set writes a key of a map; one that is there, and empty, is written over.
func set(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

func step(at *yaml.Node, part string) *yaml.Node {
	if at.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(part); err == nil && i < len(at.Content) {
			return at.Content[i]
		}
		return nil
	}
	return child(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
}

// child is the value of a key, or nil.
func child(m *yaml.Node, key string) *yaml.Node {
	if m.Kind == yaml.AliasNode {
		m = m.Alias
	}
	for i := 0; m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// node is a value as YAML.
func node(v any) (*yaml.Node, error) {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		return nil, err
	}
	return n, nil
}
