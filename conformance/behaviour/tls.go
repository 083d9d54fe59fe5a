package behaviour

// TLS of hosts and clients, and the certificates of a script: the part "cert NAME"
// has a line for each thing that it says.
//
//	by AUTHORITY        who signs it; first: ca
//	dns, uri, email, ip a name
//	expired             it was good yesterday
//	revoked             it stands in the authority's list
//	authority           it may sign, below the authority
//	rsa                 its key is RSA's; else ECDSA's
//	encipher            its key may encrypt, and not sign
//	staple              it says that an OCSP answer must come with it
//
// Below $dir are then NAME.pem (with those between it and the root), NAME.key, and
// of each authority NAME.pem and NAME.crl. $hash_NAME and $spki_NAME are what
// verify_certificate_hash and verify_certificate_spki want.

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/loop"
)

// wire is a connection, with TLS on it or without.
type wire struct {
	*loop.Conn
	secure *tls.Conn // nil: in the clear
}

func (c *wire) Read(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.Read(p)
	}
	return c.Conn.Read(p)
}

func (c *wire) Write(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.Write(p)
	}
	return c.Conn.Write(p)
}

// certificates are a script's, by name.
type certificates struct {
	w     *world
	roots map[string]*pki.Authority
	subs  map[string]*pki.Authority
	pairs map[string]*pki.Pair
	gone  map[string][]*x509.Certificate // revoked, by authority
}

