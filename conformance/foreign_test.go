package conformance

// A control plane that knows nothing of attache drives it: go-control-plane's
// own server, in each of the ways that xDS can be spoken.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// way is one of the ways that xDS can be spoken.
type way struct {
	name    string
	ads     bool // one stream for all types
	apiType string
}

var ways = [...]way{
	{"ads, state of the world", true, "GRPC"},
	{"ads, delta", true, "DELTA_GRPC"},
	{"a stream per type, state of the world", false, "GRPC"},
	{"a stream per type, delta", false, "DELTA_GRPC"},
}

// api is an ApiConfigSource of the way.
func (w way) api() string {
	return "{api_type: " + w.apiType + ", transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}"
}

// source is a ConfigSource of the way.
func (w way) source() string {
	if w.ads {
		return "{ads: {}, resource_api_version: V3}"
	}
	return "{api_config_source: " + w.api() + ", resource_api_version: V3}"
}

// bootstrap names the control plane and nothing else.
func (w way) bootstrap(admin, control string) string {
	ads := ""
	if w.ads {
		ads = "ads_config: " + w.api()
	}
	host, port, _ := strings.Cut(control, ":")
	adminHost, adminPort, _ := strings.Cut(admin, ":")
	return fmt.Sprintf(`
node: {id: sidecar, cluster: tests}
admin: {address: {socket_address: {address: %s, port_value: %s}}}
dynamic_resources:
  lds_config: %s
  cds_config: %s
  %s
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
`, adminHost, adminPort, w.source(), w.source(), ads, host, port)
}

// web is a listener on addr whose route and endpoints come by xDS too, so that
// all goes to backend.
func (w way) web(addr, backend string) string {
	_, port, _ := strings.Cut(addr, ":")
	_, backendPort, _ := strings.Cut(backend, ":")
	return fmt.Sprintf(`
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  address: {socket_address: {address: 127.0.0.1, port_value: %s}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        rds: {route_config_name: routes, config_source: %s}
        http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: app
  type: EDS
  connect_timeout: 1s
  eds_cluster_config: {eds_config: %s}
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: app
  endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
`, port, w.source(), w.source(), backendPort)
}

// named is a web server that says its name; its address.
func named(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// asked gets a page and gives its text, whatever its status; "" if there is
// none.
func asked(url string) string {
	client := http.Client{Timeout: 2 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return ""
	}
	text, err := body(r.Body)
	if err != nil {
		return ""
	}
	return text
}

func TestStockControlPlane(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			control := stockxds.StartServer(t, w.ads)
			blue, green := named(t, "blue"), named(t, "green")
			addr, admin := freeAddr(t), freeAddr(t)
			control.Set("1", stockxds.Parse(t, w.web(addr, blue)))
			sidecar := launch(t, program(t, "./cmd/attache"), "-c", write(t, w.bootstrap(admin, control.Addr())))
			sidecar.serving("tcp", addr)
			until(t, "blue answers", func() bool { return asked("http://"+addr+"/") == "blue" })

			control.Set("2", stockxds.Parse(t, w.web(addr, green)))
			until(t, "green answers", func() bool { return asked("http://"+addr+"/") == "green" })

			control.Stop()
			if got := asked("http://" + addr + "/"); got != "green" {
				t.Errorf("without its control plane: %q, want green", got)
			}
			control.Set("3", stockxds.Parse(t, w.web(addr, blue)))
			control.Start()
			until(t, "blue answers after the control plane is back", func() bool { return asked("http://"+addr+"/") == "blue" })
			for _, e := range control.Events() {
				if e.Refused != "" {
					t.Errorf("%s refused: %s", e.TypeURL, e.Refused)
				}
			}
		})
	}
}

// TestStockControlPlaneOneRefused: of two clusters one cannot be; the other is
// used, and the refusal names the one and its field.
func TestStockControlPlaneOneRefused(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			control := stockxds.StartServer(t, w.ads)
			blue, green := named(t, "blue"), named(t, "green")
			addr, admin := freeAddr(t), freeAddr(t)
			control.Set("1", stockxds.Parse(t, w.web(addr, blue)))
			sidecar := launch(t, program(t, "./cmd/attache"), "-c", write(t, w.bootstrap(admin, control.Addr())))
			sidecar.serving("tcp", addr)

			control.Set("2", stockxds.Parse(t, w.web(addr, green)+`
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: wrong
  type: STATIC
  lb_policy: RING_HASH
  ring_hash_lb_config: {minimum_ring_size: 1099511627776}
  load_assignment: {cluster_name: wrong}
`))
			until(t, "green answers", func() bool { return asked("http://"+addr+"/") == "green" })
			until(t, "the refusal names the cluster and its field", func() bool {
				for _, e := range control.Events() {
					if strings.Contains(e.Refused, "wrong") && strings.Contains(e.Refused, "minimum_ring_size") {
						return true
					}
				}
				return false
			})
		})
	}
}
