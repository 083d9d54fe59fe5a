package envoyv3

// The local rate limit filter.

import (
	"fmt"
	"strings"
	"time"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func localRateLimitTables() []table {
	return []table{
		{
			of: &localv3.LocalRateLimit{},
			honoured: "stat_prefix status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced " +
				"response_headers_to_add local_rate_limit_per_downstream_connection enable_x_ratelimit_headers " +
				"rate_limited_as_resource_exhausted descriptors rate_limits stage vh_rate_limits always_consume_default_token_bucket " +
				"max_dynamic_descriptors",
			never: notes{"local_cluster_rate_limit": "local_cluster_rate_limit is set but no local cluster name is present"},
		},
		{of: &ratelimitv3.LocalRateLimitDescriptor{}, honoured: "entries token_bucket", strict: true},
		{of: &ratelimitv3.RateLimitDescriptor_Entry{}, honoured: "key value", strict: true},
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
		Limits:        d.filterRateLimits(p.dot("rate_limits"), m.GetRateLimits()),
		Descriptors:   d.localDescriptors(p.dot("descriptors"), m.GetDescriptors()),
		Stage:         m.GetStage(), Spare: !orBool(m.GetAlwaysConsumeDefaultTokenBucket(), true),
		MaxDynamic: orUint32(m.GetMaxDynamicDescriptors(), 20),
	}
	d.required(p.dot("stat_prefix"), l.StatPrefix)
	if l.Status < 400 {
		l.Status = 429
	}
	switch m.GetVhRateLimits() {
	case ratelimitv3.VhRateLimitsOptions_INCLUDE:
		l.Host = config.HostLimitsToo
	case ratelimitv3.VhRateLimitsOptions_IGNORE:
		l.Host = config.HostLimitsNever
	}
	if m.GetTokenBucket() != nil {
		b := d.tokenBucket(p.dot("token_bucket"), m.GetTokenBucket())
		l.Bucket = &b
	}
	return l
}

// localRateLimitRoute reads what a route says of the filter.
func (d *decoder) localRateLimitRoute(p path, m *localv3.LocalRateLimit) *config.LocalRateLimit {
	if m.GetTokenBucket() == nil {
		d.refuse(p.dot("token_bucket"), "local rate limit token bucket must be set for per filter configs")
	}
	return d.localRateLimit(p, m)
}

func (d *decoder) localDescriptors(p path, all []*ratelimitv3.LocalRateLimitDescriptor) (list []config.LocalDescriptor) {
	seen := map[string]bool{}
	for i, m := range all {
		var l config.LocalDescriptor
		for _, e := range m.GetEntries() {
			l.Entries = append(l.Entries, config.LimitEntry{Key: e.GetKey(), Value: e.GetValue()})
		}
		l.Bucket = d.tokenBucket(p.at(i).dot("token_bucket"), m.GetTokenBucket())
		key := fmt.Sprintf("%q", l.Entries)
		if seen[key] {
			d.refuse(p.at(i), "duplicate descriptor in the local rate descriptor: %s", descriptorText(l.Entries))
		}
		seen[key] = true
		list = append(list, l)
	}
	return list
}

// descriptorText is a descriptor as Envoy writes it.
func descriptorText(entries []config.LimitEntry) string {
	var parts []string
	for _, e := range entries {
		parts = append(parts, e.Key+"="+e.Value)
	}
	return strings.Join(parts, ", ")
}
