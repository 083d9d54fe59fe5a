package format

// What is known of TLS and of certificates.

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// certificate appends an operator about TLS; a value that is empty is none.
func (p *part) certificate(dst []byte, v *streaminfo.View) ([]byte, bool) {
	s := v.Upstream.TLS
	if p.Op < config.OpUpstreamPeerSubject {
		if v.Conn == nil {
			return dst, false
		}
		s = v.Conn.TLS
	}
	if s == nil {
		return dst, false
	}
	switch p.Op {
	case config.OpTLSVersion, config.OpUpstreamTLSVersion:
		return append(dst, transport.VersionName(s.Version)...), true
	case config.OpTLSCipher, config.OpUpstreamTLSCipher:
		return append(dst, CipherName(s.Cipher)...), true
	case config.OpLocalSubject, config.OpLocalURISAN, config.OpLocalDNSSAN, config.OpLocalIPSAN, config.OpLocalEmailSAN,
		config.OpUpstreamLocalURISAN, config.OpUpstreamLocalDNSSAN, config.OpUpstreamLocalIPSAN:
		if s.Own == nil {
			return dst, false
		}
		return some(dst, p.ofCertificate([]*x509.Certificate{s.Own}))
	}
	if len(s.Peer) == 0 {
		return dst, false
	}
	return some(dst, p.ofCertificate(s.Peer))
}

// ofCertificate words a chain, the leaf first.
func (p *part) ofCertificate(chain []*x509.Certificate) string {
	leaf := chain[0]
	switch p.Op {
	case config.OpPeerSubject, config.OpLocalSubject, config.OpUpstreamPeerSubject:
		return leaf.Subject.String()
	case config.OpPeerIssuer, config.OpUpstreamPeerIssuer:
		return leaf.Issuer.String()
	case config.OpPeerSerial:
		return serial(leaf)
	case config.OpPeerSerials:
		return each(chain, serial)
	case config.OpPeerFingerprint256:
		return sum256(leaf)
	case config.OpPeerFingerprints256:
		return each(chain, sum256)
	case config.OpPeerFingerprint1:
		return sum1(leaf)
	case config.OpPeerFingerprints1:
		return each(chain, sum1)
	case config.OpPeerCert, config.OpUpstreamPeerCert:
		return URLPEM(leaf)
	case config.OpPeerURISAN, config.OpLocalURISAN, config.OpUpstreamPeerURISAN, config.OpUpstreamLocalURISAN:
		return join(leaf.URIs, (*url.URL).String)
	case config.OpPeerDNSSAN, config.OpLocalDNSSAN, config.OpUpstreamPeerDNSSAN, config.OpUpstreamLocalDNSSAN:
		return strings.Join(leaf.DNSNames, ",")
	case config.OpPeerEmailSAN, config.OpLocalEmailSAN:
		return strings.Join(leaf.EmailAddresses, ",")
	case config.OpPeerIPSAN, config.OpLocalIPSAN, config.OpUpstreamPeerIPSAN, config.OpUpstreamLocalIPSAN:
		var all []string
		for _, ip := range leaf.IPAddresses {
			all = append(all, ip.String())
		}
		return strings.Join(all, ",")
	}
	return ""
}

func join[T any](all []T, text func(T) string) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = text(one)
	}
	return strings.Join(texts, ",")
}

func each(chain []*x509.Certificate, text func(*x509.Certificate) string) string {
	return join(chain, text)
}

func serial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

func sum256(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func sum1(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

// URLPEM is certificates as PEM, one behind the other, URL-encoded
// (Envoy common/tls/connection_info_impl_base.cc). Any goroutine.
func URLPEM(certs ...*x509.Certificate) string {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes everything
	}
	return strings.ReplaceAll(url.QueryEscape(b.String()), "+", "%20")
}

// CipherName is OpenSSL's name of a suite.
func CipherName(id uint16) string {
	name := tls.CipherSuiteName(id)
	switch id {
	case tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256:
		return name
	}
	name = strings.TrimPrefix(name, "TLS_")
	name = strings.Replace(name, "RSA_WITH_", "RSA_", 1)
	name = strings.Replace(name, "ECDSA_WITH_", "ECDSA_", 1)
	if rest, ok := strings.CutPrefix(name, "RSA_"); ok {
		name = rest // RSA key exchange has no name of its own
	}
	name = strings.NewReplacer("AES_128", "AES128", "AES_256", "AES256", "_CBC", "", "CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305").Replace(name)
	return strings.ReplaceAll(strings.ReplaceAll(name, "CHACHA20_POLY1305", "CHACHA20-POLY1305"), "_", "-")
}

// moment appends a time.
func (p *part) moment(dst []byte, v *streaminfo.View) ([]byte, bool) {
	t, ok := p.at(v)
	if !ok {
		return dst, false
	}
	return p.time.append(dst, t), true
}

func (p *part) at(v *streaminfo.View) (time.Time, bool) {
	switch p.Op {
	case config.OpStartTime, config.OpStartTimeLocal:
		return v.At(v.Times.Began), true
	case config.OpEmitTime, config.OpEmitTimeLocal:
		return v.Wall, true
	}
	s := v.Upstream.TLS
	if p.Op == config.OpPeerCertStart || p.Op == config.OpPeerCertEnd {
		if v.Conn == nil {
			return time.Time{}, false
		}
		s = v.Conn.TLS
	}
	if s == nil || len(s.Peer) == 0 {
		return time.Time{}, false
	}
	if p.Op == config.OpPeerCertStart || p.Op == config.OpUpstreamCertStart {
		return s.Peer[0].NotBefore, true
	}
	return s.Peer[0].NotAfter, true
}
