package inject

// The container that is added, and its bootstrap.

import (
	"encoding/json"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	cacheDirectory = "/var/lib/attache"
	runDirectory   = "/run/attache"
	// ExitFile ends a sidecar that is an ordinary container; the application makes
	// it when its work is done, so that a Job can complete.
	ExitFile = runDirectory + "/exit"
	// ExitSocket takes the same as POST /exit.
	ExitSocket = runDirectory + "/exit.sock"
)

// sidecar is the container, fit for Pod Security `restricted`.
func (p *pod) sidecar(w *wishes, s *Settings) (object, error) {
	bootstrap, err := json.Marshal(p.bootstrap(w, s))
	if err != nil {
		return nil, err
	}
	args := []string{
		"--config-yaml", argument(bootstrap),
		"--service-cluster", w.ambassador, "--service-node", "$(POD_NAME).$(POD_NAMESPACE)", "--service-zone", "$(POD_ZONE)",
		"--log-level", w.logLevel, "--concurrency", strconv.Itoa(w.concurrency), "--drain-time-s", strconv.Itoa(int(w.drain.Seconds())),
	}
	for _, name := range w.require {
		args = append(args, "--require", name)
	}
	mounts := []any{}
	if w.cache {
		args = append(args, "--config-cache", cacheDirectory)
		mounts = append(mounts, object{"name": cacheVolume, "mountPath": cacheDirectory})
	}
	if w.native {
		args = append(args, "--app-gone-on-sigterm") // the kubelet ends it last
	} else {
		args = append(args, "--exit-file", ExitFile, "--exit-socket", ExitSocket)
		if w.wait > 0 {
			args = append(args, "--wait-for-app-s", strconv.Itoa(int(w.wait.Seconds())))
		}
		mounts = append(mounts, object{"name": runVolume, "mountPath": runDirectory})
	}
	c := object{
		"name": Container, "image": w.image, "args": append(args, w.args...), "env": environment(w),
		"resources": resources(w), "volumeMounts": mounts,
		"securityContext": object{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
			"capabilities": object{"drop": []string{"ALL"}}, "seccompProfile": object{"type": "RuntimeDefault"},
		},
		// The admin server is on localhost, where the kubelet does not come: the program asks it.
		"startupProbe": object{
			"exec":          object{"command": []string{"/attache", "ready", "--admin", adminAddress(w)}},
			"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": int(w.startup.Seconds()),
		},
		"terminationMessagePolicy": "FallbackToLogsOnError",
	}
	if s.PullPolicy != "" {
		c["imagePullPolicy"] = s.PullPolicy
	}
	if w.native {
		c["restartPolicy"] = "Always"
	}
	if w.metricsPort > 0 {
		c["ports"] = []any{object{"name": MetricsPort, "containerPort": w.metricsPort}}
	}
	return c, nil
}

func adminAddress(w *wishes) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(w.adminPort)) }

// environment says who the pod is: what is known only when it runs.
func environment(w *wishes) []any {
	field := func(name, path string) object {
		return object{"name": name, "valueFrom": object{"fieldRef": object{"fieldPath": path}}}
	}
	env := []any{
		field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
		// Kubernetes copies it from the node, 1.35 and later; empty before.
		field("POD_ZONE", "metadata.labels['topology.kubernetes.io/zone']"),
	}
	if w.metricsPort > 0 {
		env = append(env, field("POD_IP", "status.podIP"))
	}
	if limit := bytesOf(w.memoryLimit); limit > 0 {
		env = append(env, object{"name": "GOMEMLIMIT", "value": strconv.FormatInt(limit/100*85, 10)})
	}
	return env
}

func resources(w *wishes) object {
	list := func(cpu, memory string) object {
		l := object{}
		if cpu != "" {
			l["cpu"] = cpu
		}
		if memory != "" {
			l["memory"] = memory
		}
		return l
	}
	r := object{"requests": list(w.cpuRequest, w.memoryRequest)}
	if limits := list(w.cpuLimit, w.memoryLimit); len(limits) > 0 {
		r["limits"] = limits
	}
	return r
}

// bytesOf is a quantity of bytes that has the form of quantity; 0 if there is none.
func bytesOf(quantity string) int64 {
	digits := strings.TrimRight(quantity, "KMGikm")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0
	}
	switch quantity[len(digits):] {
	case "m":
		n /= 1000
	case "k":
		n *= 1e3
	case "M":
		n *= 1e6
	case "G":
		n *= 1e9
	case "Ki":
		n *= 1 << 10
	case "Mi":
		n *= 1 << 20
	case "Gi":
		n *= 1 << 30
	}
	return int64(n)
}

// bootstrap is all that the sidecar has to know: who it is and where the control
// plane is. Its ports come from there.
func (p *pod) bootstrap(w *wishes, s *Settings) object {
	host, port, _ := strings.Cut(s.ControlPlane, ":") // checked
	portNumber, _ := strconv.Atoi(port)
	discovery := "STRICT_DNS"
	if _, err := netip.ParseAddr(host); err == nil {
		discovery = "STATIC"
	}
	const http2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	control := object{
		"name": "attache-control", "type": discovery, "connect_timeout": "2s",
		"typed_extension_protocol_options": object{http2: object{
			"@type":                "type.googleapis.com/" + http2,
			"explicit_http_config": object{"http2_protocol_options": object{"connection_keepalive": object{"interval": "30s", "timeout": "5s"}}},
		}},
		"load_assignment": object{"cluster_name": "attache-control", "endpoints": []any{object{"lb_endpoints": []any{
			object{"endpoint": object{"address": socketAddress(host, portNumber)}},
		}}}},
	}
	if s.TLS != nil {
		control["transport_socket"] = transportSocket(s.TLS, host)
	}
	metadata := object{"namespace": p.Metadata.Namespace}
	if len(p.Metadata.Labels) > 0 {
		metadata["labels"] = p.Metadata.Labels
	}
	ads := object{"ads": object{}, "resource_api_version": "V3"}
	static := object{"clusters": []any{control}}
	if w.metricsPort > 0 {
		static["clusters"] = []any{control, w.adminCluster()}
		static["listeners"] = []any{w.metricsListener()}
	}
	return object{
		"node":  object{"metadata": metadata},
		"admin": object{"address": socketAddress("127.0.0.1", w.adminPort)},
		"dynamic_resources": object{
			"ads_config": object{
				"api_type": "DELTA_GRPC", "transport_api_version": "V3",
				"grpc_services": []any{object{"envoy_grpc": object{"cluster_name": "attache-control"}}},
			},
			"lds_config": ads, "cds_config": ads,
		},
		"static_resources": static,
	}
}

func socketAddress(host string, port int) object {
	return object{"socket_address": object{"address": host, "port_value": port}}
}

// transportSocket secures the way to the control plane: its certificate must be
// of the CA and carry the name.
func transportSocket(t *TLS, host string) object {
	name := t.ServerName
	if name == "" {
		name = host
	}
	const tls = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
	return object{"name": "envoy.transport_sockets.tls", "typed_config": object{
		"@type": "type.googleapis.com/" + tls, "sni": name,
		"common_tls_context": object{"validation_context": object{
			"trusted_ca": object{"inline_string": t.CA},
			"match_typed_subject_alt_names": []any{object{
				"san_type": "DNS", "matcher": object{"exact": name},
			}},
		}},
	}}
}
