package ambassador

// TLS to instances: by files of the sidecar's, or by secrets that it is sent.

import (
	"cmp"
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/discovery"
)

func (p *Port) transportSocket(to discovery.Service) *corev3.TransportSocket {
	t := p.TLS
	if t == nil {
		return nil
	}
	common := &tlsv3.CommonTlsContext{}
	own, trusted := t.secrets()
	validation := &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: t.names(to)}
	if trusted != nil {
		common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: validation, ValidationContextSdsSecretConfig: trusted.source(),
			},
		}
	} else {
		validation.TrustedCa = fileSource(t.CA)
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation}
	}
	switch {
	case own != nil:
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{own.source()}
	case t.Certificate != "":
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

// source is where a sidecar has the secret: on the stream that named it.
func (s *Secret) source() *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: s.String(), SdsConfig: aggregated()}
}

// names are what an instance's certificate must carry one of.
func (t *TLS) names(to discovery.Service) (all []*tlsv3.SubjectAltNameMatcher) {
	for _, name := range t.SANs {
		all = append(all, exactName(name))
	}
	switch {
	case len(all) > 0:
	case t.ServerName != "":
		all = append(all, exactName(t.ServerName))
	case t.Identity.Source != "":
		all = append(all, &tlsv3.SubjectAltNameMatcher{
			SanType: tlsv3.SubjectAltNameMatcher_URI,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
				SafeRegex: &matcherv3.RegexMatcher{Regex: spiffeOf(to)},
			}},
		})
	}
	return all
}

func exactName(name string) *tlsv3.SubjectAltNameMatcher {
	kind := tlsv3.SubjectAltNameMatcher_DNS
	if strings.Contains(name, "://") {
		kind = tlsv3.SubjectAltNameMatcher_URI
	}
	return &tlsv3.SubjectAltNameMatcher{
		SanType: kind, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
	}
}

// spiffeOf fits the SPIFFE ids that Consul gives a service (consul,
// agent/connect/uri_service.go): of any trust domain, for the roots are those
// of one, and of any datacenter unless the reference names it.
func spiffeOf(s discovery.Service) string {
	q := s.Parameters()
	partition := "(/ap/default)?"
	if name := q.Get("partition"); name != "" && name != "default" {
		partition = "/ap/" + regexp.QuoteMeta(name)
	}
	datacenter := "[^/]+"
	if name := q.Get("dc"); name != "" {
		datacenter = regexp.QuoteMeta(name)
	}
	return "spiffe://[^/]+" + partition + "/ns/" + regexp.QuoteMeta(cmp.Or(q.Get("ns"), "default")) +
		"/dc/" + datacenter + "/svc/" + regexp.QuoteMeta(s.Name)
}

func fileSource(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

// tls checks a port's TLS.
func (r *reader) tls(c *Config, p *Port, path string) {
	t := p.TLS
	if t == nil {
		return
	}
	if (t.Certificate == "") != (t.Key == "") {
		r.refuse(path, "certificate and key: want both or neither")
	}
	if t.Identity.Source == "" {
		if t.CA == "" {
			r.refuse(path, "ca is required, or identity")
		}
		return
	}
	if t.CA != "" || t.Certificate != "" || t.Send {
		r.refuse(path, "identity has certificate and roots of Consul; leave ca, certificate, key and send out")
	}
	r.knownSource(c, t.Identity.Source, dot(path, "identity"))
	if kind := c.Sources[t.Identity.Source].Kind; kind != "" && kind != "consul" {
		r.refuse(dot(path, "identity"), "%s is a source of kind %s; only consul has a CA", t.Identity.Source, kind)
	}
	if len(t.SANs) > 0 || t.ServerName != "" {
		return
	}
	for _, s := range p.services() {
		if kind := c.Sources[s.Source].Kind; kind != "" && kind != "consul" {
			r.refuse(path, "sans is required: Consul does not say what names the instances of %s carry", s)
		}
	}
}

// services are the port's and those of its routes.
func (p *Port) services() (all []discovery.Service) {
	if p.Service.Source != "" {
		all = append(all, p.Service)
	}
	for i := range p.Routes {
		all = append(all, p.Routes[i].Service)
	}
	return all
}
