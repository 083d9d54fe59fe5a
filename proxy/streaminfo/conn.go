package streaminfo

import (
	"net/netip"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Conn is what is known of a client's connection while it lives. Worker only.
type Conn struct {
	// ID tells the connection from all others of the process.
	ID uint64
	// Peer and Local are its ends, as a PROXY header has them if one came; not valid
	// on a unix socket.
	Peer, Local netip.AddrPort
	// TLS is nil on plaintext.
	TLS *transport.State
	// ServerName is the SNI that the TLS inspector or the handshake has seen, ""
	// for none.
	ServerName string
	// Offered are the protocols that the TLS inspector has seen in the ClientHello.
	Offered []string
	// Prints are the client's fingerprints; nil: none was taken.
	Prints *Fingerprints
	// Began is when it was accepted, in the worker's time.
	Began int64
	// Place is where it was accepted; nil: not known.
	Place *Place
	// State is what lives as long as the connection.
	State State

	// Logged is whose log has an entry for the connection when it has ended, nil for
	// nobody's; Whole is then what a room has noted of all of it, nil if nothing.
	Logged any
	Whole  *Info

	// Metadata, Flags, Details and Termination are what network filters have noted of
	// the connection; see Info.
	Metadata    Metadata
	Flags       Flags
	Details     string
	Termination string

	socket *socket // nil: there is nothing that the ends do not say
}

// socket is what is known of a connection's own socket.
type socket struct {
	direct    netip.AddrPort // not valid: Peer
	namespace string
}

// Known is what was learnt of a connection before a room had it, by the listener
// and by network filters; nil: nothing. A room that has it goes on with it.
func Known(c *loop.Conn) *Conn {
	k, _ := c.Data.(*Conn)
	return k
}

// Fingerprints are those of a ClientHello that the TLS inspector was told to take, ""
// for others.
type Fingerprints struct{ JA3, JA4 string }

// Place is a filter chain of a listener. Immutable; any goroutine.
type Place struct {
	// Chain and Listener are their names, "" if they have none. Metadata is that of
	// the listener.
	Chain, Listener string
	Metadata        config.FilterMetadata
	// Stays says that clients stay while the process fails health checks.
	Stays bool
}

// Direct is the socket's own peer, which Peer is not where a PROXY header came.
func (c *Conn) Direct() netip.AddrPort {
	if c.socket != nil && c.socket.direct.IsValid() {
		return c.socket.direct
	}
	return c.Peer
}

// SetDirect makes a the socket's own peer.
func (c *Conn) SetDirect(a netip.AddrPort) {
	if c.socket == nil {
		c.socket = &socket{}
	}
	c.socket.direct = a
}

// Namespace is that of the listener, as loop.Conn.Namespace: whatever address it listens on and
// whatever a proxy or the kernel has said of the destination, as Envoy's documentation of
// NetworkNamespaceInput has it (in its source a listener on all addresses has none).
func (c *Conn) Namespace() string {
	if c.socket == nil {
		return ""
	}
	return c.socket.namespace
}

// SetNamespace notes it; "" costs nothing.
func (c *Conn) SetNamespace(name string) {
	switch {
	case c.socket != nil:
		c.socket.namespace = name
	case name != "":
		c.socket = &socket{namespace: name}
	}
}

// SNI is the name that the client has asked for, "" for none.
func (c *Conn) SNI() string {
	if c.TLS != nil && c.TLS.ServerName != "" {
		return c.TLS.ServerName
	}
	return c.ServerName
}
