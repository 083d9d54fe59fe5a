package transport

// How the peer's certificate is checked: the chain to the roots, then pins and
// names (Envoy common/tls/cert_validator/default_validator.cc, and the SPIFFE
// validator). Every handshake is checked, also one that resumes a session: what
// was good under other roots need not be now.

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// VerifyError says why a certificate was not accepted, in Envoy's words.
type VerifyError struct {
	kind failedCheck
	text string
}

func (e *VerifyError) Error() string { return "verify cert failed: " + e.text }

// failedCheck says which counter a failure goes to.
type failedCheck uint8

const (
	badChain failedCheck = iota
	badName
	badPin
	badUsage // of the key; the text is BoringSSL's reason
)

// verifier is a config.Validation, compiled. Immutable; any goroutine.
type verifier struct {
	checks  config.Checks
	names   []nameMatch
	roots   *x509.CertPool // nil: the chain is not verified
	anchors []*x509.Certificate
	domains map[string]*anchorage // of the SPIFFE validator
	revoked *revocations
	usage   x509.ExtKeyUsage
	// byServerName wants a DNS name that is the SNI, in place of names.
	byServerName bool
}

// anchorage is a trust domain's roots.
type anchorage struct {
	pool    *x509.CertPool
	anchors []*x509.Certificate
}

// newVerifier compiles v, which may be nil: then there is none. usage is what the
// peer's certificate must be for. Errors: the system's roots cannot be read.
func newVerifier(v *config.Validation, usage x509.ExtKeyUsage) (*verifier, error) {
	if v == nil {
		return nil, nil
	}
	y := &verifier{checks: v.Checks, usage: usage, anchors: v.Roots}
	switch {
	case v.SPIFFE:
		y.domains = map[string]*anchorage{}
		for _, d := range v.Domains {
			y.domains[d.Name] = &anchorage{pool(d.Roots), d.Roots}
		}
	case len(v.Roots) > 0:
		y.roots = pool(v.Roots)
	case v.SystemRoots:
		var err error
		if y.roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("system_root_certs: %w", err)
		}
	}
	for i := range v.SANs {
		y.names = append(y.names, compileName(&v.SANs[i]))
	}
	if len(v.CRLs) > 0 {
		y.revoked = newRevocations(v.CRLs, v.LeafCRLOnly)
	}
	return y, nil
}

// vouches reports whether a chain that was accepted leads to a root: if it had to.
func (y *verifier) vouches(chain []*x509.Certificate, wall func() time.Time) bool {
	if y == nil || len(chain) == 0 || y.roots == nil && y.domains == nil {
		return false
	}
	if !y.checks.AcceptUntrusted {
		return true
	}
	verified, _ := y.verify(chain, "", wall())
	return verified
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// asks reports whether a server that has the verifier asks for a certificate.
func (y *verifier) asks() bool {
	return y != nil && (y.roots != nil || y.domains != nil || len(y.names)+len(y.checks.SPKIs)+len(y.checks.Hashes) > 0)
}

// verify checks a chain, the leaf first, at a time. verified says that it leads
// to a root. Errors: a *VerifyError.
func (y *verifier) verify(chain []*x509.Certificate, serverName string, now time.Time) (verified bool, err error) {
	if len(chain) == 0 {
		return false, &VerifyError{badChain, "empty cert chain"}
	}
	roots, err := y.rootsFor(chain[0])
	if err == nil && roots.pool != nil {
		if err = y.verifyChain(chain, roots, now); err == nil {
			verified = true
		}
	}
	if err == nil {
		err = y.verifyLeaf(chain[0], serverName)
	}
	if err != nil && y.checks.AcceptUntrusted {
		return verified, nil
	}
	return verified, err
}

// rootsFor gives the roots that are to vouch for a leaf.
func (y *verifier) rootsFor(leaf *x509.Certificate) (anchorage, error) {
	if y.domains == nil {
		return anchorage{y.roots, y.anchors}, nil
	}
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return anchorage{}, &VerifyError{badChain, "SPIFFE: the leaf is an authority's certificate"}
	}
	a := y.domains[trustDomain(leaf)]
	if a == nil {
		return anchorage{}, &VerifyError{badChain, "no trust bundle store"}
	}
	return *a, nil
}

