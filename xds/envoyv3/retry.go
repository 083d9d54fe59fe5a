package envoyv3

// Retries, hedging and internal redirects.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"slices"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	allowroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/allow_listed_routes/v3"
	previousroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/previous_routes/v3"
	safeschemev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/safe_cross_scheme/v3"
	omitcanaryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_canary_hosts/v3"
	omitmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_host_metadata/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of retries (router/retry_policy_impl.h, retry_state_impl.cc) and how
// often a host is picked again at most.
const (
	defaultRetries     = 1
	defaultRetryBase   = 25 * time.Millisecond
	defaultRetrySpread = 10
	defaultResetMax    = 300 * time.Second
	maxHostAttempts    = 1000
)

func (d *decoder) retry(p path, m *routev3.RetryPolicy) *config.Retry {
	if m == nil {
		return nil
	}
	r := &config.Retry{
		On:         d.retryOn(p.dot("retry_on"), m.GetRetryOn()),
		Num:        orUint32(m.GetNumRetries(), defaultRetries),
		PerTry:     d.duration(p.dot("per_try_timeout"), m.GetPerTryTimeout(), 0),
		PerTryIdle: d.duration(p.dot("per_try_idle_timeout"), m.GetPerTryIdleTimeout(), 0),
		Codes:      slices.Clone(m.GetRetriableStatusCodes()),
	}
	for i, h := range m.GetRetriableHeaders() {
		r.Headers = append(r.Headers, d.headerMatch(p.dot("retriable_headers").at(i), h))
	}
	for i, h := range m.GetRetriableRequestHeaders() {
		r.RequestHeaders = append(r.RequestHeaders, d.headerMatch(p.dot("retriable_request_headers").at(i), h))
	}
	d.retryBackOff(p, m, r)
	d.retryHosts(p, m, r)
	return r
}

// retryOn reads the conditions, those of gRPC among them, and warns of words that
// Envoy leaves out silently.
func (d *decoder) retryOn(p path, words string) (all config.RetryOn) {
	for word := range strings.SplitSeq(words, ",") {
		on, known := config.ParseRetryOn([]byte(word))
		grpc, knownGRPC := config.ParseRetryGRPCOn([]byte(word))
		if !known && !knownGRPC {
			d.warn(p, "%q is no condition and has no effect", strings.TrimSpace(word))
		}
		all |= on | grpc
	}
	return all
}

func (d *decoder) retryBackOff(p path, m *routev3.RetryPolicy, r *config.Retry) {
	b, pb := m.GetRetryBackOff(), p.dot("retry_back_off")
	r.Base, r.Max = d.backOff(pb, b.GetBaseInterval(), b.GetMaxInterval(), defaultRetryBase)
	if b != nil && b.GetBaseInterval() == nil {
		d.refuse(pb.dot("base_interval"), "value is required")
	}
	limited := m.GetRateLimitedRetryBackOff()
	if limited == nil {
		return
	}
	pl := p.dot("rate_limited_retry_back_off")
	r.ResetMax = max(d.duration(pl.dot("max_interval"), limited.GetMaxInterval(), defaultResetMax), time.Millisecond)
	for i, h := range limited.GetResetHeaders() {
		d.headerName(pl.dot("reset_headers").at(i).dot("name"), h.GetName())
		r.ResetHeaders = append(r.ResetHeaders, config.ResetHeader{
			Name: strings.ToLower(h.GetName()), Unix: h.GetFormat() == routev3.RetryPolicy_UNIX_TIMESTAMP,
		})
	}
}

// backOff reads both bounds, to the millisecond and at least one.
func (d *decoder) backOff(p path, base, limit *durationpb.Duration, def time.Duration) (time.Duration, time.Duration) {
	b := max(d.duration(p.dot("base_interval"), base, def).Truncate(time.Millisecond), time.Millisecond)
	if limit == nil {
		return b, b * defaultRetrySpread
	}
	l := max(d.duration(p.dot("max_interval"), limit, 0).Truncate(time.Millisecond), time.Millisecond)
	if l < b {
		d.refuse(p, "retry_policy.max_interval must greater than or equal to the base_interval")
	}
	return b, l
}

