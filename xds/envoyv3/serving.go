package envoyv3

// What the engine serves of what is decoded. Here, and only here, a part is
// switched on when it works; until then whatever asks for it is refused by its
// path, always.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	proxysocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	starttlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/starttls/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
)

// serving has a switch for each part.
type serving struct {
	// downstreamH2: codec_type HTTP2 and the listener's http2_protocol_options.
	downstreamH2 bool
	// upstreamH2: a cluster's http2_protocol_options, use_downstream_protocol_config
	// and auto_config.
	upstreamH2 bool
	// tls: transport sockets of TLS on both sides, transport_socket_matches, the TLS
	// inspector and what is matched by it, and x-forwarded-client-cert.
	tls bool
	// startTLS: the STARTTLS sockets of both sides.
	startTLS bool
	// proxyProtocol: the listener filter, use_proxy_proto and the socket of clusters.
	proxyProtocol bool
}

// served is what the engine serves now.
func served() serving {
	return serving{downstreamH2: true, upstreamH2: true, tls: true, startTLS: true, proxyProtocol: true}
}

// everything is what is decoded, for tests of that.
func everything() serving {
	return serving{downstreamH2: true, upstreamH2: true, tls: true, startTLS: true, proxyProtocol: true}
}

// serves is what counts here.
func (d *decoder) serves() serving {
	if d.opts.everything {
		return everything()
	}
	return served()
}

// gate keeps a field shut until what it needs is served.
type gate struct {
	open  bool
	of    proto.Message
	field string
	hint  string
}

// gates are the fields that need something of s.
func (s serving) gates() []gate {
	return []gate{
		{s.downstreamH2, &hcmv3.HttpConnectionManager{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &clusterv3.Cluster{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &clusterv3.Cluster{}, "protocol_selection", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{}, "http2_protocol_options", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions{}, "use_downstream_protocol_config", hintHTTP2},
		{s.upstreamH2, &upstreamv3.HttpProtocolOptions{}, "auto_config", hintHTTP2},
		{s.tls, &clusterv3.Cluster{}, "transport_socket_matches", hintTLS},
		{s.tls, &listenerv3.FilterChainMatch{}, "server_names", hintTLS},
		{s.tls, &listenerv3.FilterChainMatch{}, "application_protocols", hintTLS},
		{s.proxyProtocol, &listenerv3.FilterChain{}, "use_proxy_proto", hintProxy},
	}
}

// lacks says why the extension that m configures is not served yet; "" if it is.
func (s serving) lacks(m proto.Message) string {
	switch m.(type) {
	case *tlsv3.DownstreamTlsContext, *tlsv3.UpstreamTlsContext, *tlsinspectorv3.TlsInspector:
		if !s.tls {
			return hintTLS
		}
	case *starttlsv3.StartTlsConfig, *starttlsv3.UpstreamStartTlsConfig:
		if !s.startTLS {
			return "STARTTLS is not supported yet"
		}
	case *proxyfilterv3.ProxyProtocol, *proxysocketv3.ProxyProtocolUpstreamTransport:
		if !s.proxyProtocol {
			return hintProxy
		}
	}
	return ""
}

// tables are those of every message, with what is not served shut.
func (s serving) tables() []table {
	all := allTables()
	for _, g := range s.gates() {
		for i := range all {
			if !g.open && all[i].of.ProtoReflect().Descriptor() == g.of.ProtoReflect().Descriptor() {
				all[i].shut = append(all[i].shut, g)
			}
		}
	}
	return all
}

// tables lists every message type that decoding touches, as it is served now.
func tables() []table { return served().tables() }
