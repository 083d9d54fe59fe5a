package conformance

// Control planes as a bootstrap names them: by google_grpc with credentials of its
// own, and one that load is reported to.

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-mesh/attache/conformance/stockxds"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

// TestGoogleGRPC: a control plane that wants mutual TLS, named by google_grpc alone:
// its roots, the client's certificate and key, and the name that is said of it. With
// the roots of others there is no stream.
func TestGoogleGRPC(t *testing.T) {
	ca, others := pki.New(t, "control"), pki.New(t, "others")
	control := stockxds.StartServer(t, true)
	door := mutualTLS(t, ca, control.Addr())
	dir, client := t.TempDir(), ca.Issue(pki.Leaf{DNS: []string{"sidecar"}})
	save(t, filepath.Join(dir, "ca.pem"), ca.PEM())
	save(t, filepath.Join(dir, "others.pem"), others.PEM())
	save(t, filepath.Join(dir, "client.pem"), client.ChainPEM())
	save(t, filepath.Join(dir, "client.key"), client.KeyPEM())
	w, at := way{"", true, "GRPC"}, freeAddr(t)
	control.Set("1", stockxds.Parse(t, w.web(at, named(t, "app"))))
	bootstrap := func(roots, cert string) string {
		plain := w.bootstrap(freeAddr(t), door)
		google := fmt.Sprintf(`google_grpc: {target_uri: %q, stat_prefix: the_plane, channel_credentials: {ssl_credentials: {root_certs: {filename: %q}%s}}}`, door, roots, cert)
		return write(t, strings.ReplaceAll(plain, "envoy_grpc: {cluster_name: xds}", google))
	}
	pair := fmt.Sprintf(", cert_chain: {filename: %q}, private_key: {filename: %q}", filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key"))
	for name, bad := range map[string]string{
		"unknown authority": bootstrap(filepath.Join(dir, "others.pem"), pair),
		"certificate":       bootstrap(filepath.Join(dir, "ca.pem"), ""),
	} {
		s := launch(t, program(t, "./cmd/attache"), "-c", bad)
		until(t, "it is refused: "+name, func() bool {
			said := s.said.String()
			return strings.Contains(said, "the_plane") && strings.Contains(said, name)
		})
	}
	if got := asked("http://" + at + "/"); got != "" {
		t.Fatalf("without a stream: %q", got)
	}
	s := launch(t, program(t, "./cmd/attache"), "-c", bootstrap(filepath.Join(dir, "ca.pem"), pair))
	until(t, "what the control plane says is served", func() bool { return asked("http://"+at+"/") == "app" })
	mustHave(t, s.said.String(), "the_plane")
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mutualTLS stands before an address: a client with a certificate of ca comes through.
func mutualTLS(t *testing.T, ca *pki.Authority, behind string) string {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	own := ca.Issue(pki.Leaf{IPs: []string{"127.0.0.1"}})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{own.TLS()}, NextProtos: []string{"h2"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go pipeBetween(c, behind)
		}
	}()
	return l.Addr().String()
}

// pipeBetween carries a connection to an address, until either side ends.
func pipeBetween(c net.Conn, to string) {
	defer c.Close()
	d, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer d.Close()
	go func() {
		_, _ = io.Copy(d, c)
		_ = d.Close()
	}()
	_, _ = io.Copy(c, d)
}

// loadService asks for the load of all clusters, and keeps the last report.
type loadService struct {
	loadv3.UnimplementedLoadReportingServiceServer
	mu   sync.Mutex
	node string
	said map[string]uint64  // requests by cluster
	used map[string]float64 // the mean of what hosts reported of themselves, by name
}

func (s *loadService) StreamLoadStats(stream loadv3.LoadReportingService_StreamLoadStatsServer) error {
	for first := true; ; first = false {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		if first {
			err = stream.Send(&loadv3.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(100 * time.Millisecond)})
			if err != nil {
				return err
			}
		}
		s.mu.Lock()
		if first {
			s.node = r.GetNode().GetId()
		}
		for _, c := range r.GetClusterStats() {
			for _, l := range c.GetUpstreamLocalityStats() {
				s.said[c.GetClusterName()] += l.GetTotalIssuedRequests()
				for _, m := range l.GetLoadMetricStats() {
					s.used[m.GetMetricName()] = m.GetTotalMetricValue() / float64(m.GetNumRequestsFinishedWithMetric())
				}
			}
		}
		s.mu.Unlock()
	}
}

// TestLoadStatsConfig: the load of all clusters goes where the bootstrap's cluster
// manager says, with what it asks for of the hosts' own reports and nothing else of them.
func TestLoadStatsConfig(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	loads, g := &loadService{said: map[string]uint64{}, used: map[string]float64{}}, grpc.NewServer()
	loadv3.RegisterLoadReportingServiceServer(g, loads)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	at := freeAddr(t)
	app := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("endpoint-load-metrics", "TEXT cpu_utilization=0.5,mem_utilization=0.9,named_metrics.queue=3")
	}))
	text := httpConfig(freeAddr(t), socketAddress(at), app) + fmt.Sprintf(`
    lrs_report_endpoint_metrics: [cpu_utilization, "named_metrics.*"]
  - name: loads
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: loads
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
node: {id: reporter, cluster: tests}
cluster_manager: {load_stats_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: loads}}]}}
`, port(l.Addr().String()))
	launch(t, program(t, "./cmd/attache"), "-c", write(t, text))
	until(t, "requests are reported", func() bool {
		asked("http://" + at + "/")
		loads.mu.Lock()
		defer loads.mu.Unlock()
		return loads.node == "reporter" && loads.said["web"] > 0 && maps.Equal(loads.used, map[string]float64{"cpu_utilization": 0.5, "named_metrics.queue": 3})
	})
}
