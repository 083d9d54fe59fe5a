package config

// TLS as it is asked for. Contexts hold no key and no certificate: they name
// secrets by their keys, and a Snapshot resolves those (Snapshot.Material). So a
// new certificate changes no context, and nothing that is built from one.
//
//	DownstreamTLS ─┐                 ┌ Certificate (chain and private key)
//	               ├ TLS ─ SecretRef ┤ Validation  (roots, pins, names)
//	UpstreamTLS ───┘        by Key   └ Tickets     (keys of session tickets)

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// TLS is what both sides have in common (Envoy tls.v3.CommonTlsContext). The
// slices are not changed.
type TLS struct {
	// MinVersion and MaxVersion are tls.VersionTLS10 to tls.VersionTLS13. Envoy's
	// defaults: TLS 1.2 at least; at most TLS 1.3 downstream and TLS 1.2 upstream.
	MinVersion, MaxVersion uint16
	// CipherSuites are those of TLS 1.0 to 1.2; never empty. Which is preferred is
	// Go's choice, not their order; TLS 1.3 has always all of its own.
	CipherSuites []uint16
	// Curves are never empty; default X25519 and P-256, as in Envoy.
	Curves []tls.CurveID
	// ALPN are the protocols offered or accepted, in order of preference; none by
	// default. An HTTP cluster adds those that its protocol needs.
	ALPN []string
	// Certificates are what is shown; at most one upstream, at least one
	// downstream.
	Certificates []SecretRef
	// Validation says how the peer's certificate is checked: no entry asks for
	// none; of two the first is the default that the second is merged into
	// (combined_validation_context).
	Validation []SecretRef
	// KeyLog is nil if the keys of sessions are not to be written.
	KeyLog *KeyLog
}

// DownstreamTLS is a listener's side (Envoy tls.v3.DownstreamTlsContext).
type DownstreamTLS struct {
	TLS
	// RequireClientCertificate refuses peers that show none. If it is not set, what
	// is shown is verified all the same if Validation asks for it.
	RequireClientCertificate bool
	// Tickets names the keys of session tickets; nil: keys of the process.
	Tickets *SecretRef
	// DisableTickets issues none and accepts none (stateless resumption).
	DisableTickets bool
	// DisableStateful switches off resumption by session id, which Go's TLS never
	// does: it changes nothing and is here to be shown.
	DisableStateful bool
	// SessionTimeout bounds the life of a session that is resumed; 0 is the
	// default, 7 days. Whole seconds.
	SessionTimeout time.Duration
	OCSP           OCSPPolicy
	// FullScan tries every certificate for the key types that the peer takes if
	// none is for the name that it asks for; without it the first one is used.
	FullScan bool
}

// OCSPPolicy is DownstreamTlsContext.OcspStaplePolicy.
type OCSPPolicy uint8

// The policies: what is done with a certificate whose OCSP response is missing or
// has expired.
const (
	OCSPLenient    OCSPPolicy = iota // it is used, without stapling
	OCSPStrict                       // it is used if the response is missing, not if it has expired
	OCSPMustStaple                   // it is not used
)

// UpstreamTLS is a cluster's side (Envoy tls.v3.UpstreamTlsContext).
type UpstreamTLS struct {
	TLS
	// SNI is sent if nothing else says what to send; "": none is sent.
	SNI string
	// AutoHostSNI sends the host's own name instead, where it has one.
	AutoHostSNI bool
	// AutoSNISAN replaces the checks of subject alternative names by one for a DNS
	// name that is the SNI sent.
	AutoSNISAN bool
	// MaxSessions is how many sessions are kept for resumption; default 1; 0 off.
	MaxSessions uint32
	// EnforceRSAKeyUsage fails a handshake whose certificate's key usage does not
	// fit.
	EnforceRSAKeyUsage bool
}

// KeyLog is a file that the keys of sessions are written to, for debugging. It
// makes every connection that matches readable to whoever can read the file.
type KeyLog struct {
	Path string
	// Local and Remote are the addresses of connections that are logged; empty:
	// any.
	Local, Remote []netip.Prefix
}

// Matches reports whether the keys of a connection are to be written.
func (k *KeyLog) Matches(local, remote netip.Addr) bool {
	return within(k.Local, local) && within(k.Remote, remote)
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return len(prefixes) == 0
}

// SecretRef names a secret. The Key says everything: two with one key are the
// same secret.
type SecretRef struct {
	// Key is unique: of a secret by SDS, its name and where it comes from; of a
	// static one, its name; of one that stands in a context, a hash.
	Key string
	// Name is what the secret is called at its Source, and in statistics.
	Name string
	// Source is SourceInline for a static secret and one that stands in a context.
	Source Source
	// Own is what stands in the context; nil if the secret comes by its name.
	Own *SecretSpec
}

// Contexts yields the TLS of each chain that has one: what Snapshot.Material goes
// by.
func (l *Listener) Contexts(yield func(*TLS) bool) {
	for c := range l.contexts {
		if !yield(c.tls) {
			return
		}
	}
}

// Contexts yields the TLS of each transport that has one: what Snapshot.Material
// goes by.
func (c *Cluster) Contexts(yield func(*TLS) bool) {
	for t := range c.contexts {
		if !yield(t.tls) {
			return
		}
	}
}

// SecretRefs yields every secret that the contexts of l name.
func (l *Listener) SecretRefs(yield func(*SecretRef) bool) {
	for c := range l.contexts {
		for r := range c.secrets {
			if !yield(r) {
				return
			}
		}
	}
}

// SecretRefs yields every secret that the contexts of c name.
func (c *Cluster) SecretRefs(yield func(*SecretRef) bool) {
	for t := range c.contexts {
		for r := range t.secrets {
			if !yield(r) {
				return
			}
		}
	}
}