// issue makes all certificates and their files.
func (w *world) issue(s *Script) error {
	c := &certificates{w, map[string]*pki.Authority{}, map[string]*pki.Authority{}, map[string]*pki.Pair{}, map[string][]*x509.Certificate{}}
	w.certs = c
	names := slices.Sorted(maps.Keys(s.Certs))
	for _, authorities := range []bool{true, false} {
		for _, name := range names {
			if slices.Contains(s.Certs[name], "authority") == authorities {
				if err := c.make(name, s.Certs[name]); err != nil {
					return fmt.Errorf("cert %s: %w", name, err)
				}
			}
		}
	}
	for _, authorities := range []map[string]*pki.Authority{c.roots, c.subs} {
		for name, a := range authorities {
			der := a.Revoke(c.gone[name]...).Raw
			list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
			if err := w.write(name+".crl", string(list)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *certificates) authority(name string) (*pki.Authority, error) {
	if a := c.subs[name]; a != nil {
		return a, nil
	}
	if c.roots[name] == nil {
		c.roots[name] = pki.New(c.w.t, name)
		return c.roots[name], c.w.write(name+".pem", c.roots[name].PEM())
	}
	return c.roots[name], nil
}

func (c *certificates) make(name string, lines []string) error {
	l := pki.Leaf{CommonName: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	by, revoked, signs := "ca", false, false
	for _, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "by":
			by = rest
		case "dns":
			l.DNS = append(l.DNS, rest)
		case "uri":
			l.URIs = append(l.URIs, rest)
		case "email":
			l.Emails = append(l.Emails, rest)
		case "ip":
			l.IPs = append(l.IPs, rest)
		case "expired":
			l.NotAfter = time.Now().Add(-time.Minute)
		case "revoked":
			revoked = true
		case "authority":
			signs = true
		case "rsa":
			l.RSA = true
		case "encipher":
			l.KeyUsage = x509.KeyUsageKeyEncipherment
		case "staple":
			l.MustStaple = true
		default:
			return fmt.Errorf("a certificate does not understand %q", line)
		}
	}
	a, err := c.authority(by)
	if err != nil {
		return err
	}
	if signs {
		c.subs[name] = a.Sub(name)
		return c.w.write(name+".pem", c.subs[name].PEM())
	}
	p := a.Issue(l)
	c.pairs[name] = p
	if revoked {
		c.gone[by] = append(c.gone[by], p.Cert)
	}
	if err := c.w.write(name+".pem", p.ChainPEM()); err != nil {
		return err
	}
	return c.w.write(name+".key", p.KeyPEM())
}

// digest is what $hash_NAME and $spki_NAME stand for.
func (c *certificates) digest(symbol string) (string, bool) {
	kind, name, _ := strings.Cut(symbol, "_")
	p := c.pairs[name]
	switch {
	case p == nil:
		return "", false
	case kind == "hash":
		sum := sha256.Sum256(p.Cert.Raw)
		return hex.EncodeToString(sum[:]), true
	case kind == "spki":
		sum := sha256.Sum256(p.Cert.RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:]), true
	}
	return "", false
}

// write makes a file below the script's directory, or moves another one into its
// place, as old as the world is.
func (w *world) write(name, text string) error {
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(w.final(name, text)), 0o644); err != nil {
		return err
	}
	if err := os.Chtimes(path+".new", time.Now(), time.Now()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// copy moves a copy of a file below the script's directory into another one's place.
func (w *world) copy(from, to string) error {
	data, err := os.ReadFile(filepath.Join(w.dir, from))
	if err != nil {
		return err
	}
	return w.write(to, string(data))
}

// tlsClient is how a request wants its connection secured.
type tlsClient struct {
	name, cert, session string
	protocols           []string
	least, most         uint16
	ciphers             []uint16
	curves              []tls.CurveID
}

var (
	versions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	curves   = map[string]tls.CurveID{"X25519": tls.X25519, "P-256": tls.CurveP256, "P-384": tls.CurveP384}
)

// parse takes a line of a request that is about TLS; false if it is not.
func (t *tlsClient) parse(word, rest string) (known bool, err error) {
	switch word {
	case "tls":
		t.name = rest
	case "cert":
		t.cert = rest
	case "session":
		t.session = rest
	case "alpn":
		t.protocols = strings.Fields(rest)
	case "version":
		t.least, t.most = versions[rest], versions[rest]
		if t.least == 0 {
			err = fmt.Errorf("no version of TLS is called %q", rest)
		}
	case "curve":
		t.curves = []tls.CurveID{curves[rest]}
	case "cipher":
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if s.Name == rest {
				t.ciphers = append(t.ciphers, s.ID)
			}
		}
	default:
		return false, nil
	}
	return true, err
}

// secure makes the client's side of TLS, and says what came of it.
func (w *world) secure(c *wire, t *tlsClient) (told string, err error) {
	o := &tls.Config{
		ServerName: t.name, NextProtos: t.protocols, MinVersion: t.least, MaxVersion: t.most,
		CipherSuites: t.ciphers, CurvePreferences: t.curves, InsecureSkipVerify: true, Time: time.Now,
	}
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS10
	}
	if p := w.certs.pairs[t.cert]; p != nil {
		own := p.TLS()
		o.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	if t.session != "" {
		if w.sessions[t.session] == nil {
			w.sessions[t.session] = tls.NewLRUClientSessionCache(1)
		}
		o.ClientSessionCache = w.sessions[t.session]
	}
	s := tls.Client(c.Conn, o)
	if err := s.Handshake(); err != nil {
		return "", err
	}
	c.secure = s
	return facts(s.ConnectionState()), nil
}

// facts says what two sides agreed on.
func facts(s tls.ConnectionState) string {
	text := tls.VersionName(s.Version)
	if s.Version < tls.VersionTLS13 {
		text += " " + tls.CipherSuiteName(s.CipherSuite)
	}
	if s.NegotiatedProtocol != "" {
		text += ", " + s.NegotiatedProtocol
	}
	if len(s.PeerCertificates) > 0 {
		text += ", from " + s.PeerCertificates[0].Subject.CommonName
	}
	if s.DidResume {
		text += ", resumed"
	}
	if len(s.OCSPResponse) > 0 {
		text += ", stapled"
	}
	return text
}

// tlsHost has a host speak TLS: "tls CERT [PROTOCOL…]".
func (h *host) tlsHost(words []string) error {
	p := h.w.certs.pairs[words[0]]
	if p == nil {
		return fmt.Errorf("no cert is called %q", words[0])
	}
	h.tls = &tls.Config{Certificates: []tls.Certificate{p.TLS()}, NextProtos: words[1:], ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS10, Time: time.Now}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) { // whatever the data plane asks for
		h.tls.CipherSuites = append(h.tls.CipherSuites, s.ID)
	}
	return nil
}

// greet is the host's side of TLS.
func (h *host) greet(c *wire) (told string, err error) {
	s := tls.Server(c.Conn, h.tls)
	if err := s.Handshake(); err != nil {
		return "", err
	}
	c.secure = s
	state := s.ConnectionState()
	told = facts(state)
	if state.ServerName != "" {
		told += ", to " + state.ServerName
	}
	return told, nil
}
