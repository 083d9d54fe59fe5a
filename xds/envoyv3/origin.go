package envoyv3

// Extensions of the connection manager: who the client is, what is changed of a request
// before anything else, and what its ID looks like.

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	customv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/custom_header/v3"
	xffv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

func originExtensions() []extension {
	return []extension{
		{originDetection, "envoy.http.original_ip_detection.xff", func() proto.Message { return &xffv3.XffConfig{} }},
		{originDetection, "envoy.http.original_ip_detection.custom_header", func() proto.Message { return &customv3.CustomHeaderConfig{} }},
		{earlyMutation, "envoy.http.early_header_mutation.header_mutation", func() proto.Message { return &earlyv3.HeaderMutation{} }},
		{requestID, "envoy.request_id.uuid", func() proto.Message { return &uuidv3.UuidRequestIdConfig{} }},
	}
}

func originTables() []table {
	return []table{
		{of: &xffv3.XffConfig{}, honoured: "xff_num_trusted_hops xff_trusted_cidrs skip_xff_append"},
		{of: &xffv3.XffTrustedCidrs{}, honoured: "cidrs"},
		{of: &customv3.CustomHeaderConfig{}, honoured: "header_name allow_extension_to_set_address_as_trusted reject_with_status"},
		{of: &earlyv3.HeaderMutation{}, honoured: "mutations"},
		{of: &hcmv3.RequestIDExtension{}, honoured: "typed_config"},
		{
			of: &uuidv3.UuidRequestIdConfig{}, honoured: "pack_trace_reason",
			noEffect: notes{"use_request_id_for_trace_sampling": noSpans},
		},
		{
			of:       &hcmv3.HttpConnectionManager_ProxyStatusConfig{},
			noEffect: notes{"remove_connection_termination_details": "what ends a connection is not known before its answers are made: they never have those details"},
			honoured: "remove_details remove_response_flags set_recommended_response_code use_node_id literal_proxy_name",
		},
	}
}

// origin reads what is done to a request's head first.
func (d *decoder) origin(p path, m *hcmv3.HttpConnectionManager, h *config.HTTP) {
	pd := p.dot("original_ip_detection_extensions")
	h.Detections = d.detections(pd, m.GetOriginalIpDetectionExtensions())
	switch {
	case len(h.Detections) > 0 && h.UseRemoteAddress:
		d.refuse(pd, "Original IP detection extensions and use_remote_address may not be mixed")
	case len(h.Detections) > 0 && h.XffTrustedHops > 0:
		d.refuse(pd, "Original IP detection extensions and xff_num_trusted_hops may not be mixed")
	}
	for i, e := range m.GetEarlyHeaderMutationExtensions() {
		pe := p.dot("early_header_mutation_extensions").at(i).dot("typed_config")
		if c, ok := d.extension(pe, earlyMutation, e.GetName(), e.GetTypedConfig()).(*earlyv3.HeaderMutation); ok {
			h.EarlyMutations = append(h.EarlyMutations, d.headerMutations(pe.dot("mutations"), c.GetMutations())...)
		}
	}
	h.PackTraceReason = true
	if a := m.GetRequestIdExtension().GetTypedConfig(); a != nil {
		if c, ok := d.extension(p.dot("request_id_extension").dot("typed_config"), requestID, "", a).(*uuidv3.UuidRequestIdConfig); ok {
			h.PackTraceReason = orBool(c.GetPackTraceReason(), true)
		}
	}
	if m.GetAddUserAgent().GetValue() {
		h.AddUserAgent, h.ServiceCluster, h.ServiceNode = true, d.opts.ServiceCluster, d.opts.ServiceNode
	}
}

func (d *decoder) detections(p path, all []*corev3.TypedExtensionConfig) (list []config.Detection) {
	for i, e := range all {
		pe := p.at(i).dot("typed_config")
		switch c := d.extension(pe, originDetection, e.GetName(), e.GetTypedConfig()).(type) {
		case *xffv3.XffConfig:
			if c.GetXffTrustedCidrs() != nil && c.GetXffNumTrustedHops() > 0 {
				d.refuse(pe, "Cannot set both xff_num_trusted_hops and xff_trusted_cidrs")
			}
			list = append(list, config.Detection{
				Hops: c.GetXffNumTrustedHops(), AppendXFF: !orBool(c.GetSkipXffAppend(), true),
				Proxies: d.prefixes(pe.dot("xff_trusted_cidrs").dot("cidrs"), c.GetXffTrustedCidrs().GetCidrs()),
			})
		case *customv3.CustomHeaderConfig:
			list = append(list, config.Detection{
				Header: strings.ToLower(c.GetHeaderName()), Trusted: c.GetAllowExtensionToSetAddressAsTrusted(),
				Reject: rejection(c.GetRejectWithStatus()),
			})
		}
	}
	return list
}

// rejection is the status of a refusal, 0 for none.
func rejection(m *typev3.HttpStatus) int {
	switch code := int(m.GetCode()); {
	case m == nil:
		return 0
	case code >= 400 && code <= 511:
		return code
	}
	return 403
}

func (d *decoder) proxyStatus(m *hcmv3.HttpConnectionManager_ProxyStatusConfig, serverName string) *config.ProxyStatus {
	if m == nil {
		return nil
	}
	s := &config.ProxyStatus{
		Name: serverName, NoDetails: m.GetRemoveDetails(), NoTermination: m.GetRemoveConnectionTerminationDetails(),
		NoFlags: m.GetRemoveResponseFlags(), Recommended: m.GetSetRecommendedResponseCode(),
	}
	switch n := m.GetProxyName().(type) {
	case *hcmv3.HttpConnectionManager_ProxyStatusConfig_LiteralProxyName:
		s.Name = n.LiteralProxyName
	case *hcmv3.HttpConnectionManager_ProxyStatusConfig_UseNodeId:
		s.Name = d.opts.ServiceNode
	}
	return s
}
