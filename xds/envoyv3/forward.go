package envoyv3

// The route action that sends a request to a cluster.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultRouteTimeout bounds a request (router/config_impl.h,
// DEFAULT_ROUTE_TIMEOUT_MS).
const defaultRouteTimeout = 15 * time.Second

func (d *decoder) forward(p path, m *routev3.RouteAction, route string) *config.Forward {
	f := &config.Forward{
		NotFoundStatus:       notFoundStatus(m.GetClusterNotFoundResponseCode()),
		PrefixRewrite:        m.GetPrefixRewrite(),
		HasPrefix:            m.GetPrefixRewrite() != "",
		RegexRewrite:         d.rewrite(p.dot("regex_rewrite"), m.GetRegexRewrite()),
		AppendXForwardedHost: m.GetAppendXForwardedHost(),
		Timeout:              d.duration(p.dot("timeout"), m.GetTimeout(), defaultRouteTimeout),
		High:                 m.GetPriority() == corev3.RoutingPriority_HIGH,
		Upgrades:             d.upgradeSwitches(p.dot("upgrade_configs"), m.GetUpgradeConfigs()),
		Ends:                 d.connectEnd(p.dot("upgrade_configs"), m.GetUpgradeConfigs()),
		Retry:                d.retry(p.dot("retry_policy"), m.GetRetryPolicy()),
		Hedge:                d.hedge(p.dot("hedge_policy"), m.GetHedgePolicy()),
		Redirects:            d.redirects(p, m),
		NewTimeouts:          m.GetMaxStreamDuration() != nil,
		OldGRPCOffset:        d.duration(p.dot("grpc_timeout_offset"), m.GetGrpcTimeoutOffset(), 0),
	}
	f.Match = criteria(m.GetMetadataMatch())
	d.maxStream(p.dot("max_stream_duration"), m.GetMaxStreamDuration(), f)
	f.MaxGRPC = d.durationIfSet(p.dot("max_grpc_timeout"), m.GetMaxGrpcTimeout())
	f.IdleTimeout = d.durationIfSet(p.dot("idle_timeout"), m.GetIdleTimeout())
	f.FlushTimeout = d.durationIfSet(p.dot("flush_timeout"), m.GetFlushTimeout())
	if f.HasPrefix && m.GetRegexRewrite() != nil {
		d.refuse(p, "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy")
	}
	for i, h := range m.GetHashPolicy() {
		f.Hash = append(f.Hash, d.hashPolicy(p.dot("hash_policy").at(i), h))
	}
	f.Mirrors = d.mirrors(p, m.GetRequestMirrorPolicies())
	f.RateLimits, f.HostLimits = d.rateLimits(p.dot("rate_limits"), m.GetRateLimits()), m.GetIncludeVhRateLimits().GetValue()
	d.clusterOf(p, m, f, route)
	d.hostRewrite(p, m, f)
	return f
}

func (d *decoder) clusterOf(p path, m *routev3.RouteAction, f *config.Forward, route string) {
	switch c := m.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		d.required(p.dot("cluster"), c.Cluster)
		f.Cluster = c.Cluster
	case *routev3.RouteAction_ClusterHeader:
		d.headerName(p.dot("cluster_header"), c.ClusterHeader)
		f.ClusterHeader = strings.ToLower(c.ClusterHeader)
	case *routev3.RouteAction_WeightedClusters:
		f.Weighted = d.weightedClusters(p.dot("weighted_clusters"), c.WeightedClusters, route)
		f.WeightHeader = strings.ToLower(c.WeightedClusters.GetHeaderName())
		f.WeightByHash = c.WeightedClusters.GetUseHashPolicy().GetValue()
	case *routev3.RouteAction_InlineClusterSpecifierPlugin:
		f.Tree = d.specifier(p.dot("inline_cluster_specifier_plugin"), c.InlineClusterSpecifierPlugin)
	case *routev3.RouteAction_ClusterSpecifierPlugin:
		if f.Tree = d.specifierNamed[c.ClusterSpecifierPlugin]; f.Tree == nil {
			d.refuse(p.dot("cluster_specifier_plugin"), "Unknown cluster specifier plugin name: %s is used in the route", c.ClusterSpecifierPlugin)
		}
	case nil:
		d.refuse(p, "one of cluster, cluster_header and weighted_clusters is required")
	}
}

