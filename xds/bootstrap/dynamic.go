package bootstrap

// What is not static: where resources come from, and the clusters that lead to
// control planes.

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// Dynamic says where resources come from that the file does not have; nil for
// those that come from nowhere.
type Dynamic struct {
	LDS, CDS *config.Source
	// ADS is the aggregated stream that every source of kind SourceADS means; not
	// nil if there is one.
	ADS *config.APISource
	// LoadReports is where load is reported for clusters that ask for it
	// (cluster_manager.load_stats_config).
	LoadReports *config.APISource
	// RTDS are the runtime layers that come from elsewhere, in the file's order.
	RTDS []RuntimeLayer
}

// IsZero reports whether everything is in the file, as far as Dynamic says.
func (d *Dynamic) IsZero() bool {
	return d.LDS == nil && d.CDS == nil && d.ADS == nil && d.LoadReports == nil && len(d.RTDS) == 0
}

// NeedsClient reports whether anything is to be fetched: if not, the program has no
// client of control planes.
func (b *Bootstrap) NeedsClient() bool {
	if !b.Dynamic.IsZero() {
		return true
	}
	for _, c := range b.Resources.Clusters {
		for range c.SecretRefs { // one may come by SDS, or its files may change
			return true
		}
		if c.Discovery == config.DiscoveryEDS {
			return true
		}
	}
	for _, l := range b.Resources.Listeners {
		for range l.SecretRefs {
			return true
		}
		for range l.DemandSources {
			return true
		}
		for range l.Discoveries {
			return true
		}
		for h := range l.Handlers {
			if h, ok := h.(*config.HTTP); ok && h.Routes == nil && (h.Scopes == nil || h.Scopes.Inline == nil) {
				return true
			}
		}
	}
	return false
}

// RuntimeLayer is a layer of runtime values: a resource and its source.
type RuntimeLayer struct {
	Name   string // of the resource
	Source config.Source
}

// RuntimeWith flattens the file's layers together with those of RTDS that have
// come, by the name of their resource. What was decoded with other values is to
// be decoded again.
func (b *Bootstrap) RuntimeWith(layers map[string]*structpb.Struct) (envoyv3.Runtime, []Problem) {
	return envoyv3.ReadRuntime("layered_runtime", b.layers, layers)
}

// NodeProto is the node as a control plane is told of it: what the file says,
// and that this is attache of the given version with the extensions that it
// has. The caller may change it.
func (b *Bootstrap) NodeProto(version string) *corev3.Node {
	n := &corev3.Node{}
	proto.Merge(n, b.proto.GetNode())
	n.UserAgentName = "attache"
	n.UserAgentVersionType = &corev3.Node_UserAgentVersion{UserAgentVersion: version}
	if v := semantic(version); v != nil {
		n.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: v}}
	}
	n.Extensions = envoyv3.Extensions()
	return n
}

// semantic reads 1.2.3, v1.2.3 and 1.2.3-what; nil for anything else.
func semantic(version string) *typev3.SemanticVersion {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return nil
	}
	var n [3]uint32
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil
		}
		n[i] = uint32(v)
	}
	return &typev3.SemanticVersion{MajorNumber: n[0], MinorNumber: n[1], Patch: n[2]}
}

