package envoyv3

// Rate limits: what makes descriptors of requests, for the filters that look at them.

import (
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	limitexprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func rateLimitTables() []table {
	const literal = "the value is taken as it is, which is Envoy's default too"
	return []table{
		{of: &routev3.RateLimit{}, honoured: "stage disable_key actions limit hits_addend apply_on_stream_done", strict: true},
		{of: &routev3.RateLimit_HitsAddend{}, honoured: "number format", strict: true},
		{of: &routev3.RateLimit_Override{}, honoured: "dynamic_metadata", strict: true},
		{of: &routev3.RateLimit_Override_DynamicMetadata{}, honoured: "metadata_key", strict: true},
		{
			of: &routev3.RateLimit_Action{}, strict: true,
			honoured: "source_cluster destination_cluster request_headers query_parameters remote_address generic_key " +
				"header_value_match metadata masked_remote_address query_parameter_value_match",
			partly: notes{"extension": "envoy.rate_limit_descriptors.expr, or an input of matchers"},
			never:  notes{"dynamic_metadata": "deprecated: use metadata"},
		},
		{of: &limitexprv3.Descriptor{}, honoured: "descriptor_key skip_if_error", partly: notes{"text": noteCEL, "parsed": noteCEL}, strict: true},
		{of: &routev3.RateLimit_Action_SourceCluster{}},
		{of: &routev3.RateLimit_Action_DestinationCluster{}},
		{of: &routev3.RateLimit_Action_RemoteAddress{}},
		{of: &routev3.RateLimit_Action_RequestHeaders{}, honoured: "header_name descriptor_key skip_if_absent", strict: true},
		{of: &routev3.RateLimit_Action_QueryParameters{}, honoured: "query_parameter_name descriptor_key skip_if_absent", strict: true},
		{of: &routev3.RateLimit_Action_MaskedRemoteAddress{}, honoured: "v4_prefix_mask_len v6_prefix_mask_len", strict: true},
		{of: &routev3.RateLimit_Action_GenericKey{}, honoured: "descriptor_value descriptor_key", noEffect: notes{"default_value": literal}, strict: true},
		{
			of: &routev3.RateLimit_Action_HeaderValueMatch{}, honoured: "descriptor_value descriptor_key expect_match headers",
			noEffect: notes{"default_value": literal}, strict: true,
		},
		{
			of: &routev3.RateLimit_Action_QueryParameterValueMatch{}, honoured: "descriptor_value descriptor_key expect_match query_parameters",
			noEffect: notes{"default_value": literal}, strict: true,
		},
		{of: &routev3.RateLimit_Action_MetaData{}, honoured: "descriptor_key metadata_key default_value source skip_if_absent", strict: true},
	}
}

// rateLimits reads the rate limits of a route or a virtual host.
func (d *decoder) rateLimits(p path, all []*routev3.RateLimit) (list []config.RateLimit) {
	for i, m := range all {
		l := d.rateLimit(p.at(i), m)
		l.Stage = m.GetStage().GetValue()
		if key := m.GetDisableKey(); key != "" {
			l.Keyed = true
			if share, said := d.opts.Runtime.fraction("ratelimit." + key + ".http_filter_enabled"); said {
				l.Share = &share
			}
		}
		if m.GetHitsAddend() != nil {
			d.never(p.at(i).dot("hits_addend"), "Envoy reads it in typed_per_filter_config and in filters only")
		}
		if m.GetLimit() != nil {
			l.Override = metadataPath(m.GetLimit().GetDynamicMetadata().GetMetadataKey())
		}
		list = append(list, l)
	}
	return list
}

// filterRateLimits reads those of a filter; the texts are Envoy's
// (ratelimit_config.cc).
func (d *decoder) filterRateLimits(p path, all []*routev3.RateLimit) (list []config.RateLimit) {
	for i, m := range all {
		l := d.rateLimit(p.at(i), m)
		if m.GetStage() != nil || m.GetDisableKey() != "" {
			d.refuse(p.at(i), "'stage' field and 'disable_key' field are not supported")
		}
		if m.GetLimit() != nil {
			d.refuse(p.at(i).dot("limit"), "'limit' field is not supported")
		}
		l.Hits = d.hitsAddend(p.at(i).dot("hits_addend"), m.GetHitsAddend())
		list = append(list, l)
	}
	return list
}

func (d *decoder) hitsAddend(p path, m *routev3.RateLimit_HitsAddend) *config.Hits {
	switch {
	case m == nil:
		return nil
	case (m.GetFormat() != "") == (m.GetNumber() != nil):
		d.refuse(p, "hits_addend must contain either a format or a number")
		return nil
	case m.GetNumber() != nil:
		return &config.Hits{Number: m.GetNumber().GetValue()}
	}
	f := d.format(p.dot("format"), m.GetFormat())
	if len(f) != 1 {
		d.refuse(p.dot("format"), "hits_addend format must contain exactly one substitution")
	}
	return &config.Hits{Format: f}
}

func (d *decoder) rateLimit(p path, m *routev3.RateLimit) config.RateLimit {
	l := config.RateLimit{OnDone: m.GetApplyOnStreamDone()}
	for i, a := range m.GetActions() {
		if one, ok := d.limitAction(p.dot("actions").at(i), a); ok {
			l.Actions = append(l.Actions, one)
		}
	}
	return l
}

// limitAction reads an action; false if it was refused.
func (d *decoder) limitAction(p path, m *routev3.RateLimit_Action) (a config.RateLimitAction, ok bool) {
	switch s := m.GetActionSpecifier().(type) {
	case *routev3.RateLimit_Action_SourceCluster_:
		a.Key, a.Value = "source_cluster", d.opts.ServiceCluster
	case *routev3.RateLimit_Action_DestinationCluster_:
		a.Kind, a.Key = config.LimitDestination, "destination_cluster"
	case *routev3.RateLimit_Action_RequestHeaders_:
		h := s.RequestHeaders
		a.Kind, a.Key, a.SkipAbsent = config.LimitHeader, h.GetDescriptorKey(), h.GetSkipIfAbsent()
		a.Name = strings.ToLower(h.GetHeaderName())
	case *routev3.RateLimit_Action_QueryParameters_:
		q := s.QueryParameters
		a.Kind, a.Key, a.SkipAbsent = config.LimitQuery, orText(q.GetDescriptorKey(), "query_param"), q.GetSkipIfAbsent()
		a.Name = q.GetQueryParameterName()
	case *routev3.RateLimit_Action_RemoteAddress_:
		a.Kind, a.Key = config.LimitRemote, "remote_address"
	case *routev3.RateLimit_Action_MaskedRemoteAddress_:
		r := s.MaskedRemoteAddress
		a.Kind, a.Key = config.LimitRemoteNetwork, "masked_remote_address"
		a.BitsV4 = uint8(min(orUint32(r.GetV4PrefixMaskLen(), 32), 32))
		a.BitsV6 = uint8(min(orUint32(r.GetV6PrefixMaskLen(), 128), 128))
	case *routev3.RateLimit_Action_GenericKey_:
		a.Key, a.Value = orText(s.GenericKey.GetDescriptorKey(), "generic_key"), s.GenericKey.GetDescriptorValue()
	case *routev3.RateLimit_Action_HeaderValueMatch_:
		h := s.HeaderValueMatch
		a.Kind, a.Key, a.Value = config.LimitHeaderMatch, orText(h.GetDescriptorKey(), "header_match"), h.GetDescriptorValue()
		a.Invert = !orBool(h.GetExpectMatch(), true)
		for i, c := range h.GetHeaders() {
			a.Headers = append(a.Headers, d.headerMatch(p.dot("header_value_match").dot("headers").at(i), c))
		}
	case *routev3.RateLimit_Action_QueryParameterValueMatch_:
		q := s.QueryParameterValueMatch
		a.Kind, a.Key, a.Value = config.LimitQueryMatch, orText(q.GetDescriptorKey(), "query_match"), q.GetDescriptorValue()
		a.Invert = !orBool(q.GetExpectMatch(), true)
		for i, c := range q.GetQueryParameters() {
			a.Query = append(a.Query, d.queryMatch(p.dot("query_parameter_value_match").dot("query_parameters").at(i), c))
		}
	case *routev3.RateLimit_Action_Metadata:
		m := s.Metadata
		a.Kind, a.Key, a.Default, a.SkipAbsent = config.LimitMetadata, m.GetDescriptorKey(), m.GetDefaultValue(), m.GetSkipIfAbsent()
		a.Metadata, a.OfRoute = *metadataPath(m.GetMetadataKey()), m.GetSource() == routev3.RateLimit_Action_MetaData_ROUTE_ENTRY
	case *routev3.RateLimit_Action_Extension:
		return d.limitExtension(p.dot("extension"), s.Extension)
	default:
		return a, false // the walk, or what the API demands, has refused it
	}
	return a, true
}

// limitExtension reads an action that is an expression, or else an input of matchers.
func (d *decoder) limitExtension(p path, m *corev3.TypedExtensionConfig) (a config.RateLimitAction, ok bool) {
	typeName, _, _ := unwrap(m.GetTypedConfig())
	if !implements(limitDescriptor, typeName) {
		a.Kind, a.Key = config.LimitInput, m.GetName()
		in := &xdscorev3.TypedExtensionConfig{Name: m.GetName(), TypedConfig: m.GetTypedConfig()}
		a.Input = d.matchInput(p, in, &treePlace{input: requestInput})
		return a, true
	}
	p = p.dot("typed_config")
	e, ok := d.extension(p, limitDescriptor, m.GetName(), m.GetTypedConfig()).(*limitexprv3.Descriptor)
	if !ok {
		return a, false
	}
	a.Kind, a.Key, a.SkipAbsent = config.LimitExpression, e.GetDescriptorKey(), e.GetSkipIfError()
	d.required(p.dot("descriptor_key"), a.Key)
	switch s := e.GetExprSpecifier().(type) {
	case *limitexprv3.Descriptor_Text:
		a.Expression = d.celText(p.dot("text"), s.Text)
	case *limitexprv3.Descriptor_Parsed:
		a.Expression = d.celExpr(p.dot("parsed"), s.Parsed)
	default:
		d.refuse(p, "Rate limit descriptor extension failed: expression specifier is not set")
	}
	return a, true
}

func orText(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func metadataPath(m *metadatav3.MetadataKey) *config.MetadataPath {
	p := &config.MetadataPath{Namespace: m.GetKey()}
	for _, s := range m.GetPath() {
		p.Path = append(p.Path, s.GetKey())
	}
	return p
}
