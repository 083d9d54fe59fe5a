package real

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// Authority signs certificates for the length of a test.
type Authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// File is its own certificate, PEM.
	File string
}

// Pair is a certificate and its key, PEM files.
type Pair struct{ Cert, Key string }

// NewAuthority makes a certificate authority whose files live as long as the
// test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.key = a.newKey()
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.File = a.sign("ca", a.cert, a.key)
	return a
}

// Subject is whom a certificate names.
type Subject struct {
	CommonName, Organization string
	DNS                      []string
	IPs                      []net.IP
	URIs                     []*url.URL // SPIFFE ids
}

// Issue makes a certificate for servers and clients alike; file names its files.
func (a *Authority) Issue(file string, s Subject) Pair {
	a.t.Helper()
	key := a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: s.CommonName},
		DNSNames:     s.DNS, IPAddresses: s.IPs, URIs: s.URIs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if s.Organization != "" {
		template.Subject.Organization = []string{s.Organization}
	}
	return Pair{Cert: a.sign(file, template, key), Key: a.writeKey(file, key)}
}

func (a *Authority) sign(file string, template *x509.Certificate, key *ecdsa.PrivateKey) string {
	a.t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return write(a.t, a.dir, file+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) writeKey(file string, key *ecdsa.PrivateKey) string {
	a.t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return write(a.t, a.dir, file+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}