func (d *decoder) hostRewrite(p path, m *routev3.RouteAction, f *config.Forward) {
	switch h := m.GetHostRewriteSpecifier().(type) {
	case *routev3.RouteAction_HostRewriteLiteral:
		f.HostRewrite = h.HostRewriteLiteral
	case *routev3.RouteAction_AutoHostRewrite:
		f.AutoHostRewrite = h.AutoHostRewrite.GetValue()
	case *routev3.RouteAction_HostRewriteHeader:
		f.HostFromHeader = strings.ToLower(h.HostRewriteHeader)
	case *routev3.RouteAction_HostRewritePathRegex:
		f.HostPathRegex = d.rewrite(p.dot("host_rewrite_path_regex"), h.HostRewritePathRegex)
	}
}

func notFoundStatus(c routev3.RouteAction_ClusterNotFoundResponseCode) int {
	switch c {
	case routev3.RouteAction_NOT_FOUND:
		return 404
	case routev3.RouteAction_INTERNAL_SERVER_ERROR:
		return 500
	}
	return 503
}

// weightedClusters reads the shares. A weight that a runtime key overrides
// takes its value (weighted_cluster_specifier.cc).
func (d *decoder) weightedClusters(p path, m *routev3.WeightedCluster, route string) (all []config.WeightedRoute) {
	var sum uint64
	for i, c := range m.GetClusters() {
		pc := p.dot("clusters").at(i)
		w := config.WeightedRoute{
			Cluster:       c.GetName(),
			ClusterHeader: strings.ToLower(c.GetClusterHeader()),
			Weight:        c.GetWeight().GetValue(),
			Headers:       d.headerOps(pc, c),
			HostRewrite:   c.GetHostRewriteLiteral(),
			Match:         criteria(c.GetMetadataMatch()),
			Filters:       d.overrides(pc.dot("typed_per_filter_config"), c.GetTypedPerFilterConfig()),
		}
		if prefix := m.GetRuntimeKeyPrefix(); prefix != "" {
			if n, ok := d.opts.Runtime.integer(prefix + "." + c.GetName()); ok {
				w.Weight = uint32(min(n, 1<<32-1))
			}
		}
		if (c.GetName() == "") == (c.GetClusterHeader() == "") {
			d.refuse(pc, "one of name and cluster_header must be specified")
		}
		sum += uint64(w.Weight)
		all = append(all, w)
	}
	switch {
	case sum > 1<<32-1:
		d.refuse(p, "The sum of weights of all weighted clusters of route %s exceeds %d", route, uint32(1<<32-1))
	case sum == 0:
		d.refuse(p, "Sum of weights in the weighted_cluster must be greater than 0.")
	}
	return all
}

func (d *decoder) upgradeSwitches(p path, configs []*routev3.RouteAction_UpgradeConfig) (all []config.UpgradeSwitch) {
	seen := map[string]bool{}
	for i, u := range configs {
		name := strings.ToLower(u.GetUpgradeType())
		d.required(p.at(i).dot("upgrade_type"), name)
		if seen[name] {
			d.refuse(p.at(i), "Duplicate upgrade %s", u.GetUpgradeType())
		}
		seen[name] = true
		all = append(all, config.UpgradeSwitch{Type: name, Enabled: orBool(u.GetEnabled(), true)})
	}
	return all
}

