//go:build infra

package infra

// Certificates of Consul's CA that are replaced all the time, under load.

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

const (
	// renewEvery is how old a leaf gets.
	renewEvery = 5 * time.Second
	// perConnection is after how many requests a server's side closes, so that
	// there are handshakes all the time.
	perConnection = 100
)

// TestConnectRotation: an application's requests go from its sidecar to another
// before the server, by mutual TLS whose both sides have their leaves and roots
// from Consul's CA through attache-control. The leaves are others every 5 s, the
// CA gets another root on the way, and no request fails. ATTACHE_ROTATE is how
// long, a minute in the long run.
func TestConnectRotation(t *testing.T) {
	long := 12 * time.Second
	if asked := os.Getenv("ATTACHE_ROTATE"); asked != "" {
		var err error
		if long, err = time.ParseDuration(asked); err != nil {
			t.Fatal(err)
		}
	}
	agent := real.StartConsul(t)
	ports := real.Ports(t, 6)
	at := func(i int) string { return fmt.Sprint("127.0.0.1:", ports[i]) }
	leaves := renew(t, agent, at(0), renewEvery, "web", "cart")
	agent.Register(&api.AgentServiceRegistration{ID: "cart", Name: "cart", Address: "127.0.0.1", Port: ports[4]})
	path := filepath.Join(t.TempDir(), "control.yaml")
	text := fmt.Sprintf(`
server: {address: "%s"}
sources: {consul: {kind: consul, addresses: ["http://%s"]}}
ambassadors:
- name: clients
  sidecars: {cluster: tests}
  ports: [{name: cart, port: %d, protocol: http, service: "consul://cart", tls: {identity: "consul://web"}}]
- name: servers
  sidecars: {cluster: servers}
  clients: [envoy, attache]
  ports: [{name: cart, port: 1, protocol: tcp, service: "consul://cart", tls: {identity: "consul://cart"}}]
`, at(1), at(0), ports[3])
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	control := real.Start(t, "attache-control", program(t, "attache-control"), "-c", path, "--status-address", at(2))
	c := &chain{T: t, status: at(2)}
	control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	shown := serveShown(t, at(5), "/ns/default/dc/dc1/svc/web")
	server := startServerSidecar(t, at(1), ports[4], ports[5])
	client := startSidecar(t, at(1), "s1")
	real.Until(t, 20*time.Second, "a request arrives", func() bool {
		_, err := get(&http.Client{Timeout: time.Second}, "http://"+at(3)+"/")
		return err == nil
	})

	began := time.Now()
	tr := httpTraffic(t, at(3))
	served := map[string]bool{}
	look := time.NewTicker(renewEvery / 10)
	defer look.Stop()
	for root := false; time.Since(began) < long; <-look.C {
		served[serverSerial(t, leaves, at(4))] = true
		if !root && time.Since(began) > long/2 {
			root = true
			_, err := agent.Client.Connect().CASetConfig(&api.CAConfig{
				Provider: "consul", Config: map[string]any{"PrivateKeyType": "ec", "PrivateKeyBits": 256, "LeafCertTTL": "1h", "RotationPeriod": "2160h"},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	tr.end(t)
	took := time.Since(began)
	handshakes, _ := client.stat("cluster.cart.ssl.handshake")
	again, _ := client.stat("cluster.cart.upstream_rq_retry")
	t.Logf("%.0f requests/s for %v; %d handshakes, %d certificates of the client's side, %d of the server's, %d requests sent twice",
		float64(tr.sent.Load())/took.Seconds(), took.Round(time.Second), handshakes, shown.count(), len(served), again)
	// One may have been replaced before anybody saw it, where the machine is slow.
	if want := int(long/renewEvery) - 1; shown.count() < want || len(served) < want {
		t.Errorf("%d certificates of the client's side and %d of the server's were seen, want %d", shown.count(), len(served), want)
	}
	if !client.Running() || !server.Running() {
		t.Error("a sidecar has ended")
	}
}

// serials are the certificates that a server was shown.
type serials struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *serials) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// serveShown is the application behind the server's sidecar, which tells it
// whose certificate it was shown: that must end with whose.
func serveShown(t *testing.T, at, whose string) *serials {
	t.Helper()
	all := &serials{seen: map[string]bool{}}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// By=…;Hash=…;URI=…
		shown := r.Header.Get("X-Forwarded-Client-Cert")
		if !strings.HasSuffix(shown, whose) {
			w.WriteHeader(http.StatusForbidden)
		}
		all.mu.Lock()
		all.seen[shown] = true
		all.mu.Unlock()
		_, _ = io.WriteString(w, "ok")
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
	return all
}

// serverSerial is the serial number of the certificate that a server shows.
func serverSerial(t *testing.T, leaves *renewing, at string) string {
	t.Helper()
	web := leaves.of("web").leaf
	pair, err := tls.X509KeyPair([]byte(web.CertPEM), []byte(web.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// startServerSidecar runs attache before a server: it takes mutual TLS with
// secrets from the control plane and hands requests on.
func startServerSidecar(t *testing.T, control string, port, to int) *real.Process {
	t.Helper()
	host, controlPort, _ := strings.Cut(control, ":")
	adminPort := real.Ports(t, 1)[0]
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	text := fmt.Sprintf(`
node: {id: server, cluster: servers}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds}}]
static_resources:
  listeners:
  - name: cart
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificate_sds_secret_configs: [{name: "consul://cart#leaf", sds_config: {ads: {}, resource_api_version: V3}}]
            validation_context_sds_secret_config: {name: "consul://#roots", sds_config: {ads: {}, resource_api_version: V3}}
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: cart
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: {uri: true}
          common_http_protocol_options: {max_requests_per_connection: %d}
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: local}}]}]
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: local
    type: STATIC
    load_assignment:
      cluster_name: local
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
  - name: xds
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`, adminPort, port, perConnection, to, host, controlPort)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := real.Start(t, "attache server", program(t, "attache"), "-c", path)
	p.Ready(10*time.Second, func() bool {
		_, err := get(&http.Client{Timeout: time.Second}, fmt.Sprint("http://127.0.0.1:", adminPort, "/ready"))
		return err == nil
	})
	return p
}
