package conformance

// TLS to instances with secrets that attache-control sends.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// signer is a certificate authority of a test.
type signer struct {
	*testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    string
	issued int64
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{T: t}
	s.cert, s.key, s.pem, _ = s.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return s
}

// sign makes a certificate; the first is its own.
func (s *signer) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	s.issued++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(s.issued), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := s.cert, s.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		s.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return cert, key, text("CERTIFICATE", der), text("PRIVATE KEY", raw)
}

// issue makes a certificate for a server and client of a name.
func (s *signer) issue(name string) (chain, key string) {
	_, _, chain, key = s.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return chain, key
}

// sayWho serves TLS as a name to who has a certificate of the signer, and
// answers with that one's name.
func (s *signer) sayWho(name string) string {
	s.Helper()
	chain, key := s.issue(name)
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		s.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // each request with the certificate of now
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	s.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestSentSecretsEndToEnd: a sidecar that has no file speaks TLS to an instance
// with the certificate that attache-control sends, with another one as soon as
// the files change, and to none that carries another name. No private key is in
// a dump, a log, a status page, or on disk.
func TestSentSecretsEndToEnd(t *testing.T) {
	ca := newSigner(t)
	web, wrong := freeAddr(t), freeAddr(t)
	backend := ca.sayWho("cart.test")
	keys := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(keys+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, firstKey := ca.issue("one")
	put("ca.pem", ca.pem)
	put("tls.crt", first)
	put("tls.key", firstKey)
	files := fmt.Sprintf("ca: %[1]s/ca.pem, certificate: %[1]s/tls.crt, key: %[1]s/tls.key, send: true", keys)
	p := startPair(t, fmt.Sprintf("services: {web: [%q]}", backend), fmt.Sprintf(`
ambassadors:
- name: shop
  ports:
  - {name: web, port: %s, protocol: http, service: "file://web", tls: {%s, server_name: cart.test}}
  - {name: wrong, port: %s, protocol: http, service: "file://web", tls: {%s, server_name: cart.test, sans: [other.test]}}
`, port(web), files, port(wrong), files))
	cache := t.TempDir()
	p.startSidecar(web, "--config-cache", cache)
	until(t, "the instance knows the sidecar as one", func() bool { return asked("http://"+web+"/") == "one" })
	if got := asked("http://" + wrong + "/"); got == "one" || got == "" {
		t.Errorf("an instance of another name: %q", got)
	}

	second, secondKey := ca.issue("two")
	put("tls.crt", second)
	put("tls.key", secondKey)
	until(t, "the instance knows the sidecar as two", func() bool { return asked("http://"+web+"/") == "two" })

	shown := p.plane.said.String() + p.sidecar.said.String() + asked("http://"+p.status+"/status") + asked("http://"+p.status+"/metrics")
	for _, page := range []string{"/config_dump?include_eds", "/certs", "/stats", "/clusters", "/server_info"} {
		shown += asked("http://" + p.admin + page)
	}
	until(t, "the cache is written", func() bool {
		found, _ := filepath.Glob(cache + "/*")
		return len(found) > 0
	})
	onDisk, err := filepath.Glob(cache + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range onDisk {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(text)
	}
	for _, key := range []string{firstKey, secondKey} {
		if strings.Contains(shown, strings.Split(key, "\n")[1]) {
			t.Error("a private key is shown or on disk")
		}
	}
	mustHave(t, asked("http://"+p.status+"/status"), "pem:"+keys+"/tls.crt+"+keys+"/tls.key")
}
