package conformance

// grpc-go's interoperability suite: its client through attache to its server.

import (
	"net"
	"testing"
	"time"
)

// interopCases are all that need no credentials of a cloud, but three that grpc-go's client does not pass with
// grpc-go's server alone: pick_first_unary (the server gives no id) and the two of ORCA.
var interopCases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
	"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
	"rpc_soak", "channel_soak",
}

func TestGRPCInterop(t *testing.T) {
	interop(t, false)
}

func TestGRPCInteropTLS(t *testing.T) {
	interop(t, true)
}

func interop(t *testing.T, tls bool) {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	server := launch(t, program(t, "google.golang.org/grpc/interop/server"), "-port", port)
	server.serving("tcp", addr)
	var changes, args []string
	if tls {
		var ca string
		ca, changes = withTLS(t)
		args = []string{"-use_tls", "-use_test_ca", "-ca_file", ca, "-server_host_override", "localhost"}
	}
	s := startH2(t, addr, true, changes...)
	_, through, _ := net.SplitHostPort(s.web)
	client := program(t, "google.golang.org/grpc/interop/client")
	for _, name := range interopCases {
		t.Run(name, func(t *testing.T) {
			p := launch(t, append([]string{
				client, "-server_host", "127.0.0.1", "-server_port", through, "-test_case", name,
				"-soak_iterations", "50", "-soak_per_iteration_max_acceptable_latency_ms", "5000",
			}, args...)...)
			if code := p.code(time.Minute); code != 0 {
				t.Errorf("exit code %d: %s", code, &p.said)
			}
		})
	}
}
