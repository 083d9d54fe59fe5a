package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// attacheArgv starts attache with one worker on an Envoy v3 bootstrap; what it adds to a request is left at its defaults.
func attacheArgv(b *bench, at place) ([]string, error) {
	program, err := filepath.Abs(b.attache)
	if err != nil {
		return nil, err
	}
	config, err := at.write("envoy.yaml", attacheBootstrap(at))
	return []string{program, "-c", config, "--concurrency", "1", "-l", "warning"}, err
}

func attacheBootstrap(at place) string {
	filter, options := "", ""
	switch at.protocol {
	case memcached:
		filter = attacheMemcached
	case stream:
		filter = attacheTCP
	default:
		codec := "HTTP1"
		if at.protocol.downstreamH2() {
			codec = "HTTP2"
		}
		filter = fmt.Sprintf(attacheHTTP, codec)
		if at.protocol.upstreamH2() {
			options = attacheH2Cluster
		}
	}
	policy := "ROUND_ROBIN"
	if at.protocol == memcached {
		policy = "RING_HASH"
	}
	var endpoints strings.Builder
	for _, port := range at.backends {
		fmt.Fprintf(&endpoints, "        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %d } } }\n", port)
	}
	return fmt.Sprintf(`static_resources:
  listeners:
  - name: bench
    address: { socket_address: { address: 127.0.0.1, port_value: %d } }
    filter_chains:
    - filters:
%s  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    lb_policy: %s
%s    circuit_breakers:
      thresholds:
      - { max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
%s`, at.port, filter, policy, options, &endpoints)
}

const attacheHTTP = `      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: %s
          route_config:
            name: bench
            virtual_hosts:
            - name: bench
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { cluster: backend, timeout: 0s }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
`

const attacheH2Cluster = `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
`

const attacheMemcached = `      - name: attache.filters.network.memcached_proxy
        typed_config:
          "@type": type.googleapis.com/attache.filters.network.memcached_proxy.v1.MemcachedProxy
          stat_prefix: bench
          settings: { op_timeout: 5s }
          prefix_routes: { catch_all_route: { cluster: backend } }
`

const attacheTCP = `      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: bench
          cluster: backend
`
