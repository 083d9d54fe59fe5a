package transport

// The side that connects to hosts.

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Client is a config.UpstreamTLS and what its secrets say now. Use is for any
// goroutine, Secure worker only.
type Client struct {
	asked *config.UpstreamTLS
	env   Env
	tally *Tally
	now   atomic.Pointer[credentials]
}

// credentials is a client context with one version of its secrets. Immutable but
// for the sessions, which are each worker's.
type credentials struct {
	missing  bool
	cfg      *tls.Config
	own      *tls.Certificate
	verifier *verifier
	sessions []*sessions // by worker ID; what other credentials have agreed on is not resumed
}

// NewClient compiles a context with its secrets; asked is kept and must not
// change. What happens is counted in tally. Errors name the field.
func NewClient(asked *config.UpstreamTLS, m *config.Material, env *Env, tally *Tally) (*Client, error) {
	k := &Client{asked: asked, env: env.filled(), tally: tally}
	if asked.KeyLog != nil {
		if err := checkKeyLog(asked.KeyLog); err != nil {
			return nil, err
		}
	}
	return k, k.Use(m)
}

// Use makes the handshakes that begin from now on use other secrets. On an error
// nothing has changed.
func (k *Client) Use(m *config.Material) error {
	cr := &credentials{missing: m == nil || m.Missing != ""}
	if !cr.missing {
		var err error
		if cr.verifier, err = newVerifier(m.Validation, x509.ExtKeyUsageServerAuth); err != nil {
			return err
		}
		if cr.verifier != nil {
			cr.verifier.byServerName = k.asked.AutoSNISAN
		}
		k.compile(cr, m)
	}
	k.now.Store(cr)
	return nil
}

func (k *Client) compile(cr *credentials, m *config.Material) {
	cfg := baseConfig(&k.asked.TLS, k.env.Wall)
	cfg.InsecureSkipVerify = true // verify takes its place
	if len(m.Certificates) > 0 {
		cr.own = m.Certificates[0].TLS()
		// Shown to whoever asks, whatever authorities the host names, as in Envoy.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cr.own, nil }
	}
	cr.cfg = cfg
	for range k.env.Queues {
		cr.sessions = append(cr.sessions, &sessions{most: int(k.asked.MaxSessions)})
	}
}

// Peer is what a handshake is told of the host.
type Peer struct {
	// Hostname is the host's own name, "" if it has none (auto_host_sni).
	Hostname string
	// ServerName, if not "", is sent whatever the context says (auto_sni).
	ServerName string
	// SAN, if not "", is what the certificate must be for, whatever names the
	// context wants (auto_san_validation).
	SAN string
	// ALPN is offered if the context says nothing.
	ALPN []string
	// Instead, if not empty, is offered whatever the context says.
	Instead []string
}

// ServerName is the SNI for a host, "" for none.
func (k *Client) ServerName(p *Peer) string {
	switch {
	case p.ServerName != "":
		return p.ServerName
	case k.asked.AutoHostSNI && p.Hostname != "":
		return p.Hostname
	}
	return k.asked.SNI
}

// Secure agrees on keys with the host that c is connected to, in at most
// timeout (0: without bound). Errors: a *Failure, loop.ErrTimeout, or the
// socket's; c is then to be closed. For coroutines only.
func (k *Client) Secure(c *loop.Conn, p *Peer, timeout time.Duration) error {
	w := c.Worker()
	n := k.tally.On(w)
	cr := k.now.Load()
	if cr.missing {
		n.NotReady++
		return &Failure{"TLS error: Secret is not supplied by SDS", errNotReady}
	}
	q := k.env.Queues[w.ID]
	if !q.enter() {
		return &Failure{"TLS_error:|too many handshakes:TLS_error_end", errBusy}
	}
	defer q.leave()
	c.SetReadTimeout(timeout)
	q.paceHost()
	var log keyLog
	y := tls.Client(c.Wire(), log.watch(k.config(cr, p, w), k.asked.KeyLog, c))
	err := c.Secure(y, q.paceHost)
	log.write(k.asked.KeyLog, w)
	if err != nil {
		if !c.Closed() {
			n.failed(err)
		}
		w.Log().Debug("TLS handshake with a host failed", "host", c.Peer().String(), "error", failure(err))
		return failure(err)
	}
	c.SetReadTimeout(0)
	st := settled(c, y, n)
	st.Verified = cr.verifier.vouches(st.Peer, k.env.Wall)
	if cr.own != nil {
		st.Own = cr.own.Leaf
	}
	return nil
}

// config is a handshake's own.
func (k *Client) config(cr *credentials, p *Peer, w *loop.Worker) *tls.Config {
	cfg := cr.cfg.Clone()
	cfg.ServerName = k.ServerName(p)
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = p.ALPN
	}
	if len(p.Instead) > 0 {
		cfg.NextProtos = p.Instead
	}
	if k.asked.MaxSessions > 0 {
		cfg.ClientSessionCache = cr.sessions[w.ID]
	}
	if cr.own != nil && signsSlowly(cr.own) {
		own := k.env.Queues[w.ID].aside(cr.own)
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	v, name := cr.verifier, cfg.ServerName
	if p.SAN != "" && v != nil {
		by := *v
		by.byServerName = true
		v, name = &by, p.SAN
	}
	n := k.tally.On(w)
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if fits, must := keyUsage(&cs); !fits {
			if must || k.asked.EnforceRSAKeyUsage {
				return &VerifyError{badUsage, "KEY_USAGE_BIT_INCORRECT"}
			}
			n.WasKeyUsageInvalid++
		}
		if v == nil {
			return nil
		}
		_, err := v.verify(cs.PeerCertificates, name, k.env.Wall())
		return err
	}
	return cfg
}

// keyUsage reports whether a host's certificate may do what the handshake has it do,
// and whether it must, whatever enforce_rsa_key_usage says: as in BoringSSL, all but
// keys of RSA below TLS 1.3.
func keyUsage(cs *tls.ConnectionState) (fits, must bool) {
	c := cs.PeerCertificates[0]
	_, isRSA := c.PublicKey.(*rsa.PublicKey)
	wanted := x509.KeyUsageDigitalSignature
	if cs.Version < tls.VersionTLS13 && staticRSA(cs.CipherSuite) {
		wanted = x509.KeyUsageKeyEncipherment
	}
	return c.KeyUsage == 0 || c.KeyUsage&wanted != 0, !isRSA || cs.Version >= tls.VersionTLS13
}

// staticRSA reports whether the client encrypts the secret with the server's key.
func staticRSA(cipher uint16) bool {
	switch cipher {
	case tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384:
		return true // the only ones that a configuration can ask for
	}
	return false
}
