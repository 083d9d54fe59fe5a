//go:build infra

package infra

// SPIRE's agent gives both sidecars of a connection their certificates.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// svidTTL is how long a certificate of SPIRE's is good. It is dated back by 10 s
// and renewed at half its time: after some 5 s.
const svidTTL = 20 * time.Second

// TestSPIRE: two sidecars have their identities and the trust bundle from SPIRE's
// agent on its unix socket, one by the names that SPIRE has for everybody
// ("default", "ROOTCA", "ALL"), one by SPIFFE ids, and speak mutual TLS. The
// certificates are renewed twice, the agent is killed and comes back, and no
// request fails. A program that no entry names gets nothing.
func TestSPIRE(t *testing.T) {
	spire := real.StartSPIRE(t)
	ports := real.Ports(t, 5)
	at := func(i int) string { return fmt.Sprint("127.0.0.1:", ports[i]) }
	web, cart, stranger := copyProgram(t, "web"), copyProgram(t, "cart"), copyProgram(t, "stranger")
	spire.Entry("web", web, svidTTL)
	spire.Entry("cart", cart, svidTTL)
	app := serveShown(t, at(0), "URI="+real.SPIFFE("web"))
	server := startBySPIRE(t, spire, cart, spireServer(ports[1], ports[0]))
	client := startBySPIRE(t, spire, web, spireClient(ports[2], ports[3], ports[1]))
	other := startBySPIRE(t, spire, stranger, spireClient(ports[4], 0, ports[1]))

	plain := &http.Client{Timeout: time.Second}
	t.Cleanup(plain.CloseIdleConnections)
	for i := 2; i <= 3; i++ {
		real.Until(t, 30*time.Second, "a request arrives", func() bool {
			_, err := get(plain, "http://"+at(i)+"/")
			return err == nil
		})
	}
	tr := httpTraffic(t, at(2))
	both := map[string]map[string]bool{"web": {}, "cart": {}}
	seen := func() int {
		client.serials(both["web"])
		server.serials(both["cart"])
		return min(len(both["web"]), len(both["cart"]), app.count())
	}
	real.Until(t, 60*time.Second, "other certificates of both sides", func() bool { return seen() >= 2 })
	spire.Agent.Restart()
	spire.Agent.Ready(30*time.Second, spire.AgentHealthy)
	before := seen()
	real.Until(t, 60*time.Second, "others of the agent's next life", func() bool { return seen() > before })
	tr.end(t)
	t.Logf("%d certificates of web, %d of cart; %d shown to the application", len(both["web"]), len(both["cart"]), app.count())

	nobody := map[string]bool{}
	if other.serials(nobody); len(nobody) > 0 {
		t.Errorf("a program that SPIRE does not know has %v", nobody)
	}
	if text, err := get(plain, "http://"+at(4)+"/"); err == nil {
		t.Errorf("and is served: %q", text)
	}
	for _, s := range []*sidecar{client, server, other} {
		if !s.Running() {
			t.Error("attache has ended")
		}
	}
}

// copyProgram gives attache another path, by which SPIRE knows who it is.
func copyProgram(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(program(t, "attache"))
	path := filepath.Join(t.TempDir(), name)
	if err == nil {
		err = os.WriteFile(path, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startBySPIRE runs a copy of attache with SPIRE's agent as its cluster
// spire_agent, as SPIRE's documentation has it for Envoy.
func startBySPIRE(t *testing.T, spire *real.SPIRE, path, resources string) *sidecar {
	t.Helper()
	s := &sidecar{t: t, admin: fmt.Sprint("127.0.0.1:", real.Ports(t, 1)[0])}
	conf := filepath.Join(t.TempDir(), "envoy.yaml")
	text := fmt.Sprintf(`
node: {id: %[1]s, cluster: spire}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[2]s}}}
static_resources:%[3]s
  - name: spire_agent
    type: STATIC
    connect_timeout: 0.25s
    http2_protocol_options: {}
    load_assignment:
      cluster_name: spire_agent
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %[4]q}}}}]}]
`, filepath.Base(path), s.admin[len("127.0.0.1:"):], resources, spire.Socket)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Process = real.Start(t, "attache "+filepath.Base(path), path, "-c", conf)
	s.Ready(20*time.Second, func() bool { return s.page("/server_info") != "" })
	return s
}

// serials adds those of the certificates that the sidecar has now.
func (s *sidecar) serials(to map[string]bool) {
	var all struct {
		Certificates []struct {
			Chain []struct {
				Serial string `json:"serial_number"`
			} `json:"cert_chain"`
		}
	}
	if json.Unmarshal([]byte(s.page("/certs")), &all) != nil {
		return
	}
	for _, c := range all.Certificates {
		if len(c.Chain) > 0 {
			to[c.Chain[0].Serial] = true
		}
	}
}

// spireSecrets is a TLS context: who one is, whom one takes for right.
func spireSecrets(own, roots, peer string) string {
	const source = `sds_config: {resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: spire_agent}}]}}`
	return fmt.Sprintf(`
          common_tls_context:
            tls_certificate_sds_secret_configs: [{name: %q, %s}]
            combined_validation_context:
              default_validation_context:
                match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: %q}}]
              validation_context_sds_secret_config: {name: %q, %s}`, own, source, peer, roots, source)
}

// spireServer takes mutual TLS as cart from web alone and hands requests on.
func spireServer(port, to int) string {
	return fmt.Sprintf(`
  listeners:
  - name: cart
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true%s
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
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]`,
		port, spireSecrets(real.SPIFFE("cart"), "spiffe://"+real.SPIRETrustDomain, real.SPIFFE("web")), perConnection, to)
}

// spireClient takes plain requests at one port or two and sends them to cart, as
// SPIRE's "default" and, at the second port, by SPIFFE id and with all bundles.
// SPIRE gives a stream one name of the two only, so that each needs its own.
func spireClient(port, second, to int) (text string) {
	clusters := "\n  clusters:"
	text = "\n  listeners:"
	for i, port := range []int{port, second} {
		if port == 0 {
			continue
		}
		secrets := spireSecrets("default", "ROOTCA", real.SPIFFE("cart"))
		if i == 1 {
			secrets = spireSecrets(real.SPIFFE("web"), "ALL", real.SPIFFE("cart"))
		}
		text += fmt.Sprintf(`
  - name: port%[1]d
    address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: cart%[1]d}}]}]
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}`, port)
		clusters += fmt.Sprintf(`
  - name: cart%d
    type: STATIC
    load_assignment:
      cluster_name: cart
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext%s`, port, to, secrets)
	}
	return text + clusters
}