// connectEnd reads how CONNECT is ended here; nil: it goes on.
func (d *decoder) connectEnd(p path, configs []*routev3.RouteAction_UpgradeConfig) (end *config.ConnectEnd) {
	for i, u := range configs {
		m := u.GetConnectConfig()
		switch kind := strings.ToUpper(u.GetUpgradeType()); {
		case m == nil:
		case kind == "CONNECT-UDP":
			d.unsupported(p.at(i).dot("connect_config"), "no datagrams are passed on")
		case kind != "CONNECT":
			d.refuse(p.at(i), "Non-CONNECT upgrade type %s has ConnectConfig", u.GetUpgradeType())
		default:
			end = &config.ConnectEnd{Post: m.GetAllowPost()}
			if h := m.GetProxyProtocolConfig(); h != nil {
				end.Header = d.proxyHeader(p.at(i).dot("connect_config").dot("proxy_protocol_config"), h)
			}
		}
	}
	return end
}

func (d *decoder) hashPolicy(p path, m *routev3.RouteAction_HashPolicy) config.HashPolicy {
	h := config.HashPolicy{Terminal: m.GetTerminal()}
	switch s := m.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		d.headerName(p.dot("header").dot("header_name"), s.Header.GetHeaderName())
		h.Kind, h.Name = config.HashHeader, strings.ToLower(s.Header.GetHeaderName())
		h.Rewrite = d.rewrite(p.dot("header").dot("regex_rewrite"), s.Header.GetRegexRewrite())
	case *routev3.RouteAction_HashPolicy_Cookie_:
		d.cookieHash(p.dot("cookie"), s.Cookie, &h)
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		h.Kind = config.HashSourceIP
		if !s.ConnectionProperties.GetSourceIp() {
			d.refuse(p.dot("connection_properties"), "source_ip must be true: there is nothing else to hash")
		}
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		d.required(p.dot("query_parameter").dot("name"), s.QueryParameter.GetName())
		h.Kind, h.Name = config.HashQuery, s.QueryParameter.GetName()
	case *routev3.RouteAction_HashPolicy_FilterState_:
		d.required(p.dot("filter_state").dot("key"), s.FilterState.GetKey())
		h.Kind, h.Name = config.HashState, s.FilterState.GetKey()
	case nil:
		d.refuse(p, "one of header, cookie, connection_properties, query_parameter and filter_state is required")
	}
	return h
}

func (d *decoder) cookieHash(p path, m *routev3.RouteAction_HashPolicy_Cookie, h *config.HashPolicy) {
	if m.GetName() == "" || strings.ContainsFunc(m.GetName(), notInToken) {
		d.refuse(p.dot("name"), "%q is not a cookie name", m.GetName())
	}
	if strings.ContainsAny(m.GetPath(), ";\r\n\x00") {
		d.refuse(p.dot("path"), "must not contain ';', CR, LF or NUL")
	}
	h.Kind, h.Name, h.CookiePath = config.HashCookie, m.GetName(), m.GetPath()
	h.HasTTL = m.GetTtl() != nil
	h.CookieTTL = d.duration(p.dot("ttl"), m.GetTtl(), 0)
	for i, a := range m.GetAttributes() {
		if a.GetName() == "" || strings.ContainsAny(a.GetName()+a.GetValue(), ";\r\n\x00") {
			d.refuse(p.dot("attributes").at(i), "a name is required, and neither may contain ';', CR, LF or NUL")
		}
		h.CookieAttributes = append(h.CookieAttributes, config.CookieAttribute{Name: a.GetName(), Value: a.GetValue()})
	}
}

// maxStream is how long the stream may live, by itself or by grpc-timeout.
func (d *decoder) maxStream(p path, m *routev3.RouteAction_MaxStreamDuration, f *config.Forward) {
	f.MaxStream = d.durationIfSet(p.dot("max_stream_duration"), m.GetMaxStreamDuration())
	f.GRPCTimeoutMax = d.durationIfSet(p.dot("grpc_timeout_header_max"), m.GetGrpcTimeoutHeaderMax())
	f.GRPCTimeoutOffset = d.duration(p.dot("grpc_timeout_header_offset"), m.GetGrpcTimeoutHeaderOffset(), 0)
}
