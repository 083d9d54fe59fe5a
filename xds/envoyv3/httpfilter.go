package envoyv3

// HTTP filters: the chain of a connection manager, and what routes say of its
// filters. Each kind of filter is read in a file of its own (filter_*.go); here are
// the lists of them.

import (
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	brotlidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/decompressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	gzipdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/decompressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	zstddv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/decompressor/v3"
	adaptivev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	apikeyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	bandwidthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/bandwidth_limit/v3"
	basicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	csrfv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/csrf/v3"
	customv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/custom_response/v3"
	decompressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/decompressor/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	reversev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_reverse_bridge/v3"
	transcoderv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	webv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	ondemandv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/on_demand/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	setstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	setv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"
	sessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	cookiesessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	envelopesessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/envelope/v3"
	headersessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/header/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// filterExtensions are the filters and what routes may say of them.
func filterExtensions() []extension {
	return []extension{
		{httpFilter, "envoy.filters.http.admission_control", func() proto.Message { return &admissionv3.AdmissionControl{} }},
		{httpFilter, "envoy.filters.http.api_key_auth", func() proto.Message { return &apikeyv3.ApiKeyAuth{} }},
		{routeFilter, "envoy.filters.http.api_key_auth", func() proto.Message { return &apikeyv3.ApiKeyAuthPerRoute{} }},
		{httpFilter, "envoy.filters.http.bandwidth_limit", func() proto.Message { return &bandwidthv3.BandwidthLimit{} }},
		{routeFilter, "envoy.filters.http.bandwidth_limit", func() proto.Message { return &bandwidthv3.BandwidthLimit{} }},
		{httpFilter, "envoy.filters.http.basic_auth", func() proto.Message { return &basicv3.BasicAuth{} }},
		{routeFilter, "envoy.filters.http.basic_auth", func() proto.Message { return &basicv3.BasicAuthPerRoute{} }},
		{httpFilter, "envoy.filters.http.cors", func() proto.Message { return &corsv3.Cors{} }},
		{routeFilter, "envoy.filters.http.cors", func() proto.Message { return &corsv3.CorsPolicy{} }},
		{httpFilter, "envoy.filters.http.csrf", func() proto.Message { return &csrfv3.CsrfPolicy{} }},
		{routeFilter, "envoy.filters.http.csrf", func() proto.Message { return &csrfv3.CsrfPolicy{} }},
		{httpFilter, "envoy.filters.http.fault", func() proto.Message { return &faultv3.HTTPFault{} }},
		{routeFilter, "envoy.filters.http.fault", func() proto.Message { return &faultv3.HTTPFault{} }},
		{httpFilter, "envoy.filters.http.header_mutation", func() proto.Message { return &headermutationv3.HeaderMutation{} }},
		{routeFilter, "envoy.filters.http.header_mutation", func() proto.Message { return &headermutationv3.HeaderMutationPerRoute{} }},
		{httpFilter, "envoy.filters.http.header_to_metadata", func() proto.Message { return &headerv3.Config{} }},
		{routeFilter, "envoy.filters.http.header_to_metadata", func() proto.Message { return &headerv3.Config{} }},
		{httpFilter, "envoy.filters.http.health_check", func() proto.Message { return &healthv3.HealthCheck{} }},
		{httpFilter, "envoy.filters.http.local_ratelimit", func() proto.Message { return &localv3.LocalRateLimit{} }},
		{routeFilter, "envoy.filters.http.local_ratelimit", func() proto.Message { return &localv3.LocalRateLimit{} }},
		{httpFilter, "envoy.filters.http.lua", func() proto.Message { return &luav3.Lua{} }},
		{routeFilter, "envoy.filters.http.lua", func() proto.Message { return &luav3.LuaPerRoute{} }},
		{httpFilter, "envoy.filters.http.wasm", func() proto.Message { return &wasmfilterv3.Wasm{} }},
		{httpFilter, "envoy.filters.http.stateful_session", func() proto.Message { return &sessionv3.StatefulSession{} }},
		{routeFilter, "envoy.filters.http.stateful_session", func() proto.Message { return &sessionv3.StatefulSessionPerRoute{} }},
		{sessionState, "envoy.http.stateful_session.cookie", func() proto.Message { return &cookiesessionv3.CookieBasedSessionState{} }},
		{sessionState, "envoy.http.stateful_session.header", func() proto.Message { return &headersessionv3.HeaderBasedSessionState{} }},
		{sessionState, "envoy.http.stateful_session.envelope", func() proto.Message { return &envelopesessionv3.EnvelopeSessionState{} }},
		{httpFilter, "envoy.filters.http.set_filter_state", func() proto.Message { return &setstatev3.Config{} }},
		{routeFilter, "envoy.filters.http.set_filter_state", func() proto.Message { return &setstatev3.Config{} }},
		{httpFilter, "envoy.filters.http.set_metadata", func() proto.Message { return &setv3.Config{} }},
		{httpFilter, "envoy.filters.http.compressor", func() proto.Message { return &compressorv3.Compressor{} }},
		{routeFilter, "envoy.filters.http.compressor", func() proto.Message { return &compressorv3.CompressorPerRoute{} }},
		{compressorLibrary, "envoy.compression.gzip.compressor", func() proto.Message { return &gzipv3.Gzip{} }},
		{compressorLibrary, "envoy.compression.brotli.compressor", func() proto.Message { return &brotliv3.Brotli{} }},
		{compressorLibrary, "envoy.compression.zstd.compressor", func() proto.Message { return &zstdv3.Zstd{} }},
		{httpFilter, "envoy.filters.http.decompressor", func() proto.Message { return &decompressorv3.Decompressor{} }},
		{decompressorLibrary, "envoy.compression.gzip.decompressor", func() proto.Message { return &gzipdv3.Gzip{} }},
		{decompressorLibrary, "envoy.compression.brotli.decompressor", func() proto.Message { return &brotlidv3.Brotli{} }},
		{decompressorLibrary, "envoy.compression.zstd.decompressor", func() proto.Message { return &zstddv3.Zstd{} }},
		{httpFilter, "envoy.filters.http.grpc_http1_bridge", func() proto.Message { return &bridgev3.Config{} }},
		{httpFilter, "envoy.filters.http.grpc_http1_reverse_bridge", func() proto.Message { return &reversev3.FilterConfig{} }},
		{routeFilter, "envoy.filters.http.grpc_http1_reverse_bridge", func() proto.Message { return &reversev3.FilterConfigPerRoute{} }},
		{httpFilter, "envoy.filters.http.grpc_json_transcoder", func() proto.Message { return &transcoderv3.GrpcJsonTranscoder{} }},
		{routeFilter, "envoy.filters.http.grpc_json_transcoder", func() proto.Message { return &transcoderv3.GrpcJsonTranscoder{} }},
		{httpFilter, "envoy.filters.http.grpc_stats", func() proto.Message { return &grpcstatsv3.FilterConfig{} }},
		{httpFilter, "envoy.filters.http.grpc_web", func() proto.Message { return &webv3.GrpcWeb{} }},
		{httpFilter, "envoy.filters.http.ratelimit", func() proto.Message { return &ratelimitv3.RateLimit{} }},
		{routeFilter, "envoy.filters.http.ratelimit", func() proto.Message { return &ratelimitv3.RateLimitPerRoute{} }},
		{httpFilter, "envoy.filters.http.on_demand", func() proto.Message { return &ondemandv3.OnDemand{} }},
		{routeFilter, "envoy.filters.http.on_demand", func() proto.Message { return &ondemandv3.PerRouteConfig{} }},
		{httpFilter, "envoy.filters.http.match_delegate", func() proto.Message { return &matchingv3.ExtensionWithMatcher{} }},
		{routeFilter, "envoy.filters.http.match_delegate", func() proto.Message { return &matchingv3.ExtensionWithMatcherPerRoute{} }},
		{httpFilter, "envoy.filters.http.composite", func() proto.Message { return &compositev3.Composite{} }},
		{httpFilter, "envoy.filters.http.rbac", func() proto.Message { return &rbacv3.RBAC{} }},
		{routeFilter, "envoy.filters.http.rbac", func() proto.Message { return &rbacv3.RBACPerRoute{} }},
		{httpFilter, "envoy.filters.http.buffer", func() proto.Message { return &bufferv3.Buffer{} }},
		{routeFilter, "envoy.filters.http.buffer", func() proto.Message { return &bufferv3.BufferPerRoute{} }},
		{httpFilter, "envoy.filters.http.ext_authz", func() proto.Message { return &authzv3.ExtAuthz{} }},
		{routeFilter, "envoy.filters.http.ext_authz", func() proto.Message { return &authzv3.ExtAuthzPerRoute{} }},
		{httpFilter, "envoy.filters.http.ext_proc", func() proto.Message { return &procv3.ExternalProcessor{} }},
		{routeFilter, "envoy.filters.http.ext_proc", func() proto.Message { return &procv3.ExtProcPerRoute{} }},
		{httpFilter, "envoy.filters.http.jwt_authn", func() proto.Message { return &jwtv3.JwtAuthentication{} }},
		{routeFilter, "envoy.filters.http.jwt_authn", func() proto.Message { return &jwtv3.PerRouteConfig{} }},
	}
}

// filterTables is what is honoured of them.
func filterTables() []table {
	return concat(
		[]table{
			{of: &routev3.FilterConfig{}, honoured: "config is_optional disabled"},
			{of: &corev3.RuntimeFeatureFlag{}, honoured: "default_value runtime_key"},
		},
		adaptiveTables(), admissionTables(), authFilterTables(), bandwidthTables(), browserFilterTables(), bufferTables(), compressorTables(), customResponseTables(), decompressorTables(), extAuthzTables(), extProcTables(),
		faultTables(), grpcFilterTables(), grpcStatsTables(), headerMutationTables(), healthFilterTables(), jwtTables(), localRateLimitTables(), luaTables(),
		metadataFilterTables(), filterStateTables(), forwardProxyTables(), rateLimitFilterTables(), rbacTables(), transcoderTables(), upstreamFilterTables(), matchedTables(), sessionTables(), wasmTables(), onDemandTables(),
	)
}

// filterConfig reads a filter's configuration.
func (d *decoder) filterConfig(p path, m proto.Message) any {
	switch m := m.(type) {
	case *adaptivev3.AdaptiveConcurrency:
		return d.adaptive(p, m)
	case *admissionv3.AdmissionControl:
		return d.admission(p, m)
	case *apikeyv3.ApiKeyAuth:
		return d.apiKeyAuth(p, m, nil)
	case *bandwidthv3.BandwidthLimit:
		return d.bandwidthLimit(p, m)
	case *basicv3.BasicAuth:
		return d.basicAuth(p, m)
	case *bufferv3.Buffer:
		return d.buffer(p, m)
	case *authzv3.ExtAuthz:
		return d.extAuthz(p, m)
	case *procv3.ExternalProcessor:
		return d.extProc(p, m)
	case *jwtv3.JwtAuthentication:
		return d.jwt(p, m)
	case *bridgev3.Config:
		return &config.GRPCBridge{UpgradeProtobuf: m.GetUpgradeProtobufToGrpc(), DropQuery: m.GetIgnoreQueryParameters()}
	case *reversev3.FilterConfig:
		return d.reverseBridge(p, m)
	case *transcoderv3.GrpcJsonTranscoder:
		return d.transcoder(p, m)
	case *grpcstatsv3.FilterConfig:
		return d.grpcStats(p, m)
	case *compressorv3.Compressor:
		return d.compressor(p, m)
	case *decompressorv3.Decompressor:
		return d.decompressor(p, m)
	case *ratelimitv3.RateLimit:
		return d.rateLimitFilter(p, m)
	case *matchingv3.ExtensionWithMatcher:
		return d.matched(p, m)
	case *compositev3.Composite:
		return &config.Composite{}
	case *rbacv3.RBAC:
		return d.rbac(p, m)
	case *webv3.GrpcWeb:
		return &config.GRPCWeb{}
	case *customv3.CustomResponse:
		return d.customResponse(p, m)
	case *corsv3.Cors:
		return &config.CORS{}
	case *csrfv3.CsrfPolicy:
		return d.csrf(p, m)
	case *faultv3.HTTPFault:
		return d.fault(p, m)
	case *headermutationv3.HeaderMutation:
		return d.headerMutation(p, m)
	case *headerv3.Config:
		return d.headerToMetadata(p, m, false)
	case *healthv3.HealthCheck:
		return d.healthFilter(p, m)
	case *localv3.LocalRateLimit:
		return d.localRateLimit(p, m)
	case *luav3.Lua:
		return d.lua(p, m)
	case *wasmfilterv3.Wasm:
		return d.wasm(p, m)
	case *setstatev3.Config:
		return &config.SetFilterState{Objects: d.stateObjects(p.dot("on_request_headers"), m.GetOnRequestHeaders())}
	case *setv3.Config:
		return d.setMetadata(p, m)
	case *forwardv3.FilterConfig:
		return d.forwardFilter(p, m)
	case *sessionv3.StatefulSession:
		return d.session(p, m)
	case *ondemandv3.OnDemand:
		return d.onDemand(p, m.GetOdcds())
	}
	return nil
}

// routeFilterConfig reads what a route says of a filter.
func (d *decoder) routeFilterConfig(p path, m proto.Message) any {
	switch m := m.(type) {
	case *apikeyv3.ApiKeyAuthPerRoute:
		return d.apiKeyAuth(p, m, m.GetAllowedClients())
	case *bandwidthv3.BandwidthLimit:
		return d.bandwidthLimit(p, m)
	case *basicv3.BasicAuthPerRoute:
		return d.basicAuthRoute(p, m)
	case *bufferv3.BufferPerRoute:
		return d.bufferPerRoute(p, m)
	case *authzv3.ExtAuthzPerRoute:
		return d.extAuthzRoute(p, m)
	case *procv3.ExtProcPerRoute:
		return d.extProcRoute(p, m)
	case *ondemandv3.PerRouteConfig:
		return d.onDemand(p, m.GetOdcds())
	case *forwardv3.PerRouteConfig:
		return d.forwardRoute(m)
	case *jwtv3.PerRouteConfig:
		return d.jwtRoute(p, m)
	case *compressorv3.CompressorPerRoute:
		return d.compressorRoute(p, m)
	case *sessionv3.StatefulSessionPerRoute:
		return d.sessionRoute(p, m)
	case *ratelimitv3.RateLimitPerRoute:
		return d.rateLimitRoute(p, m)
	case *matchingv3.ExtensionWithMatcherPerRoute:
		return d.matchedRoute(p, m)
	case *reversev3.FilterConfigPerRoute:
		return &config.GRPCReverseBridgeRoute{Disabled: m.GetDisabled()}
	case *transcoderv3.GrpcJsonTranscoder:
		return d.transcoder(p, m)
	case *rbacv3.RBACPerRoute:
		return d.rbac(p.dot("rbac"), m.GetRbac())
	case *customv3.CustomResponse:
		return d.customResponse(p, m)
	case *corsv3.CorsPolicy:
		return d.corsPolicy(p, m)
	case *csrfv3.CsrfPolicy:
		return d.csrf(p, m)
	case *faultv3.HTTPFault:
		return d.fault(p, m)
	case *headermutationv3.HeaderMutationPerRoute:
		return d.mutationsOf(p.dot("mutations"), m.GetMutations())
	case *headerv3.Config:
		return d.headerToMetadata(p, m, true)
	case *setstatev3.Config:
		return &config.SetFilterState{Objects: d.stateObjects(p.dot("on_request_headers"), m.GetOnRequestHeaders())}
	case *localv3.LocalRateLimit:
		return d.localRateLimitRoute(p, m)
	case *luav3.LuaPerRoute:
		return d.luaRoute(p, m)
	}
	return nil
}

// httpFilters reads the HTTP filters. The router, which ends them, is given apart; the
// texts are Envoy's (config/utility.cc, validateTerminalFilters).
func (d *decoder) httpFilters(p path, filters []*hcmv3.HttpFilter) (all []config.HTTPFilter, router *routerv3.Router) {
	if len(filters) == 0 {
		d.warn(p, "no request is answered: there is no router (envoy.extensions.filters.http.router.v3.Router)")
	}
	for i, f := range filters {
		if f.GetConfigDiscovery() != nil {
			if i == len(filters)-1 {
				d.never(p.at(i).dot("config_discovery"), routerByECDS)
			}
			all = append(all, config.HTTPFilter{
				Name: f.GetName(), Disabled: f.GetDisabled(),
				Discovery: d.discovered(p.at(i).dot("config_discovery"), f.GetName(), f.GetConfigDiscovery()),
			})
			continue
		}
		typeName, _, _ := unwrap(f.GetTypedConfig())
		if f.GetIsOptional() && !implements(httpFilter, typeName) {
			d.warn(p.at(i), "optional filter '%s' of unknown type '%s' is left out", f.GetName(), typeName)
			continue
		}
		pc := p.at(i).dot("typed_config")
		m := d.extension(pc, httpFilter, f.GetName(), f.GetTypedConfig())
		r, terminal := m.(*routerv3.Router)
		last := i == len(filters)-1
		switch {
		case m == nil:
		case terminal && !last:
			d.refuse(p.at(i), "Error: terminal filter named %s of type %s must be the last filter in a http filter chain.", f.GetName(), extensionName(m))
		case !terminal && last:
			d.refuse(p.at(i), "Error: non-terminal filter named %s of type %s is the last filter in a http filter chain.", f.GetName(), extensionName(m))
		case terminal && f.GetDisabled():
			d.refuse(p.at(i).dot("disabled"), "the router cannot be disabled")
		case terminal:
			router = r
		default:
			all = append(all, config.HTTPFilter{Name: f.GetName(), Disabled: f.GetDisabled(), Config: d.filterConfig(pc, m)})
		}
	}
	return all, router
}

// overrides reads typed_per_filter_config.
func (d *decoder) overrides(p path, configs map[string]*anypb.Any) (all []config.FilterOverride) {
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if o, ok := d.override(p.key(name), name, configs[name]); ok {
			all = append(all, o)
		}
	}
	return all
}

