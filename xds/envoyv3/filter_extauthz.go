package envoyv3

// The ext_authz filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func extAuthzTables() []table {
	return []table{
		{
			of: &authzv3.ExtAuthz{},
			honoured: "grpc_service http_service failure_mode_allow failure_mode_allow_header_add with_request_body clear_route_cache " +
				"status_on_error validate_mutations metadata_context_namespaces route_metadata_context_namespaces filter_enabled filter_enabled_metadata " +
				"deny_at_disable include_peer_certificate include_tls_session stat_prefix allowed_headers disallowed_headers " +
				"encode_raw_headers enable_dynamic_metadata_ingestion max_denied_response_body_bytes " +
				"typed_metadata_context_namespaces route_typed_metadata_context_namespaces " +
				"bootstrap_metadata_labels_key decoder_header_mutation_rules",
			noEffect: notes{
				"transport_api_version":          "V3 is what there is",
				"charge_cluster_response_stats":  "a refusal is counted by the filter and by the connection manager",
				"emit_filter_state_stats":        "nothing reads them",
				"filter_metadata":                "nothing reads it",
				"enforce_response_header_limits": "what the service says is bounded by max_receive_message_length",
			},
			strict: true,
		},
		{of: &authzv3.BufferSettings{}, honoured: "max_request_bytes allow_partial_message pack_as_bytes", strict: true},
		{
			of:       &authzv3.HttpService{},
			honoured: "server_uri path_prefix authorization_request authorization_response retry_policy",
			strict:   true,
		},
		{of: &authzv3.AuthorizationRequest{}, honoured: "allowed_headers headers_to_add", strict: true},
		{
			of: &authzv3.AuthorizationResponse{},
			honoured: "allowed_upstream_headers allowed_upstream_headers_to_append allowed_client_headers " +
				"allowed_client_headers_on_success dynamic_metadata_from_headers",
			strict: true,
		},
		{of: &authzv3.ExtAuthzPerRoute{}, honoured: "disabled check_settings", strict: true},
		{
			of:       &authzv3.CheckSettings{},
			honoured: "context_extensions disable_request_body_buffering with_request_body grpc_service http_service",
			strict:   true,
		},
		{of: &matcherv3.ListStringMatcher{}, honoured: "patterns", strict: true},
	}
}

// authzTimeout bounds a question that says nothing of it (ext_authz/config.cc,
// DefaultTimeout).
const authzTimeout = 200 * time.Millisecond

func (d *decoder) extAuthz(p path, m *authzv3.ExtAuthz) *config.ExtAuthz {
	c := &config.ExtAuthz{
		FailureAllow: m.GetFailureModeAllow(), FailureHeader: m.GetFailureModeAllowHeaderAdd(),
		StatusOnError: cmp.Or(int(m.GetStatusOnError().GetCode()), 403),
		Body:          d.authzBody(p.dot("with_request_body"), m.GetWithRequestBody()),
		ClearRoute:    m.GetClearRouteCache(), ValidateMutations: m.GetValidateMutations(),
		Metadata: m.GetMetadataContextNamespaces(), RouteMetadata: m.GetRouteMetadataContextNamespaces(),
		Typed: m.GetTypedMetadataContextNamespaces(), RouteTyped: m.GetRouteTypedMetadataContextNamespaces(),
		EnabledIf: d.enabledMetadata(p.dot("filter_enabled_metadata"), m.GetFilterEnabledMetadata()),
		Enabled:   d.fraction(m.GetFilterEnabled()), DenyAtDisable: d.runtimeFlag(m.GetDenyAtDisable()),
		Certificate: m.GetIncludePeerCertificate(), TLSSession: m.GetIncludeTlsSession(), StatPrefix: m.GetStatPrefix(),
		Allowed: d.stringList(p.dot("allowed_headers"), m.GetAllowedHeaders()), HasAllowed: m.GetAllowedHeaders() != nil,
		Disallowed: d.stringList(p.dot("disallowed_headers"), m.GetDisallowedHeaders()),
		Raw:        m.GetEncodeRawHeaders(), IgnoreMetadata: !orBool(m.GetEnableDynamicMetadataIngestion(), true),
		MaxDeniedBody: m.GetMaxDeniedResponseBodyBytes(),
		Labels:        d.nodeLabels(m.GetBootstrapMetadataLabelsKey()),
	}
	if m.GetDecoderHeaderMutationRules() != nil {
		rules := d.mutationRules(p.dot("decoder_header_mutation_rules"), m.GetDecoderHeaderMutationRules())
		c.Rules = &rules
	}
	switch s := m.GetServices().(type) {
	case *authzv3.ExtAuthz_GrpcService:
		c.GRPC = d.grpcService(p.dot("grpc_service"), s.GrpcService, authzTimeout)
	case *authzv3.ExtAuthz_HttpService:
		c.HTTP = d.authzHTTP(p.dot("http_service"), s.HttpService)
		if ask := s.HttpService.GetAuthorizationRequest(); ask.GetAllowedHeaders() != nil {
			if m.GetAllowedHeaders() != nil {
				d.refuse(p.dot("http_service"), "Invalid duplicate configuration for allowed_headers.")
			}
			c.Allowed = d.stringList(p.dot("http_service").dot("authorization_request").dot("allowed_headers"), ask.GetAllowedHeaders())
		}
	case nil:
		d.refuse(p, "one of grpc_service and http_service is required")
	}
	return c
}

