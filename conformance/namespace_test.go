package conformance

// Listeners in network namespaces, and connections to hosts that are made in one: the
// program in real ones.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// inNamespace is socketAddress in a network namespace.
func inNamespace(addr, namespace string) string {
	return strings.TrimSuffix(socketAddress(addr), "}") + fmt.Sprintf(", network_namespace_filepath: %q}", namespace)
}

// saying is a filter chain that answers with its name.
func saying(name string) string {
	return fmt.Sprintf(`
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: %[1]s
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %[1]s}}}]}]}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`, name)
}

// ask sends a request over a new connection and gives the body of the answer.
func ask(c net.Conn, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	return body(resp.Body)
}

// spaces is a program with one address in three networks, restarted at will.
type spaces struct {
	*testing.T
	admin, web string
	lds, boot  string
	name       string
	epoch      int
	now        *process
}

// listeners writes the program's listeners: web in two namespaces and in the program's own.
func (s *spaces) listeners(dev, prod string) {
	s.Helper()
	text := fmt.Sprintf(`resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: spaces
  address: {%s}
  additional_addresses: [{address: {%s}}, {address: {%s}}]
  filter_chain_matcher:
    matcher_tree:
      input: {name: in, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput}}
      exact_match_map:
        map:
          %q: {action: {name: to, typed_config: {"@type": type.googleapis.com/google.protobuf.StringValue, value: dev}}}
          %q: {action: {name: to, typed_config: {"@type": type.googleapis.com/google.protobuf.StringValue, value: prod}}}
  filter_chains:
  - name: dev
    filters:%s
  - name: prod
    filters:%s
  default_filter_chain:
    filters:%s
`, inNamespace(s.web, dev), inNamespace(s.web, prod), socketAddress(s.web), dev, prod, saying("dev"), saying("prod"), saying("own"))
	next := s.lds + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(next, s.lds); err != nil {
		s.Fatal(err)
	}
}

