// Package pki issues certificates for tests: authorities, leaves of every kind
// that a check must tell apart, and revocation lists. Nothing of the product
// imports it.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/attache-mesh/attache/proxy/config"
)

// Authority signs certificates for the length of a test.
type Authority struct {
	t      testing.TB
	Cert   *x509.Certificate
	key    crypto.Signer
	above  *Authority // nil: self-signed
	serial *int64
}

// Leaf is what a certificate shall say. Its zero value is good for an hour, for
// servers and clients, with an ECDSA key on P-256.
type Leaf struct {
	CommonName          string
	DNS, URIs, IPs      []string
	Emails              []string
	NotBefore, NotAfter time.Time
	RSA                 bool
	Curve               elliptic.Curve
	Usages              []x509.ExtKeyUsage // none: servers and clients
	KeyUsage            x509.KeyUsage      // 0: it signs
	Authority           bool               // may sign
	MustStaple          bool
}

// Pair is a certificate with its key.
type Pair struct {
	Cert  *x509.Certificate
	Key   crypto.Signer
	chain [][]byte
	t     testing.TB
}

// New makes a root.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, serial: new(int64)}
	a.key = newKey(t, &Leaf{})
	c := a.template(&Leaf{CommonName: name, Authority: true})
	a.Cert = a.sign(c, c, a.key.Public(), a.key)
	return a
}

// Sub makes an authority below.
func (a *Authority) Sub(name string) *Authority {
	a.t.Helper()
	sub := &Authority{t: a.t, above: a, serial: a.serial, key: newKey(a.t, &Leaf{})}
	sub.Cert = a.sign(a.template(&Leaf{CommonName: name, Authority: true}), a.Cert, sub.key.Public(), a.key)
	return sub
}

// Issue signs a certificate. Its chain has the authorities between it and the
// root.
func (a *Authority) Issue(l Leaf) *Pair {
	a.t.Helper()
	p := &Pair{Key: newKey(a.t, &l), t: a.t}
	p.Cert = a.sign(a.template(&l), a.Cert, p.Key.Public(), a.key)
	p.chain = [][]byte{p.Cert.Raw}
	for at := a; at.above != nil; at = at.above {
		p.chain = append(p.chain, at.Cert.Raw)
	}
	return p
}

// Revoke makes a list of what is no good any more.
func (a *Authority) Revoke(certs ...*x509.Certificate) *x509.RevocationList {
	a.t.Helper()
	*a.serial++
	l := &x509.RevocationList{Number: big.NewInt(*a.serial), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range certs {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.Cert, a.key)
	a.must(err)
	l, err = x509.ParseRevocationList(der)
	a.must(err)
	return l
}

// PEM is the authority's certificate.
func (a *Authority) PEM() string { return encode("CERTIFICATE", a.Cert.Raw) }

func (a *Authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *Authority) template(l *Leaf) *x509.Certificate {
	*a.serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(*a.serial), Subject: pkix.Name{CommonName: l.CommonName},
		NotBefore: l.NotBefore, NotAfter: l.NotAfter,
		DNSNames: l.DNS, EmailAddresses: l.Emails,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: l.Usages,
	}
	if l.KeyUsage != 0 {
		c.KeyUsage = l.KeyUsage
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	if len(l.Usages) == 0 && !l.Authority {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if l.Authority {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	for _, text := range l.URIs {
		u, err := url.Parse(text)
		a.must(err)
		c.URIs = append(c.URIs, u)
	}
	for _, text := range l.IPs {
		c.IPAddresses = append(c.IPAddresses, net.ParseIP(text))
	}
	if l.MustStaple {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
	}
	return c
}

func (a *Authority) sign(c, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, by)
	a.must(err)
	cert, err := x509.ParseCertificate(der)
	a.must(err)
	return cert
}

func newKey(t testing.TB, l *Leaf) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch {
	case l.RSA:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case l.Curve != nil:
		key, err = ecdsa.GenerateKey(l.Curve, rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// ChainPEM is the chain, the leaf first, KeyPEM the private key.
func (p *Pair) ChainPEM() string {
	text := ""
	for _, der := range p.chain {
		text += encode("CERTIFICATE", der)
	}
	return text
}

// KeyPEM is the private key.
func (p *Pair) KeyPEM() string {
	p.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

// Spec is the pair as a secret that stands in the configuration.
func (p *Pair) Spec(name string) *config.SecretSpec {
	return &config.SecretSpec{Name: name, Certificate: &config.CertificateSpec{
		Chain: config.Data{Inline: config.Hide(p.ChainPEM())},
		Key:   config.Data{Inline: config.Hide(p.KeyPEM())},
	}}
}

// Certificate is the pair as a context has it.
func (p *Pair) Certificate() *config.Certificate {
	p.t.Helper()
	s, err := p.Spec("test").Load("test", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Certificate
}

// TLS is the pair as crypto/tls has it.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: p.chain, PrivateKey: p.Key, Leaf: p.Cert}
}

// Pool has the authorities' certificates.
func Pool(all ...*Authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range all {
		p.AddCert(a.Cert)
	}
	return p
}

// Staple is an OCSP response, in DER, that says for an hour that the certificate is good.
func (a *Authority) Staple(p *Pair) string {
	der, err := ocsp.CreateResponse(a.Cert, a.Cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: p.Cert.SerialNumber,
		ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
	}, a.key)
	a.must(err)
	return string(der)
}
