// Package bootstrap reads an Envoy v3 bootstrap file into config values: who
// the node is, where the admin server listens, which resources are static and
// where the others come from.
//
//	file ──┐
//	       ├─ load ─> Bootstrap proto ─ check ─ decode ─> config.Resources
//	--config-yaml (merged over it)          └─ every problem, by path and line
package bootstrap

import (
	"cmp"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Options are what the command line says beside the file.
type Options struct {
	// ConfigYAML is --config-yaml: a bootstrap, YAML or JSON, that is merged over
	// the file as protobuf merges messages: single values replace, lists append.
	ConfigYAML []byte
	// ServiceNode, ServiceCluster and ServiceZone replace node.id, node.cluster
	// and node.locality.zone if they are not empty.
	ServiceNode, ServiceCluster, ServiceZone string
	// AllowUnsupported turns the refusal of unsupported fields into warnings,
	// see envoyv3.Options.
	AllowUnsupported bool
	// AllowUnknownStatic turns the refusal of unknown fields into warnings
	// (Envoy's --allow-unknown-static-fields).
	AllowUnknownStatic bool
}

// Bootstrap is what a bootstrap file says. It is not changed once loaded.
type Bootstrap struct {
	Node Node
	// Admin is the address of the admin server; zero if there is none.
	Admin     config.Address
	Resources config.Resources
	// Secrets are the static ones, each with its spec. Those that the contexts of
	// Resources name, and do not come by SDS, are there as they were when loaded.
	Secrets []config.SecretRef
	// Runtime holds the values of the static runtime layers.
	Runtime envoyv3.Runtime
	// Dynamic says where the other resources come from.
	Dynamic Dynamic
	// ControlPlanes are the static clusters that envoy_grpc and REST can name, by name.
	// One that only the xDS client can use (TLS, HTTP/2) is not in Resources.
	ControlPlanes map[string]config.ControlPlane

	// Unbuilt is how many places ask for what is not built and cannot change how a
	// request is answered; each was a warning.
	Unbuilt int

	proto            *bootstrapv3.Bootstrap
	layers           *bootstrapv3.LayeredRuntime // those on disk as they were read
	allowUnsupported bool
	static           static
}

// static are the file's clusters while they are read, by their place in it.
type static struct {
	clusters []*config.Cluster
	problems [][]Problem
	index    []int // the place of each of Resources.Clusters
	// listeners are the places of Resources.Listeners.
	listeners []int
}

// Node is who this program says it is (Envoy core.v3.Node).
type Node struct {
	ID, Cluster           string
	Region, Zone, SubZone string
	// Metadata is free-form: strings, float64, bool, nil, and lists and maps of
	// them.
	Metadata map[string]any
}

// Problem is one thing that is wrong, with its path and, if it stands in the
// file, its line.
type Problem = load.Problem

// Load reads the file called name, whose content is doc; both may be empty if
// there is ConfigYAML. It answers every problem found, by line. The Bootstrap
// is to be used only if load.Refused of them says no.
func Load(doc []byte, name string, o Options) (*Bootstrap, []Problem) {
	m, problems := read(doc, name, o)
	override(m, o)
	b := &Bootstrap{proto: m, Node: node(m.GetNode()), allowUnsupported: o.AllowUnsupported}
	own := b.Decoding(nil)
	own.Validated = true
	found := b.decode(own)
	b.static = static{listeners: b.static.listeners} // ResourcesWith reads them again
	Locate(doc, found)
	problems = load.Join(problems, found)
	slices.SortStableFunc(problems, byLine)
	for _, p := range problems {
		if p.Unbuilt {
			b.Unbuilt++
		}
	}
	return b, problems
}

// Decoding is how resources of this program are read under runtime values: those of
// the file as those of a control plane.
func (b *Bootstrap) Decoding(r envoyv3.Runtime) envoyv3.Options {
	return envoyv3.Options{
		AllowUnsupported: b.allowUnsupported, Runtime: r,
		ServiceCluster: b.Node.Cluster, ServiceNode: b.Node.ID, Clusters: envoyv3.ReadAllClusters(b.proto),
		NodeMetadata: b.proto.GetNode().GetMetadata(),
	}
}

// byLine sorts what has no line last.
func byLine(a, b Problem) int {
	if (a.Line == 0) != (b.Line == 0) {
		return cmp.Compare(b.Line, a.Line)
	}
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// read loads both documents and merges them.
func read(doc []byte, name string, o Options) (*bootstrapv3.Bootstrap, []Problem) {
	m := &bootstrapv3.Bootstrap{}
	// What decoding says of an unsupported extension says more than loading can.
	// Of a key that stands twice Envoy takes the last (yaml_utility.cc); we say so.
	opts := load.Options{AllowUnknownStatic: o.AllowUnknownStatic, AllowUnsupported: true, AllowDuplicateKeys: true}
	var problems []Problem
	if len(doc) > 0 || len(o.ConfigYAML) == 0 {
		problems = load.Into(doc, name, m, protoregistry.GlobalTypes, opts)
	}
	if len(o.ConfigYAML) > 0 {
		over := &bootstrapv3.Bootstrap{}
		for _, p := range load.Into(o.ConfigYAML, "--config-yaml", over, protoregistry.GlobalTypes, opts) {
			p.Text += " (in --config-yaml)"
			problems = append(problems, p)
		}
		proto.Merge(m, over)
	}
	return m, slices.DeleteFunc(problems, func(p Problem) bool { return p.Unsupported })
}

// override writes the command line's words about the node into m.
func override(m *bootstrapv3.Bootstrap, o Options) {
	if o.ServiceNode == "" && o.ServiceCluster == "" && o.ServiceZone == "" {
		return
	}
	if m.Node == nil {
		m.Node = &corev3.Node{}
	}
	m.Node.Id = cmp.Or(o.ServiceNode, m.Node.Id)
	m.Node.Cluster = cmp.Or(o.ServiceCluster, m.Node.Cluster)
	if o.ServiceZone != "" {
		if m.Node.Locality == nil {
			m.Node.Locality = &corev3.Locality{}
		}
		m.Node.Locality.Zone = o.ServiceZone
	}
}

func node(m *corev3.Node) Node {
	n := Node{
		ID:      m.GetId(),
		Cluster: m.GetCluster(),
		Region:  m.GetLocality().GetRegion(),
		Zone:    m.GetLocality().GetZone(),
		SubZone: m.GetLocality().GetSubZone(),
	}
	if m.GetMetadata() != nil {
		n.Metadata = m.GetMetadata().AsMap()
	}
	return n
}
