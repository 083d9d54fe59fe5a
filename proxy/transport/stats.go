package transport

// What is counted of handshakes (Envoy's ssl.* of a listener or cluster).

import (
	"crypto/tls"
	"errors"
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/loop"
)

// Tally holds the counters of all contexts of one listener or cluster; it
// outlives them. On is worker only.
type Tally struct{ local []Counters }

// NewTally makes one for so many workers, whose IDs count from 0.
func NewTally(workers int) *Tally { return &Tally{make([]Counters, workers)} }

// On gives what worker w counted.
func (t *Tally) On(w *loop.Worker) *Counters { return &t.local[w.ID] }

// Counters are what one worker counted. Worker only.
type Counters struct {
	Handshake, SessionReused, NoCertificate uint64
	ConnectionError                         uint64
	FailVerifyNoCert, FailVerifyError       uint64
	FailVerifySAN, FailVerifyCertHash       uint64
	OCSPRequests, OCSPResponses             uint64
	OCSPOmitted, OCSPFailed                 uint64
	WasKeyUsageInvalid                      uint64 // enforce_rsa_key_usage would have failed it
	NotReady                                uint64 // *_context_secrets_not_ready
	HandshakeTimeout                        uint64 // downstream_cx_transport_socket_connect_timeout
	ciphers, versions, curves               map[uint16]uint64
}

func (n *Counters) settled(s *tls.ConnectionState) {
	n.Handshake++
	if s.DidResume {
		n.SessionReused++
	}
	if len(s.PeerCertificates) == 0 {
		n.NoCertificate++
	}
	if n.ciphers == nil {
		n.ciphers, n.versions, n.curves = map[uint16]uint64{}, map[uint16]uint64{}, map[uint16]uint64{}
	}
	n.ciphers[s.CipherSuite]++
	n.versions[s.Version]++
	if s.CurveID != 0 {
		n.curves[uint16(s.CurveID)]++
	}
}

// failed counts a handshake that has ended badly. Errors of the socket's are
// counted elsewhere, as in Envoy (ssl_socket.cc, drainErrorQueue).
func (n *Counters) failed(err error) {
	var v *VerifyError
	switch {
	case errors.As(err, &v):
		switch v.kind {
		case badChain:
			n.FailVerifyError++
		case badName:
			n.FailVerifySAN++
		case badPin:
			n.FailVerifyCertHash++
		case badUsage:
			n.ConnectionError++
		}
	case isNoCertificate(err):
		n.FailVerifyNoCert++
	case isTLS(err):
		n.ConnectionError++
	}
}

// Stats yields the figures under Envoy's names, without the owner's prefix.
// Worker only.
func (n *Counters) Stats(yield func(name string, value uint64)) {
	for _, f := range [...]struct {
		name  string
		value uint64
	}{
		{"ssl.handshake", n.Handshake},
		{"ssl.session_reused", n.SessionReused},
		{"ssl.no_certificate", n.NoCertificate},
		{"ssl.connection_error", n.ConnectionError},
		{"ssl.fail_verify_no_cert", n.FailVerifyNoCert},
		{"ssl.fail_verify_error", n.FailVerifyError},
		{"ssl.fail_verify_san", n.FailVerifySAN},
		{"ssl.fail_verify_cert_hash", n.FailVerifyCertHash},
		{"ssl.ocsp_staple_requests", n.OCSPRequests},
		{"ssl.ocsp_staple_responses", n.OCSPResponses},
		{"ssl.ocsp_staple_omitted", n.OCSPOmitted},
		{"ssl.ocsp_staple_failed", n.OCSPFailed},
		{"ssl.was_key_usage_invalid", n.WasKeyUsageInvalid},
	} {
		yield(f.name, f.value)
	}
	each(n.ciphers, func(id uint16, v uint64) { yield("ssl.ciphers."+CipherName(id), v) })
	each(n.versions, func(id uint16, v uint64) { yield("ssl.versions."+VersionName(id), v) })
	each(n.curves, func(id uint16, v uint64) { yield("ssl.curves."+curveName(tls.CurveID(id)), v) })
}

func each(m map[uint16]uint64, f func(uint16, uint64)) {
	for _, id := range slices.Sorted(maps.Keys(m)) {
		f(id, m[id])
	}
}

// CipherName is Envoy's, that is OpenSSL's, name of a cipher suite.
func CipherName(id uint16) string {
	if name, ok := cipherNames[id]; ok {
		return name
	}
	return tls.CipherSuiteName(id)
}

// cipherNames are OpenSSL's names of those that Go has; those of TLS 1.3 are
// called alike.
var cipherNames = map[uint16]string{
	tls.TLS_RSA_WITH_AES_128_CBC_SHA:                  "AES128-SHA",
	tls.TLS_RSA_WITH_AES_256_CBC_SHA:                  "AES256-SHA",
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256:               "AES128-GCM-SHA256",
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384:               "AES256-GCM-SHA384",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            "ECDHE-RSA-AES128-SHA",
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
}

func curveName(id tls.CurveID) string {
	switch id {
	case tls.CurveP256:
		return "P-256"
	case tls.CurveP384:
		return "P-384"
	case tls.CurveP521:
		return "P-521"
	}
	return id.String()
}
