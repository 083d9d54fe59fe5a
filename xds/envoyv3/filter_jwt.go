package envoyv3

// The jwt_authn filter.

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func jwtTables() []table {
	return []table{
		{
			of:       &jwtv3.JwtAuthentication{},
			honoured: "providers rules requirement_map bypass_cors_preflight strip_failure_response stat_prefix filter_state_rules",
		},
		{
			of: &jwtv3.JwtProvider{},
			honoured: "issuer audiences subjects require_expiration max_lifetime remote_jwks forward from_headers from_params " +
				"from_cookies forward_payload_header pad_forward_payload_header payload_in_metadata header_in_metadata " +
				"failed_status_in_metadata clock_skew_seconds jwt_cache_config claim_to_headers clear_route_cache " +
				"normalize_payload_in_metadata",
			partly: notes{"local_jwks": "a file is read when the filter is made, and not again"},
			strict: true,
		},
		{
			of:       &jwtv3.RemoteJwks{},
			honoured: "http_uri cache_duration retry_policy",
			partly:   notes{"async_fetch": "keys are fetched when they are first needed, and then renewed while the old ones serve"},
		},
		{of: &jwtv3.JwksAsyncFetch{}, noEffect: notes{
			"fast_listener":           "a listener never waits for keys",
			"failed_refetch_duration": "a fetch that failed is made again with the next request",
		}},
		{of: &corev3.HttpUri{}, honoured: "uri cluster timeout"},
		{
			of:       &corev3.RetryPolicy{},
			honoured: "num_retries retry_back_off",
			noEffect: notes{"retry_on": "Envoy does not read it here: answers of 500 and more, and lost ones, are asked for again"},
			never: notes{
				"retry_priority": anyHost, "retry_host_predicate": anyHost, "host_selection_retry_max_attempts": anyHost,
			},
		},
		{of: &corev3.BackoffStrategy{}, honoured: "base_interval max_interval"},
		{of: &jwtv3.JwtHeader{}, honoured: "name value_prefix"},
		{of: &jwtv3.JwtClaimToHeader{}, honoured: "header_name claim_name"},
		{of: &jwtv3.JwtCacheConfig{}, honoured: "jwt_cache_size jwt_max_token_size"},
		{of: &jwtv3.JwtProvider_NormalizePayload{}, honoured: "space_delimited_claims"},
		{of: &jwtv3.RequirementRule{}, honoured: "match requires requirement_name", strict: true},
		{
			of:       &jwtv3.JwtRequirement{},
			honoured: "provider_name provider_and_audiences requires_any requires_all allow_missing_or_failed allow_missing",
			never:    notes{"extract_only_without_validation": tooNew + ": a token that is not checked would be believed"},
			strict:   true,
		},
		{of: &jwtv3.ProviderWithAudiences{}, honoured: "provider_name audiences", strict: true},
		{of: &jwtv3.JwtRequirementOrList{}, honoured: "requirements", strict: true},
		{of: &jwtv3.JwtRequirementAndList{}, honoured: "requirements", strict: true},
		{of: &jwtv3.FilterStateRule{}, honoured: "name requires", strict: true},
		{of: &jwtv3.PerRouteConfig{}, honoured: "disabled requirement_name", strict: true},
	}
}

// Defaults (jwks_cache.cc, jwt_cache.cc, jwt_verify_lib).
const (
	jwksCacheTime = 10 * time.Minute
	jwtCacheSize  = 100
	jwtCacheToken = 4096
	jwtClockSkew  = 60 * time.Second
	maxJWTCache   = 100_000
)

// maxServiceRetries bounds how often a service is asked again.
const maxServiceRetries = 100

// anyHost is why a service's host is not chosen by the attempts before.
const anyHost = "each attempt goes to a host that the cluster picks anew"

