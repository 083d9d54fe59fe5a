package envoyv3

// The filter that asks a rate limit service.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	ratelimitconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func rateLimitFilterTables() []table {
	return []table{
		{
			of: &ratelimitv3.RateLimit{}, strict: true,
			honoured: "domain stage request_type timeout failure_mode_deny failure_mode_deny_percent rate_limited_as_resource_exhausted " +
				"rate_limit_service enable_x_ratelimit_headers disable_x_envoy_ratelimited_header rate_limited_status " +
				"response_headers_to_add status_on_error stat_prefix filter_enabled filter_enforced rate_limits",
		},
		{
			of: &ratelimitv3.RateLimitPerRoute{}, strict: true,
			honoured: "vh_rate_limits rate_limits domain",
			noEffect: notes{"override_option": "Envoy does not read it"},
		},
		{
			of: &ratelimitconfigv3.RateLimitServiceConfig{}, honoured: "grpc_service", strict: true,
			noEffect: notes{"transport_api_version": "V3 is what there is"},
		},
	}
}

func (d *decoder) rateLimitFilter(p path, m *ratelimitv3.RateLimit) *config.RateLimitFilter {
	f := &config.RateLimitFilter{
		Domain: m.GetDomain(), Stage: m.GetStage(), Internal: m.GetRequestType() == "internal", External: m.GetRequestType() == "external",
		Exhausted: m.GetRateLimitedAsResourceExhausted(), Quiet: m.GetDisableXEnvoyRatelimitedHeader(),
		Headers: m.GetEnableXRatelimitHeaders() == ratelimitv3.RateLimit_DRAFT_VERSION_03,
		Status:  int(m.GetRateLimitedStatus().GetCode()), StatusOnError: int(m.GetStatusOnError().GetCode()),
		ResponseAdd: d.headersToAdd(p.dot("response_headers_to_add"), m.GetResponseHeadersToAdd()), StatPrefix: m.GetStatPrefix(),
		Enabled: d.fraction(m.GetFilterEnabled()), Enforced: d.fraction(m.GetFilterEnforced()),
		Limits: d.filterRateLimits(p.dot("rate_limits"), m.GetRateLimits()),
	}
	d.required(p.dot("domain"), f.Domain)
	if f.Status < 400 {
		f.Status = 429
	}
	if f.StatusOnError < 200 {
		f.StatusOnError = 500
	}
	switch {
	case m.GetFailureModeDenyPercent() != nil:
		f.DenyOnFailure = d.fraction(m.GetFailureModeDenyPercent())
	case m.GetFailureModeDeny():
		f.DenyOnFailure = &config.Fraction{Num: 100, Den: 100}
	}
	f.Enabled = d.orRuntime(f.Enabled, "ratelimit.http_filter_enabled")
	f.Enforced = d.orRuntime(f.Enforced, "ratelimit.http_filter_enforcing")
	ps := p.dot("rate_limit_service").dot("grpc_service")
	f.Service = *d.grpcService(ps, m.GetRateLimitService().GetGrpcService(), 0)
	f.Service.Timeout = d.duration(p.dot("timeout"), m.GetTimeout(), config.DefaultRateLimitTimeout)
	return f
}

// orRuntime is f, or else the value of a key; nil if neither was given.
func (d *decoder) orRuntime(f *config.Fraction, key string) *config.Fraction {
	if f == nil {
		if share, said := d.opts.Runtime.fraction(key); said {
			return &share
		}
	}
	return f
}

func (d *decoder) rateLimitRoute(p path, m *ratelimitv3.RateLimitPerRoute) *config.RateLimitRoute {
	r := &config.RateLimitRoute{Domain: m.GetDomain(), Limits: d.filterRateLimits(p.dot("rate_limits"), m.GetRateLimits())}
	switch m.GetVhRateLimits() {
	case ratelimitv3.RateLimitPerRoute_INCLUDE:
		r.Host = config.HostLimitsToo
	case ratelimitv3.RateLimitPerRoute_IGNORE:
		r.Host = config.HostLimitsNever
	}
	return r
}
