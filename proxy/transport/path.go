package transport

// What is between the socket and the protocol towards the hosts of a cluster:
// a PROXY header, then TLS, or neither.

import (
	"net/netip"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Path is a config.UpstreamTransport, compiled. It is part of a host's identity:
// hosts that are reached by another Path are others. Dress is worker only, the
// rest for any goroutine.
type Path struct {
	tls      *Client // nil: plaintext
	startTLS bool
	header   *config.ProxyHeader
	added    []byte // TLVs of the header's own
}

// NewPath compiles a transport with its secrets; m is nil if it has none. alpn is
// what TLS offers where the context says nothing. Errors name the field.
func NewPath(asked *config.UpstreamTransport, m *config.Material, alpn []string, env *Env, tally *Tally) (*Path, error) {
	p := &Path{startTLS: asked.StartTLS, header: asked.ProxyHeader}
	if asked.TLS != nil {
		t := *asked.TLS
		if len(t.ALPN) == 0 {
			t.ALPN = alpn
		}
		var err error
		if p.tls, err = NewClient(&t, m, env, tally); err != nil {
			return nil, err
		}
	}
	if asked.ProxyHeader != nil {
		p.added = appendTLVs(nil, asked.ProxyHeader.Added)
	}
	return p, nil
}

// Plain reports whether asked is a bare socket, for which no Path is needed.
func Plain(asked *config.UpstreamTransport) bool {
	return asked.TLS == nil && asked.ProxyHeader == nil
}

// Use makes new connections use other secrets.
func (p *Path) Use(m *config.Material) error {
	if p.tls == nil {
		return nil
	}
	return p.tls.Use(m)
}

// Secured reports whether there is TLS on the path.
func (p *Path) Secured() bool { return p.tls != nil }

// Own reports whether a connection is made for one client and may serve no
// other: its header says who that is.
func (p *Path) Own() bool { return p.header != nil }

// Origin is the client for whom a connection is made; nil where there is none.
type Origin struct {
	Source, Destination netip.AddrPort
	// TLVs came with the client's own PROXY header.
	TLVs []byte
}

// Dress makes a new connection ready for its protocol, in at most timeout. tlvs
// are the host's own, as AppendTLVs made them. Errors: those of Client.Secure;
// the connection is then to be closed. For coroutines only.
func (p *Path) Dress(c *loop.Conn, peer *Peer, o *Origin, tlvs string, timeout time.Duration) error {
	if p.header != nil {
		if o == nil && p.header.Version == config.ProxyV1 { // the text has no other way to say that it is for nobody
			o = &Origin{Source: c.Local(), Destination: c.Peer()}
		}
		c.Commit(p.appendHeader(c.Begin(128), o, tlvs))
	}
	if p.tls == nil || p.startTLS {
		return nil
	}
	return p.tls.Secure(c, peer, timeout)
}

// StartTLS secures a connection whose protocol has said that TLS begins; false if
// the path does not have it. For coroutines only.
func (p *Path) StartTLS(c *loop.Conn, peer *Peer, timeout time.Duration) (bool, error) {
	if p.tls == nil || !p.startTLS {
		return false, nil
	}
	return true, p.tls.Secure(c, peer, timeout)
}

// AppendHeader appends the PROXY header that h asks for. Any goroutine.
func AppendHeader(dst []byte, h *config.ProxyHeader, o *Origin) []byte {
	p := Path{header: h, added: appendTLVs(nil, h.Added)}
	return p.appendHeader(dst, o, "")
}

func (p *Path) appendHeader(dst []byte, o *Origin, own string) []byte {
	h := proxyproto.Header{Version: int(p.header.Version), Local: o == nil}
	if o != nil {
		h.Source, h.Destination = o.Source, o.Destination
		if h.Version == 2 {
			h.TLVs = p.tlvs(o, own)
		}
	}
	return proxyproto.Append(dst, &h)
}

// tlvs are the host's, then the header's of other types, then the client's of
// yet others (Envoy proxy_protocol.cc, buildCustomTLVs).
func (p *Path) tlvs(o *Origin, own string) []byte {
	all := []byte(own)
	var seen [256]bool
	for kind := range proxyproto.Each(all) {
		seen[kind] = true
	}
	was := seen
	for kind, value := range proxyproto.Each(p.added) {
		if !was[kind] {
			all = proxyproto.AppendTLV(all, kind, value)
			seen[kind] = true
		}
	}
	was = seen
	for kind, value := range proxyproto.Each(o.TLVs) {
		if !was[kind] && (p.header.PassAll || slices.Contains(p.header.Pass, kind)) {
			all = proxyproto.AppendTLV(all, kind, value)
		}
	}
	return all
}

// AppendTLVs is a host's own TLVs, as Dress wants them.
func AppendTLVs(all []config.TLV) string { return string(appendTLVs(nil, all)) }

func appendTLVs(dst []byte, all []config.TLV) []byte {
	for _, t := range all {
		dst = proxyproto.AppendTLV(dst, t.Type, []byte(t.Value)[:min(len(t.Value), proxyproto.MaxTLV)])
	}
	return dst
}
