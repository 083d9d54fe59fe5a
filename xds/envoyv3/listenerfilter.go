package envoyv3

// Listener filters: what looks at a connection before its chain is chosen.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	listenlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/local_ratelimit/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	originalsrcv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// listenerFilters reads the filters, and adds the TLS inspector where a chain
// needs it, as Envoy does (listener_impl.cc, buildListenerFilters).
func (d *decoder) listenerFilters(p path, m *listenerv3.Listener, l *config.Listener) {
	l.FiltersTimeout = d.duration(p.dot("listener_filters_timeout"), m.GetListenerFiltersTimeout(), config.DefaultFiltersTimeout)
	l.ContinueOnTimeout = m.GetContinueOnListenerFiltersTimeout()
	for i, f := range m.GetListenerFilters() {
		if f.GetTypedConfig() == nil {
			d.refuse(p.dot("listener_filters").at(i), "typed_config is required")
			continue
		}
		p := p.dot("listener_filters").at(i).dot("typed_config")
		switch t := d.extension(p, listenerFilter, f.GetName(), f.GetTypedConfig()).(type) {
		case *tlsinspectorv3.TlsInspector:
			l.TLSInspector = &config.TLSInspector{CloseOnError: t.GetCloseConnectionOnClientHelloParsingErrors(), JA3: t.GetEnableJa3Fingerprinting().GetValue(), JA4: t.GetEnableJa4Fingerprinting().GetValue()}
		case *proxyfilterv3.ProxyProtocol:
			if l.TLSInspector != nil {
				d.refuse(p, "must come before the TLS inspector: a PROXY header comes before TLS")
			}
			if l.ProxyProtocol != nil {
				d.refuse(p, "the PROXY header is taken once")
			}
			l.ProxyProtocol = d.proxyProtocol(p, t)
		case *originaldstv3.OriginalDst:
			if l.ProxyProtocol != nil {
				d.refuse(p, "must come before the PROXY header, which may say otherwise")
			}
			l.OriginalDst = true
		case *listenlimitv3.LocalRateLimit:
			l.Limits = append(l.Limits, config.AcceptLimit{
				ConnectionRateLimit: config.ConnectionRateLimit{
					StatPrefix: t.GetStatPrefix(), Bucket: d.tokenBucket(p.dot("token_bucket"), t.GetTokenBucket()), Off: d.switchedOff(t.GetRuntimeEnabled()),
				},
				Late: l.TLSInspector != nil || l.ProxyProtocol != nil,
			})
			d.required(p.dot("stat_prefix"), t.GetStatPrefix())
		case *originalsrcv3.OriginalSrc:
			d.never(p, "a connection to a host has this machine's address: to have the client's needs CAP_NET_ADMIN and routes of its own")
		case *httpinspectorv3.HttpInspector: // what it tells is found without it
		}
	}
	if m.GetUseOriginalDst().GetValue() { // Envoy puts the filter first
		l.OriginalDst, l.HandOff = true, true
	}
	for i := range m.GetFilterChains() {
		if m.GetFilterChains()[i].GetUseProxyProto().GetValue() && l.ProxyProtocol == nil {
			l.ProxyProtocol = &config.ProxyProtocol{}
		}
	}
	if l.TLSInspector == nil && needsInspector(l) {
		d.warn(p.dot("listener_filters"), "a filter chain match needs the TLS inspector: it is added")
		l.TLSInspector = &config.TLSInspector{}
	}
}

func needsInspector(l *config.Listener) bool {
	for c := range l.AllChains {
		m := &c.Match
		if m.TransportProtocol == "tls" || m.TransportProtocol == "" && len(m.ServerNames)+len(m.ApplicationProtocols) > 0 {
			return true
		}
	}
	return false
}

func (d *decoder) proxyProtocol(p path, m *proxyfilterv3.ProxyProtocol) *config.ProxyProtocol {
	f := &config.ProxyProtocol{StatPrefix: m.GetStatPrefix(), Optional: m.GetAllowRequestsWithoutProxyProtocol()}
	f.PassAll, f.Pass = d.passTLVs(p.dot("pass_through_tlvs"), m.GetPassThroughTlvs())
	for _, v := range m.GetDisallowedVersions() {
		f.NoV1 = f.NoV1 || v == corev3.ProxyProtocolConfig_V1
		f.NoV2 = f.NoV2 || v == corev3.ProxyProtocolConfig_V2
	}
	if f.NoV1 && f.NoV2 {
		d.refuse(p.dot("disallowed_versions"), "Proxy Protocol filter is misconfigured: all proxy protocol versions are disallowed.")
	}
	f.Rules = tlvRules(m.GetRules())
	f.InState = m.GetTlvLocation() == proxyfilterv3.ProxyProtocol_FILTER_STATE
	return f
}

// tlvNamespace is where TLVs are noted whose rule does not say.
const tlvNamespace = "envoy.filters.listener.proxy_protocol"

// tlvRules reads what is noted of TLVs: of two rules for one type the last one counts.
func tlvRules(rules []*proxyfilterv3.ProxyProtocol_Rule) (all []config.TLVRule) {
	for _, r := range rules {
		if r.GetOnTlvPresent() == nil {
			continue // nothing to do
		}
		rule := config.TLVRule{
			Type: byte(r.GetTlvType()), Key: r.GetOnTlvPresent().GetKey(),
			Namespace: cmp.Or(r.GetOnTlvPresent().GetMetadataNamespace(), tlvNamespace),
		}
		all = slices.DeleteFunc(all, func(o config.TLVRule) bool { return o.Type == rule.Type })
		all = append(all, rule)
	}
	return all
}

// serverNames reads what SNI is matched by: whole names, and "*." before one. The
// texts are Envoy's (filter_chain_manager_impl.cc).
func (d *decoder) serverNames(p path, names []string) (all []string) {
	for i, name := range names {
		name = strings.ToLower(name)
		if strings.Contains(strings.TrimPrefix(name, "*."), "*") {
			d.refuse(p.at(i), "partial wildcards are not supported in server_names")
		}
		all = append(all, name)
	}
	return all
}

// transportProtocol reads the protocol that a chain is for.
func (d *decoder) transportProtocol(p path, name string) string {
	switch name {
	case "", "raw_buffer":
	case "tls":
		if !d.serves().tls {
			d.never(p, "raw_buffer only: "+hintTLS)
		}
	default:
		d.warn(p, "connections are tls or raw_buffer: none has this one, and the chain takes none")
	}
	return name
}
