package ambassador

// TLS to instances, from files of the sidecar's.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

func (p *Port) transportSocket() *corev3.TransportSocket {
	t := p.TLS
	if t == nil {
		return nil
	}
	validation := &tlsv3.CertificateValidationContext{TrustedCa: fileSource(t.CA)}
	if t.ServerName != "" {
		validation.MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_DNS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: t.ServerName}},
		}}
	}
	common := &tlsv3.CommonTlsContext{
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation},
	}
	if t.Certificate != "" {
		common.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: fileSource(t.Certificate), PrivateKey: fileSource(t.Key)}}
	}
	if p.Protocol == ProtocolGRPC {
		common.AlpnProtocols = []string{"h2"}
	}
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(&tlsv3.UpstreamTlsContext{
			CommonTlsContext: common, Sni: t.ServerName,
		})},
	}
}

func fileSource(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}
