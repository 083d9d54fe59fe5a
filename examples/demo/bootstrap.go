package main

// The configuration that the demo starts attache with: an Envoy v3 bootstrap, with the ports of this run.

import (
	"fmt"
	"os"
	"text/template"
)

// ringSize is the least number of points on the ring that keys are placed on.
const ringSize = 1024

// Shards are hashed by name (metadata envoy.lb, hash_key), not by address: a shard may move to another port and keep its
// keys, and every run of this demo places keys alike.
const bootstrapText = `admin:
  address: {socket_address: {address: 127.0.0.1, port_value: {{.Ports.Admin}}}}
static_resources:
  listeners:
  - name: memcached
    address: {socket_address: {address: 127.0.0.1, port_value: {{.Ports.Memcached}}}}
    filter_chains:
    - filters:
      - name: attache.filters.network.memcached_proxy
        typed_config:
          "@type": type.googleapis.com/attache.filters.network.memcached_proxy.v1.MemcachedProxy
          stat_prefix: cache
          settings: {op_timeout: {{.OpTimeout}}}
          prefix_routes: {catch_all_route: {cluster: cache}}
  - name: http
    address: {socket_address: {address: 127.0.0.1, port_value: {{.Ports.HTTP}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: web}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: cache
    type: STATIC
    connect_timeout: 0.25s
    lb_policy: RING_HASH
    ring_hash_lb_config: {minimum_ring_size: {{.RingSize}}}
    load_assignment:
      cluster_name: cache
      endpoints:
      - lb_endpoints:
{{- range .Shards}}
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{.Port}}}}}
          metadata: {filter_metadata: {envoy.lb: {hash_key: {{.Name}}}}}
{{- end}}
  - name: web
    type: STATIC
    connect_timeout: 0.25s
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: web
      endpoints:
      - lb_endpoints:
{{- range .Pages}}
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{.}}}}}
{{- end}}
`

func writeBootstrap(path string, s *stage) error {
	type named struct {
		Name string
		Port int
	}
	var values struct {
		Ports     struct{ Memcached, HTTP, Admin int }
		OpTimeout string
		RingSize  int
		Shards    []named
		Pages     []int
	}
	values.Ports.Memcached, values.Ports.HTTP, values.Ports.Admin = s.ports.memcached, s.ports.http, s.ports.admin
	values.OpTimeout, values.RingSize = fmt.Sprintf("%gs", opTimeout.Seconds()), ringSize
	for _, sh := range s.shards {
		values.Shards = append(values.Shards, named{sh.name, sh.port})
	}
	for _, p := range s.pages {
		values.Pages = append(values.Pages, p.port)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := template.Must(template.New("bootstrap").Parse(bootstrapText)).Execute(f, values); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
