package envoyv3

// The local rate limit filter.

import (
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func localRateLimitTables() []table {
	const descriptors = "requests are limited together, or by connection"
	return []table{
		{
			of: &localv3.LocalRateLimit{},
			honoured: "stat_prefix status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced " +
				"response_headers_to_add local_rate_limit_per_downstream_connection enable_x_ratelimit_headers " +
				"rate_limited_as_resource_exhausted",
			noEffect: notes{
				"stage":                               "there are no descriptors",
				"vh_rate_limits":                      "there are no descriptors",
				"always_consume_default_token_bucket": "there are no descriptors",
				"max_dynamic_descriptors":             "there are no descriptors",
			},
			never: notes{
				"descriptors":              descriptors,
				"rate_limits":              descriptors,
				"local_cluster_rate_limit": "there is no local cluster",
			},
		},
		{of: &typev3.TokenBucket{}, honoured: "max_tokens tokens_per_fill fill_interval"},
	}
}

// minFill is the shortest interval (local_ratelimit_impl.cc).
const minFill = 50 * time.Millisecond

func (d *decoder) localRateLimit(p path, m *localv3.LocalRateLimit) *config.LocalRateLimit {
	l := &config.LocalRateLimit{
		StatPrefix: m.GetStatPrefix(), Status: int(m.GetStatus().GetCode()),
		Enabled: d.fraction(m.GetFilterEnabled()), Enforced: d.fraction(m.GetFilterEnforced()),
		RequestAdd:    d.headersToAdd(p.dot("request_headers_to_add_when_not_enforced"), m.GetRequestHeadersToAddWhenNotEnforced()),
		ResponseAdd:   d.headersToAdd(p.dot("response_headers_to_add"), m.GetResponseHeadersToAdd()),
		PerConnection: m.GetLocalRateLimitPerDownstreamConnection(),
		Headers:       m.GetEnableXRatelimitHeaders() == ratelimitv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03,
		Exhausted:     m.GetRateLimitedAsResourceExhausted(),
	}
	d.required(p.dot("stat_prefix"), l.StatPrefix)
	if l.Status < 400 {
		l.Status = 429
	}
	if m.GetTokenBucket() != nil {
		b := d.tokenBucket(p.dot("token_bucket"), m.GetTokenBucket())
		l.Bucket = &b
	}
	return l
}
