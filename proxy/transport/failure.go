package transport

// How a handshake that has failed is worded: Envoy's transport failure reason.

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
)

var (
	errNotReady = errors.New("a secret is not there yet")
	errBusy     = errors.New("too many handshakes are under way")
)

// Failure is a handshake that did not end well. Reason is for logs and local
// replies; the cause is below (Unwrap).
type Failure struct {
	Reason string
	cause  error
}

func (f *Failure) Error() string { return f.Reason }

// Unwrap is what crypto/tls, the verification or the socket said.
func (f *Failure) Unwrap() error { return f.cause }

// Verification reports whether the peer's certificate was not accepted.
func (f *Failure) Verification() bool {
	var v *VerifyError
	return errors.As(f.cause, &v)
}

// failure words an error of a handshake. One of the socket's, and a time-out,
// stay as they are.
func failure(err error) error {
	if err == nil || !isTLS(err) {
		return err
	}
	return &Failure{reason(err), err}
}

// isTLS reports whether the handshake itself has failed, not the socket below.
func isTLS(err error) bool {
	var v *VerifyError
	var h tls.RecordHeaderError
	var a tls.AlertError
	var op *net.OpError
	return errors.As(err, &v) || errors.As(err, &h) || errors.As(err, &a) || errors.As(err, &op) ||
		strings.HasPrefix(err.Error(), "tls: ") || strings.HasPrefix(err.Error(), "remote error: ")
}

// isNoCertificate: the client was asked for a certificate and has shown none.
func isNoCertificate(err error) bool {
	return strings.Contains(err.Error(), "client didn't provide a certificate")
}

// BoringSSL's numbers of its reasons, from which Envoy's text is made: the
// library (16) and the reason, and for an alert of the peer's 1000 and the alert.
const (
	boringSSL          = 16 << 24
	reasonVerifyFailed = 125
	reasonNoCert       = 192
	reasonWrongVersion = 247
	reasonKeyUsage     = 310
	reasonAlert        = 1000
)

// reason is Envoy's transport failure reason (ssl_socket.cc, drainErrorQueue).
func reason(err error) string {
	var v *VerifyError
	var h tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &v) && v.kind == badUsage:
		return boring(reasonKeyUsage, v.text)
	case errors.As(err, &v):
		return boring(reasonVerifyFailed, "CERTIFICATE_VERIFY_FAILED:"+v.Error())
	case isNoCertificate(err):
		return boring(reasonNoCert, "PEER_DID_NOT_RETURN_A_CERTIFICATE")
	case errors.As(err, &h):
		return boring(reasonWrongVersion, "WRONG_VERSION_NUMBER")
	case errors.As(err, &op) && op.Op == "remote error":
		if n, name := alertName(op.Err); n > 0 {
			return boring(reasonAlert+n, name)
		}
	}
	return "TLS_error:|" + strings.TrimPrefix(err.Error(), "tls: ") + ":TLS_error_end"
}

func boring(reason int, name string) string {
	return fmt.Sprintf("TLS_error:|%d:SSL routines:OPENSSL_internal:%s:TLS_error_end", boringSSL+reason, name)
}

// alerts are those that Go's texts are known by (RFC 8446, 6).
var alerts = []struct {
	number     int
	text, name string
}{
	{10, "unexpected message", "SSLV3_ALERT_UNEXPECTED_MESSAGE"},
	{20, "bad record MAC", "SSLV3_ALERT_BAD_RECORD_MAC"},
	{40, "handshake failure", "SSLV3_ALERT_HANDSHAKE_FAILURE"},
	{42, "bad certificate", "SSLV3_ALERT_BAD_CERTIFICATE"},
	{43, "unsupported certificate", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"},
	{44, "revoked certificate", "SSLV3_ALERT_CERTIFICATE_REVOKED"},
	{45, "expired certificate", "SSLV3_ALERT_CERTIFICATE_EXPIRED"},
	{46, "unknown certificate", "SSLV3_ALERT_CERTIFICATE_UNKNOWN"},
	{47, "illegal parameter", "SSLV3_ALERT_ILLEGAL_PARAMETER"},
	{48, "unknown certificate authority", "TLSV1_ALERT_UNKNOWN_CA"},
	{49, "access denied", "TLSV1_ALERT_ACCESS_DENIED"},
	{50, "error decoding message", "TLSV1_ALERT_DECODE_ERROR"},
	{51, "error decrypting message", "TLSV1_ALERT_DECRYPT_ERROR"},
	{70, "protocol version not supported", "TLSV1_ALERT_PROTOCOL_VERSION"},
	{71, "insufficient security level", "TLSV1_ALERT_INSUFFICIENT_SECURITY"},
	{80, "internal error", "TLSV1_ALERT_INTERNAL_ERROR"},
	{112, "unrecognized name", "TLSV1_ALERT_UNRECOGNIZED_NAME"},
	{116, "certificate required", "TLSV1_ALERT_CERTIFICATE_REQUIRED"},
	{120, "no application protocol", "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"},
}

func alertName(err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	for _, a := range alerts {
		if text == a.text {
			return a.number, a.name
		}
	}
	return 0, ""
}
