package transport

// Which certificate a server shows (Envoy
// common/tls/default_tls_certificate_selector.cc): one whose name is the SNI,
// exactly or by wildcard, and whose key the client can check, ECDSA before RSA;
// without such a name the first one.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/attache-mesh/attache/proxy/config"
)

// shown is a certificate of a server.
type shown struct {
	with, without *tls.Certificate // with its OCSP response stapled, and without
	curve         elliptic.Curve   // of an ECDSA key, else nil
	expires       time.Time        // of the OCSP response
	mustStaple    bool
}

// shelf are the certificates of a server context. Immutable.
type shelf struct {
	all      []*shown
	byName   map[string][]*shown // lower case; ".example.com" for a wildcard
	policy   config.OCSPPolicy
	fullScan bool
}

func newShelf(certs []*config.Certificate, policy config.OCSPPolicy, fullScan bool) *shelf {
	s := &shelf{byName: map[string][]*shown{}, policy: policy, fullScan: fullScan}
	for _, c := range certs {
		x := &shown{with: c.TLS(), expires: ocspExpires(c.OCSP), mustStaple: mustStaple(c)}
		without := *x.with
		without.OCSPStaple = nil
		x.without = &without
		if key, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey); ok {
			x.curve = key.Curve
		}
		s.all = append(s.all, x)
		for _, name := range namesOf(c) {
			s.byName[name] = append(s.byName[name], x)
		}
	}
	return s
}

// namesOf are the DNS names of a certificate, or its common name if it has none.
func namesOf(c *config.Certificate) (names []string) {
	all := c.Leaf.DNSNames
	if len(all) == 0 && c.Leaf.Subject.CommonName != "" {
		all = []string{c.Leaf.Subject.CommonName}
	}
	for _, name := range all {
		names = append(names, strings.TrimPrefix(strings.ToLower(name), "*"))
	}
	return names
}

// ocspExpires is when an OCSP response ends, 0 if it says nothing of it.
func ocspExpires(der []byte) time.Time {
	if len(der) == 0 {
		return time.Time{}
	}
	r, err := ocsp.ParseResponse(der, nil)
	if err != nil {
		return time.Unix(0, 0) // no response at all
	}
	return r.NextUpdate
}

// mustStaple reports whether the certificate has the TLS feature status_request
// (RFC 7633), whose identifier is 1.3.6.1.5.5.7.1.24.
func mustStaple(c *config.Certificate) bool {
	for _, e := range c.Leaf.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
			return strings.Contains(string(e.Value), "\x02\x01\x05")
		}
	}
	return false
}

// allCurves are those of every ECDSA key that a certificate can have.
var allCurves = []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}

var errStaple = errors.New("tls: no valid OCSP response to staple")

// choose gives the certificate for a client.
func (s *shelf) choose(hello *tls.ClientHelloInfo, now time.Time, n *Counters) (*tls.Certificate, error) {
	curves := ecdsaCurves(hello)
	x := s.find(strings.ToLower(hello.ServerName), curves, now)
	// Go staples if the client asks, and does not say whether it does.
	staple, ok := s.staples(x, now)
	switch {
	case !ok:
		n.OCSPFailed++
		return nil, errStaple
	case staple:
		n.OCSPResponses++
		return x.with, nil
	}
	return x.without, nil
}

// staples says whether a response is stapled, and whether the certificate may be
// used at all.
func (s *shelf) staples(x *shown, now time.Time) (staple, ok bool) {
	has := len(x.with.OCSPStaple) > 0
	valid := has && (x.expires.IsZero() || now.Before(x.expires))
	policy := s.policy
	if x.mustStaple {
		policy = config.OCSPMustStaple
	}
	switch policy {
	case config.OCSPStrict:
		return valid, valid || !has
	case config.OCSPMustStaple:
		return valid, valid
	case config.OCSPLenient:
	}
	return valid, true
}

func (s *shelf) find(sni string, curves []elliptic.Curve, now time.Time) *shown {
	if len(s.all) == 1 {
		return s.all[0]
	}
	if sni != "" {
		if x := s.best(s.byName[sni], curves, now); x != nil {
			return x
		}
		if dot := strings.IndexByte(sni[1:], '.') + 1; dot > 0 {
			if x := s.best(s.byName[sni[dot:]], curves, now); x != nil {
				return x
			}
		}
		if !s.fullScan {
			return s.all[0]
		}
	}
	if x := s.best(s.all, curves, now); x != nil {
		return x
	}
	return s.all[0]
}

// best is the first ECDSA certificate that the client can check, else the first
// of another kind.
func (s *shelf) best(from []*shown, curves []elliptic.Curve, now time.Time) (other *shown) {
	for _, x := range from {
		_, usable := s.staples(x, now)
		switch {
		case !usable:
		case x.curve != nil && slices.Contains(curves, x.curve):
			return x
		case x.curve == nil && other == nil:
			other = x
		}
	}
	return other
}

// ecdsaCurves are those on which the client checks signatures.
func ecdsaCurves(h *tls.ClientHelloInfo) (curves []elliptic.Curve) {
	modern := slices.Contains(h.SupportedVersions, tls.VersionTLS13)
	if !modern && !slices.ContainsFunc(h.CipherSuites, isECDSASuite) {
		return nil
	}
	for _, k := range [...]struct {
		curve  elliptic.Curve
		group  tls.CurveID
		scheme tls.SignatureScheme
	}{
		{elliptic.P256(), tls.CurveP256, tls.ECDSAWithP256AndSHA256},
		{elliptic.P384(), tls.CurveP384, tls.ECDSAWithP384AndSHA384},
		{elliptic.P521(), tls.CurveP521, tls.ECDSAWithP521AndSHA512},
	} {
		if slices.Contains(h.SignatureSchemes, k.scheme) && (modern || slices.Contains(h.SupportedCurves, k.group)) {
			curves = append(curves, k.curve)
		}
	}
	return curves
}

func isECDSASuite(id uint16) bool {
	switch id {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return false
}
