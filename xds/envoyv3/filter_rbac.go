package envoyv3

// The role based access control filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"net/netip"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func rbacTables() []table {
	const later = "a policy that cannot be held would let pass what it must not"
	return []table{
		{
			of: &rbacv3.RBAC{}, honoured: "rules rules_stat_prefix shadow_rules shadow_rules_stat_prefix track_per_rule_stats matcher shadow_matcher",
		},
		{of: &rbacv3.RBACPerRoute{}, honoured: "rbac"},
		{of: &rbacconfigv3.RBAC{}, honoured: "action policies", refused: notes{"audit_logging_options": "Envoy does not read it either: audit loggers are for gRPC servers"}},
		{
			of: &rbacconfigv3.Policy{}, honoured: "permissions principals", strict: true,
			partly: notes{"condition": noteCEL, "checked_condition": noteCEL},
			never:  notes{"cel_config": later},
		},
		{
			of: &rbacconfigv3.Permission{}, strict: true,
			honoured: "and_rules or_rules any header url_path destination_ip destination_port destination_port_range not_rule requested_server_name " +
				"metadata sourced_metadata uri_template",
			never: notes{"matcher": later},
		},
		{of: &rbacconfigv3.Permission_Set{}, honoured: "rules"},
		{
			of: &rbacconfigv3.Principal{}, strict: true,
			honoured: "and_ids or_ids any authenticated source_ip direct_remote_ip remote_ip header url_path filter_state not_id metadata sourced_metadata",
			never:    notes{"custom": later},
		},
		{of: &rbacconfigv3.Principal_Set{}, honoured: "ids"},
		{of: &rbacconfigv3.Principal_Authenticated{}, honoured: "principal_name"},
		{of: &rbacconfigv3.SourcedMetadata{}, honoured: "metadata_matcher metadata_source", strict: true},
		{of: &rbacconfigv3.Action{}, honoured: "name action", strict: true},
		{of: &matcherv3.PathMatcher{}, honoured: "path"},
		{of: &matcherv3.FilterStateMatcher{}, honoured: "key string_match address_match"},
		{of: &typev3.Int32Range{}, honoured: "start end"},
	}
}

func (d *decoder) rbac(p path, m *rbacv3.RBAC) *config.RBAC {
	r := &config.RBAC{
		Rules: d.rbacRules(p.dot("rules"), m.GetRules()), Shadow: d.rbacRules(p.dot("shadow_rules"), m.GetShadowRules()),
		RulesPrefix: m.GetRulesStatPrefix(), ShadowPrefix: m.GetShadowRulesStatPrefix(), PerPolicy: m.GetTrackPerRuleStats(),
	}
	if m.GetMatcher() != nil {
		if m.GetRules() != nil {
			d.warn(p.dot("rules"), "RBAC rules are ignored when matcher is configured")
		}
		r.Rules = d.rbacTree(p.dot("matcher"), m.GetMatcher(), requestTree())
	}
	if m.GetShadowMatcher() != nil {
		if m.GetShadowRules() != nil {
			d.warn(p.dot("shadow_rules"), "RBAC shadow rules are ignored when shadow matcher is configured")
		}
		r.Shadow = d.rbacTree(p.dot("shadow_matcher"), m.GetShadowMatcher(), requestTree())
	}
	return r
}

// rbacPlace is what one of the filters may look at, and what it says of anything else
// (http/rbac/rbac_filter.cc and network/rbac/rbac_filter.cc, ActionValidationVisitor).
type rbacPlace struct {
	inputs  []string // beside those of all connections
	refusal string
}

const rbacTreeRefused = "requirement violation while creating RBAC match tree: INVALID_ARGUMENT: "

func requestTree() rbacPlace {
	return rbacPlace{
		[]string{
			networkInputs + "DynamicMetadataInput", "envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "xds.type.matcher.v3.HttpAttributesCelMatchInput",
		}, rbacTreeRefused + "RBAC HTTP filter cannot match on '%s'",
	}
}

func connectionTree() rbacPlace {
	return rbacPlace{nil, rbacTreeRefused + "RBAC network filter cannot match '%s'"}
}

const networkInputs, sslInputs = "envoy.extensions.matching.common_inputs.network.v3.", "envoy.extensions.matching.common_inputs.ssl.v3."

