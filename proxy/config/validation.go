package config

// How a peer's certificate is checked.

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Validation is a validation context that was read; immutable. Without Roots,
// SystemRoots and Domains the chain is not verified; pins and names still are.
type Validation struct {
	Roots []*x509.Certificate
	CRLs  []*x509.RevocationList
	// Domains are the trust domains of the SPIFFE validator; none: the ordinary
	// validator.
	Domains []TrustDomain
	Checks
	// Path is the file of the roots, "<inline>" if they are in none.
	Path string
}

// Checks are the plain settings of a validation context.
type Checks struct {
	// SystemRoots takes the system's if there are no Roots.
	SystemRoots bool
	// SANs: one of the certificate's names must match one of these; none: any
	// name is good.
	SANs []SANMatch
	// SPKIs and Hashes are SHA-256 sums of public keys and of whole certificates:
	// the leaf must have one of either; none: any is good.
	SPKIs, Hashes []Pin
	// AllowExpired does not look at the dates of the certificates.
	AllowExpired bool
	// AcceptUntrusted lets connections through whose certificate does not verify.
	AcceptUntrusted bool
	// LeafCRLOnly looks for the leaf alone in the CRLs; else every authority of the
	// chain needs one, if there are any.
	LeafCRLOnly bool
	// MaxDepth counts the certificates above the leaf, the root included; default
	// and at most 100. HasDepth says that it was given.
	MaxDepth uint32
	HasDepth bool
	// SPIFFE says that the validator is that of SPIFFE.
	SPIFFE bool
}

// Pin is a SHA-256 sum.
type Pin [sha256.Size]byte

// TrustDomain is a SPIFFE trust domain, without "spiffe://", and its roots.
type TrustDomain struct {
	Name  string
	Roots []*x509.Certificate
}

// SANMatch is a condition on subject alternative names of one kind. A DNS name
// that is matched exactly may be a wildcard in the certificate.
type SANMatch struct {
	Kind  SANKind
	Match StringMatch
}

// DefaultDepth is max_verify_depth.
const DefaultDepth = 100

// Merge is d with what v says on top, as protobuf merges messages: what v has
// replaces what d has, lists are joined, and a switch is on if either is on
// (combined_validation_context).
func (d *Validation) Merge(v *Validation) *Validation {
	m := *d
	if len(v.Roots) > 0 {
		m.Roots, m.Path = v.Roots, v.Path
	}
	if len(v.CRLs) > 0 {
		m.CRLs = v.CRLs
	}
	if v.SPIFFE {
		m.SPIFFE, m.Domains = true, v.Domains
	}
	m.SANs = slices.Concat(d.SANs, v.SANs)
	m.SPKIs = slices.Concat(d.SPKIs, v.SPKIs)
	m.Hashes = slices.Concat(d.Hashes, v.Hashes)
	m.SystemRoots = d.SystemRoots || v.SystemRoots
	m.AllowExpired = d.AllowExpired || v.AllowExpired
	m.AcceptUntrusted = d.AcceptUntrusted || v.AcceptUntrusted
	m.LeafCRLOnly = d.LeafCRLOnly || v.LeafCRLOnly
	if v.HasDepth {
		m.MaxDepth, m.HasDepth = v.MaxDepth, true
	}
	return &m
}

// Verifies reports whether a chain is verified at all.
func (v *Validation) Verifies() bool {
	return len(v.Roots) > 0 || v.SystemRoots || v.SPIFFE
}

func (l *loading) validation(s *ValidationSpec) (*Validation, error) {
	v := &Validation{Checks: s.Checks, Path: s.Roots.Path}
	if v.Path == "" {
		v.Path = "<inline>"
	}
	l.count("checks", fmt.Appendf(nil, "%+v", s.Checks))
	if !s.Roots.IsZero() {
		text, err := l.text("trusted_ca", s.Roots)
		if err != nil {
			return nil, err
		}
		if v.Roots, err = certificates(text, maxRoots); err != nil {
			return nil, &FieldError{"trusted_ca", err}
		}
		if v.CRLs, err = crls(text); err != nil {
			return nil, &FieldError{"trusted_ca", err}
		}
	}
	if !s.RevocationLists.IsZero() {
		text, err := l.text("crl", s.RevocationLists)
		if err != nil {
			return nil, err
		}
		more, err := crls(text)
		switch {
		case err != nil:
			return nil, &FieldError{"crl", err}
		case len(more) == 0:
			return nil, badField("crl", "no PEM revocation list in it")
		}
		v.CRLs = append(v.CRLs, more...)
	}
	return v, l.domains(s, v)
}

// crls parses the revocation lists of a PEM text.
func crls(text []byte) (all []*x509.RevocationList, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all, nil
		}
		if block.Type != "X509 CRL" {
			continue
		}
		if len(all) == maxRoots {
			return nil, fmt.Errorf("more than %d revocation lists", maxRoots)
		}
		c, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
}

func (l *loading) domains(s *ValidationSpec, v *Validation) error {
	const field = "custom_validator_config.typed_config"
	if !s.DomainMap.IsZero() {
		text, err := l.text(field+".trust_bundles", s.DomainMap)
		if err != nil {
			return err
		}
		if v.Domains, err = bundleMap(text); err != nil {
			return &FieldError{field + ".trust_bundles", err}
		}
		return nil
	}
	for i, t := range s.Domains {
		field := fmt.Sprintf("%s.trust_domains[%d].trust_bundle", field, i)
		text, err := l.text(field, t.Roots)
		if err != nil {
			return err
		}
		roots, err := certificates(text, maxRoots)
		if err != nil {
			return &FieldError{field, err}
		}
		l.count("domain", []byte(t.Name))
		v.Domains = append(v.Domains, TrustDomain{t.Name, roots})
	}
	return nil
}

// bundleMap parses a SPIFFE trust bundle map: a JSON Web Key Set for each trust
// domain, of which the keys for X.509 hold the roots
// (SPIFFE Trust Domain and Bundle, section 4).
func bundleMap(text []byte) (all []TrustDomain, err error) {
	var doc struct {
		TrustDomains map[string]struct {
			Keys []struct {
				Use string   `json:"use"`
				X5C [][]byte `json:"x5c"` // base64, as encoding/json reads bytes
			} `json:"keys"`
		} `json:"trust_domains"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("not a SPIFFE bundle map: %w", err)
	}
	if len(doc.TrustDomains) == 0 {
		return nil, errors.New("no trust domain in it")
	}
	for name, bundle := range doc.TrustDomains {
		d := TrustDomain{Name: name}
		for _, k := range bundle.Keys {
			if k.Use != "x509-svid" {
				continue
			}
			for _, der := range k.X5C {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					return nil, fmt.Errorf("trust domain %s: %w", name, err)
				}
				d.Roots = append(d.Roots, c)
			}
		}
		if len(d.Roots) == 0 {
			return nil, fmt.Errorf("trust domain %s: no key for X.509", name)
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b TrustDomain) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return all, nil
}
