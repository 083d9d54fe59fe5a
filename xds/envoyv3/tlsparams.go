package envoyv3

// Versions, cipher suites and curves: BoringSSL's names for what Go has.

import (
	"crypto/tls"
	"slices"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// tlsParameters fills in versions, suites and curves.
func (d *decoder) tlsParameters(p path, m *tlsv3.TlsParameters, newest uint16, t *config.TLS) {
	t.MinVersion = tlsVersion(m.GetTlsMinimumProtocolVersion(), tls.VersionTLS12)
	t.MaxVersion = tlsVersion(m.GetTlsMaximumProtocolVersion(), newest)
	if t.MaxVersion < t.MinVersion && m.GetTlsMaximumProtocolVersion() == tlsv3.TlsParameters_TLS_AUTO {
		t.MaxVersion = t.MinVersion // a client that asks for TLS 1.3 at least
	}
	if t.MaxVersion < t.MinVersion {
		d.refuse(p.dot("tls_maximum_protocol_version"), "must not be older than tls_minimum_protocol_version, which is TLSv1_2 by default")
	}
	t.CipherSuites = d.cipherSuites(p.dot("cipher_suites"), m.GetCipherSuites())
	t.Curves = d.curves(p.dot("ecdh_curves"), m.GetEcdhCurves())
}

func tlsVersion(v tlsv3.TlsParameters_TlsProtocol, def uint16) uint16 {
	switch v {
	case tlsv3.TlsParameters_TLSv1_0:
		return tls.VersionTLS10
	case tlsv3.TlsParameters_TLSv1_1:
		return tls.VersionTLS11
	case tlsv3.TlsParameters_TLSv1_2:
		return tls.VersionTLS12
	case tlsv3.TlsParameters_TLSv1_3:
		return tls.VersionTLS13
	}
	return def
}

// defaultSuites is Envoy's list for both sides (context_config_impl.cc).
const defaultSuites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:" +
	"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"

// suiteNames are OpenSSL's names of the suites that Go and BoringSSL have.
func suiteNames() map[string]uint16 {
	return map[string]uint16{
		"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		"AES128-SHA256":                 tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
		"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		"DES-CBC3-SHA":                  tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
	}
}

// cipherSuites reads a list in BoringSSL's language, of which names and groups
// of equal preference are taken: "[A|B]:C" is A, B and C. The order is Go's.
func (d *decoder) cipherSuites(p path, list []string) (all []uint16) {
	names := suiteNames()
	if len(list) == 0 {
		list = []string{defaultSuites}
	}
	for i, entry := range list {
		for _, name := range strings.FieldsFunc(entry, func(r rune) bool { return strings.ContainsRune(":[|] ", r) }) {
			id, known := names[name]
			if !known {
				id, known = standardSuite(name)
			}
			switch {
			case !known:
				d.never(p.at(i), "the cipher suite "+name)
			case !slices.Contains(all, id):
				all = append(all, id)
			}
		}
	}
	return all
}

// standardSuite finds a suite of TLS 1.2 or older by its name in the standard.
// RC4, which BoringSSL has not, is none.
func standardSuite(name string) (id uint16, known bool) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if s.Name == name && slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !strings.Contains(name, "RC4") {
			return s.ID, true
		}
	}
	return 0, false
}

func (d *decoder) curves(p path, list []string) (all []tls.CurveID) {
	if len(list) == 0 {
		return []tls.CurveID{tls.X25519, tls.CurveP256} // Envoy's (context_config_impl.cc)
	}
	for i, entry := range list {
		for name := range strings.SplitSeq(entry, ":") {
			id, known := curve(name)
			switch {
			case !known:
				d.never(p.at(i), "the curve "+name+": X25519, X25519MLKEM768, P-256, P-384 and P-521 only")
			case !slices.Contains(all, id):
				all = append(all, id)
			}
		}
	}
	return all
}

func curve(name string) (id tls.CurveID, known bool) {
	switch name {
	case "X25519", "x25519":
		return tls.X25519, true
	case "X25519MLKEM768":
		return tls.X25519MLKEM768, true
	case "P-256", "prime256v1":
		return tls.CurveP256, true
	case "P-384", "secp384r1":
		return tls.CurveP384, true
	case "P-521", "secp521r1":
		return tls.CurveP521, true
	}
	return 0, false
}