// rbacTree reads a tree.
func (d *decoder) rbacTree(p path, m *xdsmatcherv3.Matcher, of rbacPlace) *config.RBACRules {
	r := &config.RBACRules{}
	at := &treePlace{
		input: requestInput,
		allowed: append([]string{
			networkInputs + "DestinationIPInput", networkInputs + "DestinationPortInput", networkInputs + "SourceIPInput", networkInputs + "SourcePortInput",
			networkInputs + "DirectSourceIPInput", networkInputs + "ServerNameInput", networkInputs + "FilterStateInput",
			networkInputs + "NetworkNamespaceInput",
			sslInputs + "UriSanInput", sslInputs + "DnsSanInput", sslInputs + "SubjectInput",
		}, of.inputs...),
		refusal: of.refusal,
	}
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		v := config.RBACVerdict{}
		if m, ok := d.extension(p, rbacAction, a.GetName(), a.GetTypedConfig()).(*rbacconfigv3.Action); ok {
			d.required(p.dot("name"), m.GetName())
			v = config.RBACVerdict{Name: m.GetName(), Action: rbacActionOf(m.GetAction())}
		}
		r.Verdicts = append(r.Verdicts, v)
		return len(r.Verdicts) - 1
	}
	r.Matcher = d.matcher(p, m, at)
	return r
}

func rbacActionOf(a rbacconfigv3.RBAC_Action) config.RBACAction {
	switch a {
	case rbacconfigv3.RBAC_DENY:
		return config.RBACDeny
	case rbacconfigv3.RBAC_LOG:
		return config.RBACLog
	}
	return config.RBACAllow
}

// rbacMetadata is a condition on metadata of filters, or of the route.
func (d *decoder) rbacMetadata(p path, m *matcherv3.MetadataMatcher, from rbacconfigv3.MetadataSource) config.RBACRule {
	c := config.RBACRule{Kind: config.RBACMetadata, Metadata: d.metadataMatch(p, m)}
	if from == rbacconfigv3.MetadataSource_ROUTE {
		c.Kind = config.RBACRouteMetadata
	}
	return c
}

func (d *decoder) rbacRules(p path, m *rbacconfigv3.RBAC) *config.RBACRules {
	if m == nil {
		return nil
	}
	r := &config.RBACRules{Action: rbacActionOf(m.GetAction())}
	for _, name := range sortedKeys(m.GetPolicies()) {
		pp, policy := p.dot("policies").key(name), m.GetPolicies()[name]
		one := config.RBACPolicy{Name: name}
		for i, c := range policy.GetPermissions() {
			one.Permissions = append(one.Permissions, d.permission(pp.dot("permissions").at(i), c))
		}
		for i, c := range policy.GetPrincipals() {
			one.Principals = append(one.Principals, d.principal(pp.dot("principals").at(i), c))
		}
		if len(one.Permissions) == 0 || len(one.Principals) == 0 {
			d.refuse(pp, "a policy has at least one of permissions and one of principals")
		}
		one.Condition = d.rbacCondition(pp, policy)
		r.Policies = append(r.Policies, one)
	}
	return r
}

// rbacCondition is the text of a policy's expression, "" if it has none (SharedConditionsManager, engine_impl.cc).
func (d *decoder) rbacCondition(p path, m *rbacconfigv3.Policy) string {
	switch {
	case m.GetCheckedCondition() != nil:
		return d.celExpr(p.dot("checked_condition"), m.GetCheckedCondition().GetExpr())
	case m.GetCondition() != nil:
		return d.celExpr(p.dot("condition"), m.GetCondition())
	}
	return ""
}

func (d *decoder) permission(p path, m *rbacconfigv3.Permission) (c config.RBACRule) {
	set := func(kind config.RBACKind, p path, all []*rbacconfigv3.Permission) {
		c.Kind = kind
		for i, m := range all {
			c.Of = append(c.Of, d.permission(p.at(i), m))
		}
	}
	switch r := m.GetRule().(type) {
	case *rbacconfigv3.Permission_Any:
	case *rbacconfigv3.Permission_AndRules:
		set(config.RBACAnd, p.dot("and_rules").dot("rules"), r.AndRules.GetRules())
	case *rbacconfigv3.Permission_OrRules:
		set(config.RBACOr, p.dot("or_rules").dot("rules"), r.OrRules.GetRules())
	case *rbacconfigv3.Permission_NotRule:
		set(config.RBACNot, p.dot("not_rule"), []*rbacconfigv3.Permission{r.NotRule})
	case *rbacconfigv3.Permission_Header:
		c.Kind, c.Header = config.RBACHeader, d.headerMatch(p.dot("header"), r.Header)
	case *rbacconfigv3.Permission_Metadata:
		return d.rbacMetadata(p.dot("metadata"), r.Metadata, rbacconfigv3.MetadataSource_DYNAMIC)
	case *rbacconfigv3.Permission_SourcedMetadata:
		return d.rbacMetadata(p.dot("sourced_metadata").dot("metadata_matcher"), r.SourcedMetadata.GetMetadataMatcher(), r.SourcedMetadata.GetMetadataSource())
	case *rbacconfigv3.Permission_UriTemplate:
		path := d.pathTemplate(p.dot("uri_template").dot("typed_config"), r.UriTemplate)
		c.Kind, c.String = config.RBACPath, config.StringMatch{Kind: config.StringRegex, Regex: path.Regex}
	case *rbacconfigv3.Permission_UrlPath:
		c.Kind, c.String = config.RBACPath, d.stringMatch(p.dot("url_path").dot("path"), r.UrlPath.GetPath())
	case *rbacconfigv3.Permission_DestinationIp:
		c.Kind, c.CIDR = config.RBACLocal, d.cidr(p.dot("destination_ip"), r.DestinationIp)
	case *rbacconfigv3.Permission_DestinationPort:
		c.Kind, c.From, c.To = config.RBACPort, uint16(r.DestinationPort), uint16(r.DestinationPort)
	case *rbacconfigv3.Permission_DestinationPortRange:
		first, end := r.DestinationPortRange.GetStart(), r.DestinationPortRange.GetEnd()
		if first < 0 || end > 1<<16 || first >= end {
			d.refuse(p.dot("destination_port_range"), "Invalid port range: [%d, %d), start must be less than end", first, end)
			return c
		}
		c.Kind, c.From, c.To = config.RBACPort, uint16(first), uint16(end-1)
	case *rbacconfigv3.Permission_RequestedServerName:
		c.Kind, c.String = config.RBACServerName, d.stringMatch(p.dot("requested_server_name"), r.RequestedServerName)
	case nil:
		d.refuse(p, "a permission says one thing")
	}
	return c
}

