package stream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"

// server opens streams, and does with them what it is told.
type server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	serve func(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error
}

func (s *server) StreamAggregatedResources(str discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(str)
}

type ads = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer

func listen(t *testing.T, serve func(ads) error, o ...grpc.ServerOption) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(o...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, &server{serve: serve})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() {
		g.Stop()
		<-done
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// quiet keeps a stream open and says nothing.
func quiet(s ads) error {
	<-s.Context().Done()
	return nil
}

// heard is a Handler that passes on what it hears.
type heard struct {
	opened   chan string
	received chan proto.Message
	ended    chan error
	waits    chan time.Duration
	send     func([]proto.Message)
}

func (h *heard) Opened(server string, send func([]proto.Message)) { h.send = send; h.opened <- server }
func (h *heard) Received(m proto.Message)                         { h.received <- m }
func (h *heard) Ended(_ bool, err error, wait time.Duration) {
	h.ended <- err
	h.waits <- wait
}

func start(t *testing.T, o Options) *heard {
	t.Helper()
	h := &heard{make(chan string, 100), make(chan proto.Message, 100), make(chan error, 100), make(chan time.Duration, 100), nil}
	o.Method, o.Response = method, func() proto.Message { return &discoveryv3.DiscoveryResponse{} }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, o, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return h
}

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("not in time: %s", what)
		panic("unreachable")
	}
}

func plane(addresses ...netip.AddrPort) map[string]config.ControlPlane {
	p := config.ControlPlane{Name: "control", ConnectTimeout: time.Second}
	for _, a := range addresses {
		p.Addresses = append(p.Addresses, config.Address{IP: a})
	}
	return map[string]config.ControlPlane{"control": p}
}

func servers(t *testing.T, planes map[string]config.ControlPlane, src ...config.XDSServer) []Server {
	t.Helper()
	if len(src) == 0 {
		src = []config.XDSServer{{Cluster: "control"}}
	}
	all, err := Servers(&config.APISource{Servers: src}, planes)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Those that do not answer are passed over at once, in their order.
func TestServersInTurn(t *testing.T) {
	live := listen(t, quiet)
	dead := netip.MustParseAddrPort("127.0.0.1:1")
	h := start(t, Options{Servers: servers(t, plane(dead, dead, live))})
	if name := wait(t, "a stream", h.opened); !strings.HasSuffix(name, live.String()) {
		t.Errorf("opened %s", name)
	}
	for range 2 {
		if err := wait(t, "the dead", h.ended); !strings.Contains(err.Error(), dead.String()) {
			t.Errorf("the error does not name the server: %v", err)
		}
		if w := wait(t, "a wait", h.waits); w != 0 {
			t.Errorf("waited %s within the round", w)
		}
	}
}

// A stream that is old enough ends in good order and is made anew.
func TestMaxAge(t *testing.T) {
	at := listen(t, quiet)
	h := start(t, Options{Servers: servers(t, plane(at)), MaxAge: 50 * time.Millisecond})
	wait(t, "the first", h.opened)
	if err := wait(t, "its end", h.ended); !errors.Is(err, ErrQuiet) {
		t.Errorf("ended: %v", err)
	}
	if w := wait(t, "a wait", h.waits); w > BaseWait {
		t.Errorf("waits %s", w)
	}
	wait(t, "the second", h.opened)
}

// The server's own end in good order is no failure.
func TestServerEnds(t *testing.T) {
	at := listen(t, func(s ads) error { return s.Send(&discoveryv3.DiscoveryResponse{Nonce: "1"}) })
	h := start(t, Options{Servers: servers(t, plane(at))})
	if m := wait(t, "a message", h.received); m.(*discoveryv3.DiscoveryResponse).GetNonce() != "1" {
		t.Errorf("received %v", m)
	}
	if err := wait(t, "its end", h.ended); !errors.Is(err, ErrQuiet) {
		t.Errorf("ended: %v", err)
	}
}

// Metadata goes along, and what is sent arrives in its order.
func TestMetadataAndOrder(t *testing.T) {
	got := make(chan string, 100)
	at := listen(t, func(s ads) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		got <- strings.Join(md.Get("x-token"), ",")
		for {
			r, err := s.Recv()
			if err != nil {
				return err
			}
			got <- r.GetVersionInfo()
		}
	})
	h := start(t, Options{Servers: servers(t, plane(at), config.XDSServer{Cluster: "control", InitialMetadata: []config.Metadata{{Key: "x-token", Value: "t"}}})})
	wait(t, "a stream", h.opened)
	for _, v := range []string{"1", "2", "3"} {
		h.send([]proto.Message{&discoveryv3.DiscoveryRequest{VersionInfo: v}})
	}
	for _, want := range []string{"t", "1", "2", "3"} {
		if v := wait(t, want, got); v != want {
			t.Errorf("got %q, want %q", v, want)
		}
	}
}