// start runs the next epoch and waits until it has taken over.
func (s *spaces) start() {
	s.Helper()
	epoch := strconv.Itoa(s.epoch)
	s.now = launch(s.T, program(s.T, "./cmd/attache"), "-c", s.boot, "--concurrency", "2", "--drain-time-s", "1", "--parent-shutdown-time-s", "2",
		"--restart-epoch", epoch, "--socket-path", s.name)
	until(s.T, "epoch "+epoch+" serves", func() bool {
		select {
		case <-s.now.exited:
			s.Fatalf("epoch %s ended: %s", epoch, &s.now.said)
		default:
		}
		resp, err := http.Get("http://" + s.admin + "/stats?filter=^server.hot_restart_epoch$")
		if err != nil {
			return false
		}
		text, _ := body(resp.Body)
		if strings.TrimSpace(text) != "server.hot_restart_epoch: "+epoch {
			return false
		}
		resp, err = http.Get("http://" + s.admin + "/ready")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	s.epoch++
}

// page is one of the admin server's.
func (s *spaces) page(path string) string {
	s.Helper()
	resp, err := http.Get("http://" + s.admin + path)
	if err != nil {
		s.Fatal(err)
	}
	text, err := body(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// TestNetworkNamespaces: one address in three networks, each with its own filter chain;
// an update of LDS moves it, a hot restart hands it on, and nobody in a namespace that stays
// is refused meanwhile.
func TestNetworkNamespaces(t *testing.T) {
	dir := t.TempDir()
	dev, prod, other := nstest.New(t), nstest.New(t), nstest.New(t)
	s := &spaces{T: t, admin: freeAddr(t), web: freeAddr(t), lds: filepath.Join(dir, "lds.yaml")}
	s.name = "@attache-test-" + strconv.Itoa(os.Getpid()) + "-" + s.web
	at := netip.MustParseAddrPort(s.web)
	there, err := nstest.Listen(prod)
	if err != nil {
		t.Fatal(err)
	}
	host := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a host in prod") })}
	go func() { _ = host.Serve(there) }()
	t.Cleanup(func() { host.Close() })
	front := freeAddr(t)
	static := strings.Replace(httpConfig(s.admin, socketAddress(front), there.Addr().String()), "    connect_timeout: 1s\n",
		"    connect_timeout: 1s\n    upstream_bind_config: {source_address: {"+strings.TrimSuffix(strings.TrimPrefix(inNamespace("127.0.0.1:0", prod), "socket_address: {"), "}")+"}}\n", 1)
	s.boot = write(t, static+fmt.Sprintf("dynamic_resources: {lds_config: {path_config_source: {path: %q}}}\nnode: {id: a, cluster: b}\n", s.lds))
	s.listeners(dev, prod)
	s.start()

	asks := func(want string, dial func() (net.Conn, error)) {
		t.Helper()
		for range 10 {
			if said, err := ask(dial()); said != want || err != nil {
				t.Errorf("%q, %v, want %q", said, err, want)
				return
			}
		}
	}
	in := func(namespace string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return nstest.Dial(namespace, at) }
	}
	own := func() (net.Conn, error) { return net.Dial("tcp", s.web) }
	everywhere := func(dev, prod string) {
		t.Helper()
		asks("dev", in(dev))
		asks("prod", in(prod))
		asks("own", own)
		asks("a host in prod", func() (net.Conn, error) { return net.Dial("tcp", front) })
	}
	everywhere(dev, prod)
	if c, err := nstest.Dial(other, at); err == nil {
		c.Close()
		t.Error("it listens in a namespace that it was not told of")
	}
	if got, want := strings.Count(s.page("/listeners"), "spaces::"+s.web+"\n"), 3; got != want {
		t.Errorf("/listeners has the address %d times, want %d:\n%s", got, want, s.page("/listeners"))
	}
	mustHave(t, s.page("/listeners?format=json"), fmt.Sprintf("%q: %q", "network_namespace_filepath", dev), fmt.Sprintf("%q: %q", "network_namespace_filepath", prod))
	mustHave(t, s.page("/config_dump"), fmt.Sprintf("%q: %q", "network_namespace_filepath", dev), "NetworkNamespaceInput")

	s.listeners(other, prod)
	until(t, "the listener moves", func() bool {
		said, err := ask(in(other)())
		return err == nil && said == "dev"
	})
	until(t, "nobody listens where it was", func() bool {
		c, err := nstest.Dial(dev, at)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	everywhere(other, prod)

	// Hot restarts: the sockets of every network are handed on.
	var answers, failed atomic.Int64
	var first atomic.Pointer[error]
	end := make(chan struct{})
	var clients sync.WaitGroup
	for want, dial := range map[string]func() (net.Conn, error){"dev": in(other), "prod": in(prod), "own": own} {
		clients.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				said, err := ask(dial())
				if answers.Add(1); err == nil && said == want {
					continue
				}
				failed.Add(1)
				if err == nil {
					err = fmt.Errorf("%q, want %q", said, want)
				}
				first.CompareAndSwap(nil, &err)
			}
		})
	}
	for range 2 {
		before, n := s.now, answers.Load()
		s.start()
		until(t, "300 answers", func() bool { return answers.Load() > n+300 })
		if before.code(10*time.Second) != 0 {
			t.Errorf("the process before ended badly: %s", &before.said)
		}
	}
	close(end)
	clients.Wait()
	t.Logf("%d requests through two hot restarts, %d failed", answers.Load(), failed.Load())
	if err := first.Load(); err != nil {
		t.Errorf("%d of %d requests failed, the first: %v", failed.Load(), answers.Load(), *err)
	}

	// Another namespace at the same path is another network: what was handed on is of the one
	// before, and not used.
	nstest.At(t, other)
	s.start()
	everywhere(other, prod)
}

// TestNoNetworkNamespace: a namespace that cannot be entered is an error that names it.
func TestNoNetworkNamespace(t *testing.T) {
	none, file := filepath.Join(t.TempDir(), "none"), write(t, "")
	for path, want := range map[string]string{none: "there is no such file", file: "not a network namespace"} {
		code, said := attache(t, "-c", write(t, httpConfig(freeAddr(t), inNamespace(freeAddr(t), path), "127.0.0.1:1")))
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		mustHave(t, said, "listener web", path, want)
	}
}