func (d *decoder) principal(p path, m *rbacconfigv3.Principal) (c config.RBACRule) {
	set := func(kind config.RBACKind, p path, all []*rbacconfigv3.Principal) {
		c.Kind = kind
		for i, m := range all {
			c.Of = append(c.Of, d.principal(p.at(i), m))
		}
	}
	switch r := m.GetIdentifier().(type) {
	case *rbacconfigv3.Principal_Any:
	case *rbacconfigv3.Principal_AndIds:
		set(config.RBACAnd, p.dot("and_ids").dot("ids"), r.AndIds.GetIds())
	case *rbacconfigv3.Principal_OrIds:
		set(config.RBACOr, p.dot("or_ids").dot("ids"), r.OrIds.GetIds())
	case *rbacconfigv3.Principal_NotId:
		set(config.RBACNot, p.dot("not_id"), []*rbacconfigv3.Principal{r.NotId})
	case *rbacconfigv3.Principal_Authenticated_:
		c.Kind = config.RBACAuthenticated
		if name := r.Authenticated.GetPrincipalName(); name != nil {
			c.HasString, c.String = true, d.stringMatch(p.dot("authenticated").dot("principal_name"), name)
		}
	case *rbacconfigv3.Principal_SourceIp:
		c.Kind, c.CIDR = config.RBACDirect, d.cidr(p.dot("source_ip"), r.SourceIp)
	case *rbacconfigv3.Principal_DirectRemoteIp:
		c.Kind, c.CIDR = config.RBACDirect, d.cidr(p.dot("direct_remote_ip"), r.DirectRemoteIp)
	case *rbacconfigv3.Principal_RemoteIp:
		c.Kind, c.CIDR = config.RBACRemote, d.cidr(p.dot("remote_ip"), r.RemoteIp)
	case *rbacconfigv3.Principal_Header:
		c.Kind, c.Header = config.RBACHeader, d.headerMatch(p.dot("header"), r.Header)
	case *rbacconfigv3.Principal_Metadata:
		return d.rbacMetadata(p.dot("metadata"), r.Metadata, rbacconfigv3.MetadataSource_DYNAMIC)
	case *rbacconfigv3.Principal_SourcedMetadata:
		return d.rbacMetadata(p.dot("sourced_metadata").dot("metadata_matcher"), r.SourcedMetadata.GetMetadataMatcher(), r.SourcedMetadata.GetMetadataSource())
	case *rbacconfigv3.Principal_UrlPath:
		c.Kind, c.String = config.RBACPath, d.stringMatch(p.dot("url_path").dot("path"), r.UrlPath.GetPath())
	case *rbacconfigv3.Principal_FilterState:
		c.Kind, c.Key = config.RBACState, r.FilterState.GetKey()
		s, ok := r.FilterState.GetMatcher().(*matcherv3.FilterStateMatcher_StringMatch)
		if !ok {
			d.never(p.dot("filter_state"), "a principal's filter state is matched by string_match only")
			return c
		}
		c.String = d.stringMatch(p.dot("filter_state").dot("string_match"), s.StringMatch)
	case nil:
		d.refuse(p, "a principal says one thing")
	}
	return c
}

func (d *decoder) cidr(p path, m *corev3.CidrRange) netip.Prefix {
	if all := d.prefixes(p, []*corev3.CidrRange{m}); len(all) == 1 {
		return all[0]
	}
	return netip.Prefix{}
}
