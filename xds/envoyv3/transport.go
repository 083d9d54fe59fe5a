package envoyv3

// Transport sockets: what is between the socket and the protocol.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"bytes"
	"encoding/json"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	internalsocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	proxysocketv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	starttlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/starttls/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// chainTransport reads a filter chain's socket; leaving it out is plaintext.
func (d *decoder) chainTransport(p path, m *listenerv3.FilterChain, c *config.FilterChain) {
	c.HandshakeTimeout = d.duration(p.dot("transport_socket_connect_timeout"), m.GetTransportSocketConnectTimeout(), 0)
	s := m.GetTransportSocket()
	if s == nil {
		return
	}
	p = p.dot("transport_socket").dot("typed_config")
	switch t := d.extension(p, downstreamSocket, s.GetName(), s.GetTypedConfig()).(type) {
	case *tlsv3.DownstreamTlsContext:
		c.TLS = d.downstreamTLS(p, t)
	case *starttlsv3.StartTlsConfig:
		c.TLS, c.StartTLS = d.downstreamTLS(p.dot("tls_socket_config"), t.GetTlsSocketConfig()), true
	}
}

// hostTransport reads a cluster's socket; leaving it out is plaintext.
func (d *decoder) hostTransport(p path, s *corev3.TransportSocket) (t config.UpstreamTransport) {
	if s == nil {
		return t
	}
	p = p.dot("typed_config")
	switch m := d.extension(p, upstreamSocket, s.GetName(), s.GetTypedConfig()).(type) {
	case *tlsv3.UpstreamTlsContext:
		t.TLS = d.upstreamTLS(p, m)
	case *starttlsv3.UpstreamStartTlsConfig:
		t.TLS, t.StartTLS = d.upstreamTLS(p.dot("tls_socket_config"), m.GetTlsSocketConfig()), true
	case *proxysocketv3.ProxyProtocolUpstreamTransport:
		if m.GetTransportSocket() == nil {
			d.refuse(p.dot("transport_socket"), "value is required")
		}
		t = d.hostTransport(p.dot("transport_socket"), m.GetTransportSocket())
		if t.ProxyHeader != nil {
			d.refuse(p.dot("transport_socket"), "a PROXY header inside a PROXY header")
		}
		t.ProxyHeader = d.proxyHeader(p.dot("config"), m.GetConfig())
	case *internalsocketv3.InternalUpstreamTransport:
		if m.GetTransportSocket() == nil {
			d.refuse(p.dot("transport_socket"), "value is required")
		}
		t = d.hostTransport(p.dot("transport_socket"), m.GetTransportSocket())
		t.Passes = d.passed(p.dot("passthrough_metadata"), m.GetPassthroughMetadata())
	}
	return t
}

// passed reads what goes along to an internal listener (internal_upstream/config.cc).
func (d *decoder) passed(p path, all []*internalsocketv3.InternalUpstreamTransport_MetadataValueSource) (out []config.PassedMetadata) {
	for i, m := range all {
		d.required(p.at(i).dot("name"), m.GetName())
		switch {
		case m.GetKind().GetHost() != nil:
			out = append(out, config.PassedMetadata{Host: true, Name: m.GetName()})
		case m.GetKind().GetCluster() != nil:
			out = append(out, config.PassedMetadata{Name: m.GetName()})
		default:
			d.refuse(p.at(i).dot("kind"), "metadata type is not supported: host or cluster")
		}
	}
	return out
}

func (d *decoder) transportMatches(p path, m *clusterv3.Cluster, c *config.Cluster) {
	p = p.dot("transport_socket_matches")
	for i, s := range m.GetTransportSocketMatches() {
		p := p.at(i)
		d.required(p.dot("name"), s.GetName())
		c.TransportMatches = append(c.TransportMatches, config.TransportMatch{
			Name:              s.GetName(),
			Labels:            labels(s.GetMatch()),
			UpstreamTransport: d.hostTransport(p.dot("transport_socket"), s.GetTransportSocket()),
		})
	}
}

