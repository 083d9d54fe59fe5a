package config

// Secrets: as asked for (SecretSpec: texts and files), and read (Secret: parsed
// and checked).

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// SecretSpec is a secret as it is asked for; exactly one of the pointers and
// lists is set (Envoy tls.v3.Secret). Data in files is read by Load.
type SecretSpec struct {
	Name        string
	Certificate *CertificateSpec
	Validation  *ValidationSpec
	// Tickets are keys of 80 bytes; the first one encrypts, all decrypt.
	Tickets []Data
	Generic map[string]Data // "" is GenericSecret.secret
}

// CertificateSpec is a certificate chain with its key (Envoy tls.v3.TlsCertificate).
type CertificateSpec struct {
	// Chain and Key are PEM, Password decrypts the key or PKCS12.
	Chain, Key, Password Data
	// PKCS12 is both in one, instead of Chain and Key.
	PKCS12 Data
	// OCSP is a DER response that is stapled.
	OCSP Data
}

// ValidationSpec says how a certificate is checked
// (Envoy tls.v3.CertificateValidationContext).
type ValidationSpec struct {
	// Roots are PEM certificates, and CRLs if there are any; RevocationLists are
	// PEM CRLs.
	Roots, RevocationLists Data
	// Domains are the trust domains of the SPIFFE validator; DomainMap is its
	// bundle map in JSON, instead of Domains.
	Domains   []DomainSpec
	DomainMap Data
	// Checks are what needs no reading.
	Checks Checks
}

// DomainSpec is a SPIFFE trust domain and its PEM roots.
type DomainSpec struct {
	Name  string
	Roots Data
}

// Secret is one that was read: parsed, checked and immutable. Exactly one of the
// pointers and maps is set, none if it is Missing.
type Secret struct {
	// Key is what SecretRefs find it by.
	Key         string
	Name        string
	Certificate *Certificate
	Validation  *Validation
	Tickets     *Tickets
	Generic     map[string]Hidden
	// Missing stands for a secret that did not come in its initial_fetch_timeout.
	Missing bool

	sum [sha256.Size]byte
}

// Tickets are the keys of session tickets, 80 bytes each.
type Tickets struct{ Keys []Hidden }

// Equal reports whether both have the same content, by its hash.
func (s *Secret) Equal(other *Secret) bool { return s.sum == other.sum }

// Expired says that the secret is of no use any more at a time: a bundle whose
// every root has expired. A certificate that has expired is shown all the same, as
// Envoy does; its peers decide.
func (s *Secret) Expired(now time.Time) error {
	v := s.Validation
	if v == nil || v.AllowExpired || len(v.Roots) == 0 {
		return nil
	}
	for _, c := range v.Roots {
		if now.Before(c.NotAfter) {
			return nil
		}
	}
	return badField("trusted_ca", "every certificate in it has expired")
}

// Hash is the beginning of the content's SHA-256 in hexadecimal, which may be
// shown: it says of a key no more than whether it is the same.
func (s *Secret) Hash() string { return hex.EncodeToString(s.sum[:8]) }

// Kind is what the secret is, as Envoy calls it.
func (s *Secret) Kind() string {
	switch {
	case s.Certificate != nil:
		return "tls_certificate"
	case s.Validation != nil:
		return "validation_context"
	case s.Tickets != nil:
		return "session_ticket_keys"
	}
	return "generic_secret"
}

// FieldError says which field of a spec is bad.
type FieldError struct {
	Field string // as in Envoy's message, "private_key" say
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }

func badField(field, format string, args ...any) error {
	return &FieldError{field, fmt.Errorf(format, args...)}
}
