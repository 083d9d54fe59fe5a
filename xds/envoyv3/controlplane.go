package envoyv3

// A static cluster as a way to a control plane: what envoy_grpc names, or
// cluster_names with REST. The xDS client dials it, so that TLS and HTTP/2 are fine
// here, and what concerns balancing has no effect.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func (d *decoder) controlPlane(p path, m *clusterv3.Cluster) *config.ControlPlane {
	c := &config.ControlPlane{
		Name:           m.GetName(),
		ConnectTimeout: d.positive(p.dot("connect_timeout"), m.GetConnectTimeout(), defaultConnect),
		Keepalive:      d.keepalive(p.dot("upstream_connection_options").dot("tcp_keepalive"), m.GetUpstreamConnectionOptions().GetTcpKeepalive()),
	}
	d.required(p.dot("name"), c.Name)
	d.controlPlaneAddresses(p, m, c)
	d.protocol(p, m, c)
	if t := m.GetTransportSocket(); t != nil {
		p := p.dot("transport_socket").dot("typed_config")
		if u, ok := d.extension(p, xdsSocket, t.GetName(), t.GetTypedConfig()).(*tlsv3.UpstreamTlsContext); ok {
			c.TLS = d.clientTLS(p, u)
		}
	}
	return c
}

// controlPlaneAddresses lists the endpoints by priority.
func (d *decoder) controlPlaneAddresses(p path, m *clusterv3.Cluster, c *config.ControlPlane) {
	switch m.GetType() {
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
	case clusterv3.Cluster_EDS:
		e := m.GetEdsClusterConfig()
		c.Service = cmp.Or(e.GetServiceName(), m.GetName())
		c.Endpoints = d.source(p.dot("eds_cluster_config").dot("eds_config"), e.GetEdsConfig()) // anything but a file is refused by the table
		return
	default:
		d.never(p.dot("type"), m.GetType().String()+": a control plane's cluster is STATIC, STRICT_DNS, LOGICAL_DNS, or EDS from a file")
		return
	}
	groups := slices.Clone(m.GetLoadAssignment().GetEndpoints())
	slices.SortStableFunc(groups, func(a, b *endpointv3.LocalityLbEndpoints) int { return cmp.Compare(a.GetPriority(), b.GetPriority()) })
	p = p.dot("load_assignment")
	for _, g := range groups {
		for _, e := range g.GetLbEndpoints() {
			at := e.GetEndpoint().GetAddress()
			if at.GetPipe() != nil {
				c.Addresses = append(c.Addresses, d.ipOrPipe(p.dot("endpoints"), at))
			} else {
				c.Addresses = append(c.Addresses, d.hostOrIP(p.dot("endpoints"), at))
			}
		}
	}
	if len(c.Addresses) == 0 {
		d.refuse(p, "the cluster of a control plane needs an endpoint")
	}
}

// protocol reads the version of HTTP and the keep-alive of HTTP/2, from the typed
// options or the old field.
func (d *decoder) protocol(p path, m *clusterv3.Cluster, c *config.ControlPlane) {
	h2, p2 := m.GetHttp2ProtocolOptions(), p.dot("http2_protocol_options")
	if h2 != nil {
		c.HTTP = config.PlaneHTTP2
	}
	options := m.GetTypedExtensionProtocolOptions()
	for _, name := range sortedKeys(options) {
		pt := p.dot("typed_extension_protocol_options").key(name)
		if t, ok := d.extension(pt, protocolOptions, name, options[name]).(*upstreamv3.HttpProtocolOptions); ok {
			h2, p2 = t.GetExplicitHttpConfig().GetHttp2ProtocolOptions(), pt.dot("explicit_http_config").dot("http2_protocol_options")
			c.HTTP = config.PlaneHTTP1
			switch {
			case t.GetAutoConfig() != nil:
				h2, p2 = t.GetAutoConfig().GetHttp2ProtocolOptions(), pt.dot("auto_config").dot("http2_protocol_options")
				c.HTTP = config.PlaneALPN
			case h2 != nil:
				c.HTTP = config.PlaneHTTP2
			}
		}
	}
	k := h2.GetConnectionKeepalive()
	c.PingInterval = d.duration(p2.dot("connection_keepalive").dot("interval"), k.GetInterval(), 0)
	c.PingTimeout = d.duration(p2.dot("connection_keepalive").dot("timeout"), k.GetTimeout(), 0)
}

// clientTLS reads the TLS settings towards a server. Without a certificate authority
// any certificate is taken, as in Envoy, and that is warned of.
func (d *decoder) clientTLS(p path, m *tlsv3.UpstreamTlsContext) *config.ClientTLS {
	t := &config.ClientTLS{ServerName: m.GetSni()}
	p = p.dot("common_tls_context")
	common := m.GetCommonTlsContext()
	if n := len(common.GetTlsCertificates()); n > 1 {
		d.refuse(p.dot("tls_certificates").at(1), "one certificate at most")
	} else if n == 1 {
		c, p := common.GetTlsCertificates()[0], p.dot("tls_certificates").at(0)
		t.Cert = d.data(p.dot("certificate_chain"), c.GetCertificateChain())
		t.Key = d.data(p.dot("private_key"), c.GetPrivateKey())
		t.WatchedDirectory = c.GetWatchedDirectory().GetPath()
		d.keyPair(p, t)
	}
	pc, p := p, p.dot("validation_context")
	v := common.GetValidationContext()
	t.Roots = d.data(p.dot("trusted_ca"), v.GetTrustedCa())
	if t.Roots.IsZero() && v.GetSystemRootCerts() == nil {
		t.Unverified = true
		d.warn(pc, "no trusted_ca: the server's certificate is not verified")
	}
	if w := v.GetWatchedDirectory().GetPath(); w != "" {
		t.WatchedDirectory = w
	}
	for i, s := range v.GetMatchTypedSubjectAltNames() {
		d.san(p.dot("match_typed_subject_alt_names").at(i), s, t)
	}
	for i, s := range v.GetMatchSubjectAltNames() {
		p := p.dot("match_subject_alt_names").at(i)
		t.SANs = append(t.SANs, config.SAN{Value: d.exactly(p, s)})
	}
	return t
}

func (d *decoder) san(p path, m *tlsv3.SubjectAltNameMatcher, t *config.ClientTLS) {
	s := config.SAN{Value: d.exactly(p.dot("matcher"), m.GetMatcher())}
	switch m.GetSanType() {
	case tlsv3.SubjectAltNameMatcher_EMAIL:
		s.Kind = config.SANEmail
	case tlsv3.SubjectAltNameMatcher_DNS:
		s.Kind = config.SANDNS
	case tlsv3.SubjectAltNameMatcher_URI:
		s.Kind = config.SANURI
	case tlsv3.SubjectAltNameMatcher_IP_ADDRESS:
		s.Kind = config.SANIP
	default:
		d.never(p.dot("san_type"), "EMAIL, DNS, URI and IP_ADDRESS only")
	}
	t.SANs = append(t.SANs, s)
}

func (d *decoder) exactly(p path, m *matcherv3.StringMatcher) string {
	if _, ok := m.GetMatchPattern().(*matcherv3.StringMatcher_Exact); !ok || m.GetIgnoreCase() {
		d.never(p, "only exact names are compared")
	}
	return m.GetExact()
}
