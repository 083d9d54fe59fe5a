package envoyv3

// How the certificate of a peer is checked.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func (d *decoder) validation(p path, m *tlsv3.CertificateValidationContext) *config.ValidationSpec {
	from := m.GetWatchedDirectory().GetPath()
	v := &config.ValidationSpec{
		Roots:           d.secretData(p.dot("trusted_ca"), m.GetTrustedCa(), from),
		RevocationLists: d.secretData(p.dot("crl"), m.GetCrl(), from),
		Checks: config.Checks{
			SystemRoots:     m.GetSystemRootCerts() != nil,
			SANs:            d.sanMatches(p, m),
			SPKIs:           d.spkis(p.dot("verify_certificate_spki"), m.GetVerifyCertificateSpki()),
			Hashes:          d.hashes(p.dot("verify_certificate_hash"), m.GetVerifyCertificateHash()),
			AllowExpired:    m.GetAllowExpiredCertificate(),
			AcceptUntrusted: m.GetTrustChainVerification() == tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED,
			LeafCRLOnly:     m.GetOnlyVerifyLeafCertCrl(),
			MaxDepth:        d.between(p.dot("max_verify_depth"), orUint32(m.GetMaxVerifyDepth(), config.DefaultDepth), 0, config.DefaultDepth),
			HasDepth:        m.GetMaxVerifyDepth() != nil,
		},
	}
	if m.GetTrustedCa() != nil && v.Roots.IsZero() {
		d.refuse(p.dot("trusted_ca"), "must not be empty")
	}
	if m.GetCustomValidatorConfig() != nil {
		d.spiffe(p.dot("custom_validator_config"), m.GetCustomValidatorConfig(), v)
	}
	return v
}

// sensible reports what makes no sense without roots. The texts are Envoy's
// (certificate_validation_context_config_impl.cc).
func (d *decoder) sensible(p path, v *config.ValidationSpec) {
	if !v.Roots.IsZero() || v.Checks.SystemRoots || v.Checks.SPIFFE {
		return
	}
	if !v.RevocationLists.IsZero() {
		d.refuse(p.dot("crl"), "Failed to load CRL from %s without trusted CA", v.RevocationLists)
	}
	if len(v.Checks.SANs) > 0 {
		d.refuse(p, "SAN-based verification of peer certificates without trusted CA is insecure and not allowed")
	}
	if v.Checks.AllowExpired {
		d.refuse(p.dot("allow_expired_certificate"), "Certificate validity period is always ignored without trusted CA")
	}
}

// sanMatches reads the conditions on names. Those without a type count for names
// of each type, and not at all beside typed ones.
func (d *decoder) sanMatches(p path, m *tlsv3.CertificateValidationContext) (all []config.SANMatch) {
	for i, s := range m.GetMatchTypedSubjectAltNames() {
		p := p.dot("match_typed_subject_alt_names").at(i)
		match := d.stringMatch(p.dot("matcher"), s.GetMatcher())
		kind := config.SANAny
		switch s.GetSanType() {
		case tlsv3.SubjectAltNameMatcher_EMAIL:
			kind = config.SANEmail
		case tlsv3.SubjectAltNameMatcher_DNS:
			kind = config.SANDNS
		case tlsv3.SubjectAltNameMatcher_URI:
			kind = config.SANURI
		case tlsv3.SubjectAltNameMatcher_IP_ADDRESS:
			kind = config.SANIP
		default:
			d.never(p.dot("san_type"), "EMAIL, DNS, URI and IP_ADDRESS only")
		}
		all = append(all, config.SANMatch{Kind: kind, Match: match})
	}
	old := m.GetMatchSubjectAltNames()
	if len(all) > 0 {
		if len(old) > 0 {
			d.warn(p.dot("match_subject_alt_names"), "has no effect beside match_typed_subject_alt_names")
		}
		return all
	}
	for i, s := range old {
		all = append(all, config.SANMatch{Kind: config.SANAny, Match: d.stringMatch(p.dot("match_subject_alt_names").at(i), s)})
	}
	return all
}

// spkis reads sums of public keys, in base64.
func (d *decoder) spkis(p path, list []string) (all []config.Pin) {
	for i, s := range list {
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(raw) != len(config.Pin{}) { // Envoy's text (default_validator.cc)
			d.refuse(p.at(i), "Invalid base64-encoded SHA-256 %s", s)
			continue
		}
		all = append(all, config.Pin(raw))
	}
	return all
}

// hashes reads sums of certificates, in hexadecimal, with or without colons.
func (d *decoder) hashes(p path, list []string) (all []config.Pin) {
	for i, s := range list {
		raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
		if err != nil || len(raw) != len(config.Pin{}) {
			d.refuse(p.at(i), "Invalid hex-encoded SHA-256 %s", s)
			continue
		}
		all = append(all, config.Pin(raw))
	}
	return all
}

// spiffe reads the validator that checks a peer by the roots of its trust domain.
func (d *decoder) spiffe(p path, m *corev3.TypedExtensionConfig, v *config.ValidationSpec) {
	p = p.dot("typed_config")
	s, ok := d.extension(p, certValidator, m.GetName(), m.GetTypedConfig()).(*tlsv3.SPIFFECertValidatorConfig)
	if !ok {
		return
	}
	v.Checks.SPIFFE = true
	if s.GetTrustBundles() != nil {
		v.DomainMap = d.secretData(p.dot("trust_bundles"), s.GetTrustBundles(), "")
		return
	}
	if len(s.GetTrustDomains()) == 0 {
		d.refuse(p.dot("trust_domains"), "value must contain at least 1 item(s)")
	}
	seen := map[string]bool{}
	for i, t := range s.GetTrustDomains() {
		p := p.dot("trust_domains").at(i)
		d.required(p.dot("name"), t.GetName())
		switch {
		case seen[t.GetName()]: // Envoy's texts (spiffe_validator.cc)
			d.refuse(p.dot("name"), "Multiple trust bundles are given for one trust domain for %s", t.GetName())
		case t.GetTrustBundle() == nil:
			d.refuse(p.dot("trust_bundle"), "Failed to load trusted CA certificate for %s", t.GetName())
		}
		seen[t.GetName()] = true
		v.Domains = append(v.Domains, config.DomainSpec{Name: t.GetName(), Roots: d.secretData(p.dot("trust_bundle"), t.GetTrustBundle(), "")})
	}
}