func (d *decoder) retryHosts(p path, m *routev3.RetryPolicy, r *config.Retry) {
	r.Hosts.Attempts = 1
	if n := m.GetHostSelectionRetryMaxAttempts(); n < 0 {
		d.refuse(p.dot("host_selection_retry_max_attempts"), "must be at least 0")
	} else if n > 0 {
		r.Hosts.Attempts = uint32(min(n, maxHostAttempts))
	}
	for i, h := range m.GetRetryHostPredicate() {
		at := p.dot("retry_host_predicate").at(i).dot("typed_config")
		switch x := d.extension(at, retryHost, h.GetName(), h.GetTypedConfig()).(type) {
		case *previoushostsv3.PreviousHostsPredicate:
			r.Hosts.Previous = true
		case *omitcanaryv3.OmitCanaryHostsPredicate:
			r.Hosts.Canary = true
		case *omitmetadatav3.OmitHostMetadataConfig:
			if labels := x.GetMetadataMatch().GetFilterMetadata()["envoy.lb"].GetFields(); len(labels) > 0 {
				all := make(map[string]string, len(labels))
				for name, v := range labels {
					all[name] = valueText(v)
				}
				r.Hosts.Metadata = append(r.Hosts.Metadata, all)
			}
		}
	}
	if m.GetRetryPriority() != nil {
		at := p.dot("retry_priority").dot("typed_config")
		if x, ok := d.extension(at, retryPriority, m.GetRetryPriority().GetName(), m.GetRetryPriority().GetTypedConfig()).(*prioritiesv3.PreviousPrioritiesConfig); ok {
			r.PriorityEvery = uint32(max(x.GetUpdateFrequency(), 1))
		}
	}
}

func (d *decoder) hedge(p path, m *routev3.HedgePolicy) *config.Hedge {
	if m == nil {
		return nil
	}
	h := &config.Hedge{OnPerTryTimeout: m.GetHedgeOnPerTryTimeout(), Initial: orUint32(m.GetInitialRequests(), 1)}
	if h.Initial > config.MaxInitial {
		d.unsupported(p.dot("initial_requests"), hintInitial)
	}
	if c := m.GetAdditionalRequestChance(); c.GetNumerator() > 0 {
		h.Chance = fractionOf(c.GetNumerator(), c.GetDenominator())
	}
	return h
}

// redirects reads the policy, or the two old fields that it replaces.
func (d *decoder) redirects(p path, m *routev3.RouteAction) *config.InternalRedirect {
	policy, most := m.GetInternalRedirectPolicy(), m.GetInternalRedirectPolicy().GetMaxInternalRedirects()
	if policy == nil {
		if m.GetInternalRedirectAction() != routev3.RouteAction_HANDLE_INTERNAL_REDIRECT {
			return nil
		}
		policy, most = &routev3.InternalRedirectPolicy{}, m.GetMaxInternalRedirects()
	}
	p = p.dot("internal_redirect_policy")
	r := &config.InternalRedirect{Max: orUint32(most, 1), CrossScheme: policy.GetAllowCrossSchemeRedirect()}
	for _, code := range policy.GetRedirectResponseCodes() {
		switch code {
		case 301, 302, 303, 307, 308:
			r.Codes = append(r.Codes, int(code))
		}
	}
	if len(policy.GetRedirectResponseCodes()) == 0 {
		r.Codes = []int{302}
	}
	for i, name := range policy.GetResponseHeadersToCopy() {
		at := p.dot("response_headers_to_copy").at(i)
		if !modifiable(name) {
			d.refuse(at, ":-prefixed headers or Hosts may not be specified here.")
		}
		d.headerName(at, name)
		r.CopyHeaders = append(r.CopyHeaders, strings.ToLower(name))
	}
	for i, x := range policy.GetPredicates() {
		at := p.dot("predicates").at(i).dot("typed_config")
		switch m := d.extension(at, redirectPredicate, x.GetName(), x.GetTypedConfig()).(type) {
		case *allowroutesv3.AllowListedRoutesConfig:
			r.AllowedRoutes = append(r.AllowedRoutes, slices.Clone(m.GetAllowedRouteNames()))
		case *previousroutesv3.PreviousRoutesConfig:
			r.PreviousRoutes = true
		case *safeschemev3.SafeCrossSchemeConfig:
			r.SafeCrossScheme = true
		}
	}
	return r
}

// bodyLimitOwner is what VirtualHost and Route have in common.
type bodyLimitOwner interface {
	GetPerRequestBufferLimitBytes() *wrapperspb.UInt32Value
	GetRequestBodyBufferLimit() *wrapperspb.UInt64Value
}

func (d *decoder) bodyLimit(p path, m bodyLimitOwner) *config.BodyLimit {
	old, now := m.GetPerRequestBufferLimitBytes(), m.GetRequestBodyBufferLimit()
	switch {
	case old != nil && now != nil:
		d.refuse(p, "only one of per_request_buffer_limit_bytes and request_body_buffer_limit can be set")
	case now != nil:
		return &config.BodyLimit{Bytes: now.GetValue()}
	case old != nil:
		return &config.BodyLimit{Bytes: uint64(old.GetValue()), Capped: true}
	}
	return nil
}
