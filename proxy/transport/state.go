package transport

import (
	"crypto/tls"

	"github.com/attache-mesh/attache/proxy/loop"
)

// settled describes a connection whose handshake has ended well, and counts it.
func settled(c *loop.Conn, y *tls.Conn, n *Counters) *State {
	s := y.ConnectionState()
	st := &State{
		Protocol: s.NegotiatedProtocol, ServerName: s.ServerName,
		Version: s.Version, Cipher: s.CipherSuite, Resumed: s.DidResume,
		Peer: s.PeerCertificates,
	}
	c.Describe(st.Protocol, st)
	n.settled(&s)
	return st
}
