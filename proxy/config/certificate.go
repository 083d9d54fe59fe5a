package config

// A certificate chain with its private key.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
	"software.sslmate.com/src/go-pkcs12"
)

// Bounds of a chain and of a bundle of roots.
const (
	maxChain = 100
	maxRoots = 10_000
)

// Certificate is a chain, parsed, with its key; immutable.
type Certificate struct {
	Chain [][]byte // DER, the leaf first
	Leaf  *x509.Certificate
	// Others are the rest of the chain, parsed.
	Others []*x509.Certificate
	Key    PrivateKey
	// OCSP is the DER response that is stapled, one for Leaf; nil if there is none.
	// It holds until OCSPExpires; zero: for ever.
	OCSP        []byte
	OCSPExpires time.Time
	// Path is the file of the chain, "<inline>" if it is in none.
	Path string
}

// PrivateKey signs. Like Hidden, it is never printed.
type PrivateKey struct{ signer *crypto.Signer }

// Signer gives the key to whoever has to sign with it.
func (k PrivateKey) Signer() crypto.Signer {
	if k.signer == nil {
		return nil
	}
	return *k.signer
}

// String is Redacted.
func (k PrivateKey) String() string { return Redacted }

// GoString is Redacted.
func (k PrivateKey) GoString() string { return Redacted }

// Format prints Redacted, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText gives Redacted.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON gives Redacted, quoted.
func (k PrivateKey) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// certificate reads and checks s. What Envoy checks of keys is checked:
// ECDSA on P-256, P-384 and P-521, RSA of 2048 bits and more (context_impl.cc).
func (l *loading) certificate(s *CertificateSpec) (*Certificate, error) {
	c := &Certificate{Path: s.Chain.Path}
	if !s.PKCS12.IsZero() {
		c.Path = s.PKCS12.Path
	}
	if c.Path == "" {
		c.Path = "<inline>"
	}
	password, err := l.text("password", s.Password)
	if err != nil {
		return nil, err
	}
	read := l.pem
	if !s.PKCS12.IsZero() {
		read = l.pkcs12
	}
	all, signer, err := read(s, password)
	if err != nil {
		return nil, err
	}
	c.Leaf, c.Others = all[0], all[1:]
	for _, x := range all {
		c.Chain = append(c.Chain, x.Raw)
	}
	c.Key = PrivateKey{&signer}
	return c, l.staple(s, c)
}

// pem reads a chain and its key that stand apart.
func (l *loading) pem(s *CertificateSpec, password []byte) ([]*x509.Certificate, crypto.Signer, error) {
	chain, err := l.text("certificate_chain", s.Chain)
	if err != nil {
		return nil, nil, err
	}
	key, err := l.text("private_key", s.Key)
	if err != nil {
		return nil, nil, err
	}
	all, err := certificates(chain, maxChain)
	if err != nil {
		return nil, nil, &FieldError{"certificate_chain", err}
	}
	signer, err := privateKey(key, password)
	if err == nil {
		err = pair(all[0], signer)
	}
	if err != nil {
		return nil, nil, &FieldError{"private_key", err}
	}
	return all, signer, nil
}

// pkcs12 reads a chain and its key from one file.
func (l *loading) pkcs12(s *CertificateSpec, password []byte) ([]*x509.Certificate, crypto.Signer, error) {
	text, err := l.text("pkcs12", s.PKCS12)
	if err != nil {
		return nil, nil, err
	}
	if !modest(text, maxNesting) {
		return nil, nil, badField("pkcs12", "a key of more than %d iterations", maxIterations)
	}
	key, leaf, others, err := pkcs12.DecodeChain(text, string(password))
	if err != nil {
		return nil, nil, badField("pkcs12", "cannot be read, or not with this password")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, badField("pkcs12", "a key of type %T cannot sign", key)
	}
	if err := pair(leaf, signer); err != nil {
		return nil, nil, &FieldError{"pkcs12", err}
	}
	return append([]*x509.Certificate{leaf}, others...), signer, nil
}

// staple reads the OCSP response, which has to be for the certificate and to say
// that it is good. An issuer that the chain has not does not matter.
func (l *loading) staple(s *CertificateSpec, c *Certificate) error {
	if s.OCSP.IsZero() {
		return nil
	}
	text, err := l.text("ocsp_staple", s.OCSP)
	if err != nil {
		return err
	}
	if len(text) == 0 {
		return nil
	}
	r, err := ocsp.ParseResponse(text, nil)
	switch {
	case err != nil:
		return &FieldError{"ocsp_staple", err}
	case r.SerialNumber.Cmp(c.Leaf.SerialNumber) != 0: // Envoy's text (server_context_impl.cc)
		return badField("ocsp_staple", "OCSP response does not match its TLS certificate")
	case r.Status == ocsp.Revoked:
		return badField("ocsp_staple", "the response says that the certificate is revoked")
	}
	c.OCSP, c.OCSPExpires = text, r.NextUpdate
	return nil
}

// certificates parses the certificates of a PEM text, at least one and at most
// most.
func certificates(text []byte, most int) (all []*x509.Certificate, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		if len(all) == most {
			return nil, fmt.Errorf("more than %d certificates", most)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return all, nil
}

// privateKey parses the first private key of a PEM text. An error holds nothing
// of the text.
func privateKey(text, password []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no PEM private key in it")
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parseKey(block, password)
		}
	}
}

func parseKey(block *pem.Block, password []byte) (crypto.Signer, error) {
	kind, der, err := decrypt(block, password)
	if err != nil {
		return nil, err
	}
	var parsed any
	switch kind {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(der)
	default:
		parsed, err = x509.ParsePKCS8PrivateKey(der)
	}
	signer, ok := parsed.(crypto.Signer)
	switch {
	case err != nil: // its text might hold a part of the key
		return nil, fmt.Errorf("a %s that cannot be parsed", kind)
	case !ok:
		return nil, fmt.Errorf("a key of type %T cannot sign", parsed)
	}
	return signer, nil
}

// pair reports why the key does not go with the certificate.
func pair(leaf *x509.Certificate, key crypto.Signer) error {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		if k.Size() < 2048/8 {
			return fmt.Errorf("an RSA key of %d bits: 2048 and more are allowed", k.N.BitLen())
		}
		return fits(leaf, k)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return errors.New("an ECDSA key on a curve other than P-256, P-384 and P-521")
		}
		return fits(leaf, k)
	case ed25519.PublicKey:
		return fits(leaf, k)
	}
	return fmt.Errorf("a key of type %T cannot sign for TLS", key)
}

func fits(leaf *x509.Certificate, key interface{ Equal(crypto.PublicKey) bool }) error {
	if !key.Equal(leaf.PublicKey) {
		return errors.New("the private key is not that of the certificate")
	}
	return nil
}

// TLS is the certificate as crypto/tls takes it.
func (c *Certificate) TLS() *tls.Certificate {
	return &tls.Certificate{Certificate: c.Chain, PrivateKey: c.Key.Signer(), OCSPStaple: c.OCSP, Leaf: c.Leaf}
}
