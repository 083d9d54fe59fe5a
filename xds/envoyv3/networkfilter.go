package envoyv3

// Network filters: what connections pass before what serves them, and the two that
// serve them without a host. The others are in http.go, tcp.go and memcached.go.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/local_ratelimit/v3"
	originalsrcv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"
	connlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	directv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	netauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	netlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	netstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	sniclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	sniforwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

func networkFilterExtensions() []extension {
	return []extension{
		{listenerFilter, "envoy.filters.listener.local_ratelimit", func() proto.Message { return &listenlimitv3.LocalRateLimit{} }},
		{listenerFilter, "envoy.filters.listener.original_src", func() proto.Message { return &originalsrcv3.OriginalSrc{} }},
		{networkFilter, "envoy.filters.network.connection_limit", func() proto.Message { return &connlimitv3.ConnectionLimit{} }},
		{networkFilter, "envoy.filters.network.direct_response", func() proto.Message { return &directv3.Config{} }},
		{networkFilter, "envoy.filters.network.echo", func() proto.Message { return &echov3.Echo{} }},
		{networkFilter, "envoy.filters.network.ext_authz", func() proto.Message { return &netauthzv3.ExtAuthz{} }},
		{networkFilter, "envoy.filters.network.rbac", func() proto.Message { return &netrbacv3.RBAC{} }},
		{networkFilter, "envoy.filters.network.set_filter_state", func() proto.Message { return &netstatev3.Config{} }},
		{networkFilter, "envoy.filters.network.local_ratelimit", func() proto.Message { return &netlimitv3.LocalRateLimit{} }},
		{networkFilter, "envoy.filters.network.sni_cluster", func() proto.Message { return &sniclusterv3.SniCluster{} }},
	}
}

func networkFilterTables() []table {
	return []table{
		{of: &connlimitv3.ConnectionLimit{}, honoured: "stat_prefix max_connections delay runtime_enabled", strict: true},
		{of: &listenlimitv3.LocalRateLimit{}, honoured: "stat_prefix token_bucket runtime_enabled", strict: true},
		{of: &originalsrcv3.OriginalSrc{}, noEffect: notes{"bind_port": "the filter is refused", "mark": "the filter is refused"}},
		{of: &directv3.Config{}, honoured: "response"},
		{of: &echov3.Echo{}},
		{of: &netlimitv3.LocalRateLimit{}, honoured: "stat_prefix token_bucket runtime_enabled share_key", strict: true},
		{of: &sniclusterv3.SniCluster{}},
		{
			of: &netrbacv3.RBAC{}, honoured: "rules shadow_rules matcher shadow_matcher shadow_rules_stat_prefix stat_prefix delay_deny", strict: true,
			noEffect: notes{"enforcement_type": "what is known of a connection does not change: it is decided once, and counted once"},
		},
		{
			of: &netauthzv3.ExtAuthz{}, honoured: "stat_prefix grpc_service failure_mode_allow include_peer_certificate include_tls_session " +
				"filter_enabled_metadata metadata_context_namespaces bootstrap_metadata_labels_key", strict: true,
			noEffect: notes{"transport_api_version": "V3 is what there is", "typed_metadata_context_namespaces": "no network filter here notes messages"},
			refused:  notes{"send_tls_alert_on_denial": "the connection is closed without an alert: crypto/tls sends none but its own"},
		},
	}
}

// networkFilter reads the configuration of a filter that does not serve connections.
func (d *decoder) networkFilter(p path, m proto.Message) any {
	switch m := m.(type) {
	case *connlimitv3.ConnectionLimit:
		return d.connectionLimit(p, m)
	case *netlimitv3.LocalRateLimit:
		return d.connectionRate(p, m)
	case *netrbacv3.RBAC:
		return d.connectionRBAC(p, m)
	case *netauthzv3.ExtAuthz:
		d.required(p.dot("stat_prefix"), m.GetStatPrefix())
		return &config.ConnectionAuthz{
			StatPrefix: m.GetStatPrefix(), Service: *d.grpcService(p.dot("grpc_service"), m.GetGrpcService(), authzTimeout),
			FailureAllow: m.GetFailureModeAllow(), Certificate: m.GetIncludePeerCertificate(), TLSSession: m.GetIncludeTlsSession(),
			EnabledIf: d.enabledMetadata(p.dot("filter_enabled_metadata"), m.GetFilterEnabledMetadata()),
			Metadata:  m.GetMetadataContextNamespaces(),
			Labels:    d.nodeLabels(m.GetBootstrapMetadataLabelsKey()),
		}
	case *netstatev3.Config:
		return d.setConnectionState(p, m)
	case *sniforwardv3.FilterConfig:
		return d.sniForward(p, m)
	case *sniclusterv3.SniCluster:
		return &config.SNICluster{}
	}
	return nil
}

