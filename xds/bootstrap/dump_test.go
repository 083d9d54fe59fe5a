package bootstrap

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// canary is a secret in every place where one can stand.
const canaryDoc = `
node: {id: me}
static_resources:
  secrets:
  - name: s
    tls_certificate: {private_key: {inline_string: CANARY}, password: {inline_string: CANARY}, certificate_chain: {inline_string: shown}}
  - name: g
    generic_secret: {secret: {inline_bytes: Q0FOQVJZ}}
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 1}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {tls_certificates: [{private_key: {inline_string: CANARY}}]}
      filters:
      - name: struct
        typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          value: {common_tls_context: {tls_certificates: [{private_key: {inline_string: CANARY}}]}}
      - name: unknown
        typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/somebody.elses.Filter
          value: {password: CANARY}
      - name: http
        typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          value:
            stat_prefix: h
            route_config: {name: table, virtual_hosts: [{name: v, domains: ["*"]}]}
  clusters:
  - {name: c, connect_timeout: 1s}
`

func TestDumpShowsNoSecret(t *testing.T) {
	b, _ := Load([]byte(canaryDoc), "x.yaml", Options{})
	d, err := b.Dump(time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	all := string(d.Bootstrap) + string(d.Clusters) + string(d.Listeners) + string(d.Routes)
	for _, secret := range []string{"CANARY", "Q0FOQVJZ"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is shown in\n%s", secret, all)
		}
	}
	for _, wanted := range []string{"[redacted]", "W3JlZGFjdGVkXQ==", "shown", "somebody.elses.Filter"} {
		if !strings.Contains(all, wanted) {
			t.Errorf("%s is not shown in\n%s", wanted, all)
		}
	}
}

func TestDumpIsEnvoysShape(t *testing.T) {
	b, _ := Load([]byte(canaryDoc), "x.yaml", Options{})
	d, err := b.Dump(time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	var clusters struct {
		Type           string `json:"@type"`
		StaticClusters []struct {
			Cluster struct {
				Type           string `json:"@type"`
				Name           string `json:"name"`
				ConnectTimeout string `json:"connect_timeout"`
			} `json:"cluster"`
			LastUpdated string `json:"last_updated"`
		} `json:"static_clusters"`
	}
	if err := json.Unmarshal(d.Clusters, &clusters); err != nil {
		t.Fatal(err)
	}
	c := clusters.StaticClusters[0]
	if clusters.Type != "type.googleapis.com/envoy.admin.v3.ClustersConfigDump" || c.Cluster.Name != "c" ||
		c.Cluster.Type != "type.googleapis.com/envoy.config.cluster.v3.Cluster" || c.Cluster.ConnectTimeout != "1s" ||
		c.LastUpdated != "2023-11-14T22:13:20Z" {
		t.Errorf("got %s", d.Clusters)
	}
	if !strings.Contains(string(d.Routes), `"name": "table"`) || !strings.Contains(string(d.Routes), "static_route_configs") {
		t.Errorf("routes are %s", d.Routes)
	}
	if !strings.Contains(string(d.Bootstrap), `"id": "me"`) || !strings.HasPrefix(string(d.Bootstrap), "{\n \"@type\": \"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump\"") {
		t.Errorf("bootstrap is %s", d.Bootstrap)
	}
	again, err := b.Dump(time.Unix(1700000000, 0))
	if err != nil || string(again.Listeners) != string(d.Listeners) {
		t.Errorf("two dumps differ: %v", err)
	}
}

// A static listener that another one of its name keeps out is shown as what the file
// says, and not as a listener, as in Envoy.
func TestDumpOfSameName(t *testing.T) {
	listener := func(prefix string) string {
		return `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 1}}, filter_chains: [{filters: [{name: h, typed_config: {
			"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: ` + prefix + `,
			route_config: {name: table-` + prefix + `}, http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]}`
	}
	b, _ := Load([]byte("static_resources: {listeners: ["+listener("first")+", "+listener("second")+"]}"), "x.yaml", Options{})
	d, err := b.Dump(time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(d.Listeners) + string(d.Routes); !strings.Contains(s, "table-first") || strings.Contains(s, "second") {
		t.Errorf("the dump is\n%s", s)
	}
	if s := string(d.Bootstrap); !strings.Contains(s, "table-second") {
		t.Errorf("the file is\n%s", s)
	}
}
