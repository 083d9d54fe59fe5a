package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
	return a
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue writes a certificate and its key as PEM.
func (a *authority) issue(spiffe string) (cert, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{DNSNames: []string{"control"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	if spiffe != "" {
		id, err := url.Parse(spiffe)
		if err != nil {
			a.t.Fatal(err)
		}
		c.URIs = []*url.URL{id}
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pemOf("CERTIFICATE", a.sign(c, k).Raw), pemOf("PRIVATE KEY", der)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// client is credentials with a certificate for a SPIFFE id.
func (a *authority) client(spiffe string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	cert, key := a.issue(spiffe)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{RootCAs: pool, ServerName: "control", Certificates: []tls.Certificate{pair}}
}

func TestTLSIdentityAndRotation(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	files := TLSFiles{Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), ClientCA: filepath.Join(dir, "ca")}
	cert, key := ca.issue("")
	write(t, files.Certificate, cert)
	write(t, files.Key, key)
	write(t, files.ClientCA, pemOf("CERTIFICATE", ca.cert.Raw))
	creds, err := TLS(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	identify, err := Identities([]Identity{{SPIFFE: "spiffe://td/sa/{sa}", Node: map[string]string{"id": "{sa}"}}})
	if err != nil {
		t.Fatal(err)
	}
	config := ca.client("spiffe://td/sa/web")
	s, conn := serve(t, Options{Select: everyone, TLS: creds, Identify: identify}, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	s.Publish("shop", bundle(t, "cluster:a=1"))
	if err := first(t.Context(), conn, "web"); err != nil {
		t.Fatal(err)
	}
	if c := s.Clients(); len(c) != 1 || c[0].SPIFFE != "spiffe://td/sa/web" {
		t.Fatal(c)
	}
	if err := first(t.Context(), conn, "db"); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
}

// first opens a stream as a node and takes the first response.
func first(ctx context.Context, conn *grpc.ClientConn, id string) error {
	ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	if err := ads.Send(&discovery.DeltaDiscoveryRequest{Node: node(id), TypeUrl: resource.ClusterType}); err != nil {
		return err
	}
	_, err = ads.Recv()
	return err
}

func TestTLSFilesAreReadAgain(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	f := &tlsFiles{files: TLSFiles{Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}, log: New(Options{}).log}
	replace := func() []byte {
		cert, key := ca.issue("")
		write(t, f.files.Certificate, cert)
		write(t, f.files.Key, key)
		block, _ := pem.Decode(cert)
		return block.Bytes
	}
	serves := func() []byte {
		f.looked = time.Time{} // a second has passed
		return f.current().Certificates[0].Certificate[0]
	}
	replace()
	if err := f.read(); err != nil {
		t.Fatal(err)
	}
	if want := replace(); string(serves()) != string(want) {
		t.Error("the old certificate is served")
	}
	good := serves()
	_, key := ca.issue("")
	write(t, f.files.Key, append(key, '\n'))
	if string(serves()) != string(good) {
		t.Error("a key of another certificate replaced the pair")
	}
	if err := os.Remove(f.files.Key); err != nil {
		t.Fatal(err)
	}
	if string(serves()) != string(good) {
		t.Error("a missing key replaced the pair")
	}
	if want := replace(); string(serves()) != string(want) {
		t.Error("the mended pair is not served")
	}
}
