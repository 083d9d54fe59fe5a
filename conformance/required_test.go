package conformance

// Ready means that what is required has answered.

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestRequired: /ready and attache ready say what is waited for, until each required
// cluster has answered in its own words; what only accepts connections has not.
func TestRequired(t *testing.T) {
	web, cache, deaf := freeAddr(t), freeAddr(t), freeAddr(t)
	s := &sidecar{admin: freeAddr(t), web: freeAddr(t)}
	config := strings.Replace(httpConfig(s.admin, socketAddress(s.web), web), "  clusters:\n", fmt.Sprintf(`  - name: cache
    address: {%s}
    filter_chains:
    - filters:
      - name: attache.filters.network.memcached_proxy
        typed_config:
          "@type": type.googleapis.com/attache.filters.network.memcached_proxy.v1.MemcachedProxy
          stat_prefix: cache
          prefix_routes: {catch_all_route: {cluster: cache}}
  clusters:
  - name: cache
    metadata: {filter_metadata: {attache: {required: true}}}
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: cache
      endpoints: [{lb_endpoints: [{endpoint: {address: {%s}}}, {endpoint: {address: {%s}}}]}]
`, socketAddress(freeAddr(t)), socketAddress(deaf), socketAddress(cache)), 1)
	s.process = launch(t, program(t, "./cmd/attache"), "-c", write(t, config), "--require", "web")
	s.serving("tcp", s.web)
	l, err := net.Listen("tcp", deaf) // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	until(t, "it says why", func() bool {
		code, text := s.ask("GET", "/ready")
		return code == 503 && strings.HasPrefix(text, "INITIALIZING\n") && strings.Contains(text, "waits for cluster web: "+web+": cannot be asked") && strings.Contains(text, "waits for cluster cache: ")
	})
	code, said := attache(t, "ready", "--admin", s.admin)
	if code != 1 {
		t.Errorf("attache ready: exit code %d", code)
	}
	mustHave(t, said, "waits for cluster web")
	if life := s.life(); life.State != "starting" || len(life.WaitsFor) != 2 {
		t.Errorf("/lifecycle: %+v", life)
	}

	backend, err := net.Listen("tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()} // an answer is an answer
	go func() { _ = server.Serve(backend) }()
	t.Cleanup(func() { server.Close() })
	until(t, "web has answered", func() bool {
		_, text := s.ask("GET", "/ready")
		return !strings.Contains(text, "cluster web") && strings.Contains(text, "cluster cache")
	})
	_, port, _ := net.SplitHostPort(cache)
	argv := []string{"memcached", "-t", "1", "-U", "0", "-l", "127.0.0.1", "-p", port}
	if os.Geteuid() == 0 {
		argv = append(argv, "-u", "root")
	}
	launch(t, argv...)
	until(t, "it is ready", func() bool {
		code, text := s.ask("GET", "/ready")
		return code == 200 && text == "LIVE\n"
	})
	if code, said := attache(t, "ready", "--admin", s.admin); code != 0 {
		t.Errorf("attache ready: exit code %d: %s", code, said)
	}
}