// dynamic reads b.Dynamic.
func (b *Bootstrap) dynamic(m *bootstrapv3.Bootstrap, o envoyv3.Options) (problems []Problem) {
	source := func(path string, m *corev3.ConfigSource) *config.Source {
		if m == nil {
			return nil
		}
		s, found := envoyv3.Source(path, m, o)
		problems = append(problems, found...)
		return &s
	}
	api := func(path string, m *corev3.ApiConfigSource) *config.APISource {
		if m == nil {
			return nil
		}
		s, found := envoyv3.APISource(path, m, o)
		problems = append(problems, found...)
		return s
	}
	located := func(which, url string, otherwise *config.Source) *config.Source {
		if url == "" {
			return otherwise
		}
		if otherwise != nil {
			problems = append(problems, Problem{Path: "dynamic_resources." + which + "_config", Warning: true, Text: which + "_resources_locator stands in its place"})
		}
		s, found := envoyv3.Locator("dynamic_resources."+which+"_resources_locator", url, o)
		problems = append(problems, found...)
		return &s
	}
	d := m.GetDynamicResources()
	loads := m.GetClusterManager().GetLoadStatsConfig()
	if loads != nil && len(loads.GetGrpcServices()) == 0 { // Envoy goes on without, too
		problems = append(problems, Problem{
			Path: "cluster_manager.load_stats_config", Warning: true,
			Text: "no load is reported: API configs must have either a gRPC service or a cluster name defined",
		})
		loads = nil
	}
	b.Dynamic = Dynamic{
		LDS:         source("dynamic_resources.lds_config", d.GetLdsConfig()),
		CDS:         source("dynamic_resources.cds_config", d.GetCdsConfig()),
		ADS:         api("dynamic_resources.ads_config", d.GetAdsConfig()),
		LoadReports: api("cluster_manager.load_stats_config", loads),
	}
	b.Dynamic.LDS = located("lds", d.GetLdsResourcesLocator(), b.Dynamic.LDS)
	b.Dynamic.CDS = located("cds", d.GetCdsResourcesLocator(), b.Dynamic.CDS)
	for i, layer := range m.GetLayeredRuntime().GetLayers() {
		r, path := layer.GetRtdsLayer(), fmt.Sprintf("layered_runtime.layers[%d].rtds_layer", i)
		if r == nil {
			continue
		}
		if r.GetRtdsConfig() == nil {
			problems = append(problems, Problem{Path: path, Text: "rtds_config is required"})
			continue
		}
		b.Dynamic.RTDS = append(b.Dynamic.RTDS, RuntimeLayer{r.GetName(), *source(path+".rtds_config", r.GetRtdsConfig())})
	}
	return problems
}

// unique drops what two walks over the same fields have found.
func unique(problems []Problem) []Problem {
	seen := map[string]bool{}
	return slices.DeleteFunc(problems, func(p Problem) bool {
		twice := seen[p.Path+" "+p.Text]
		seen[p.Path+" "+p.Text] = true
		return twice
	})
}

// sources yields every source that the file has, with its path.
func (b *Bootstrap) sources(yield func(path string, s *config.Source)) {
	if b.Dynamic.LDS != nil {
		yield("dynamic_resources.lds_config", b.Dynamic.LDS)
	}
	if b.Dynamic.CDS != nil {
		yield("dynamic_resources.cds_config", b.Dynamic.CDS)
	}
	for i := range b.Dynamic.RTDS {
		yield("layered_runtime", &b.Dynamic.RTDS[i].Source)
	}
	for i, c := range b.static.clusters {
		if c.Discovery == config.DiscoveryEDS {
			yield(clusterPath(i)+".eds_cluster_config.eds_config", &c.EDSSource)
		}
		if c.LoadReports != nil {
			yield(clusterPath(i)+".lrs_server", c.LoadReports)
		}
		for r := range c.SecretRefs {
			if r.Source.Kind != config.SourceInline {
				yield(clusterPath(i)+": secret "+r.Name, &r.Source)
			}
		}
	}
	for i, l := range b.Resources.Listeners {
		for r := range l.SecretRefs {
			if r.Source.Kind != config.SourceInline {
				yield(listenerPath(b.static.listeners[i])+": secret "+r.Name, &r.Source)
			}
		}
		sourcesOf(listenerPath(b.static.listeners[i]), l, yield)
	}
}

// sourcesOf yields those of what a listener serves, and of what stands in for what comes by
// discovery.
func sourcesOf(path string, l *config.Listener, yield func(path string, s *config.Source)) {
	for s := range l.DemandSources {
		yield(path, s)
	}
	for d := range l.Discoveries {
		yield(path+": filter "+d.Name, &d.Source)
		if h, ok := d.Default.(config.Handler); ok {
			sourcesOf(path+": filter "+d.Name, config.Serving(h), yield)
		}
	}
	for h := range l.Handlers {
		if h, ok := h.(*config.HTTP); ok && h.Routes == nil && h.RouteTableName != "" {
			yield(path, &h.RouteSource)
		} else if ok && h.Scopes != nil && h.Scopes.Inline == nil {
			yield(path, &h.Scopes.Source)
			yield(path, &h.Scopes.RouteSource)
		}
	}
}