// override reads what is said of one filter; false if nothing is.
func (d *decoder) override(p path, name string, a *anypb.Any) (o config.FilterOverride, ok bool) {
	o.Name = name
	optional := false
	if typeName, _, _ := unwrap(a); typeName == "envoy.config.route.v3.FilterConfig" {
		f := &routev3.FilterConfig{}
		if err := proto.Unmarshal(a.GetValue(), f); err != nil {
			d.refuse(p, "not a %s: %v", typeName, err)
			return o, false
		}
		d.begin(p, f)
		o.Disabled, optional, a = f.GetDisabled(), f.GetIsOptional(), f.GetConfig()
		if a == nil {
			return o, true
		}
		p = p.dot("config")
	}
	typeName, _, _ := unwrap(a)
	if optional && !implements(routeFilter, typeName) {
		d.warn(p, "optional configuration of filter '%s' of unknown type '%s' is left out", name, typeName)
		return o, o.Disabled
	}
	m := d.extension(p, routeFilter, name, a)
	if m == nil {
		return o, false
	}
	o.Config = d.routeFilterConfig(p, m)
	return o, true
}

// runtimeFlag is the value of a flag; false if it was not given.
func (d *decoder) runtimeFlag(m *corev3.RuntimeFeatureFlag) bool {
	if b, ok := d.opts.Runtime[m.GetRuntimeKey()].GetKind().(*structpb.Value_BoolValue); ok {
		return b.BoolValue
	}
	return m.GetDefaultValue().GetValue()
}
