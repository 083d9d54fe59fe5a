package envoyv3

// Cluster specifier plugins: the cluster of a route, as a tree has it
// (extensions/router/cluster_specifiers/matcher).

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	specifierv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

func specifierExtensions() []extension {
	return []extension{
		{clusterSpecifier, "envoy.router.cluster_specifier_plugin.matcher", func() proto.Message { return &specifierv3.MatcherClusterSpecifier{} }},
		{clusterAction, "cluster", func() proto.Message { return &specifierv3.ClusterAction{} }},
	}
}

func specifierTables() []table {
	return []table{
		{of: &routev3.ClusterSpecifierPlugin{}, honoured: "extension is_optional", strict: true},
		{of: &specifierv3.MatcherClusterSpecifier{}, honoured: "cluster_matcher", strict: true},
		{of: &specifierv3.ClusterAction{}, honoured: "cluster", strict: true},
		{
			of: &routev3.CorsPolicy{},
			honoured: "allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials " +
				"filter_enabled shadow_enabled allow_private_network_access forward_not_matching_preflights",
		},
	}
}

// specifiers reads the plugins of a table, by name.
func (d *decoder) specifiers(p path, all []*routev3.ClusterSpecifierPlugin) map[string]*config.ClusterTree {
	if len(all) == 0 {
		return nil
	}
	named := make(map[string]*config.ClusterTree, len(all))
	for i, m := range all {
		named[m.GetExtension().GetName()] = d.specifier(p.at(i), m)
	}
	return named
}

// specifier reads a plugin. One that there is not names no cluster, if it is optional.
func (d *decoder) specifier(p path, m *routev3.ClusterSpecifierPlugin) *config.ClusterTree {
	t, e := &config.ClusterTree{}, m.GetExtension()
	pe := p.dot("extension").dot("typed_config")
	if typeName, _, _ := unwrap(e.GetTypedConfig()); m.GetIsOptional() && !implements(clusterSpecifier, typeName) {
		d.warn(p, "optional plugin '%s' of unknown type '%s': its routes lead to no cluster", e.GetName(), typeName)
		return t
	}
	c, ok := d.extension(pe, clusterSpecifier, e.GetName(), e.GetTypedConfig()).(*specifierv3.MatcherClusterSpecifier)
	if !ok {
		return t
	}
	at := &treePlace{input: requestInput}
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		if c, ok := d.extension(p, clusterAction, a.GetName(), a.GetTypedConfig()).(*specifierv3.ClusterAction); ok {
			t.Clusters = append(t.Clusters, c.GetCluster())
		} else {
			t.Clusters = append(t.Clusters, "")
		}
		return len(t.Clusters) - 1
	}
	t.Tree = d.clusterMatcher(pe.dot("cluster_matcher"), c.GetClusterMatcher(), at)
	return t
}

func (d *decoder) clusterMatcher(p path, m *xdsmatcherv3.Matcher, at *treePlace) *config.Matcher {
	if m == nil {
		d.refuse(p, "value is required")
	}
	return d.matcher(p, m, at)
}

func (d *decoder) hostCORS(p path, m *routev3.VirtualHost, all []config.FilterOverride) []config.FilterOverride {
	return d.oldCORS(p, m.GetCors(), all)
}

func (d *decoder) routeCORS(p path, m *routev3.RouteAction, all []config.FilterOverride) []config.FilterOverride {
	return d.oldCORS(p, m.GetCors(), all)
}

// oldCORS is the policy that a virtual host or a route gives in its own field, for the
// filter of the name that Envoy gives to it, unless all says something of that.
func (d *decoder) oldCORS(p path, m *routev3.CorsPolicy, all []config.FilterOverride) []config.FilterOverride {
	const name = "envoy.filters.http.cors"
	if m == nil {
		return all
	}
	for i := range all {
		if all[i].Name == name {
			return all
		}
	}
	policy := d.corsPolicy(p, &corsv3.CorsPolicy{
		AllowOriginStringMatch: m.GetAllowOriginStringMatch(), AllowMethods: m.GetAllowMethods(), AllowHeaders: m.GetAllowHeaders(),
		ExposeHeaders: m.GetExposeHeaders(), MaxAge: m.GetMaxAge(), AllowCredentials: m.GetAllowCredentials(),
		FilterEnabled: m.GetFilterEnabled(), ShadowEnabled: m.GetShadowEnabled(), AllowPrivateNetworkAccess: m.GetAllowPrivateNetworkAccess(),
		ForwardNotMatchingPreflights: m.GetForwardNotMatchingPreflights(),
	})
	return append(all, config.FilterOverride{Name: name, Config: policy})
}