// unreachable reports sources that lead nowhere, and answers with the clusters
// that lead to control planes, by name.
func (b *Bootstrap) unreachable() (named map[string]bool, problems []Problem) {
	named = map[string]bool{}
	add := func(path string, s *config.APISource) {
		for i, server := range s.Servers {
			if server.Cluster == "" {
				continue
			}
			named[server.Cluster] = true
			if !b.hasCluster(server.Cluster) {
				field := fmt.Sprintf("%s.grpc_services[%d].envoy_grpc.cluster_name", path, i)
				if s.Poll != nil {
					field = path + ".cluster_names[0]"
				}
				problems = append(problems, Problem{
					Path: field,
					Text: fmt.Sprintf("envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: '%s' does not exist, was added via api, or is an EDS cluster", server.Cluster),
				})
			}
		}
	}
	dynamic := b.Dynamic.ADS != nil || b.Dynamic.LoadReports != nil
	if b.Dynamic.ADS != nil {
		add("dynamic_resources.ads_config", b.Dynamic.ADS)
	}
	if b.Dynamic.LoadReports != nil {
		add("cluster_manager.load_stats_config", b.Dynamic.LoadReports)
	}
	b.sources(func(path string, s *config.Source) {
		dynamic = dynamic || !s.Collection // nobody asks who reads a collection
		switch {
		case s.API != nil:
			add(path+".api_config_source", s.API)
		case s.Kind == config.SourceADS && b.Dynamic.ADS == nil:
			problems = append(problems, Problem{Path: path, Text: "ads: there is no dynamic_resources.ads_config"})
		}
	})
	if dynamic && (b.Node.ID == "" || b.Node.Cluster == "") {
		problems = append(problems, Problem{
			Path: "node",
			Text: "node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and --service-cluster options.",
		})
	}
	return named, problems
}

// hasCluster says whether there is such a primary cluster: one whose endpoints need no
// control plane themselves (cluster_manager_impl.cc, is_primary_cluster).
func (b *Bootstrap) hasCluster(name string) bool {
	return slices.ContainsFunc(b.static.clusters, func(c *config.Cluster) bool {
		return c.Name == name && (c.Discovery != config.DiscoveryEDS || c.EDSSource.Kind == config.SourcePath)
	})
}

// controlPlanes reads the static clusters as ways to a control plane. One that
// is named as such need not be what the data plane can use: then it is left
// out of Resources.
func (b *Bootstrap) controlPlanes(named map[string]bool, o envoyv3.Options) (problems []Problem) {
	b.ControlPlanes = map[string]config.ControlPlane{}
	b.static.index = nil
	for i, m := range b.proto.GetStaticResources().GetClusters() {
		asPlane, found := envoyv3.ControlPlane(clusterPath(i), m, o)
		usable := !load.Refused(found)
		if _, twice := b.ControlPlanes[m.GetName()]; usable && !twice {
			b.ControlPlanes[m.GetName()] = *asPlane
		}
		switch own := b.static.problems[i]; {
		case !named[m.GetName()]:
			problems = append(problems, own...)
		case !usable:
			problems = append(problems, found...)
			continue
		case load.Refused(own):
			problems = append(problems, found...)
			continue
		default:
			problems = append(problems, own...)
		}
		b.Resources.Clusters = append(b.Resources.Clusters, b.static.clusters[i])
		b.static.index = append(b.static.index, i)
	}
	return problems
}

// aboutControlPlane says more about a cluster that is unknown because it is a
// control plane's.
func (b *Bootstrap) aboutControlPlane(text string) string {
	for _, name := range slices.Sorted(maps.Keys(b.ControlPlanes)) {
		if text == fmt.Sprintf("unknown cluster '%s'", name) {
			return text + ": it leads to the control plane by TLS or HTTP/2, which listeners cannot use yet"
		}
	}
	return text
}
