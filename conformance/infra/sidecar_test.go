//go:build infra

package infra

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// sidecar is a running attache that knows nothing but where its control plane
// is.
type sidecar struct {
	*real.Process
	t     *testing.T
	admin string
}

// startSidecar runs attache with the id in its node until it is ready; it is
// driven by ADS, delta. flags are added to its command line.
func startSidecar(t *testing.T, control, id string, flags ...string) *sidecar {
	t.Helper()
	s := launchSidecar(t, control, id, flags...)
	s.Ready(10*time.Second, s.ready)
	return s
}

func (s *sidecar) ready() bool { return s.page("/ready") != "" }

// launchSidecar does not wait.
func launchSidecar(t *testing.T, control, id string, flags ...string) *sidecar {
	t.Helper()
	s := &sidecar{t: t, admin: fmt.Sprint("127.0.0.1:", real.Ports(t, 1)[0])}
	host, port, _ := strings.Cut(control, ":")
	_, adminPort, _ := strings.Cut(s.admin, ":")
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	text := fmt.Sprintf(`
node: {id: %s, cluster: tests}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds}}]
  lds_config: {ads: {}, resource_api_version: V3}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`, id, adminPort, host, port)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Process = real.Start(t, "attache "+id, append([]string{program(t, "attache"), "-c", path}, flags...)...)
	return s
}

// program is what make built.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: make build makes it", err)
	}
	return path
}

// page is an admin page's text; "" if it is not to be had.
func (s *sidecar) page(path string) string {
	client := http.Client{Timeout: 2 * time.Second}
	text, err := get(&client, "http://"+s.admin+path)
	if err != nil {
		return ""
	}
	return text
}

// stat is a counter or gauge; false if there is no such row.
func (s *sidecar) stat(name string) (uint64, bool) {
	for line := range strings.Lines(s.page("/stats?filter=" + name)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), ": "); found && key == name {
			n, err := strconv.ParseUint(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// hosts are the addresses of a cluster that take new requests, sorted.
func (s *sidecar) hosts(cluster string) (addrs []string) {
	var all struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health struct {
					EDS string `json:"eds_health_status"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if json.Unmarshal([]byte(s.page("/clusters?format=json")), &all) != nil {
		return nil
	}
	for _, c := range all.Clusters {
		for _, h := range c.Hosts {
			if c.Name == cluster && h.Health.EDS == "HEALTHY" {
				addrs = append(addrs, fmt.Sprintf("%s:%d", h.Address.Socket.Address, h.Address.Socket.Port))
			}
		}
	}
	slices.Sort(addrs)
	return addrs
}

// uses waits until the sidecar sends new requests to exactly these hosts of a
// cluster and says how long that took since a moment.
func (s *sidecar) uses(since time.Time, within time.Duration, cluster string, addrs []string) time.Duration {
	s.t.Helper()
	slices.Sort(addrs)
	var got []string
	for end := since.Add(within); ; {
		if got = s.hosts(cluster); slices.Equal(got, addrs) {
			took := time.Since(since)
			s.t.Logf("%d hosts of %s after %v", len(addrs), cluster, took.Round(time.Millisecond))
			return took
		}
		if time.Now().After(end) {
			s.t.Fatalf("not within %v: hosts of %s are %v, want %v", within, cluster, got, addrs)
		}
	}
}