func (d *decoder) connectionLimit(p path, m *connlimitv3.ConnectionLimit) *config.ConnectionLimit {
	d.required(p.dot("stat_prefix"), m.GetStatPrefix())
	l := &config.ConnectionLimit{
		StatPrefix: m.GetStatPrefix(), Max: m.GetMaxConnections().GetValue(), Off: d.switchedOff(m.GetRuntimeEnabled()),
		Delay: d.duration(p.dot("delay"), m.GetDelay(), 0),
	}
	if l.Max == 0 {
		d.refuse(p.dot("max_connections"), "value must be greater than or equal to 1")
	}
	return l
}

func (d *decoder) connectionRate(p path, m *netlimitv3.LocalRateLimit) *config.ConnectionRateLimit {
	d.required(p.dot("stat_prefix"), m.GetStatPrefix())
	return &config.ConnectionRateLimit{
		StatPrefix: m.GetStatPrefix(), Bucket: d.tokenBucket(p.dot("token_bucket"), m.GetTokenBucket()),
		ShareKey: m.GetShareKey(), Off: d.switchedOff(m.GetRuntimeEnabled()),
	}
}

// connectionRBAC reads policies; those on heads of requests are refused, in Envoy's
// words (network/rbac/config.cc).
func (d *decoder) connectionRBAC(p path, m *netrbacv3.RBAC) *config.ConnectionRBAC {
	d.required(p.dot("stat_prefix"), m.GetStatPrefix())
	c := &config.ConnectionRBAC{StatPrefix: m.GetStatPrefix(), Delay: d.duration(p.dot("delay_deny"), m.GetDelayDeny(), 0)}
	c.Rules, c.Shadow = d.rbacRules(p.dot("rules"), m.GetRules()), d.rbacRules(p.dot("shadow_rules"), m.GetShadowRules())
	c.ShadowPrefix = m.GetShadowRulesStatPrefix()
	if m.GetMatcher() != nil {
		if m.GetRules() != nil {
			d.warn(p.dot("rules"), "RBAC rules are ignored when matcher is configured")
		}
		c.Rules = d.rbacTree(p.dot("matcher"), m.GetMatcher(), connectionTree())
	}
	if m.GetShadowMatcher() != nil {
		if m.GetShadowRules() != nil {
			d.warn(p.dot("shadow_rules"), "RBAC shadow rules are ignored when shadow matcher is configured")
		}
		c.Shadow = d.rbacTree(p.dot("shadow_matcher"), m.GetShadowMatcher(), connectionTree())
	}
	for i, set := range []*config.RBACRules{c.Rules, c.Shadow} {
		ps := p.dot([]string{"rules", "shadow_rules"}[i]).dot("policies")
		if set == nil {
			continue
		}
		for j := range set.Policies {
			if name := headRule(set.Policies[j].Permissions, set.Policies[j].Principals); name != "" {
				d.refuse(ps.key(set.Policies[j].Name), "Found header(%s) rule,not supported by RBAC network filter", name)
			}
		}
	}
	return c
}

// headRule names a header that one of the rules is about, "" if none is.
func headRule(lists ...[]config.RBACRule) string {
	for _, list := range lists {
		for i := range list {
			if list[i].Kind == config.RBACHeader {
				return list[i].Header.Name
			}
			if name := headRule(list[i].Of); name != "" {
				return name
			}
		}
	}
	return ""
}

// tokenBucket reads a bucket that has to be there.
func (d *decoder) tokenBucket(p path, m *typev3.TokenBucket) (b config.TokenBucket) {
	if m == nil {
		d.refuse(p, "value is required")
		return b
	}
	b = config.TokenBucket{
		Max: m.GetMaxTokens(), Tokens: orUint32(m.GetTokensPerFill(), 1),
		Interval: d.positive(p.dot("fill_interval"), m.GetFillInterval(), 0),
	}
	if b.Interval < minFill {
		d.refuse(p.dot("fill_interval"), "local rate limit token bucket fill timer must be >= 50ms")
	}
	return b
}

// switchedOff reports whether a flag, which is on unless it says otherwise, is off.
func (d *decoder) switchedOff(m *corev3.RuntimeFeatureFlag) bool {
	if b, ok := d.opts.Runtime[m.GetRuntimeKey()].GetKind().(*structpb.Value_BoolValue); ok {
		return !b.BoolValue
	}
	return !orBool(m.GetDefaultValue(), true)
}