func (d *decoder) jwt(p path, m *jwtv3.JwtAuthentication) *config.JWT {
	c := &config.JWT{
		BypassPreflight: m.GetBypassCorsPreflight(), StripFailure: m.GetStripFailureResponse(),
		StatPrefix: m.GetStatPrefix(), Named: map[string]*config.JWTRequirement{},
	}
	names := slices.Sorted(maps.Keys(m.GetProviders()))
	for _, name := range names {
		c.Providers = append(c.Providers, d.jwtProvider(p.dot("providers").key(name), name, m.GetProviders()[name]))
	}
	x := jwtNames{names, m}
	for _, name := range slices.Sorted(maps.Keys(m.GetRequirementMap())) {
		c.Named[name] = d.jwtRequirement(p.dot("requirement_map").key(name), m.GetRequirementMap()[name], x, 0)
	}
	for i, r := range m.GetRules() {
		pr := p.dot("rules").at(i)
		rule := config.JWTRule{Match: d.routeMatch(pr.dot("match"), r.GetMatch())}
		switch q := r.GetRequirementType().(type) {
		case *jwtv3.RequirementRule_Requires:
			rule.Requires = d.jwtRequirement(pr.dot("requires"), q.Requires, x, 0)
		case *jwtv3.RequirementRule_RequirementName:
			named, ok := c.Named[q.RequirementName]
			if !ok {
				d.refuse(pr.dot("requirement_name"), "Wrong requirement_name: %s. It should be one of [%s]",
					q.RequirementName, strings.Join(slices.Sorted(maps.Keys(c.Named)), ","))
			}
			rule.Requires = named
		}
		c.Rules = append(c.Rules, rule)
	}
	if s, ps := m.GetFilterStateRules(), p.dot("filter_state_rules"); s != nil {
		d.required(ps.dot("name"), s.GetName())
		c.State, c.ByState = s.GetName(), map[string]*config.JWTRequirement{}
		for _, value := range sortedKeys(s.GetRequires()) {
			c.ByState[value] = d.jwtRequirement(ps.dot("requires").key(value), s.GetRequires()[value], x, 0)
		}
	}
	return c
}

// jwtNames are the providers in their order.
type jwtNames struct {
	names []string
	m     *jwtv3.JwtAuthentication
}

// maxJWTDepth bounds requirements within requirements.
const maxJWTDepth = 32

func (d *decoder) jwtRequirement(p path, m *jwtv3.JwtRequirement, x jwtNames, depth int) *config.JWTRequirement {
	q := &config.JWTRequirement{}
	if depth > maxJWTDepth {
		d.refuse(p, "requirements within requirements, more than %d deep", maxJWTDepth)
		return q
	}
	provider := func(p path, name string) {
		i, ok := slices.BinarySearch(x.names, name)
		if !ok {
			d.refuse(p, "Required provider ['%s'] is not configured.", name)
		}
		q.Kind, q.Provider = config.JWTProvided, i
	}
	of := func(p path, all []*jwtv3.JwtRequirement) {
		for i, sub := range all {
			q.Of = append(q.Of, d.jwtRequirement(p.dot("requirements").at(i), sub, x, depth+1))
		}
	}
	switch r := m.GetRequiresType().(type) {
	case *jwtv3.JwtRequirement_ProviderName:
		provider(p.dot("provider_name"), r.ProviderName)
	case *jwtv3.JwtRequirement_ProviderAndAudiences:
		provider(p.dot("provider_and_audiences").dot("provider_name"), r.ProviderAndAudiences.GetProviderName())
		q.Audience = r.ProviderAndAudiences.GetAudiences()
	case *jwtv3.JwtRequirement_RequiresAny:
		q.Kind = config.JWTAny
		of(p.dot("requires_any"), r.RequiresAny.GetRequirements())
	case *jwtv3.JwtRequirement_RequiresAll:
		q.Kind = config.JWTAll
		of(p.dot("requires_all"), r.RequiresAll.GetRequirements())
	case *jwtv3.JwtRequirement_AllowMissing:
		q.Kind = config.JWTMayMiss
	case *jwtv3.JwtRequirement_AllowMissingOrFailed:
		q.Kind = config.JWTMayFail
	}
	return q
}

