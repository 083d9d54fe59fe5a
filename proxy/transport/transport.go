// Package transport is what stands between a socket and a room: plaintext, or
// TLS on either side. It compiles contexts (config.DownstreamTLS and UpstreamTLS
// with their secrets) and agrees on keys; the record layer is then the
// connection's own (loop.Conn.Secure), so that a room sees only plain bytes.
//
//	accepted ─▶ Server.Accept ─┐                  ┌─▶ room, State on the connection
//	                           ├ Queue ─ handshake┤
//	dialled ──▶ Client.Secure ─┘                  └─▶ Failure: counted, worded as Envoy's
//
// A context outlives its secrets: Use swaps in what was rotated, for the next
// handshake. Connections that stand keep what they were made with.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// State is what a handshake has agreed on. It is kept for the life of the
// connection and does not change.
type State struct {
	// Protocol is that of ALPN, "" if none was agreed on.
	Protocol string
	// ServerName is the SNI that the client sent, "" for none.
	ServerName string
	Version    uint16 // tls.VersionTLS12 …
	Cipher     uint16 // tls.TLS_AES_128_GCM_SHA256 …
	Resumed    bool
	// Peer is the peer's chain, the leaf first; empty if it has shown none.
	Peer []*x509.Certificate
	// Verified says that the chain leads to a root that was asked for.
	Verified bool
	// Own is the leaf that this side has shown, nil if none.
	Own *x509.Certificate
}

// Of gives what the handshake of a connection has agreed on, nil on plaintext.
// Worker only.
func Of(c *loop.Conn) *State {
	s, _ := c.Facts().(*State)
	return s
}

// VersionName is Envoy's name of a version in statistics and logs.
func VersionName(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return "unknown"
}

// Env is what contexts take from the process.
type Env struct {
	// Wall is the time of day, for the dates of certificates; nil: time.Now.
	Wall func() time.Time
	// Queues are the workers' queues of handshakes, by worker ID.
	Queues []*Queue
}

// filled is e with its defaults.
func (e *Env) filled() Env {
	f := *e
	if f.Wall == nil {
		f.Wall = time.Now
	}
	return f
}
