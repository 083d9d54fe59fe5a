package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const keysConfig = `
server: {address: "127.0.0.1:0"}
sources: {file: {kind: file, path: %[1]s/services.yaml}}
ambassadors:
- name: web
  clients: [envoy]
  ports:
  - {name: shop, port: 8080, protocol: http, service: "file://shop",
     tls: {ca: %[1]s/ca.pem, certificate: %[1]s/tls.crt, key: %[1]s/tls.key, send: true, server_name: shop.example.org}}
`

// pair makes a certificate and its key, PEM.
func pair(t *testing.T, serial int64) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", raw)
}

// secret is what the sidecar has of a secret; nil if nothing.
func (s *sidecar) secret(name string) *tlsv3.Secret {
	r := s.has[resource.SecretType][name]
	if r == nil {
		return nil
	}
	m := &tlsv3.Secret{}
	if err := r.GetResource().UnmarshalTo(m); err != nil {
		s.p.t.Fatal(err)
	}
	return m
}

// TestSecretsOfFiles: files of TLS reach the sidecars that name them, again when
// they change; a key that is not the certificate's changes nothing and is said;
// and no key is in the log, the status, the metrics or what CSDS shows.
func TestSecretsOfFiles(t *testing.T) {
	p := &plane{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	chain, key := pair(t, 1)
	p.write("ca.pem", chain)
	p.write("tls.crt", chain)
	p.write("tls.key", key)
	p.write("control.yaml", fmt.Sprintf(keysConfig, p.dir))
	p.run()
	own, trusted := "pem:"+p.dir+"/tls.crt+"+p.dir+"/tls.key", "pem:"+p.dir+"/ca.pem"
	s := p.connect(&corev3.Node{Id: "web-1", UserAgentName: "envoy"})
	s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.SecretType, ResourceNamesSubscribe: []string{own, trusted}})
	has := func(want string) func() bool {
		return func() bool { return s.secret(own).GetTlsCertificate().GetPrivateKey().GetInlineString() == want }
	}
	s.hears("the pair and the roots", func() bool {
		return has(key)() && s.secret(trusted).GetValidationContext().GetTrustedCa().GetInlineString() == chain
	})

	newChain, newKey := pair(t, 2)
	p.write("tls.key", newKey)
	p.until("a key of another certificate is said", func() bool {
		return strings.Contains(fmt.Sprint(p.json().Secrets), "private key does not match public key")
	})
	p.write("tls.crt", newChain)
	s.hears("the new pair", has(newKey))
	p.until("all is good", func() bool { return !strings.Contains(fmt.Sprint(p.json().Secrets), "failing") })

	shown := p.log.text()
	for _, path := range []string{"/status", "/metrics"} {
		_, text := p.get(path)
		shown += text
	}
	shown += p.clientStatus()
	for _, k := range []string{key, newKey} {
		if strings.Contains(shown, strings.Split(k, "\n")[1]) {
			t.Error("a private key is shown")
		}
	}
	if !strings.Contains(shown, own) {
		t.Error("the secret is not named anywhere")
	}
}

// clientStatus is all that CSDS says.
func (p *plane) clientStatus() string {
	p.t.Helper()
	conn, err := grpc.NewClient(p.xds, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	all, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(p.t.Context(), &statusv3.ClientStatusRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return all.String()
}

// TestKeysAreNotSentInPlain: a port that others can reach needs TLS.
func TestKeysAreNotSentInPlain(t *testing.T) {
	p := &plane{t: t, dir: t.TempDir()}
	p.write("control.yaml", fmt.Sprintf(keysConfig, p.dir))
	for listen, good := range map[string]bool{"0.0.0.0:0": false, "10.0.0.1:1": false, "127.0.0.1:0": true, "unix:/run/x": true, "[::1]:0": true} {
		var out lockedBuffer
		code := run([]string{"validate", "-c", p.dir + "/control.yaml", "--listen", listen}, &out, &out)
		if (code == exitOK) != good || !good && !strings.Contains(out.text(), "ambassadors[0].ports[0].tls: a private key") {
			t.Errorf("--listen %s: exit %d and %s", listen, code, out.text())
		}
	}
}
