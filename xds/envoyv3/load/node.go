package load

// For documents of other kinds that hold Envoy messages in places.

import (
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
)

// Parse reads doc (the content of the file called name) into a tree of nodes,
// within the limits of this package. Lines and columns are the document's.
func Parse(doc []byte, name string) (*yaml.Node, *Problem) { return parse(doc, name) }

// FromNode reads n, which stands at path in a document of another kind, into
// msg. Problems have paths below path, and the lines of n's document.
func FromNode(n *yaml.Node, path string, msg proto.Message, types Resolver, opts Options) []Problem {
	return newWalker(types, opts).run(msg, n, rootPath(path))
}

// Nearest is the one of names that was likely meant by got: the one within a
// third of its length in edits; "" if none is.
func Nearest(got string, names []string) string { return nearest(got, names) }
