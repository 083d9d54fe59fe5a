package envoyv3

// The ext_proc filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func extProcTables() []table {
	const (
		hooks  = "nothing here is such an extension"
		unread = "Envoy does not read it"
	)
	return []table{
		{
			of: &procv3.ExternalProcessor{},
			honoured: "grpc_service failure_mode_allow message_timeout stat_prefix mutation_rules max_message_timeout " +
				"forward_rules allow_mode_override disable_immediate_response metadata_options observability_mode disable_clear_route_cache " +
				"route_cache_action deferred_close_timeout allowed_override_modes status_on_error",
			partly: notes{
				"processing_mode":    "not GRPC, which Envoy has not built",
				"request_attributes": noteCEL, "response_attributes": noteCEL,
			},
			noEffect: notes{"filter_metadata": "nothing reads it"},
			never: notes{
				"http_service": "its messages are JSON, and there are headers alone: use grpc_service",
				"send_body_without_waiting_for_header_response": "a body is sent when the headers' answer is there: a service that wants it before has FULL_DUPLEX_STREAMED",
				"processing_request_modifier":                   hooks, "on_processing_response": hooks,
			},
			strict: true,
		},
		{
			of:       &procv3.ProcessingMode{},
			honoured: "request_header_mode response_header_mode request_body_mode response_body_mode request_trailer_mode response_trailer_mode",
			strict:   true,
		},
		{of: &procv3.HeaderForwardingRules{}, honoured: "allowed_headers disallowed_headers", strict: true},
		{
			of: &procv3.MetadataOptions{}, honoured: "forwarding_namespaces receiving_namespaces",
			never: notes{"cluster_metadata_forwarding_namespaces": tooNew}, strict: true,
		},
		{of: &procv3.MetadataOptions_MetadataNamespaces{}, honoured: "untyped", partly: notes{"typed": "of forwarding_namespaces: what a service sets is never typed"}, strict: true},
		{of: &procv3.ExtProcPerRoute{}, honoured: "disabled overrides", strict: true},
		{
			of: &procv3.ExtProcOverrides{}, honoured: "processing_mode grpc_service metadata_options grpc_initial_metadata failure_mode_allow",
			never: notes{
				"async_mode": unread, "request_attributes": unread, "response_attributes": unread, "processing_request_modifier": hooks,
			},
			strict: true,
		},
		{
			of:       &mutationv3.HeaderMutationRules{},
			honoured: "allow_all_routing allow_envoy disallow_system disallow_all allow_expression disallow_expression disallow_is_error",
			strict:   true,
		},
	}
}

// How long an answer may take that says nothing of it, and how long the stream of a
// filter that only looks on lives longer than its request (ext_proc/config.h,
// ext_proc.h).
const (
	procTimeout   = 200 * time.Millisecond
	procCloseTime = 5 * time.Second
)

func (d *decoder) extProc(p path, m *procv3.ExternalProcessor) *config.ExtProc {
	c := &config.ExtProc{
		FailureAllow: m.GetFailureModeAllow(), StatusOnError: cmp.Or(int(m.GetStatusOnError().GetCode()), 500),
		Mode:         d.procMode(p.dot("processing_mode"), m.GetProcessingMode()),
		ModeOverride: m.GetAllowModeOverride(), StatPrefix: m.GetStatPrefix(),
		MessageTimeout:    d.duration(p.dot("message_timeout"), m.GetMessageTimeout(), procTimeout),
		MaxMessageTimeout: d.duration(p.dot("max_message_timeout"), m.GetMaxMessageTimeout(), 0),
		Rules:             d.mutationRules(p.dot("mutation_rules"), m.GetMutationRules()),
		Allowed:           d.stringList(p.dot("forward_rules").dot("allowed_headers"), m.GetForwardRules().GetAllowedHeaders()),
		Disallowed:        d.stringList(p.dot("forward_rules").dot("disallowed_headers"), m.GetForwardRules().GetDisallowedHeaders()),
		NoImmediate:       m.GetDisableImmediateResponse(), Observe: m.GetObservabilityMode(),
		DeferredClose: d.duration(p.dot("deferred_close_timeout"), m.GetDeferredCloseTimeout(), procCloseTime),
		Forward:       m.GetMetadataOptions().GetForwardingNamespaces().GetUntyped(),
		Receive:       m.GetMetadataOptions().GetReceivingNamespaces().GetUntyped(),
		ForwardTyped:  m.GetMetadataOptions().GetForwardingNamespaces().GetTyped(),
		RouteCache:    config.RouteCacheAction(m.GetRouteCacheAction()),
		GRPC:          &config.GRPCService{},
	}
	c.RequestAttributes = d.celTexts(p.dot("request_attributes"), m.GetRequestAttributes())
	c.ResponseAttributes = d.celTexts(p.dot("response_attributes"), m.GetResponseAttributes())
	for i, mode := range m.GetAllowedOverrideModes() {
		c.Modes = append(c.Modes, d.procMode(p.dot("allowed_override_modes").at(i), mode))
	}
	switch {
	case (m.GetGrpcService() == nil) == (m.GetHttpService() == nil):
		d.refuse(p, "One and only one of grpc_service or http_service must be configured")
	case m.GetGrpcService() != nil:
		c.GRPC = d.grpcService(p.dot("grpc_service"), m.GetGrpcService(), 0)
	}
	d.procTrailers(p.dot("processing_mode"), m.GetProcessingMode())
	if m.GetDisableClearRouteCache() {
		if c.RouteCache != config.RouteCacheAsTold {
			d.refuse(p, "disable_clear_route_cache and route_cache_action can not be set to none-default at the same time.")
		}
		c.RouteCache = config.RouteCacheRetain
	}
	return c
}

