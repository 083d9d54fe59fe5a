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
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// listenerFilters reads the filters, and adds the TLS inspector where a chain
// needs it, as Envoy does (listener_impl.cc, buildListenerFilters).
func (d *decoder) listenerFilters(p path, m *listenerv3.Listener, l *config.Listener) {
	l.FiltersTimeout = d.duration(p.dot("listener_filters_timeout"), m.GetListenerFiltersTimeout(), config.DefaultFiltersTimeout)
	l.ContinueOnTimeout = m.GetContinueOnListenerFiltersTimeout()
	var all []config.ListenerFilter
	if m.GetUseOriginalDst().GetValue() { // Envoy puts the filter first
		l.HandOff = true
		all = append(all, config.ListenerFilter{Config: &config.OriginalDstFilter{}})
	}
	o := &filterOrder{}
	discovers := false
	for i, f := range m.GetListenerFilters() {
		p := p.dot("listener_filters").at(i)
		if f.GetConfigDiscovery() != nil {
			at := place{kind: listenerFilter, of: config.ListenerFilters}
			by := d.discoveredAt(at, p.dot("config_discovery"), f.GetName(), f.GetConfigDiscovery())
			discovers = true
			d.inOrder(o, p.dot("config_discovery"), by.Types)
			all = append(all, config.ListenerFilter{Discovery: by})
			continue
		}
		if f.GetTypedConfig() == nil {
			d.refuse(p, "typed_config is required")
			continue
		}
		p = p.dot("typed_config")
		if t := d.extension(p, listenerFilter, f.GetName(), f.GetTypedConfig()); t != nil {
			d.inOrder(o, p, []string{string(t.ProtoReflect().Descriptor().FullName())})
			all = append(all, config.ListenerFilter{Config: d.listenerFilter(p, t)})
		}
	}
	for i := range m.GetFilterChains() {
		switch {
		case !m.GetFilterChains()[i].GetUseProxyProto().GetValue():
		case o.maybe:
			d.never(p.dot("filter_chains").at(i).dot("use_proxy_proto"), "a listener filter that comes by discovery may take the PROXY header, or may not: say it of one type alone")
		case !o.proxy:
			o.proxy = true
			all = append(all, config.ListenerFilter{Config: &config.ProxyProtocol{}})
		}
	}
	if !o.inspector && l.NeedsInspector() {
		d.warn(p.dot("listener_filters"), "a filter chain match needs the TLS inspector: it is added")
	}
	l.Arrange(all)
	if discovers {
		l.Filters = all
	}
}

// filterOrder is what listener filters may have been before one.
type filterOrder struct {
	inspector, proxy bool
	maybe            bool // the one that takes the PROXY header may be another one
}

// inOrder refuses a listener filter that may be one of types where one of them cannot stand.
func (d *decoder) inOrder(o *filterOrder, p path, types []string) {
	mayBe := func(m proto.Message) bool {
		return slices.Contains(types, string(m.ProtoReflect().Descriptor().FullName()))
	}
	proxy := mayBe(&proxyfilterv3.ProxyProtocol{})
	switch {
	case proxy && o.inspector:
		d.refuse(p, "must come before the TLS inspector: a PROXY header comes before TLS")
	case proxy && o.proxy:
		d.refuse(p, "the PROXY header is taken once")
	case mayBe(&originaldstv3.OriginalDst{}) && o.proxy:
		d.refuse(p, "must come before the PROXY header, which may say otherwise")
	}
	o.proxy = o.proxy || proxy
	o.maybe = o.maybe || proxy && len(types) > 1
	o.inspector = o.inspector || mayBe(&tlsinspectorv3.TlsInspector{})
}

// listenerFilter reads the configuration of one; nil if it is refused.
func (d *decoder) listenerFilter(p path, m proto.Message) any {
	switch m := m.(type) {
	case *tlsinspectorv3.TlsInspector:
		return &config.TLSInspector{CloseOnError: m.GetCloseConnectionOnClientHelloParsingErrors(), JA3: m.GetEnableJa3Fingerprinting().GetValue(), JA4: m.GetEnableJa4Fingerprinting().GetValue()}
	case *proxyfilterv3.ProxyProtocol:
		return d.proxyProtocol(p, m)
	case *originaldstv3.OriginalDst:
		return &config.OriginalDstFilter{}
	case *listenlimitv3.LocalRateLimit:
		d.required(p.dot("stat_prefix"), m.GetStatPrefix())
		return &config.AcceptLimit{ConnectionRateLimit: config.ConnectionRateLimit{
			StatPrefix: m.GetStatPrefix(), Bucket: d.tokenBucket(p.dot("token_bucket"), m.GetTokenBucket()), Off: d.switchedOff(m.GetRuntimeEnabled()),
		}}
	case *originalsrcv3.OriginalSrc:
		d.never(p, "a connection to a host has this machine's address: to have the client's needs CAP_NET_ADMIN and routes of its own")
	case *httpinspectorv3.HttpInspector:
		return &config.HTTPInspector{}
	}
	return nil
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
