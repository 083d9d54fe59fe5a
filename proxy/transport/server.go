package transport

// The side that clients connect to.

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Server is a config.DownstreamTLS and what its secrets say now. Use is for any
// goroutine, Accept worker only.
type Server struct {
	asked *config.DownstreamTLS
	env   Env
	tally *Tally
	now   atomic.Pointer[identity]
}

// identity is a server context with one version of its secrets. Immutable.
type identity struct {
	missing  bool // a secret: nobody can be served
	cfg      *tls.Config
	without  *tls.Config // without ALPN
	shelf    *shelf
	verifier *verifier
}

// NewServer compiles a context with its secrets; asked is kept and must not
// change. What happens is counted in tally. Errors name the field.
func NewServer(asked *config.DownstreamTLS, m *config.Material, env *Env, tally *Tally) (*Server, error) {
	s := &Server{asked: asked, env: env.filled(), tally: tally}
	if asked.KeyLog != nil {
		if err := checkKeyLog(asked.KeyLog); err != nil {
			return nil, err
		}
	}
	return s, s.Use(m)
}

// Use makes the handshakes that begin from now on use other secrets. On an error
// nothing has changed.
func (s *Server) Use(m *config.Material) error {
	id := &identity{missing: m == nil || m.Missing != "" || len(m.Certificates) == 0}
	if !id.missing {
		var err error
		if id.verifier, err = newVerifier(m.Validation, x509.ExtKeyUsageClientAuth); err != nil {
			return err
		}
		id.shelf = newShelf(m.Certificates, s.asked.OCSP, s.asked.FullScan)
		s.compile(id, m)
	}
	s.now.Store(id)
	return nil
}

func (s *Server) compile(id *identity, m *config.Material) {
	cfg := baseConfig(&s.asked.TLS, s.env.Wall)
	cfg.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		w := loop.Above(h.Conn).Worker()
		chosen, err := id.shelf.choose(h, s.env.Wall(), s.tally.On(w))
		if err == nil && signsSlowly(chosen) {
			chosen = s.env.Queues[w.ID].aside(chosen)
		}
		return chosen, err
	}
	cfg.SessionTicketsDisabled = s.asked.DisableTickets
	if keys := s.ticketKeys(m); keys != nil {
		cfg.SetSessionTicketKeys(keys)
	}
	if d := s.asked.SessionTimeout; d > 0 {
		limitSessions(cfg, d, s.env.Wall)
	}
	switch {
	case s.asked.RequireClientCertificate:
		cfg.ClientAuth = tls.RequireAnyClientCert
	case id.verifier.asks():
		cfg.ClientAuth = tls.RequestClientCert
	}
	if v := id.verifier; v.asks() {
		if len(v.anchors) > 0 {
			cfg.ClientCAs = v.roots // only their names are used: the client is told them
		}
		cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return nil // ClientAuth has seen to it that this is allowed
			}
			_, err := v.verify(cs.PeerCertificates, "", s.env.Wall())
			return err
		}
	}
	id.cfg = cfg
	if len(cfg.NextProtos) > 0 {
		// A client that offers none of ours is served without ALPN, as in Envoy;
		// crypto/tls would end the handshake.
		id.without = cfg.Clone()
		id.without.NextProtos = nil
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.ContainsFunc(h.SupportedProtos, func(p string) bool { return slices.Contains(s.asked.ALPN, p) }) {
				return nil, nil
			}
			return id.without, nil
		}
	}
}

// ticketKeys are those that were given, else nil: crypto/tls makes its own and
// renews them every day. Envoy's 80 bytes are hashed to crypto/tls's 32, so
// that processes with the same keys take each other's tickets.
func (s *Server) ticketKeys(m *config.Material) (keys [][32]byte) {
	switch {
	case m.Tickets != nil:
		for _, k := range m.Tickets.Keys {
			keys = append(keys, sha256.Sum256([]byte(k.Reveal())))
		}
	case s.asked.KeyLog != nil: // each handshake has a configuration of its own
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		keys = append(keys, key)
	}
	return keys
}

// Next is who takes a connection whose handshake has ended well.
type Next interface {
	// Secured is called on the worker; it sets the connection's handler.
	Secured(c *loop.Conn)
}

// DefaultHandshakeTimeout bounds a handshake where nothing else is asked.
const DefaultHandshakeTimeout = 10 * time.Second

// Accept agrees on keys with the client and then hands the connection to next.
// If that fails, or takes longer than the timeout (0: the default), it is closed
// and counted. Until the client has said something it costs no coroutine.
// Worker only.
func (s *Server) Accept(c *loop.Conn, timeout time.Duration, next Next) {
	n := s.tally.On(c.Worker())
	if s.now.Load().missing {
		n.NotReady++
		c.Close()
		return
	}
	if timeout <= 0 {
		timeout = DefaultHandshakeTimeout
	}
	q := s.env.Queues[c.Worker().ID]
	if !q.enter() {
		c.Reset()
		return
	}
	a := &arrival{server: s, c: c, next: next, queue: q}
	c.SetReadTimeout(timeout)
	c.Serve(a, true)
}

// arrival is a client whose handshake is under way, and the connection's handler
// meanwhile.
type arrival struct {
	server *Server
	c      *loop.Conn
	next   Next
	queue  *Queue
	begun  bool
	left   bool // the queue
}

// Ready is called when the client's first bytes are there.
func (a *arrival) Ready(c *loop.Conn) {
	c.Pause()
	if !a.begun {
		a.begun = true
		a.queue.start(a.shake)
	}
}

// Expired is called when the client says nothing, or waits too long for its turn.
func (a *arrival) Expired(c *loop.Conn) {
	a.server.tally.On(c.Worker()).HandshakeTimeout++
	c.Close()
}

// Closed is called if the connection ends before the handshake does.
func (a *arrival) Closed(*loop.Conn) {
	if !a.begun {
		a.leave()
	}
}

func (a *arrival) leave() {
	if !a.left {
		a.left = true
		a.queue.leave()
	}
}

// shake is the handshake, in a coroutine.
func (a *arrival) shake() {
	defer a.leave()
	s, c := a.server, a.c
	if c.Closed() {
		return
	}
	id := s.now.Load()
	n := s.tally.On(c.Worker())
	var log keyLog
	y := tls.Server(c.Wire(), log.watch(id.cfg, s.asked.KeyLog, c))
	err := c.Secure(y, a.queue.paceClient)
	log.write(s.asked.KeyLog, c.Worker())
	if c.Closed() {
		return
	}
	if err != nil {
		a.fail(err, n)
		return
	}
	a.leave()
	c.SetReadTimeout(0)
	st := settled(c, y, n)
	st.Verified = id.verifier.vouches(st.Peer, s.env.Wall)
	st.Own = id.shelf.find(st.ServerName, allCurves, s.env.Wall()).with.Leaf
	c.Serve(nil, false)
	c.Resume()
	a.next.Secured(c)
}

func (a *arrival) fail(err error, n *Counters) {
	if errors.Is(err, loop.ErrTimeout) {
		n.HandshakeTimeout++
	}
	n.failed(err)
	a.c.Worker().Log().Debug("TLS handshake failed", "peer", a.c.Peer().String(), "error", failure(err))
	a.c.Close()
}
