package inject

// The one page of the admin server that others may read, for those who ask for it
// (metrics-port): a listener of the sidecar's own on the pod's address.

import "strings"

// MetricsPort is the name of the container's port, which a PodMonitor selects.
const MetricsPort = "attache-metrics"

const (
	metricsPath  = "/stats/prometheus"
	metricsName  = "attache-metrics"
	adminCluster = "attache-admin"
	// podAddress stands for the pod's until the bootstrap is written.
	podAddress = "POD-ADDRESS"
)

// argument is the bootstrap as Kubernetes reads an argument: $(NAME) is a variable, $$ a
// dollar.
func argument(bootstrap []byte) string {
	text := strings.ReplaceAll(string(bootstrap), "$", "$$")
	return strings.ReplaceAll(text, `"address":"`+podAddress+`"`, `"address":"$(POD_IP)"`)
}

func (w *wishes) metricsListener() object {
	const (
		extension = "type.googleapis.com/envoy.extensions.filters."
		manager   = "network.http_connection_manager.v3.HttpConnectionManager"
		router    = "http.router.v3.Router"
	)
	route := object{"match": object{"path": metricsPath}, "route": object{"cluster": adminCluster}}
	return object{
		"name": metricsName, "traffic_direction": "INBOUND", "address": socketAddress(podAddress, w.metricsPort),
		"filter_chains": []any{object{"filters": []any{object{
			"name": "envoy.filters.network.http_connection_manager",
			"typed_config": object{
				"@type": extension + manager, "stat_prefix": metricsName,
				"route_config": object{"name": metricsName, "virtual_hosts": []any{object{"name": metricsName, "domains": []string{"*"}, "routes": []any{route}}}},
				"http_filters": []any{object{"name": "envoy.filters.http.router", "typed_config": object{"@type": extension + router}}},
			},
		}}}},
	}
}

func (w *wishes) adminCluster() object {
	return object{
		"name": adminCluster, "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": object{"cluster_name": adminCluster, "endpoints": []any{object{"lb_endpoints": []any{
			object{"endpoint": object{"address": socketAddress("127.0.0.1", w.adminPort)}},
		}}}},
	}
}
