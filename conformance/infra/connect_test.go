//go:build infra

package infra

// Consul's Connect CA through attache-control to a client of SDS.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/hashicorp/consul/api"
	statusv1 "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// subscribe asks for resources on a stream of its own and hands on each as it
// comes. If refusal is given all are refused with it.
func subscribe(t *testing.T, control, typeURL, refusal string, names ...string) <-chan *discoveryv3.Resource {
	t.Helper()
	conn, err := grpc.NewClient(control, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{Id: "e1", Cluster: "tests", UserAgentName: "envoy"}, TypeUrl: typeURL, ResourceNamesSubscribe: names,
	})
	if err != nil {
		t.Fatal(err)
	}
	heard, ended := make(chan *discoveryv3.Resource, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			for _, one := range r.GetResources() {
				heard <- one
			}
			answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}
			if refusal != "" && len(r.GetResources()) > 0 {
				answer.ErrorDetail = &statusv1.Status{Code: 3, Message: refusal}
			}
			_ = stream.Send(answer)
		}
	}()
	t.Cleanup(func() {
		cancel()
		conn.Close()
		<-ended
	})
	return heard
}

// connectPair is a leaf and the roots as a sidecar would use them.
type connectPair struct{ chain, key, roots string }

// holds takes secrets until the leaf is good by the roots and is none of before.
func (c *connectPair) holds(t *testing.T, heard <-chan *discoveryv3.Resource, before string) {
	t.Helper()
	// After a change of its CA an agent renews leaves at a random moment of 30 s
	// (consul, agent/leafcert).
	late := time.After(45 * time.Second)
	for c.chain == before || c.verify() != nil {
		select {
		case r := <-heard:
			m := &tlsv3.Secret{}
			if err := r.GetResource().UnmarshalTo(m); err != nil {
				t.Fatal(err)
			}
			if v := m.GetValidationContext(); v != nil {
				c.roots = v.GetTrustedCa().GetInlineString()
			} else {
				c.chain, c.key = m.GetTlsCertificate().GetCertificateChain().GetInlineString(), m.GetTlsCertificate().GetPrivateKey().GetInlineString()
			}
		case <-late:
			t.Fatalf("no new leaf that the roots vouch for within 45 s: %v", c.verify())
		}
	}
}

// verify checks the leaf against the roots.
func (c *connectPair) verify() error {
	pair, err := tls.X509KeyPair([]byte(c.chain), []byte(c.key))
	if err != nil {
		return err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	o.Roots.AppendCertsFromPEM([]byte(c.roots))
	for _, der := range pair.Certificate[1:] {
		o.Intermediates.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	_, err = pair.Leaf.Verify(o)
	if err == nil && (len(pair.Leaf.URIs) != 1 || !strings.HasSuffix(pair.Leaf.URIs[0].String(), "/ns/default/dc/dc1/svc/web")) {
		err = fmt.Errorf("URIs %v", pair.Leaf.URIs)
	}
	return err
}

// cart serves TLS as the service cart of Consul's CA, to whom its roots vouch
// for, and answers with the SPIFFE id of who asks. Every connection is judged by
// the leaf and the roots of now.
func cart(t *testing.T, agent *real.Consul, at string) {
	now := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		leaf, _, err := agent.Client.Agent().ConnectCALeaf("cart", nil)
		if err != nil {
			return nil, err
		}
		roots, _, err := agent.Client.Agent().ConnectCARoots(nil)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
		pool := x509.NewCertPool()
		for _, r := range roots.Roots {
			pool.AppendCertsFromPEM([]byte(r.RootCertPEM))
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, err
	}
	l, err := tls.Listen("tcp", at, &tls.Config{GetConfigForClient: now})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].URIs[0].String()+" "+r.TLS.PeerCertificates[0].SerialNumber.String())
	})}
	ended := make(chan struct{})
	go func() {
		_ = s.Serve(l)
		close(ended)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
}