// A message above the limit ends the stream, with both sizes in the reason.
func TestMaxMessage(t *testing.T) {
	at := listen(t, func(s ads) error {
		return s.Send(&discoveryv3.DiscoveryResponse{VersionInfo: strings.Repeat("x", 2000)})
	})
	h := start(t, Options{Servers: servers(t, plane(at), config.XDSServer{Cluster: "control", MaxMessageBytes: 1000})})
	if err := wait(t, "its end", h.ended); errors.Is(err, ErrQuiet) || !strings.Contains(err.Error(), "1000") {
		t.Errorf("ended: %v", err)
	}
}

func TestUnknownCluster(t *testing.T) {
	_, err := Servers(&config.APISource{Servers: []config.XDSServer{{Cluster: "nowhere"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

// The nth wait is between nothing and min(30 s, 500 ms·2ⁿ), all of it used.
func TestJitter(t *testing.T) {
	for n, most := range map[int]time.Duration{0: 500 * time.Millisecond, 3: 4 * time.Second, 6: 30 * time.Second, 60: 30 * time.Second} {
		var least, greatest time.Duration = most, 0
		for range 1000 {
			d := jitter(n)
			least, greatest = min(least, d), max(greatest, d)
		}
		if greatest > most || greatest < most*9/10 || least > most/10 {
			t.Errorf("wait %d lies between %s and %s, want all up to %s", n, least, greatest, most)
		}
	}
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.write(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// write makes a certificate and key, signed by the authority, in two files.
func (a *authority) write(t *testing.T, name string, c *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	c.SerialNumber, c.Subject = big.NewInt(a.n), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// mTLS: a server with another name, and a client without a certificate, get
// nowhere; files are read again when a stream is opened again.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.write(t, "server", &x509.Certificate{DNSNames: []string{"control.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	a.write(t, "client", &x509.Certificate{DNSNames: []string{"sidecar"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	pair, err := tls.LoadX509KeyPair(a.file("server"), a.file("server-key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(a.file("ca"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	at := listen(t, quiet, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	good := config.ClientTLS{
		Roots: config.Data{Path: a.file("ca")}, Cert: config.Data{Path: a.file("client")}, Key: config.Data{Path: a.file("client-key")},
		ServerName: "control.example",
	}
	for _, c := range []struct {
		name   string
		change func(*config.ClientTLS)
		want   string // of the error; "" opens
	}{
		{"good", func(*config.ClientTLS) {}, ""},
		{"by a name that it has", func(c *config.ClientTLS) {
			c.ServerName, c.SANs = "", []config.SAN{{Kind: config.SANDNS, Value: "control.example"}}
		}, ""},
		{"by a name that it has not", func(c *config.ClientTLS) { c.SANs = []config.SAN{{Kind: config.SANURI, Value: "spiffe://x"}} }, "none of the names"},
		{"another server name", func(c *config.ClientTLS) { c.ServerName = "else.example" }, "else.example"},
		{"no certificate", func(c *config.ClientTLS) { c.Cert, c.Key = config.Data{}, config.Data{} }, "Unavailable"},
		{"the system's roots", func(c *config.ClientTLS) { c.Roots = config.Data{} }, "unknown authority"},
		{"no roots, as in Envoy", func(c *config.ClientTLS) { c.Roots, c.Unverified, c.ServerName = config.Data{}, true, "else.example" }, ""},
		{"no roots, a name that it has not", func(c *config.ClientTLS) {
			c.Roots, c.Unverified, c.SANs = config.Data{}, true, []config.SAN{{Kind: config.SANURI, Value: "spiffe://x"}}
		}, "none of the names"},
		{"no such file", func(c *config.ClientTLS) { c.Roots.Path += "x" }, "trusted_ca"},
		{"a key that is not the certificate's", func(c *config.ClientTLS) { c.Key.Path = a.file("server-key") }, "certificate_chain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tlsOf := good
			c.change(&tlsOf)
			p := plane(at)
			control := p["control"]
			control.TLS = &tlsOf
			p["control"] = control
			h := start(t, Options{Servers: servers(t, p)})
			if c.want == "" {
				wait(t, "a stream", h.opened)
				return
			}
			// A missing certificate shows as a connection that breaks (TLS 1.3).
			if err := wait(t, "the refusal", h.ended); !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("files are read again", func(t *testing.T) {
		late := good
		late.Roots.Path = a.file("late")
		p := plane(at)
		control := p["control"]
		control.TLS = &late
		p["control"] = control
		h := start(t, Options{Servers: servers(t, p)})
		wait(t, "the missing file", h.ended)
		if err := os.WriteFile(a.file("late"), ca, 0o600); err != nil {
			t.Fatal(err)
		}
		wait(t, "a stream", h.opened)
	})
}
