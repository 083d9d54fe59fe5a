package bootstrap

// From the proto to config values.

import (
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/secretfile"
)

// decode fills b from its proto and returns everything that is wrong with it.
func (b *Bootstrap) decode(o envoyv3.Options) []Problem {
	m := b.proto
	o.ReadFile = secretfile.Read
	problems := envoyv3.Bootstrap(m, o)
	layers, found := b.readLayers()
	problems, b.layers = append(problems, found...), layers
	runtime, found := b.RuntimeWith(nil)
	problems = append(problems, found...)
	b.Runtime, o.Runtime = runtime, runtime
	problems = append(problems, b.admin(m.GetAdmin(), o)...)
	problems = append(problems, b.dynamic(m, o)...)
	for i, s := range m.GetStaticResources().GetSecrets() {
		secret, found := envoyv3.StaticSecret("static_resources.secrets["+strconv.Itoa(i)+"]", s, o)
		b.Secrets = append(b.Secrets, secret)
		problems = append(problems, found...)
	}
	for i, c := range m.GetStaticResources().GetClusters() {
		cluster, found := envoyv3.Cluster(clusterPath(i), c, o)
		b.static.clusters = append(b.static.clusters, cluster)
		b.static.problems = append(b.static.problems, found)
	}
	for i, l := range m.GetStaticResources().GetListeners() {
		listener, found := envoyv3.Listener(listenerPath(i), l, o)
		problems = append(problems, b.addListener(i, listener, found)...)
	}
	named, found := b.unreachable()
	problems = append(problems, found...)
	problems = append(problems, b.controlPlanes(named, o)...)
	b.readSecrets()
	return unique(append(problems, b.unassembled()...))
}

// addListener adds static listener number i, of which problems are known. As in Envoy a
// static one changes no more: another one of its name is not added, and nothing but its
// address is looked at (listener_manager_impl.cc, addOrUpdateListener; listener_impl.h,
// blockLdsUpdate; its test UpdateRemoveNotModifiableListener).
func (b *Bootstrap) addListener(i int, l *config.Listener, problems []Problem) []Problem {
	all := b.proto.GetStaticResources().GetListeners()
	for _, first := range b.static.listeners {
		if name := all[i].GetName(); name != "" && name == all[first].GetName() {
			address := listenerPath(i) + ".address"
			problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.Path != address })
			return append(problems, Problem{Path: listenerPath(i), Warning: true, Text: "has no effect: " + listenerPath(first) + " has its name"})
		}
	}
	if all[i].GetName() == "" && slices.ContainsFunc(b.Resources.Listeners, func(o *config.Listener) bool { return o.Name == l.Name }) {
		l.Name += " (" + strconv.Itoa(i) + ")" // it is called by its address, of which several may have port 0
	}
	b.Resources.Listeners, b.static.listeners = append(b.Resources.Listeners, l), append(b.static.listeners, i)
	return problems
}

func clusterPath(i int) string  { return "static_resources.clusters[" + strconv.Itoa(i) + "]" }
func listenerPath(i int) string { return "static_resources.listeners[" + strconv.Itoa(i) + "]" }

// readSecrets reads the secrets that contexts name and that do not come by SDS.
// What is wrong with one was found when it was decoded.
func (b *Bootstrap) readSecrets() {
	static := map[string]*config.SecretSpec{}
	for i := range b.Secrets {
		static[b.Secrets[i].Key] = b.Secrets[i].Own
	}
	seen := map[string]bool{}
	add := func(r *config.SecretRef) bool {
		spec := r.Own
		if spec == nil {
			spec = static[r.Key]
		}
		if spec == nil || seen[r.Key] {
			return true
		}
		seen[r.Key] = true
		if s, err := spec.Load(r.Key, secretfile.Read); err == nil {
			b.Resources.Secrets = append(b.Resources.Secrets, s)
		}
		return true
	}
	for _, c := range b.Resources.Clusters {
		c.SecretRefs(add)
	}
	for _, l := range b.Resources.Listeners {
		l.SecretRefs(add)
	}
}

// admin reads the address of the admin server; without one there is none, as
// in Envoy.
func (b *Bootstrap) admin(m *bootstrapv3.Admin, o envoyv3.Options) (problems []Problem) {
	if m.GetAddress() != nil {
		b.Admin, problems = envoyv3.ListenAddress("admin.address", m.GetAddress(), o)
	}
	return problems
}

// unassembled asks config.Assemble what does not fit together and gives it the
// path of the resource.
func (b *Bootstrap) unassembled() (problems []Problem) {
	_, _, found := config.Assemble(nil, b.Resources)
	seen := map[string]int{}
	for _, p := range found {
		problems = append(problems, Problem{Path: b.pathOf(p.Resource, seen), Text: b.aboutControlPlane(p.Text)})
	}
	return problems
}

// pathOf finds the resource that "cluster x" or "listener y" names: of several
// with one name the next one, beginning with the second if all but one are
// refused.
func (b *Bootstrap) pathOf(resource string, seen map[string]int) string {
	var at []string
	if name, ok := strings.CutPrefix(resource, "cluster "); ok {
		for i, c := range b.Resources.Clusters {
			if c.Name == name {
				at = append(at, clusterPath(b.static.index[i]))
			}
		}
	}
	if name, ok := strings.CutPrefix(resource, "listener "); ok {
		for i, l := range b.Resources.Listeners {
			if l.Name == name {
				at = append(at, listenerPath(b.static.listeners[i]))
			}
		}
	}
	if len(at) == 0 {
		return ""
	}
	seen[resource]++
	return at[min(seen[resource]-1+min(len(at)-1, 1), len(at)-1)]
}
