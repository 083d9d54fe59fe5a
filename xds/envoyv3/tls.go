package envoyv3

// TLS contexts of both sides.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"crypto/tls"
	"strings"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultSessions is max_session_keys.
const defaultSessions = 1

func (d *decoder) downstreamTLS(p path, m *tlsv3.DownstreamTlsContext) *config.DownstreamTLS {
	common := m.GetCommonTlsContext()
	t := &config.DownstreamTLS{
		TLS:                      d.commonTLS(p.dot("common_tls_context"), common, tls.VersionTLS13),
		RequireClientCertificate: m.GetRequireClientCertificate().GetValue(),
		DisableTickets:           m.GetDisableStatelessSessionResumption(),
		DisableStateful:          m.GetDisableStatefulSessionResumption(),
		SessionTimeout:           d.duration(p.dot("session_timeout"), m.GetSessionTimeout(), 0).Truncate(time.Second),
		FullScan:                 m.GetFullScanCertsOnSniMismatch().GetValue(),
	}
	switch m.GetOcspStaplePolicy() {
	case tlsv3.DownstreamTlsContext_STRICT_STAPLING:
		t.OCSP = config.OCSPStrict
	case tlsv3.DownstreamTlsContext_MUST_STAPLE:
		t.OCSP = config.OCSPMustStaple
	}
	switch {
	case m.GetSessionTicketKeys() != nil:
		t.Tickets = d.ownTickets(p.dot("session_ticket_keys"), m.GetSessionTicketKeys())
	case m.GetSessionTicketKeysSdsSecretConfig() != nil:
		r := d.secretRef(p.dot("session_ticket_keys_sds_secret_config"), m.GetSessionTicketKeysSdsSecretConfig(), kindTickets)
		t.Tickets = &r
	}
	if len(t.Certificates) == 0 {
		d.refuse(p.dot("common_tls_context"), "No TLS certificates found for server context")
	}
	if len(common.GetTlsCertificates()) > 0 && len(common.GetTlsCertificateSdsSecretConfigs()) > 0 {
		d.refuse(p.dot("common_tls_context"), "SDS and non-SDS TLS certificates may not be mixed in server contexts")
	}
	if m.GetRequireClientCertificate() == nil && len(t.Validation) > 0 {
		d.warn(p.dot("require_client_certificate"), "not set: a client that shows no certificate is let in")
	}
	return t
}

func (d *decoder) upstreamTLS(p path, m *tlsv3.UpstreamTlsContext) *config.UpstreamTLS {
	common := m.GetCommonTlsContext()
	t := &config.UpstreamTLS{
		TLS:                d.commonTLS(p.dot("common_tls_context"), common, tls.VersionTLS12),
		SNI:                m.GetSni(),
		AutoHostSNI:        m.GetAutoHostSni(),
		AutoSNISAN:         m.GetAutoSniSanValidation(),
		MaxSessions:        orUint32(m.GetMaxSessionKeys(), defaultSessions),
		EnforceRSAKeyUsage: m.GetEnforceRsaKeyUsage().GetValue(),
	}
	if strings.IndexByte(t.SNI, 0) >= 0 {
		d.refuse(p.dot("sni"), "SNI names containing NULL-byte are not allowed")
	}
	if len(t.SNI) > 255 {
		d.refuse(p.dot("sni"), "value length must be at most 255 bytes")
	}
	if len(common.GetTlsCertificates())+len(common.GetTlsCertificateSdsSecretConfigs()) > 1 {
		d.refuse(p.dot("common_tls_context"), "Multiple TLS certificates are not supported for client contexts")
	}
	if unverified(t.Validation) {
		d.warn(p.dot("common_tls_context"), "no trusted_ca: the server's certificate is not verified")
	}
	return t
}

// unverified reports whether a context asks nothing of the peer's certificate. What
// comes by SDS may ask anything.
func unverified(all []config.SecretRef) bool {
	for i := range all {
		own := all[i].Own
		if own == nil || !own.Validation.Roots.IsZero() {
			return false
		}
		if c := &own.Validation.Checks; c.SystemRoots || c.SPIFFE || len(c.SPKIs)+len(c.Hashes) > 0 {
			return false
		}
	}
	return true
}

// commonTLS reads what both sides have. newest is the default of the maximum
// version: Envoy's is TLS 1.3 for servers and TLS 1.2 for clients.
func (d *decoder) commonTLS(p path, m *tlsv3.CommonTlsContext, newest uint16) config.TLS {
	t := config.TLS{
		ALPN:         m.GetAlpnProtocols(),
		Certificates: d.certificates(p, m),
		Validation:   d.validations(p, m),
	}
	d.tlsParameters(p.dot("tls_params"), m.GetTlsParams(), newest, &t)
	for i, name := range t.ALPN {
		if name == "" || len(name) > 255 {
			d.refuse(p.dot("alpn_protocols").at(i), "1 to 255 bytes")
		}
	}
	if k := m.GetKeyLog(); k != nil {
		p := p.dot("key_log")
		d.required(p.dot("path"), k.GetPath())
		t.KeyLog = &config.KeyLog{
			Path:   k.GetPath(),
			Local:  d.prefixes(p.dot("local_address_range"), k.GetLocalAddressRange()),
			Remote: d.prefixes(p.dot("remote_address_range"), k.GetRemoteAddressRange()),
		}
		d.warn(p, "writes the keys of sessions: whoever reads the file can read the traffic")
	}
	return t
}

// certificates reads what is shown. Beside one that is given those by SDS do not
// count, as in Envoy.
func (d *decoder) certificates(p path, m *tlsv3.CommonTlsContext) (all []config.SecretRef) {
	for i, c := range m.GetTlsCertificates() {
		all = append(all, d.ownCertificate(p.dot("tls_certificates").at(i), c))
	}
	if len(all) > 0 {
		return all
	}
	for i, s := range m.GetTlsCertificateSdsSecretConfigs() {
		all = append(all, d.secretRef(p.dot("tls_certificate_sds_secret_configs").at(i), s, kindCertificate))
	}
	return all
}

func (d *decoder) validations(p path, m *tlsv3.CommonTlsContext) []config.SecretRef {
	switch v := m.GetValidationContextType().(type) {
	case *tlsv3.CommonTlsContext_ValidationContext:
		return []config.SecretRef{d.ownValidation(p.dot("validation_context"), v.ValidationContext, true)}
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		return []config.SecretRef{d.secretRef(p.dot("validation_context_sds_secret_config"), v.ValidationContextSdsSecretConfig, kindValidation)}
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		p := p.dot("combined_validation_context")
		return []config.SecretRef{
			d.ownValidation(p.dot("default_validation_context"), v.CombinedValidationContext.GetDefaultValidationContext(), false),
			d.secretRef(p.dot("validation_context_sds_secret_config"), v.CombinedValidationContext.GetValidationContextSdsSecretConfig(), kindValidation),
		}
	}
	return nil
}
