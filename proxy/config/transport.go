package config

// What is between the socket and the protocol, on both sides.

import "time"

// UpstreamTransport are the layers towards a host, outermost last: PROXY header,
// then TLS, then the protocol. The zero value is a plain socket. It is part of a
// cluster's identity.
type UpstreamTransport struct {
	// TLS is nil for plaintext.
	TLS *UpstreamTLS
	// StartTLS begins in plaintext; TLS begins when the protocol says so.
	StartTLS bool
	// ProxyHeader is nil if none is sent.
	ProxyHeader *ProxyHeader
	// Passes is metadata that goes along with connections to internal listeners.
	Passes []PassedMetadata
}

// PassedMetadata names metadata that a connection to an internal listener has, of
// the host or else of its cluster (Envoy internal_upstream.v3).
type PassedMetadata struct {
	Host bool
	Name string
}

// TransportMatch gives the hosts whose labels match another transport than the
// cluster's (Envoy Cluster.TransportSocketMatch).
type TransportMatch struct {
	Name string // for statistics
	// Labels must all be among the Endpoint's SocketLabels; without any it matches
	// every host.
	Labels map[string]string
	UpstreamTransport
}

// TransportOf is how the hosts of an endpoint are reached: index is that of the
// first TransportMatch that takes it, -1 for the cluster's own transport.
func (c *Cluster) TransportOf(e *Endpoint) (index int, t *UpstreamTransport) {
	for i := range c.TransportMatches {
		if m := &c.TransportMatches[i]; m.takes(e) {
			return i, &m.UpstreamTransport
		}
	}
	return -1, &c.UpstreamTransport
}

func (m *TransportMatch) takes(e *Endpoint) bool {
	for key, value := range m.Labels {
		if have, ok := e.SocketLabels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// Transports yields the cluster's own transport and those of its matches.
func (c *Cluster) Transports(yield func(*UpstreamTransport) bool) {
	if !yield(&c.UpstreamTransport) {
		return
	}
	for i := range c.TransportMatches {
		if !yield(&c.TransportMatches[i].UpstreamTransport) {
			return
		}
	}
}

// ProxyHeader is the PROXY protocol header that begins a connection to a host
// (Envoy core.v3.ProxyProtocolConfig).
type ProxyHeader struct {
	Version ProxyVersion
	// PassAll passes on every TLV that the client's header had, else those of the
	// types in Pass. V2 only.
	PassAll bool
	Pass    []byte
	// Added are further TLVs; one of an endpoint replaces one of the same type
	// here, and both one that is passed on. V2 only.
	Added []TLV
}

// TLV is a type and a value of a PROXY header of version 2.
type TLV struct {
	Type  byte
	Value string // bytes
}

// ProxyVersion is the version of the PROXY protocol.
type ProxyVersion uint8

// The versions: text and binary.
const (
	ProxyV1 ProxyVersion = 1
	ProxyV2 ProxyVersion = 2
)

// ProxyProtocol takes a PROXY header from the beginning of each connection
// (Envoy filters.listener.proxy_protocol.v3).
type ProxyProtocol struct {
	StatPrefix string
	// Optional lets connections through that begin with something else.
	Optional bool
	// NoV1 and NoV2 refuse that version.
	NoV1, NoV2 bool
	// PassAll keeps every TLV for the upstream's header, else those of the types in
	// Pass.
	PassAll bool
	Pass    []byte
	// Rules say which TLVs are noted of the connection: as its metadata or, if InState,
	// as fields of one object of its filter state.
	Rules   []TLVRule
	InState bool
}

// Refuses reports whether headers of a version are refused.
func (p *ProxyProtocol) Refuses(version int) bool {
	return version == 1 && p.NoV1 || version == 2 && p.NoV2
}

// TLVRule notes the TLV of a type under a key of a namespace; at most one a type.
type TLVRule struct {
	Type           byte
	Namespace, Key string
}

// TLSInspector looks for a ClientHello, so that chains match by its names
// (Envoy filters.listener.tls_inspector.v3).
type TLSInspector struct {
	// CloseOnError ends a connection whose first record is TLS and no ClientHello;
	// else it is taken for plaintext.
	CloseOnError bool
	// JA3 and JA4 take fingerprints of the client, for logs.
	JA3, JA4 bool
}

// DefaultFiltersTimeout is listener_filters_timeout.
const DefaultFiltersTimeout = 15 * time.Second
