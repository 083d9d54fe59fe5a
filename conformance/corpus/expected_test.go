package corpus

import (
	"slices"
	"strings"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// What may be refused, and why: nothing else is.

// A refusal is expected at a path, in words that have text in them.
type refusal struct{ path, text string }

// right are refusals that are not of what is lacking here: Envoy refuses the file,
// too, or takes it in its own tests alone.
type right struct {
	why  string
	what []refusal
}

func rightlyRefused() map[string]right {
	const short = "value length must be at least 1 runes"
	return map[string]right{
		"api__envoy__config__core__v3__substitution_format_string.proto__block04.yaml": {
			"only a content_type: the rules of the API want a format (oneof format is required)",
			[]refusal{{"", "one of text_format, json_format, text_format_source is required"}},
		},
		"api__envoy__extensions__filters__http__rate_limit_quota__v3__rate_limit_quota.proto__block07.yaml": {
			"extensions without a name: the rules of the API want one (TypedExtensionConfig.name has min_len 1)",
			[]refusal{
				{"matcher_list.matchers[0].predicate.single_predicate.input.name", short},
				{"matcher_list.matchers[0].on_match.action.name", short},
				{"matcher_list.matchers[1].predicate.single_predicate.input.name", short},
				{"matcher_list.matchers[1].predicate.single_predicate.custom_match.name", short},
				{"matcher_list.matchers[1].on_match.action.name", short},
				{"on_no_match.action.name", short},
			},
		},
		"api__envoy__extensions__router__cluster_specifiers__matcher__v3__matcher.proto__block17.yaml": {
			"extensions without a name, as above",
			[]refusal{
				{"matcher_list.matchers[0].predicate.single_predicate.input.name", short},
				{"matcher_list.matchers[0].on_match.action.name", short},
				{"matcher_list.matchers[1].predicate.single_predicate.input.name", short},
				{"matcher_list.matchers[1].on_match.action.name", short},
				{"on_no_match.action.name", short},
			},
		},
		"test__server__test_data__server__runtime_bootstrap_eds.yaml": {
			"runtime values from a cluster whose endpoints come by xDS themselves: Envoy's own test wants it to throw (server_test.cc, BootstrapRtdsThroughEdsFails)",
			[]refusal{
				{"static_resources.clusters[1].eds_cluster_config.eds_config.api_config_source", "the endpoints of a control plane stand in a file"},
				{"layered_runtime.api_config_source.grpc_services[0].envoy_grpc.cluster_name", "must have a statically defined non-EDS cluster"},
			},
		},
		"test__server__test_data__server__runtime_bootstrap_ads_eds.yaml": {
			"the same by ADS (server_test.cc, BootstrapRtdsThroughAdsViaEdsFails)",
			[]refusal{
				{"static_resources.clusters[1].eds_cluster_config.eds_config.api_config_source", "the endpoints of a control plane stand in a file"},
				{"dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name", "must have a statically defined non-EDS cluster"},
			},
		},
		"docs__root__configuration__http__http_filters___include__grpc-transcoder-filter.yaml": {
			"a file of descriptors that the documentation does not bring along",
			[]refusal{{"static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.proto_descriptor.filename", "Invalid path: protos/helloworld.pb"}},
		},
		"test__tools__schema_validator__test__config__lds.yaml": {
			"a router without a typed_config, which only a tool that does not look for one takes (config/utility.h, getAndCheckFactory)",
			[]refusal{{"resources[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config", "with type URL: ''"}},
		},
		"docs__root__configuration__other_features___include__dlb.yaml": {
			"a listener without an address and filter chains: Envoy's documentation shows a part of one (listener_impl.cc, validateFilterChains)",
			[]refusal{
				{"static_resources.listeners[0].address", "Address must be set"},
				{"static_resources.listeners[0].filter_chains", "no filter chains specified"},
			},
		},
		"test__config__integration__server_xds.cds.with_unknown_field.yaml": {
			"options for envoy.test.dynamic_validation, which Envoy's own integration test registers and no Envoy has",
			[]refusal{{`resources[0].typed_extension_protocol_options["envoy.test.dynamic_validation"]`, "Didn't find a registered network or http filter or protocol options implementation"}},
		},
	}
}

// need is what another issue builds, or what attache leaves to others for good; its
// refusals have one of texts in them.
type need struct {
	what  string
	texts []string
}

// elsewhere are files of tier 1 and 2 that need such a thing.
func elsewhere() map[string]need {
	redis := need{"redis_proxy, a protocol of a later issue", []string{"redis_proxy"}}
	udp := need{"udp_proxy over UDP: TCP alone is served", []string{"udp_proxy", "TCP only", "only TCP and unix sockets"}}
	return map[string]need{
		"docs__root__configuration__listeners__network_filters___include__redis-aws-iam-auth.yaml":    redis,
		"docs__root__configuration__listeners__network_filters___include__redis-dns-lookups.yaml":     redis,
		"docs__root__configuration__listeners__network_filters___include__redis-fault-injection.yaml": redis,
		"docs__root__configuration__listeners__udp_filters___include__udp-proxy-router.yaml":          udp,
		"docs__root__configuration__listeners__udp_filters___include__udp-proxy.yaml":                 udp,
	}
}

// owed are the refusals that no other issue's work explains.
func (v *verdict) owed() (all []load.Problem) {
	if v.right() {
		return nil
	}
	for _, p := range v.refused {
		if !slices.ContainsFunc(elsewhere()[v.name].texts, func(text string) bool { return strings.Contains(p.Path+": "+p.Text, text) }) {
			all = append(all, p)
		}
	}
	return all
}

// wholly are files without a tier that are accepted, and why that is right; of tier 3
// is what nobody had to build.
func wholly() map[string]string {
	const dynamic = "an unknown field over xDS: Envoy warns of it, and so does attache"
	return map[string]string{
		"test__config__integration__server_xds.eds.with_unknown_field.yaml": dynamic,
		"test__config__integration__server_xds.lds.with_unknown_field.yaml": dynamic,
		"test__config__integration__server_xds.rds.with_unknown_field.yaml": dynamic,
	}
}