// TestConnectEndToEnd: a sidecar without any file speaks mutual TLS with Consul's
// certificates to an instance that Consul names, and goes on when the CA has
// another root; an instance that is another service is not spoken to.
func TestConnectEndToEnd(t *testing.T) {
	agent := real.StartConsul(t)
	ports := real.Ports(t, 5)
	xds, status := fmt.Sprint("127.0.0.1:", ports[0]), fmt.Sprint("127.0.0.1:", ports[1])
	cart(t, agent, fmt.Sprint("127.0.0.1:", ports[2]))
	for _, name := range []string{"cart", "pay"} { // pay's instance has cart's certificate
		agent.Register(&api.AgentServiceRegistration{ID: name, Name: name, Address: "127.0.0.1", Port: ports[2]})
	}
	path := filepath.Join(t.TempDir(), "control.yaml")
	text := fmt.Sprintf(`
server: {address: "%s"}
sources: {consul: {kind: consul, addresses: ["http://%s"]}}
ambassadors:
- name: tests
  ports:
  - {name: cart, port: %d, protocol: http, service: "consul://cart", tls: {identity: "consul://web"}}
  - {name: pay, port: %d, protocol: http, service: "consul://pay", tls: {identity: "consul://web"}}
`, xds, agent.HTTP, ports[3], ports[4])
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	control := real.Start(t, "attache-control", program(t, "attache-control"), "-c", path, "--status-address", status)
	c := &chain{T: t, status: status}
	control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	s := startSidecar(t, xds, "s1")
	client := &http.Client{Timeout: 5 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(port int) string {
		text, err := get(client, fmt.Sprint("http://127.0.0.1:", port, "/"))
		if err != nil {
			return err.Error()
		}
		return text
	}
	real.Until(t, 10*time.Second, "cart knows the sidecar as web", func() bool {
		return strings.Contains(ask(ports[3]), "/ns/default/dc/dc1/svc/web ")
	})
	first := ask(ports[3])
	if got := ask(ports[4]); strings.Contains(got, "spiffe://") {
		t.Errorf("an instance that is cart is taken for pay: %s", got)
	}

	_, err := agent.Client.Connect().CASetConfig(&api.CAConfig{
		Provider: "consul", Config: map[string]any{"PrivateKeyType": "rsa", "PrivateKeyBits": 2048, "LeafCertTTL": "1h"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	real.Until(t, 45*time.Second, "cart knows the sidecar by another certificate", func() bool {
		got := ask(ports[3])
		if !strings.Contains(got, "/svc/web ") {
			failed++
			t.Log(got)
		}
		return got != first && strings.Contains(got, "/svc/web ")
	})
	if failed > 0 {
		t.Errorf("%d requests failed while the CA changed", failed)
	}
	if !s.Running() {
		t.Error("attache has ended")
	}
}

// TestConnectSecrets: a client of SDS has the leaf and the roots of Consul's CA,
// gets both anew when the CA gets another root, and keeps them while Consul is
// away. No key is in a log or on a status page.
func TestConnectSecrets(t *testing.T) {
	agent := real.StartConsul(t)
	ports := real.Ports(t, 2)
	xds, status := fmt.Sprint("127.0.0.1:", ports[0]), fmt.Sprint("127.0.0.1:", ports[1])
	path := filepath.Join(t.TempDir(), "control.yaml")
	text := fmt.Sprintf(`
server: {address: "%s"}
sources: {consul: {kind: consul, addresses: ["http://%s"]}}
ambassadors:
- name: tests
  clients: [envoy]
  ports: [{name: cart, port: 1, protocol: tcp, service: "consul://cart", tls: {identity: "consul://web"}}]
`, xds, agent.HTTP)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	control := real.Start(t, "attache-control", program(t, "attache-control"), "-c", path, "--status-address", status)
	c := &chain{T: t, status: status}
	control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	heard := subscribe(t, xds, resource.SecretType, "", "consul://web#leaf", "consul://#roots")
	var has connectPair
	has.holds(t, heard, "")
	keys := []string{has.key}

	replaced, before := time.Now(), has
	_, err := agent.Client.Connect().CASetConfig(&api.CAConfig{
		Provider: "consul", Config: map[string]any{"PrivateKeyType": "rsa", "PrivateKeyBits": 2048, "LeafCertTTL": "1h"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	has.holds(t, heard, before.chain)
	t.Logf("another root and leaf %v after the CA got another key", time.Since(replaced).Round(time.Millisecond))
	if has.roots == before.roots {
		t.Error("the roots are those of before")
	}
	keys = append(keys, has.key)

	agent.Kill()
	real.Until(t, 20*time.Second, "the status says that the secret is not to be had", func() bool {
		return strings.Contains(c.page("/status"), `"failing"`)
	})
	var again connectPair
	again.holds(t, subscribe(t, xds, resource.SecretType, "", "consul://web#leaf", "consul://#roots"), "")
	if again != has {
		t.Error("while Consul is away a new client gets other secrets")
	}
	shown := control.Log() + c.page("/status") + c.page("/metrics")
	for _, key := range keys {
		if strings.Contains(shown, strings.Split(key, "\n")[1]) {
			t.Error("a private key is shown")
		}
	}
	if !strings.Contains(c.page("/metrics"), `attache_control_secret_expires_timestamp_seconds{secret="consul://web#leaf"}`) {
		t.Error("/metrics does not say when the leaf ends")
	}
}
