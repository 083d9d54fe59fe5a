package conformance

// Secrets from a server of SDS on a unix socket, as SPIRE's agent is one.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xdsserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/attache-mesh/attache/proxy/config/pki"
)

// workloadAPI serves secrets on a unix socket: streams of the state of the world
// only, one service, names that are SPIFFE IDs.
type workloadAPI struct {
	secretservice.SecretDiscoveryServiceServer
	t       *testing.T
	path    string
	cache   cache.SnapshotCache
	version int
	server  *grpc.Server
	ended   chan struct{}
}

const (
	workload    = "spiffe://example.org/app"
	trustDomain = "spiffe://example.org"
)

// ID puts every workload under the one key.
func (*workloadAPI) ID(*corev3.Node) string { return "all" }

// DeltaSecrets is not there, as with SPIRE.
func (*workloadAPI) DeltaSecrets(secretservice.SecretDiscoveryService_DeltaSecretsServer) error {
	return status.Error(codes.Unimplemented, "method not implemented")
}

// StreamSecrets gives one secret a stream.
func (w *workloadAPI) StreamSecrets(s secretservice.SecretDiscoveryService_StreamSecretsServer) error {
	return w.SecretDiscoveryServiceServer.StreamSecrets(oneName{s})
}

// oneName ends a stream that asks for more than one secret, as SPIRE's agent does
// if it has but one of them.
type oneName struct {
	secretservice.SecretDiscoveryService_StreamSecretsServer
}

func (s oneName) Recv() (*discoveryv3.DiscoveryRequest, error) {
	r, err := s.SecretDiscoveryService_StreamSecretsServer.Recv()
	if err == nil && len(r.GetResourceNames()) > 1 {
		err = status.Errorf(codes.InvalidArgument, "one secret at a time, not %q", r.GetResourceNames())
	}
	return r, err
}

func startWorkloadAPI(t *testing.T) *workloadAPI {
	w := &workloadAPI{t: t, path: filepath.Join(t.TempDir(), "agent.sock")}
	w.cache = cache.NewSnapshotCache(false, w, nil)
	t.Cleanup(w.stop)
	return w
}

func (w *workloadAPI) start() {
	w.t.Helper()
	l, err := net.Listen("unix", w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.SecretDiscoveryServiceServer = xdsserver.NewServer(context.Background(), w.cache, nil)
	w.server, w.ended = grpc.NewServer(), make(chan struct{})
	secretservice.RegisterSecretDiscoveryServiceServer(w.server, w)
	go func() {
		_ = w.server.Serve(l)
		close(w.ended)
	}()
}

func (w *workloadAPI) stop() {
	if w.server != nil {
		w.server.Stop()
		<-w.ended
		w.server = nil
	}
}

// hold gives a workload a certificate and the roots of its trust domain.
func (w *workloadAPI) hold(ca *pki.Authority, p *pki.Pair) {
	w.t.Helper()
	text := func(s string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
	}
	w.version++
	snapshot, err := cache.NewSnapshot(fmt.Sprint(w.version), map[resource.Type][]types.Resource{resource.SecretType: {
		&tlsv3.Secret{Name: workload, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: text(p.ChainPEM()), PrivateKey: text(p.KeyPEM()),
		}}},
		&tlsv3.Secret{Name: trustDomain, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: text(ca.PEM()),
		}}},
	}})
	if err == nil {
		err = w.cache.SetSnapshot(context.Background(), "all", snapshot)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestSecretsOverUnixSocket: both sides of attache have their certificates and
// roots from a server on a unix socket, others when it has others, and after it
// was away; what it has is used meanwhile.
func TestSecretsOverUnixSocket(t *testing.T) {
	for name, grpcService := range map[string]string{
		"envoy_grpc":  "envoy_grpc: {cluster_name: spire_agent}",
		"google_grpc": `google_grpc: {target_uri: "unix:%[1]s", stat_prefix: spire_agent}`,
	} {
		t.Run(name, func(t *testing.T) {
			ca := pki.New(t, "example.org")
			issue := func() *pki.Pair { return ca.Issue(pki.Leaf{URIs: []string{workload}}) }
			api := startWorkloadAPI(t)
			host := serveShownSerial(t, ca, issue())
			if name == "google_grpc" {
				grpcService = fmt.Sprintf(grpcService, api.path)
			}
			at := freeAddr(t)
			launch(t, program(t, "./cmd/attache"), "-c", write(t, unixSDS(grpcService, api.path, port(at), port(host))))

			client := ca.Issue(pki.Leaf{URIs: []string{"spiffe://example.org/client"}})
			ask := func() string { return serials(at, client) }
			var held *pki.Pair
			shown := func() bool { return ask() == held.Cert.SerialNumber.String()+" "+held.Cert.SerialNumber.String() }

			if got := ask(); got != "" {
				t.Errorf("without secrets: %q", got)
			}
			held = issue()
			api.hold(ca, held)
			api.start()
			until(t, "the first certificate", shown)
			held = issue()
			api.hold(ca, held)
			until(t, "the second certificate", shown)
			api.stop()
			if !shown() {
				t.Error("while the server is away its last certificate is not used")
			}
			held = issue()
			api.hold(ca, held)
			api.start()
			until(t, "the third certificate", shown)
		})
	}
}

// serveShownSerial is an application's host that takes mutual TLS and answers
// with the serial number of the certificate that it was shown.
func serveShownSerial(t *testing.T, ca *pki.Authority, p *pki.Pair) string {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // each request with the certificate of now
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*p.Certificate().TLS()}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// serials are those of the certificates that attache shows a client, and the
// host behind it; "" if a request fails.
func serials(at string, p *pki.Pair) string {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{*p.Certificate().TLS()},
	}}
	client := http.Client{Transport: transport}
	r, err := client.Get("https://" + at + "/")
	if err != nil {
		return ""
	}
	text, err := body(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return ""
	}
	return r.TLS.PeerCertificates[0].SerialNumber.String() + " " + text
}

// unixSDS is the configuration that SPIRE's documentation gives for Envoy.
func unixSDS(grpcService, socket, port, host string) string {
	source := "sds_config: {resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{" + grpcService + "}]}}"
	common := func(id string) string {
		return fmt.Sprintf(`
          common_tls_context:
            tls_certificate_sds_secret_configs: [{name: %q, %s}]
            combined_validation_context:
              default_validation_context:
                match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: %q}}]
              validation_context_sds_secret_config: {name: %q, %s}`, workload, source, id, trustDomain, source)
	}
	return fmt.Sprintf(`
node: {id: app, cluster: app}
static_resources:
  listeners:
  - name: app
    address: {socket_address: {address: 127.0.0.1, port_value: %s}}
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
          stat_prefix: app
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: host}}]}]
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: host
    type: STATIC
    load_assignment:
      cluster_name: host
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
    transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext%s
  - name: spire_agent
    type: STATIC
    connect_timeout: 0.25s
    http2_protocol_options: {}
    load_assignment:
      cluster_name: spire_agent
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]
`, port, common("spiffe://example.org/client"), host, common(workload), socket)
}