// alpnFits reports a protocol that is chosen by ALPN over a socket that has none
// (upstream_impl.cc). Of a socket that is not built there is no more to say.
func (d *decoder) alpnFits(p path, m *clusterv3.Cluster, c *config.Cluster) {
	if s := m.GetTransportSocket(); s != nil {
		if typeName, _, _ := unwrap(s.GetTypedConfig()); !implements(upstreamSocket, typeName) {
			return
		}
	}
	for t := range c.Transports {
		if c.HTTP.Protocol == config.UpstreamAuto && t.TLS == nil {
			d.refuse(p, "ALPN configured for cluster %s which has a non-ALPN transport socket", c.Name)
			return
		}
	}
}

// socketNamespace is where an endpoint's labels stand for transport_socket_matches.
const socketNamespace = "envoy.transport_socket_match"

// labels are values as canonical JSON, so that they compare as text.
func labels(s *structpb.Struct) map[string]string {
	if len(s.GetFields()) == 0 {
		return nil
	}
	all := make(map[string]string, len(s.GetFields()))
	for name, v := range s.GetFields() {
		all[name] = canonical(v)
	}
	return all
}

func canonical(v *structpb.Value) string {
	text, err := protojson.Marshal(v)
	if err != nil {
		return "" // a value that JSON has not: not a number
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return ""
	}
	return compact.String()
}

// maxTLVBytes bounds what is added to a PROXY header, in bytes, so that it always
// has room in its 64 KiB.
const maxTLVBytes = 16 << 10

func (d *decoder) proxyHeader(p path, m *corev3.ProxyProtocolConfig) *config.ProxyHeader {
	h := &config.ProxyHeader{Version: config.ProxyV1}
	if m.GetVersion() == corev3.ProxyProtocolConfig_V2 {
		h.Version = config.ProxyV2
	}
	h.PassAll, h.Pass = d.passTLVs(p.dot("pass_through_tlvs"), m.GetPassThroughTlvs())
	h.Added = d.addedTLVs(p.dot("added_tlvs"), m.GetAddedTlvs())
	return h
}

func (d *decoder) passTLVs(p path, m *corev3.ProxyProtocolPassThroughTLVs) (all bool, types []byte) {
	if m == nil {
		return false, nil
	}
	for i, t := range m.GetTlvType() {
		if t > 255 {
			d.refuse(p.dot("tlv_type").at(i), "value must be less than 256")
		}
		if !slices.Contains(types, byte(t)) {
			types = append(types, byte(t))
		}
	}
	if m.GetMatchType() == corev3.ProxyProtocolPassThroughTLVs_INCLUDE_ALL {
		return true, nil
	}
	return false, types
}

func (d *decoder) addedTLVs(p path, all []*corev3.TlvEntry) (out []config.TLV) {
	size := 0
	for i, t := range all {
		if t.GetType() > 255 {
			d.refuse(p.at(i).dot("type"), "value must be less than 256")
		}
		if t.GetFormatString() != nil {
			d.never(p.at(i).dot("format_string"), "give value")
		}
		size += 3 + len(t.GetValue())
		out = append(out, config.TLV{Type: byte(t.GetType()), Value: string(t.GetValue())})
	}
	if size > maxTLVBytes {
		d.refuse(p, "%d bytes: at most %d are allowed", size, maxTLVBytes)
	}
	return out
}

// endpointTLVs are those that an endpoint adds to the header of its connections.
func (d *decoder) endpointTLVs(p path, m *corev3.Metadata) []config.TLV {
	const name = "envoy.transport_sockets.proxy_protocol"
	a := m.GetTypedFilterMetadata()[name]
	if a == nil {
		return nil
	}
	p = p.dot("typed_filter_metadata").key(name)
	host := &corev3.PerHostConfig{}
	if lastSegment(a.GetTypeUrl()) != string(host.ProtoReflect().Descriptor().FullName()) {
		d.refuse(p, "not an envoy.config.core.v3.PerHostConfig")
		return nil
	}
	if err := proto.Unmarshal(a.GetValue(), host); err != nil {
		d.refuse(p, "not an envoy.config.core.v3.PerHostConfig: %v", err)
		return nil
	}
	d.begin(p, host)
	return d.addedTLVs(p.dot("added_tlvs"), host.GetAddedTlvs())
}
