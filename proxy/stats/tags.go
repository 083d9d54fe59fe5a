package stats

// What Prometheus calls labels, found in a name as Envoy's default tag
// extractors find them (common/config/well_known_names.cc), for the names that
// attache has.

import (
	"regexp"
	"strings"
)

// Tag is a part of a name that was taken out of it.
type Tag struct{ Name, Value string }

// prefixes are the names whose second part is a tag: "cluster.<value>.".
var prefixes = []struct{ first, tag string }{
	{"cluster.", "envoy_cluster_name"},
	{"http.", "envoy_http_conn_manager_prefix"},
	{"tcp.", "envoy_tcp_prefix"},
	{"redis.", "envoy_redis_prefix"},
	{"memcached.", "envoy_memcached_prefix"}, // ours, after Envoy's for Redis
	{"vhost.", "envoy_virtual_host"},
}

var (
	responseCode  = regexp.MustCompile(`_rq_(\d{3})$`)
	responseClass = regexp.MustCompile(`_rq_(\d)xx$`)
	// listenerAddress is an address with its port, or one part without dots.
	listenerAddress = regexp.MustCompile(`^listener\.((?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[a-fA-F_\d]+\])_\d+|[^.]+)\.`)
	worker          = regexp.MustCompile(`^(?:listener|server|listener_manager)\.worker_(\d+)\.`)
)

// Extract splits a name into what all of its family share and the tags, in
// Envoy's order:
//
//	cluster.x.upstream_rq_200             cluster.upstream_rq    response_code=200, cluster_name=x
//	listener.127.0.0.1_80.http.in.rq_2xx  listener.http.rq_xx    class=2, prefix=in, address=127.0.0.1_80
//
//	cluster.x.ssl.certificate.c.expiration_unix_time_seconds
//	                                      cluster.ssl.certificate.expiration_unix_time_seconds   tls_certificate=c, cluster_name=x
//
// As in Envoy, a cluster or prefix is taken to end at its first dot.
func Extract(name string) (family string, tags []Tag) {
	name, tags = extractResponse(name)
	name, tags = extractCertificate(name, tags)
	if strings.HasPrefix(name, "listener.") || strings.HasPrefix(name, "server.") || strings.HasPrefix(name, "listener_manager.") {
		return extractListener(name, tags)
	}
	name, tags = extractMethod(name, tags)
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(name, p.first); ok {
			if value, rest, ok := strings.Cut(rest, "."); ok && value != "" && rest != "" {
				rest, tags = extractOfHost(p.first, rest, tags)
				return p.first + rest, append(tags, Tag{p.tag, value})
			}
		}
	}
	return name, tags
}

// extractOfHost takes out which virtual cluster or route of a virtual host it is.
func extractOfHost(first, rest string, tags []Tag) (string, []Tag) {
	if first != "vhost." {
		return rest, tags
	}
	for _, of := range [...]struct{ part, tag string }{{"vcluster.", "envoy_virtual_cluster"}, {"route.", "envoy_route"}} {
		if after, ok := strings.CutPrefix(rest, of.part); ok {
			if value, last, ok := strings.Cut(after, "."); ok && value != "" && last != "" {
				return of.part + last, append(tags, Tag{of.tag, value})
			}
		}
	}
	return rest, tags
}

// extractCertificate takes the name of a certificate, which may have dots.
func extractCertificate(name string, tags []Tag) (string, []Tag) {
	const part, end = ".ssl.certificate.", ".expiration_unix_time_seconds"
	before, rest, found := strings.Cut(name, part)
	value, last := strings.CutSuffix(rest, end)
	if !found || !last || value == "" {
		return name, tags
	}
	return before + ".ssl.certificate" + end, append(tags, Tag{"envoy_tls_certificate", value})
}

// extractMethod takes out what gRPC's statistics are called by. A service whose name
// has dots is taken to end at its first, as in Envoy.
func extractMethod(name string, tags []Tag) (string, []Tag) {
	parts := strings.SplitN(name, ".", 6)
	if len(parts) < 5 || parts[0] != "cluster" || parts[2] != "grpc" {
		return name, tags
	}
	if len(parts) == 6 {
		tags = append(tags, Tag{"envoy_grpc_bridge_method", parts[4]})
		parts = append(parts[:4], parts[5])
	}
	tags = append(tags, Tag{"envoy_grpc_bridge_service", parts[3]})
	return strings.Join(append(parts[:3], parts[4:]...), "."), tags
}

func extractResponse(name string) (string, []Tag) {
	if m := responseCode.FindStringSubmatchIndex(name); m != nil {
		return name[:m[2]-1], []Tag{{"envoy_response_code", name[m[2]:m[3]]}}
	}
	if m := responseClass.FindStringSubmatchIndex(name); m != nil {
		return name[:m[2]] + name[m[3]:], []Tag{{"envoy_response_code_class", name[m[2]:m[3]]}}
	}
	return name, nil
}

// extractListener takes out the address, the HTTP prefix behind it and the
// worker. Envoy leaves "listener.admin." as it is.
func extractListener(name string, tags []Tag) (string, []Tag) {
	address := Tag{}
	if m := listenerAddress.FindStringSubmatchIndex(name); m != nil && name[m[2]:m[3]] != "admin" {
		address = Tag{"envoy_listener_address", name[m[2]:m[3]]}
		name = name[:m[2]] + name[m[1]:]
	}
	if rest, ok := strings.CutPrefix(name, "listener.http."); ok && address.Name != "" {
		if value, rest, ok := strings.Cut(rest, "."); ok {
			tags = append(tags, Tag{"envoy_http_conn_manager_prefix", value})
			name = "listener.http." + rest
		}
	}
	if m := worker.FindStringSubmatchIndex(name); m != nil {
		tags = append(tags, Tag{"envoy_worker_id", name[m[2]:m[3]]})
		name = name[:m[2]-len("worker_")] + name[m[1]:]
	}
	if address.Name != "" {
		tags = append(tags, address)
	}
	return name, tags
}
