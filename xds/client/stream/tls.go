package stream

// TLS towards a control plane.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
)

// maxPEM bounds a file of certificates or a key, in bytes.
const maxPEM = 1 << 20

// tlsConfig reads the files and makes what crypto/tls needs. host is what was
// dialled, "" if gRPC knows it.
func tlsConfig(c *config.ClientTLS, host string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if t.ServerName == "" {
		t.ServerName = host
	}
	if !c.Roots.IsZero() {
		pem, err := read(c.Roots)
		if err != nil {
			return nil, fmt.Errorf("trusted_ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted_ca %s: no certificate in it", c.Roots)
		}
	}
	if !c.Cert.IsZero() {
		pair, err := keyPair(c)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if len(c.SANs) > 0 || c.Unverified {
		// What is checked instead of the server's name, and in addition to the chain.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, t.RootCAs, c) }
	}
	return t, nil
}

func keyPair(c *config.ClientTLS) (tls.Certificate, error) {
	cert, err := read(c.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate_chain: %w", err)
	}
	key, err := read(c.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate_chain %s: %w", c.Cert, err)
	}
	return pair, nil
}

func read(d config.Data) ([]byte, error) {
	if d.Env != "" {
		text, set := os.LookupEnv(d.Env)
		if !set {
			return nil, fmt.Errorf("environment variable %s is not set", d.Env)
		}
		return []byte(text), nil
	}
	if d.Path == "" {
		return []byte(d.Inline.Reveal()), nil
	}
	info, err := os.Stat(d.Path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", d.Path)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", d.Path, info.Size(), maxPEM)
	}
	return os.ReadFile(d.Path)
}

// verify checks the chain, unless that is not asked for, and that the certificate has
// one of the names, if there are any.
func verify(s tls.ConnectionState, roots *x509.CertPool, want *config.ClientTLS) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil && !want.Unverified {
		return err
	}
	if len(want.SANs) == 0 {
		return nil
	}
	for _, name := range want.SANs {
		if hasName(leaf, name) {
			return nil
		}
	}
	return errors.New("the server's certificate has none of the names in match_typed_subject_alt_names")
}

func hasName(c *x509.Certificate, n config.SAN) bool {
	is := func(k config.SANKind) bool { return n.Kind == config.SANAny || n.Kind == k }
	return is(config.SANDNS) && slices.Contains(c.DNSNames, n.Value) ||
		is(config.SANEmail) && slices.Contains(c.EmailAddresses, n.Value) ||
		is(config.SANURI) && hasURI(c, n.Value) ||
		is(config.SANIP) && hasIP(c, n.Value)
}

func hasURI(c *x509.Certificate, want string) bool {
	for _, u := range c.URIs {
		if u.String() == want {
			return true
		}
	}
	return false
}

func hasIP(c *x509.Certificate, want string) bool {
	ip := net.ParseIP(want)
	return ip != nil && slices.ContainsFunc(c.IPAddresses, ip.Equal)
}