// procTrailers wants the trailers sent, where a body that goes both ways may be followed by
// them (verifyProcessingModeConfig). What a route says is not checked: they are sent anyway.
func (d *decoder) procTrailers(p path, m *procv3.ProcessingMode) {
	const why = "If the ext_proc filter has the %[1]s_body_mode set to FULL_DUPLEX_STREAMED, then the %[1]s_trailer_mode has to be set to SEND"
	if m.GetRequestBodyMode() == procv3.ProcessingMode_FULL_DUPLEX_STREAMED && m.GetRequestTrailerMode() != procv3.ProcessingMode_SEND {
		d.refuse(p, why, "request")
	}
	if m.GetResponseBodyMode() == procv3.ProcessingMode_FULL_DUPLEX_STREAMED && m.GetResponseTrailerMode() != procv3.ProcessingMode_SEND {
		d.refuse(p, why, "response")
	}
}

func (d *decoder) procMode(p path, m *procv3.ProcessingMode) config.ExtProcMode {
	return config.ExtProcMode{
		RequestHeaders: config.HeaderSend(m.GetRequestHeaderMode()), ResponseHeaders: config.HeaderSend(m.GetResponseHeaderMode()),
		RequestTrailers: config.HeaderSend(m.GetRequestTrailerMode()), ResponseTrailers: config.HeaderSend(m.GetResponseTrailerMode()),
		RequestBody:  d.bodySend(p.dot("request_body_mode"), m.GetRequestBodyMode()),
		ResponseBody: d.bodySend(p.dot("response_body_mode"), m.GetResponseBodyMode()),
	}
}

func (d *decoder) bodySend(p path, m procv3.ProcessingMode_BodySendMode) config.BodySend {
	if m > procv3.ProcessingMode_FULL_DUPLEX_STREAMED {
		d.never(p, m.String()+": Envoy has not built it; use FULL_DUPLEX_STREAMED")
		return config.BodySendNone
	}
	return config.BodySend(m)
}

func (d *decoder) mutationRules(p path, m *mutationv3.HeaderMutationRules) config.MutationRules {
	r := config.MutationRules{
		Routing: m.GetAllowAllRouting().GetValue(), Envoy: m.GetAllowEnvoy().GetValue(),
		NoSystem: m.GetDisallowSystem().GetValue(), NoAll: m.GetDisallowAll().GetValue(), Strict: m.GetDisallowIsError().GetValue(),
	}
	if e := m.GetAllowExpression(); e != nil {
		r.Allow = d.fullMatch(p.dot("allow_expression"), e)
	}
	if e := m.GetDisallowExpression(); e != nil {
		r.Disallow = d.fullMatch(p.dot("disallow_expression"), e)
	}
	return r
}

func (d *decoder) extProcRoute(p path, m *procv3.ExtProcPerRoute) *config.ExtProcRoute {
	o := m.GetOverrides()
	if o == nil {
		return &config.ExtProcRoute{Disabled: true}
	}
	p = p.dot("overrides")
	c := &config.ExtProcRoute{FailureAllow: boolOf(o.GetFailureModeAllow())}
	if o.GetProcessingMode() != nil {
		mode := d.procMode(p.dot("processing_mode"), o.GetProcessingMode())
		c.Mode = &mode
	}
	if o.GetGrpcService() != nil {
		c.GRPC = d.grpcService(p.dot("grpc_service"), o.GetGrpcService(), 0)
	}
	c.Metadata = d.metadata(p.dot("grpc_initial_metadata"), o.GetGrpcInitialMetadata())
	if f := o.GetMetadataOptions().GetForwardingNamespaces(); f != nil {
		c.Forward = new([]string)
		*c.Forward, c.ForwardTyped = f.GetUntyped(), f.GetTyped()
	}
	if r := o.GetMetadataOptions().GetReceivingNamespaces(); r != nil {
		c.Receive = new([]string)
		*c.Receive = r.GetUntyped()
	}
	return c
}
