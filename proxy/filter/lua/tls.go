package lua

// The client's connection, as TLS knows it.

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/transport"
)

// connection is handle:connection(), tlsInfo its ssl(), name a subject that was taken apart.
type (
	connection struct{ *run }
	tlsInfo    struct {
		*run
		*transport.State
	}
	name struct {
		*run
		of *x509.Certificate
	}
)

func luaConnection(l *glua.LState, s *run) int { return push(l, s, kindConnection, &connection{s}) }

func connectionMethods() methods {
	return methods{"ssl": method(func(l *glua.LState, c *connection) int { return pushTLS(l, c.run) })}
}

// pushTLS gives the object, or nil on plaintext.
func pushTLS(l *glua.LState, s *run) int {
	t := s.r.Info.Conn.TLS
	if t == nil {
		l.Push(glua.LNil)
		return 1
	}
	return push(l, s, kindTLS, &tlsInfo{s, t})
}

// leaf is the peer's certificate, nil if it has shown none.
func (t *tlsInfo) leaf() *x509.Certificate {
	if len(t.Peer) == 0 {
		return nil
	}
	return t.Peer[0]
}

// ofPeer makes a method that gives a text of the peer's certificate, "" without one; ofOwn of this side's.
func ofPeer(f func(c *x509.Certificate) string) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int { return text(l, t.run, worded(t.leaf(), f)) })
}

func ofOwn(f func(c *x509.Certificate) string) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int { return text(l, t.run, worded(t.Own, f)) })
}

func worded(c *x509.Certificate, f func(c *x509.Certificate) string) string {
	if c == nil {
		return ""
	}
	return f(c)
}

// listed makes a method that gives a table of texts.
func listed(of func(t *tlsInfo) *x509.Certificate, f func(c *x509.Certificate) []string) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int {
		var all []string
		if c := of(t); c != nil {
			all = f(c)
		}
		l.Push(listOf(l, all))
		return 1
	})
}

func listOf(l *glua.LState, all []string) *glua.LTable {
	table := l.CreateTable(len(all), 0)
	for i, v := range all {
		table.RawSetInt(i+1, glua.LString(v))
	}
	return table
}

func peerOf(t *tlsInfo) *x509.Certificate { return t.leaf() }
func ownOf(t *tlsInfo) *x509.Certificate  { return t.Own }

func uris(c *x509.Certificate) (all []string) {
	for _, u := range c.URIs {
		all = append(all, u.String())
	}
	return all
}

func dnsNames(c *x509.Certificate) []string { return c.DNSNames }

func oids(c *x509.Certificate) (all []string) {
	for i := range c.Extensions {
		all = append(all, c.Extensions[i].Id.String())
	}
	return all
}

func subject(c *x509.Certificate) string { return c.Subject.String() }
func issuer(c *x509.Certificate) string  { return c.Issuer.String() }
func serial(c *x509.Certificate) string  { return hex.EncodeToString(c.SerialNumber.Bytes()) }

func digest(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func flag(f func(t *tlsInfo) bool) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int { l.Push(glua.LBool(f(t))); return 1 })
}

func about(f func(t *tlsInfo) string) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int { return text(l, t.run, f(t)) })
}

func moment(f func(c *x509.Certificate) int64) glua.LGFunction {
	return method(func(l *glua.LState, t *tlsInfo) int {
		at := int64(0)
		if c := t.leaf(); c != nil {
			at = f(c)
		}
		l.Push(glua.LNumber(at))
		return 1
	})
}

func tlsMethods() methods {
	return methods{
		"peerCertificatePresented":    flag(func(t *tlsInfo) bool { return t.leaf() != nil }),
		"peerCertificateValidated":    flag(func(t *tlsInfo) bool { return t.Verified && !t.Resumed }),
		"uriSanLocalCertificate":      listed(ownOf, uris),
		"uriSanPeerCertificate":       listed(peerOf, uris),
		"dnsSansLocalCertificate":     listed(ownOf, dnsNames),
		"dnsSansPeerCertificate":      listed(peerOf, dnsNames),
		"oidsLocalCertificate":        listed(ownOf, oids),
		"oidsPeerCertificate":         listed(peerOf, oids),
		"sha256PeerCertificateDigest": ofPeer(digest),
		"serialNumberPeerCertificate": ofPeer(serial),
		"issuerPeerCertificate":       ofPeer(issuer),
		"subjectPeerCertificate":      ofPeer(subject),
		"subjectLocalCertificate":     ofOwn(subject),
		"parsedSubjectPeerCertificate": method(func(l *glua.LState, t *tlsInfo) int {
			if t.leaf() == nil {
				l.Push(glua.LNil)
				return 1
			}
			return push(l, t.run, kindName, &name{t.run, t.leaf()})
		}),
		"urlEncodedPemEncodedPeerCertificate":      ofPeer(func(c *x509.Certificate) string { return format.URLPEM(c) }),
		"urlEncodedPemEncodedPeerCertificateChain": about(func(t *tlsInfo) string { return format.URLPEM(t.Peer...) }),
		"validFromPeerCertificate":                 moment(func(c *x509.Certificate) int64 { return c.NotBefore.Unix() }),
		"expirationPeerCertificate":                moment(func(c *x509.Certificate) int64 { return c.NotAfter.Unix() }),
		"sessionId":                                about(func(*tlsInfo) string { return "" }), // crypto/tls tells none
		"ciphersuiteId":                            about(func(t *tlsInfo) string { return fmt.Sprintf("0x%04x", t.Cipher) }),
		"ciphersuiteString":                        about(func(t *tlsInfo) string { return format.CipherName(t.Cipher) }),
		"tlsVersion":                               about(func(t *tlsInfo) string { return transport.VersionName(t.Version) }),
	}
}

func nameMethods() methods {
	return methods{
		"commonName": method(func(l *glua.LState, n *name) int { return text(l, n.run, n.of.Subject.CommonName) }),
		"organizationName": method(func(l *glua.LState, n *name) int {
			l.Push(listOf(l, n.of.Subject.Organization))
			return 1
		}),
	}
}
