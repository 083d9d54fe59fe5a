package transport

// Certificate revocation lists (RFC 5280, 5), as OpenSSL looks at them: who has
// any list must have one of every authority whose certificate is checked.

import (
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// revocations are the lists of a validation context by issuer. Any goroutine.
type revocations struct {
	lists    map[string][]*list // by the issuer's name, DER
	leafOnly bool
}

type list struct {
	crl     *x509.RevocationList
	serials map[string]bool
	// signers are the issuers' certificates, DER, that were found to have signed
	// the list, or not to have.
	signers sync.Map
}

// maxSigners bounds signers; a list has one issuer, which may be given under a
// few certificates.
const maxSigners = 16

func newRevocations(all []*x509.RevocationList, leafOnly bool) *revocations {
	r := &revocations{lists: map[string][]*list{}, leafOnly: leafOnly}
	for _, crl := range all {
		l := &list{crl: crl, serials: make(map[string]bool, len(crl.RevokedCertificateEntries))}
		for i := range crl.RevokedCertificateEntries {
			l.serials[crl.RevokedCertificateEntries[i].SerialNumber.String()] = true
		}
		key := string(crl.RawIssuer)
		r.lists[key] = append(r.lists[key], l)
	}
	return r
}

// check looks for the certificates of a chain, but for its root, in the lists.
func (r *revocations) check(chain []*x509.Certificate, now time.Time) error {
	for depth, c := range chain[:len(chain)-1] {
		if depth > 0 && r.leafOnly {
			return nil
		}
		if what := r.look(c, chain[depth+1], now); what != "" {
			return &VerifyError{badChain, fmt.Sprintf("X509_verify_cert: certificate verification error at depth %d: %s", depth, what)}
		}
	}
	return nil
}

// look says what is wrong with a certificate, "" if nothing is.
func (r *revocations) look(c, issuer *x509.Certificate, now time.Time) string {
	what := "unable to get certificate CRL"
	for _, l := range r.lists[string(c.RawIssuer)] {
		switch {
		case !l.signedBy(issuer):
			what = "CRL signature failure"
		case l.serials[c.SerialNumber.String()]:
			return "certificate revoked"
		case now.Before(l.crl.ThisUpdate):
			what = "CRL is not yet valid"
		case !l.crl.NextUpdate.IsZero() && now.After(l.crl.NextUpdate):
			what = "CRL has expired"
		default:
			what = ""
		}
		if what == "" {
			return ""
		}
	}
	return what
}

// signedBy reports whether the list is the issuer's own; each issuer is asked
// once.
func (l *list) signedBy(issuer *x509.Certificate) bool {
	key := string(issuer.RawSubjectPublicKeyInfo)
	if good, ok := l.signers.Load(key); ok {
		return good.(bool)
	}
	good := l.crl.CheckSignatureFrom(issuer) == nil
	n := 0
	l.signers.Range(func(any, any) bool { n++; return n < maxSigners })
	if n < maxSigners {
		l.signers.Store(key, good)
	}
	return good
}
