// Package document reads what an operator or a control plane may hand in, whatever
// its shape, and says what is wrong with it:
//
//	a bootstrap                     static_resources, admin, …
//	a discovery response            resources: [{"@type": …}], or wrapped: [{name, resource: {…}}]
//	a collection                    resource: {"@type": …Collection, entries: [{inline_entry: {resource: {…}}}]}
//	a bare list of resources        [{"@type": …}, …], or without a type, by its fields
//	/config_dump of attache, Envoy  configs: [{"@type": …ConfigDump, …}]
//	one message                     {"@type": …}, by its fields, or by Options.Type
//
// Names are snake_case or camelCase, YAML or JSON, everywhere. A bootstrap is read
// as a file is; resources as what comes over xDS, where Envoy warns of unknown
// fields and of keys given twice.
package document

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Options say how a document is read.
type Options struct {
	// Type is the full name of the message that the document is, such as
	// envoy.config.route.v3.RouteConfiguration; "" finds out.
	Type string
	// Static refuses of resources what is refused of a bootstrap: unknown fields and
	// keys given twice, of which Envoy only warns in what comes over xDS.
	Static bool
	// Bootstrap is for a document that is one, and for one in a dump.
	Bootstrap bootstrap.Options
}

// Document is what was found.
type Document struct {
	// Bootstrap is the bootstrap that the document is; nil if it is something else.
	Bootstrap *bootstrap.Bootstrap
	// Resources are the messages that were found, in order.
	Resources []Resource
}

// Resource is one message of a document.
type Resource struct {
	Path string // where it stands; "": it is the document
	Type string // its full name
}

// Problem is one thing that is wrong with a document.
type Problem = load.Problem

// Read reads the file called name, whose content is doc, and gives every problem
// found, by line. Any goroutine.
func Read(doc []byte, name string, o Options) (*Document, []Problem) {
	top, bad := load.Parse(doc, name)
	if bad != nil {
		return &Document{}, []Problem{*bad}
	}
	r := &reading{Document: &Document{}, doc: doc, name: name, o: o}
	r.top(deref(top))
	if r.Bootstrap != nil {
		return r.Document, r.problems // they are in order
	}
	bootstrap.Locate(doc, r.problems)
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.Document, r.problems
}

// reading is one Read.
type reading struct {
	*Document
	doc      []byte
	name     string
	o        Options
	problems []Problem
}

func (r *reading) refuse(path, text string) {
	r.problems = append(r.problems, Problem{Path: path, Text: text})
}

func (r *reading) top(n *yaml.Node) {
	switch {
	case r.o.Type != "":
		r.message("", n, r.o.Type)
	case n.Kind == yaml.SequenceNode:
		r.list("", n)
	case n.Kind != yaml.MappingNode:
		r.bootstrap() // which says what it wants
	default:
		r.item("", n)
	}
}

// list reads resources beside each other.
func (r *reading) list(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(path, "want a list of resources")
		return
	}
	for i, item := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		if item = deref(item); item.Kind != yaml.MappingNode {
			r.refuse(at, "want a resource, a mapping")
			continue
		}
		r.item(at, item)
	}
}

// item reads a mapping: a resource, or what has resources in it.
func (r *reading) item(path string, n *yaml.Node) {
	name := typeOf(n)
	switch {
	case strings.HasPrefix(name, "envoy.admin.v3.") && strings.HasSuffix(name, "ConfigDump"):
		r.dumped(path, n)
	case name == "envoy.service.discovery.v3.Resource", name == "" && child(n, "resource") != nil:
		if inner := child(n, "resource"); inner != nil && inner.Kind == yaml.MappingNode {
			r.item(join(path, "resource"), inner)
		}
	case child(n, "configs") != nil:
		r.list(join(path, "configs"), child(n, "configs"))
	case name == "envoy.service.discovery.v3.DiscoveryResponse", name == "" && child(n, "resources") != nil:
		if all := child(n, "resources"); all != nil {
			r.list(join(path, "resources"), all)
		}
	case name == listenerCollection && child(n, "entries") != nil:
		r.collection(join(path, "entries"), child(n, "entries"))
	case name != "":
		r.message(path, n, name)
	default:
		name := likely(n)
		if name == "" && path != "" {
			r.refuse(path, `want a resource: a mapping with "@type", or the fields of one; a bootstrap is a mapping, not a list`)
			return
		}
		r.message(path, n, cmp.Or(name, bootstrapType))
	}
}

