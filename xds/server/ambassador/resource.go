package ambassador

// Ambassadors that are resources of a cluster: kind Ambassador of
// attache.dev/v1alpha1. The spec of one is an entry of the file's ambassadors,
// for pods of its namespace: what may be said there is read off the same type.

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.yaml.in/yaml/v3"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Addition is one resource that was read and checked, ready to be served beside
// the file's ambassadors. It is immutable; any goroutine.
type Addition struct {
	ambassador *Ambassador
	references []reference
}

// pods are those that a resource is for.
type pods struct {
	namespace, name string
	selector        *PodSelector // nil: those that name the resource
}

// PodSelector picks pods of the resource's namespace, as everywhere in
// Kubernetes.
type PodSelector struct {
	MatchLabels      map[string]string `yaml:"matchLabels" doc:"Labels that a pod must have, with these values."`
	MatchExpressions []Requirement     `yaml:"matchExpressions" doc:"Further conditions on labels; all must hold."`
}

// Requirement is one condition on a label.
type Requirement struct {
	Key      string   `yaml:"key" need:"" doc:"The label."`
	Operator string   `yaml:"operator" need:"" enum:"In NotIn Exists DoesNotExist" doc:"How its value relates to values. NotIn also holds where the label is not there."`
	Values   []string `yaml:"values" doc:"With In and NotIn: the values, at least one."`
}

const selectorDoc = "The pods of the namespace that get the ports; {} is all of them. " +
	"Without it, those whose sidecar names this resource: by the annotation attache.dev/ambassador, or else by the label that names the application."

// ofFile are the fields of a file's ambassador that a resource has elsewhere.
var ofFile = [...]string{"name", "sidecars"}

// ReadResource reads the spec (YAML or JSON) of a resource and checks it against
// the file c: its sources, its plan. It returns every problem; the Addition is
// nil unless load.Refused says no. Any goroutine.
func (c *Config) ReadResource(namespace, name string, spec []byte) (*Addition, []Problem) {
	root, problem := load.Parse(spec, namespace+"/"+name)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	a := &Ambassador{Name: namespace + "/" + name, pods: &pods{namespace: namespace, name: name}}
	r := &reader{places: map[string]location{}}
	r.spec(root, a)
	if len(r.problems) == 0 {
		r.ambassador(c, a, "spec")
		r.notForTenants(a)
	}
	if slices.ContainsFunc(c.Ambassadors, func(one *Ambassador) bool { return one.Name == a.Name }) {
		r.refuse("metadata.name", "the file of attache-control has an ambassador %q already", a.Name)
	}
	if load.Refused(r.problems) {
		return nil, r.problems
	}
	return &Addition{a, r.references}, r.problems
}

// spec reads the fields of a file's ambassador, and podSelector.
func (r *reader) spec(n *yaml.Node, a *Ambassador) {
	const path, selector = "spec", "podSelector"
	v := reflect.ValueOf(a).Elem()
	names := slices.DeleteFunc(fieldNames(v.Type()), func(name string) bool { return slices.Contains(ofFile[:], name) })
	given := r.entries(n, path, append(slices.Clone(names), selector))
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if !slices.Contains(names, name) {
			continue
		}
		if node, ok := given[name]; ok {
			r.value(node, dot(path, name), v.Field(i), f.Tag)
		} else {
			r.defaults(v.Field(i), f.Tag)
		}
	}
	if node, ok := given[selector]; ok {
		r.value(node, dot(path, selector), reflect.ValueOf(&a.pods.selector).Elem(), "")
		r.selector(a.pods.selector, dot(path, selector))
	}
}

func (r *reader) selector(s *PodSelector, path string) {
	if s == nil {
		return
	}
	for i, one := range s.MatchExpressions {
		path := at(dot(path, "matchExpressions"), i)
		switch list := one.Operator == "In" || one.Operator == "NotIn"; {
		case list && len(one.Values) == 0:
			r.refuse(path, "values is required with %s", one.Operator)
		case !list && len(one.Values) > 0:
			r.refuse(dot(path, "values"), "%s takes none", one.Operator)
		}
	}
}

// notForTenants refuses what would hand out keys that are attache-control's: who
// may write resources in one namespace need not be who runs the control plane.
func (r *reader) notForTenants(a *Ambassador) {
	for i, p := range a.Ports {
		path := dot(at("spec.ports", i), "tls")
		if p.TLS != nil && p.TLS.Send {
			r.refuse(dot(path, "send"), "only in the file of attache-control: it reads keys from its own disk")
		}
		if p.TLS != nil && p.TLS.Identity.Source != "" {
			r.refuse(dot(path, "identity"), "only in the file of attache-control: it hands out keys of Consul's CA")
		}
	}
}

// Name is the ambassador's: NAMESPACE/NAME.
func (a *Addition) Name() string { return a.ambassador.Name }

// Schemes are of the sources that its services name, each once.
func (a *Addition) Schemes() (all []string) {
	for _, r := range a.references {
		if !slices.Contains(all, r.service.Source) {
			all = append(all, r.service.Source)
		}
	}
	return all
}

// CheckServices is Config.CheckServices for the resource.
func (a *Addition) CheckServices(check func(discovery.Service) error) []Problem {
	return (&Config{references: a.references}).CheckServices(check)
}

// With is c and resources. What is nearest to a pod goes first: resources that
// it names, then resources that select it, in the order of more, then the file's
// ambassadors. c itself stays as it is.
func (c *Config) With(more []*Addition) *Config {
	if len(more) == 0 {
		return c
	}
	merged := *c
	merged.Ambassadors = nil
	for _, a := range more {
		merged.Ambassadors = append(merged.Ambassadors, a.ambassador)
	}
	slices.SortStableFunc(merged.Ambassadors, func(a, b *Ambassador) int {
		return cmp.Compare(rank(a.pods), rank(b.pods))
	})
	merged.Ambassadors = append(merged.Ambassadors, c.Ambassadors...)
	return &merged
}

func rank(p *pods) int {
	if p.selector == nil {
		return 0
	}
	return 1
}

// take says that a node is one of the pods: by the namespace and the labels that
// the injector gives it (node.metadata), and by node.cluster, its ambassador's
// name.
func (p *pods) take(node *corev3.Node) bool {
	fields := node.GetMetadata().GetFields()
	if fields["namespace"].GetStringValue() != p.namespace {
		return false
	}
	if p.selector == nil {
		return node.GetCluster() == p.name
	}
	labels := fields["labels"].GetStructValue().GetFields()
	for key, value := range p.selector.MatchLabels {
		if v, ok := labels[key]; !ok || v.GetStringValue() != value {
			return false
		}
	}
	for _, one := range p.selector.MatchExpressions {
		v, there := labels[one.Key]
		if !one.holds(v.GetStringValue(), there) {
			return false
		}
	}
	return true
}

func (q *Requirement) holds(value string, there bool) bool {
	switch q.Operator {
	case "In":
		return there && slices.Contains(q.Values, value)
	case "NotIn":
		return !there || !slices.Contains(q.Values, value)
	case "Exists":
		return there
	case "DoesNotExist":
		return !there
	}
	panic(fmt.Sprintf("ambassador: operator %q", q.Operator)) // read has refused it
}