func (d *decoder) jwtProvider(p path, name string, m *jwtv3.JwtProvider) config.JWTProvider {
	c := config.JWTProvider{
		Name: name, Issuer: m.GetIssuer(), Audiences: m.GetAudiences(),
		RequireExpiration: m.GetRequireExpiration(),
		MaxLifetime:       d.duration(p.dot("max_lifetime"), m.GetMaxLifetime(), 0),
		ClockSkew:         cmp.Or(time.Duration(m.GetClockSkewSeconds())*time.Second, jwtClockSkew),
		FromParams:        m.GetFromParams(), FromCookies: m.GetFromCookies(),
		Forward: m.GetForward(), PayloadHeader: strings.ToLower(m.GetForwardPayloadHeader()), PadPayload: m.GetPadForwardPayloadHeader(),
		PayloadMetadata: m.GetPayloadInMetadata(), HeaderMetadata: m.GetHeaderInMetadata(), FailedMetadata: m.GetFailedStatusInMetadata(),
		SpaceDelimited: m.GetNormalizePayloadInMetadata().GetSpaceDelimitedClaims(),
		ClearRoute:     m.GetClearRouteCache(),
	}
	if m.GetSubjects() != nil {
		s := d.stringMatch(p.dot("subjects"), m.GetSubjects())
		c.Subject = &s
	}
	if j := m.GetJwtCacheConfig(); j != nil {
		c.Cache = int(min(cmp.Or(j.GetJwtCacheSize(), jwtCacheSize), maxJWTCache))
		c.CacheToken = int(cmp.Or(j.GetJwtMaxTokenSize(), jwtCacheToken))
	}
	if c.PayloadHeader != "" {
		d.headerName(p.dot("forward_payload_header"), c.PayloadHeader)
	}
	for i, h := range m.GetFromHeaders() {
		d.headerName(p.dot("from_headers").at(i).dot("name"), h.GetName())
		c.FromHeaders = append(c.FromHeaders, config.JWTHeader{Name: strings.ToLower(h.GetName()), Prefix: h.GetValuePrefix()})
	}
	for i, h := range m.GetClaimToHeaders() {
		d.headerName(p.dot("claim_to_headers").at(i).dot("header_name"), h.GetHeaderName())
		c.ClaimHeaders = append(c.ClaimHeaders, config.JWTClaim{Header: strings.ToLower(h.GetHeaderName()), Claim: h.GetClaimName()})
	}
	switch s := m.GetJwksSourceSpecifier().(type) {
	case *jwtv3.JwtProvider_LocalJwks:
		c.Local = d.data(p.dot("local_jwks"), s.LocalJwks)
	case *jwtv3.JwtProvider_RemoteJwks:
		c.Remote = d.remoteJWKS(p.dot("remote_jwks"), s.RemoteJwks)
	case nil:
		d.refuse(p, "one of remote_jwks and local_jwks is required")
	}
	return c
}

func (d *decoder) remoteJWKS(p path, m *jwtv3.RemoteJwks) *config.JWKS {
	u := m.GetHttpUri()
	j := &config.JWKS{
		Cluster: u.GetCluster(), Timeout: d.duration(p.dot("http_uri").dot("timeout"), u.GetTimeout(), 0),
		Cache: d.duration(p.dot("cache_duration"), m.GetCacheDuration(), jwksCacheTime),
		Async: m.GetAsyncFetch() != nil,
	}
	d.required(p.dot("http_uri").dot("cluster"), u.GetCluster())
	j.Authority, j.Path = d.httpURI(p.dot("http_uri").dot("uri"), u.GetUri())
	if m.GetRetryPolicy() != nil {
		j.Retry = d.serviceRetry(p.dot("retry_policy"), m.GetRetryPolicy())
	}
	return j
}

// serviceRetry reads how a service of a filter's is asked again
// (Utility::convertCoreToRouteRetryPolicy).
func (d *decoder) serviceRetry(p path, m *corev3.RetryPolicy) *config.ServiceRetry {
	r := &config.ServiceRetry{Times: int(min(orUint32(m.GetNumRetries(), 1), maxServiceRetries))}
	b := m.GetRetryBackOff()
	r.Backoff.Base, r.Backoff.Cap = d.backOff(p.dot("retry_back_off"), b.GetBaseInterval(), b.GetMaxInterval(), time.Second)
	return r
}

// httpURI takes an address apart: the host as a request says it, and the path.
func (d *decoder) httpURI(p path, s string) (authority, target string) {
	if !strings.Contains(s, "://") {
		s = "http://" + s // as Envoy reads it
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.ContainsAny(s, " \r\n\t") {
		d.refuse(p, "invalid URI: '%s'", s)
		return "", "/"
	}
	u.Fragment = ""
	return u.Host, cmp.Or(u.RequestURI(), "/")
}

func (d *decoder) jwtRoute(p path, m *jwtv3.PerRouteConfig) *config.JWTRoute {
	if !m.GetDisabled() && m.GetRequirementName() == "" {
		d.refuse(p, "one of disabled and requirement_name is required")
	}
	return &config.JWTRoute{Disabled: m.GetDisabled(), Name: m.GetRequirementName()}
}