// trustDomain is that of the first SPIFFE ID of a certificate, "" if it has none.
func trustDomain(leaf *x509.Certificate) string {
	for _, u := range leaf.URIs {
		if strings.EqualFold(u.Scheme, "spiffe") {
			return u.Host
		}
	}
	return ""
}

func (y *verifier) verifyChain(chain []*x509.Certificate, roots anchorage, now time.Time) error {
	o := x509.VerifyOptions{
		Roots: roots.pool, Intermediates: pool(chain[1:]), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{y.usage},
	}
	chains, err := chain[0].Verify(o)
	if err != nil && y.checks.AllowExpired && isExpired(err) {
		chains, err = verifyInTheirTime(chain, roots.anchors, o)
	}
	if err != nil {
		return &VerifyError{badChain, chainError(err)}
	}
	err = nil
	for _, c := range chains {
		if err = y.acceptChain(c, now); err == nil {
			return nil
		}
	}
	return err
}

// acceptChain checks a chain that leads to a root.
func (y *verifier) acceptChain(chain []*x509.Certificate, now time.Time) error {
	if y.checks.HasDepth && len(chain)-1 > int(y.checks.MaxDepth) {
		return &VerifyError{badChain, "X509_verify_cert: certificate verification error at depth " +
			fmt.Sprint(len(chain)-1) + ": certificate chain too long"}
	}
	if y.revoked != nil {
		return y.revoked.check(chain, now)
	}
	return nil
}

func isExpired(err error) bool {
	var e x509.CertificateInvalidError
	return errors.As(err, &e) && e.Reason == x509.Expired
}

// verifyInTheirTime verifies at a moment at which all certificates were good:
// that is a moment before one of them ends or after one begins.
func verifyInTheirTime(chain, anchors []*x509.Certificate, o x509.VerifyOptions) (chains [][]*x509.Certificate, err error) {
	for _, c := range slices.Concat(chain, anchors) {
		for _, at := range []time.Time{c.NotAfter, c.NotBefore} {
			o.CurrentTime = at
			if chains, err = chain[0].Verify(o); err == nil || !isExpired(err) {
				return chains, err
			}
		}
	}
	return chains, err
}

// chainError is OpenSSL's word for what crypto/x509 says.
func chainError(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	what, depth := err.Error(), 0
	switch {
	case errors.As(err, &unknown) && unknown.Cert != nil && string(unknown.Cert.RawIssuer) == string(unknown.Cert.RawSubject):
		what = "self-signed certificate"
	case errors.As(err, &unknown):
		what = "unable to get local issuer certificate"
	case errors.As(err, &invalid):
		if invalid.Cert != nil && invalid.Cert.IsCA {
			depth = 1
		}
		what = invalidReason(&invalid, err)
	}
	return fmt.Sprintf("X509_verify_cert: certificate verification error at depth %d: %s", depth, what)
}

func invalidReason(e *x509.CertificateInvalidError, err error) string {
	switch e.Reason {
	case x509.Expired:
		if strings.Contains(e.Detail, "is before") {
			return "certificate is not yet valid"
		}
		return "certificate has expired"
	case x509.NotAuthorizedToSign:
		return "invalid CA certificate"
	case x509.TooManyIntermediates:
		return "path length constraint exceeded"
	case x509.IncompatibleUsage:
		return "unsupported certificate purpose"
	case x509.CANotAuthorizedForThisName:
		return "permitted subtree violation"
	}
	return err.Error()
}

// verifyLeaf checks pins and names.
func (y *verifier) verifyLeaf(leaf *x509.Certificate, serverName string) error {
	switch {
	case y.byServerName && serverName != "":
		if !dnsNameMatches(leaf, serverName) {
			return &VerifyError{badName, "SAN matcher"}
		}
	case len(y.names) > 0 && !slices.ContainsFunc(y.names, func(m nameMatch) bool { return m.matches(leaf) }):
		return &VerifyError{badName, "SAN matcher"}
	}
	if len(y.checks.Hashes)+len(y.checks.SPKIs) == 0 ||
		slices.Contains(y.checks.Hashes, config.Pin(sha256.Sum256(leaf.Raw))) ||
		slices.Contains(y.checks.SPKIs, config.Pin(sha256.Sum256(leaf.RawSubjectPublicKeyInfo))) {
		return nil
	}
	return &VerifyError{badPin, "cert hash and spki"}
}
