package envoyv3

// The filters for browsers: cors and csrf.

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	csrfv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/csrf/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

func browserFilterTables() []table {
	return []table{
		{of: &corsv3.Cors{}},
		{
			of: &corsv3.CorsPolicy{},
			honoured: "allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials " +
				"filter_enabled shadow_enabled allow_private_network_access forward_not_matching_preflights",
		},
		{of: &csrfv3.CsrfPolicy{}, honoured: "filter_enabled shadow_enabled additional_origins"},
	}
}

func (d *decoder) corsPolicy(p path, m *corsv3.CorsPolicy) *config.CORSPolicy {
	return &config.CORSPolicy{
		Origins: d.stringMatches(p.dot("allow_origin_string_match"), m.GetAllowOriginStringMatch()),
		Methods: m.GetAllowMethods(), Headers: m.GetAllowHeaders(), MaxAge: m.GetMaxAge(), Expose: m.GetExposeHeaders(),
		Credentials:    boolOf(m.GetAllowCredentials()),
		PrivateNetwork: boolOf(m.GetAllowPrivateNetworkAccess()),
		Enabled:        d.fraction(m.GetFilterEnabled()),
		Shadow:         d.fraction(m.GetShadowEnabled()),
		ForwardOther:   boolOf(m.GetForwardNotMatchingPreflights()),
	}
}

func (d *decoder) csrf(p path, m *csrfv3.CsrfPolicy) *config.CSRF {
	if m.GetFilterEnabled() == nil {
		d.refuse(p.dot("filter_enabled"), "value is required")
	}
	return &config.CSRF{
		Enabled: d.fraction(m.GetFilterEnabled()), Shadow: d.fraction(m.GetShadowEnabled()),
		Origins: d.stringMatches(p.dot("additional_origins"), m.GetAdditionalOrigins()),
	}
}

func (d *decoder) stringMatches(p path, all []*matcherv3.StringMatcher) (list []config.StringMatch) {
	for i, m := range all {
		list = append(list, d.stringMatch(p.at(i), m))
	}
	return list
}

// boolOf is nil for a value that was not given.
func boolOf(m *wrapperspb.BoolValue) *bool {
	if m == nil {
		return nil
	}
	v := m.GetValue()
	return &v
}
