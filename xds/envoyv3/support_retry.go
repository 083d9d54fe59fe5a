package envoyv3

// What is honoured of retries, hedging and internal redirects.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	allowroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/allow_listed_routes/v3"
	previousroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/previous_routes/v3"
	safeschemev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/safe_cross_scheme/v3"
	omitcanaryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_canary_hosts/v3"
	omitmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_host_metadata/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
)

const (
	hintTypedRetry = "Envoy does not read it either: use retry_policy"
	hintInitial    = "10 at most"
)

func retryTables() []table {
	return []table{
		{
			of: &routev3.RetryPolicy{},
			honoured: "num_retries per_try_timeout per_try_idle_timeout retry_priority retry_host_predicate " +
				"retriable_status_codes retry_back_off rate_limited_retry_back_off retriable_headers " +
				"retriable_request_headers",
			partly: notes{
				"retry_on":                          "http3-post-connect-failure has no effect: no host is spoken to in HTTP/3",
				"host_selection_retry_max_attempts": "1000 at most",
			},
			refused: notes{"retry_options_predicates": "Envoy has none to name here"},
		},
		{of: &routev3.RetryPolicy_RetryBackOff{}, honoured: "base_interval max_interval"},
		{of: &routev3.RetryPolicy_RateLimitedRetryBackOff{}, honoured: "reset_headers max_interval"},
		{of: &routev3.RetryPolicy_ResetHeader{}, honoured: "name format"},
		{of: &routev3.RetryPolicy_RetryHostPredicate{}, honoured: "name typed_config"},
		{of: &routev3.RetryPolicy_RetryPriority{}, honoured: "name typed_config"},
		{of: &previoushostsv3.PreviousHostsPredicate{}},
		{of: &omitcanaryv3.OmitCanaryHostsPredicate{}},
		{of: &omitmetadatav3.OmitHostMetadataConfig{}, honoured: "metadata_match"},
		{of: &prioritiesv3.PreviousPrioritiesConfig{}, honoured: "update_frequency"},
		{of: &clusterv3.CircuitBreakers_Thresholds_RetryBudget{}, honoured: "budget_percent min_retry_concurrency"},
	}
}

func redirectTables() []table {
	return []table{
		{
			of: &routev3.HedgePolicy{}, honoured: "hedge_on_per_try_timeout additional_request_chance",
			partly: notes{"initial_requests": hintInitial + "; Envoy has not built it, nor additional_request_chance"},
		},
		{
			of: &routev3.InternalRedirectPolicy{},
			honoured: "max_internal_redirects redirect_response_codes predicates allow_cross_scheme_redirect " +
				"response_headers_to_copy",
		},
		{of: &allowroutesv3.AllowListedRoutesConfig{}, honoured: "allowed_route_names"},
		{of: &previousroutesv3.PreviousRoutesConfig{}},
		{of: &safeschemev3.SafeCrossSchemeConfig{}},
	}
}