func (d *decoder) authzBody(p path, m *authzv3.BufferSettings) *config.AuthzBody {
	if m == nil {
		return nil
	}
	if m.GetMaxRequestBytes() == 0 {
		d.refuse(p.dot("max_request_bytes"), "value must be greater than 0")
	}
	return &config.AuthzBody{Max: m.GetMaxRequestBytes(), Partial: m.GetAllowPartialMessage(), Bytes: m.GetPackAsBytes()}
}

func (d *decoder) authzHTTP(p path, m *authzv3.HttpService) *config.AuthzHTTP {
	ask, answer := m.GetAuthorizationRequest(), m.GetAuthorizationResponse()
	pa := p.dot("authorization_response")
	h := &config.AuthzHTTP{
		Cluster: m.GetServerUri().GetCluster(), PathPrefix: m.GetPathPrefix(),
		Timeout:         d.duration(p.dot("server_uri").dot("timeout"), m.GetServerUri().GetTimeout(), authzTimeout),
		Upstream:        d.stringList(pa.dot("allowed_upstream_headers"), answer.GetAllowedUpstreamHeaders()),
		UpstreamAppend:  d.stringList(pa.dot("allowed_upstream_headers_to_append"), answer.GetAllowedUpstreamHeadersToAppend()),
		Client:          d.stringList(pa.dot("allowed_client_headers"), answer.GetAllowedClientHeaders()),
		ClientOnSuccess: d.stringList(pa.dot("allowed_client_headers_on_success"), answer.GetAllowedClientHeadersOnSuccess()),
		Metadata:        d.stringList(pa.dot("dynamic_metadata_from_headers"), answer.GetDynamicMetadataFromHeaders()),
	}
	d.required(p.dot("server_uri").dot("cluster"), h.Cluster)
	d.httpURI(p.dot("server_uri").dot("uri"), m.GetServerUri().GetUri())
	if h.PathPrefix != "" && h.PathPrefix[0] != '/' {
		d.refuse(p.dot("path_prefix"), `path_prefix should start with "/".`)
	}
	for i, v := range ask.GetHeadersToAdd() {
		pv := p.dot("authorization_request").dot("headers_to_add").at(i)
		d.headerName(pv.dot("key"), v.GetKey())
		value, format := d.headerFormat(pv.dot("value"), v.GetValue())
		if format != nil {
			d.never(pv.dot("value"), "give a literal value")
		}
		h.Add = append(h.Add, config.HeaderValue{Name: strings.ToLower(v.GetKey()), Value: value})
	}
	if m.GetRetryPolicy() != nil {
		h.Retry = d.serviceRetry(p.dot("retry_policy"), m.GetRetryPolicy())
	}
	return h
}

func (d *decoder) stringList(p path, m *matcherv3.ListStringMatcher) []config.StringMatch {
	return d.stringMatches(p.dot("patterns"), m.GetPatterns())
}

// grpcService reads a service that a filter asks, over a cluster; timeout bounds a
// call unless it says.
func (d *decoder) grpcService(p path, m *corev3.GrpcService, timeout time.Duration) *config.GRPCService {
	e := m.GetEnvoyGrpc()
	if e == nil {
		d.never(p.dot("google_grpc"), "use envoy_grpc")
		return &config.GRPCService{}
	}
	d.required(p.dot("envoy_grpc").dot("cluster_name"), e.GetClusterName())
	return &config.GRPCService{
		Cluster: e.GetClusterName(), Authority: cmp.Or(e.GetAuthority(), e.GetClusterName()),
		Timeout:    d.duration(p.dot("timeout"), m.GetTimeout(), timeout),
		MaxMessage: e.GetMaxReceiveMessageLength().GetValue(),
		Metadata:   d.metadata(p.dot("initial_metadata"), m.GetInitialMetadata()),
	}
}

func (d *decoder) extAuthzRoute(p path, m *authzv3.ExtAuthzPerRoute) *config.ExtAuthzRoute {
	s, ps := m.GetCheckSettings(), p.dot("check_settings")
	if s == nil && !m.GetDisabled() {
		d.refuse(p, "one of disabled and check_settings is required")
	}
	c := &config.ExtAuthzRoute{
		Disabled: m.GetDisabled(), Context: s.GetContextExtensions(), NoBody: s.GetDisableRequestBodyBuffering(),
		Body: d.authzBody(ps.dot("with_request_body"), s.GetWithRequestBody()),
	}
	switch o := s.GetServiceOverride().(type) {
	case *authzv3.CheckSettings_GrpcService:
		c.GRPC = d.grpcService(ps.dot("grpc_service"), o.GrpcService, authzTimeout)
	case *authzv3.CheckSettings_HttpService:
		c.HTTP = d.authzHTTP(ps.dot("http_service"), o.HttpService)
		if o.HttpService.GetAuthorizationRequest().GetAllowedHeaders() != nil {
			d.never(ps.dot("http_service").dot("authorization_request").dot("allowed_headers"),
				"Envoy does not read it here: which headers are sent the filter says")
		}
	}
	return c
}

// nodeLabels are the texts below a key of node.metadata of the bootstrap.
func (d *decoder) nodeLabels(key string) (all []config.Metadata) {
	labels := d.opts.NodeMetadata.GetFields()[key].GetStructValue().GetFields()
	for _, name := range sortedKeys(labels) {
		all = append(all, config.Metadata{Key: name, Value: labels[name].GetStringValue()})
	}
	return all
}

// enabledMetadata reads which requests are checked by what filters have noted of them; nil: all.
func (d *decoder) enabledMetadata(p path, m *matcherv3.MetadataMatcher) *config.MetadataMatch {
	if m == nil {
		return nil
	}
	return d.metadataMatch(p, m)
}
