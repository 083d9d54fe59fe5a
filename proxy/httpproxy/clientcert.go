package httpproxy

// x-forwarded-client-cert: whose certificate the client has shown (Envoy
// conn_manager_utility.cc, mutateXfccRequestHeader).

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/transport"
)

const clientCertHeader = "x-forwarded-client-cert"

// forwardClientCert settles what the host sees of the header.
func (x *exchange) forwardClientCert() {
	how := &x.here.room.cfg.ClientCert
	if how.Forward == config.ClientCertKeepAlways {
		return
	}
	there := has(x.req.Headers, http1.FieldXForwardedClientCert)
	var s *transport.State
	if how.Forward != config.ClientCertRemove {
		s = transport.Of(x.conn.c)
	}
	if s == nil || len(s.Peer) == 0 {
		if there {
			fields{&x.req.Headers}.Remove(clientCertHeader)
		}
		return
	}
	if how.Forward == config.ClientCertKeep {
		return
	}
	if x.conn.cert == "" {
		x.conn.cert = describeCert(how, s)
	}
	if how.Forward == config.ClientCertAppend && there {
		x.appendClientCert()
		return
	}
	fields{&x.req.Headers}.Set(clientCertHeader, x.conn.cert)
}

// appendClientCert joins what came with what is known here.
func (x *exchange) appendClientCert() {
	f := fields{&x.req.Headers}
	var all []byte
	for i := range x.req.Headers {
		if h := &x.req.Headers[i]; h.ID == http1.FieldXForwardedClientCert && !h.Hop {
			all = append(append(all, h.Value...), ',')
		}
	}
	f.Set(clientCertHeader, string(append(all, x.conn.cert...)))
}

// describeCert is the element for a connection.
func describeCert(how *config.ClientCert, s *transport.State) string {
	var parts []string
	if s.Own != nil {
		for _, u := range s.Own.URIs {
			parts = append(parts, "By="+u.String())
		}
	}
	peer := s.Peer[0]
	sum := sha256.Sum256(peer.Raw)
	parts = append(parts, "Hash="+hex.EncodeToString(sum[:]))
	if how.Subject {
		parts = append(parts, `Subject="`+escaped(peer.Subject.String())+`"`)
	}
	if how.Cert {
		parts = append(parts, `Cert="`+format.URLPEM(peer)+`"`)
	}
	if how.Chain {
		parts = append(parts, `Chain="`+format.URLPEM(s.Peer...)+`"`)
	}
	if how.DNS {
		for _, name := range peer.DNSNames {
			parts = append(parts, "DNS="+clean(name))
		}
	}
	if how.URI {
		if len(peer.URIs) == 0 {
			parts = append(parts, "URI=")
		}
		for _, u := range peer.URIs {
			parts = append(parts, "URI="+clean(u.String()))
		}
	}
	return strings.Join(parts, ";")
}

// escaped keeps a text within its quotes, and a header within its line.
func escaped(text string) string {
	return clean(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text))
}

// clean leaves out what cannot be in a header.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}