// collection reads the resources of a collection's entries (xds.core.v3.CollectionEntry).
func (r *reading) collection(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(path, "want a list of entries")
		return
	}
	for i, e := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		e = deref(e)
		inline := child(e, "inline_entry")
		if inline == nil || child(inline, "resource") == nil {
			r.refuse(at, "only inline entries that have a resource are read")
			continue
		}
		r.item(join(at, "inline_entry"), inline)
	}
}

// dumped looks for resources in a part of a config dump. Secrets are left out: a
// dump has no private keys; so is what was refused (error_state).
func (r *reading) dumped(path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			r.dumped(path+"["+strconv.Itoa(i)+"]", deref(item))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, deref(n.Content[i+1])
			at := join(path, key)
			switch name := snake(key); {
			case name == "error_state" || name == "secret":
			case name == "bootstrap" && value.Kind == yaml.MappingNode:
				r.message(at, value, bootstrapType)
			case holds(name) && value.Kind == yaml.MappingNode:
				r.item(at, value)
			default:
				r.dumped(at, value)
			}
		}
	}
}

// message reads n as a message of the type called name.
func (r *reading) message(path string, n *yaml.Node, name string) {
	r.Resources = append(r.Resources, Resource{path, name})
	if name == bootstrapType {
		r.bootstrapAt(path, n)
		return
	}
	// What decoding finds of an extension says more than loading can.
	opts := load.Options{AllowUnsupported: true, AllowUnknownStatic: !r.static(), AllowDuplicateKeys: true}
	msg, found := load.Named(nil, name, name, protoregistry.GlobalTypes, opts)
	if msg == nil {
		for _, p := range found {
			p.Path, p.Warning = path, false
			r.problems = append(r.problems, p)
		}
		return
	}
	loaded := load.FromNode(untyped(n), path, msg, protoregistry.GlobalTypes, opts)
	loaded = slices.DeleteFunc(loaded, func(p Problem) bool { return p.Unsupported })
	o := envoyv3.Options{AllowUnsupported: r.o.Bootstrap.AllowUnsupported, Validated: true, AllowUnknown: !r.static()}
	r.problems = append(r.problems, load.Join(loaded, envoyv3.Fragment(path, msg, o))...)
}

// static: one message whose type is said is somebody's file, not a control plane's.
func (r *reading) static() bool { return r.o.Static || r.o.Type != "" }

// bootstrapAt reads a bootstrap: the document itself, or a part of a dump.
func (r *reading) bootstrapAt(path string, n *yaml.Node) {
	if path == "" {
		r.bootstrap()
		return
	}
	text, err := yaml.Marshal(untyped(n))
	if err != nil {
		r.refuse(path, err.Error())
		return
	}
	_, problems := bootstrap.Load(text, path, r.o.Bootstrap)
	for _, p := range problems {
		p.Path = join(path, p.Path)
		r.problems = append(r.problems, p)
	}
}

func (r *reading) bootstrap() {
	b, problems := bootstrap.Load(r.doc, r.name, r.o.Bootstrap)
	r.Bootstrap, r.problems = b, problems
}

// holds reports whether a field of Envoy's dumps has a resource.
func holds(field string) bool {
	switch field {
	case "cluster", "listener", "route_config", "endpoint_config":
		return true
	}
	return false
}
