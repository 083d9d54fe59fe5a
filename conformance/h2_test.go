package conformance

// HTTP/2 as others know it: h2spec, and what the tests of HTTP/2 and gRPC start.

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// h2Config forwards HTTP/1.1 and HTTP/2 without TLS from listen to upstream, over HTTP/2 or HTTP/1.1. Bodies and
// streams may last.
func h2Config(admin, listen, upstream string, upstreamH2 bool) string {
	text := httpConfig(admin, socketAddress(listen), upstream)
	text = strings.Replace(text, "          stat_prefix: web\n", "          stat_prefix: web\n          codec_type: AUTO\n          http2_protocol_options: {allow_connect: true}\n          http_protocol_options: {enable_trailers: true}\n", 1)
	text = strings.Replace(text, "route: {cluster: web}", "route: {cluster: web, timeout: 0s}", 1)
	options := "explicit_http_config: {http_protocol_options: {enable_trailers: true}}"
	if upstreamH2 {
		options = "explicit_http_config: {http2_protocol_options: {allow_connect: true}}"
	}
	return text + `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        ` + options + "\n"
}

// startH2 is a running attache before upstream; changes are pairs of what to replace in its configuration.
func startH2(t *testing.T, upstream string, upstreamH2 bool, changes ...string) *sidecar {
	t.Helper()
	s := &sidecar{admin: freeAddr(t), web: freeAddr(t)}
	config := strings.NewReplacer(changes...).Replace(h2Config(s.admin, s.web, upstream, upstreamH2))
	s.process = launch(t, program(t, "./cmd/attache"), "-c", write(t, config))
	s.serving("tcp", s.web)
	return s
}

// withTLS are changes of startH2 that put TLS before the listener: for "localhost", h2 by ALPN. ca is a file.
func withTLS(t *testing.T) (ca string, changes []string) {
	t.Helper()
	s := newSigner(t)
	chain, key := s.issue("localhost")
	socket := fmt.Sprintf(`    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}]
      filters:
`, chain, key)
	return write(t, s.pem), []string{"    filter_chains:\n    - filters:\n", socket}
}

// startUpstream serves HTTP/1.1 and HTTP/2 without TLS until the test ends; its address.
func startUpstream(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	server.Config.Protocols = &both
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// h2Client speaks HTTP/2 without TLS and nothing else, or HTTP/1.1 and nothing else.
func h2Client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	var one http.Protocols
	one.SetHTTP1(!h2)
	one.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: &one, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// h2spec gives the path of the program, which is a module of its own.
func h2spec(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-o", path, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = "tools/h2spec"
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, text)
	}
	return path
}

// TestH2Spec runs h2spec's strict cases, on a listener that speaks HTTP/2 alone: where HTTP/1.1 is spoken too, what
// does not begin as HTTP/2 is answered in HTTP/1.1. Two seconds, its measure of an answer that does not come, are
// little on a busy machine.
func TestH2Spec(t *testing.T) {
	h2spec := h2spec(t)
	for _, c := range []struct {
		name            string
		tls, upstreamH2 bool
	}{{"to HTTP/1.1", false, false}, {"to HTTP/2.0", false, true}, {"TLS to HTTP/1.1", true, false}, {"TLS to HTTP/2.0", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changes, args := []string{"codec_type: AUTO", "codec_type: HTTP2"}, []string{"--strict", "-o", "3"}
			if c.tls {
				_, socket := withTLS(t)
				changes, args = append(changes, socket...), append(args, "--tls", "--insecure", "--host", "localhost")
			}
			host := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // an answer before the end of a request would hide what is wrong with that
				_, _ = io.WriteString(w, "hello")
			}))
			s := startH2(t, host, c.upstreamH2, changes...)
			_, port, _ := net.SplitHostPort(s.web)
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			text, err := exec.CommandContext(ctx, h2spec, append(args, "-p", port)...).CombinedOutput()
			if err != nil {
				said := string(text)
				if at := strings.Index(said, "Failures:"); at >= 0 {
					said = said[at:]
				}
				t.Errorf("%v\n%s", err, said)
			}
			mustHave(t, string(text), "146 tests, 146 passed, 0 skipped, 0 failed")
		})
	}
}
