package conformance

// What does the command line promise: exit codes, problems by path, signals, the admin server, the sockets it can serve?

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const inOrder = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources: {}
`

const outOfOrder = `static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 70000}}
  clusters:
  - name: cache
    type: STATIC
    lb_polcy: RING_HASH
`

func TestCommandLine(t *testing.T) {
	good, bad := write(t, fmt.Sprintf(inOrder, 0)), write(t, outOfOrder)
	problems := []string{"static_resources.listeners[0].address.socket_address.port_value", "static_resources.clusters[0].lb_polcy", "static_resources.listeners[0].filter_chains", "3 problem(s)"}
	for _, test := range []struct {
		name string
		args []string
		code int
		said []string
	}{
		{"validate, in order", []string{"validate", "-c", good}, 0, []string{"configuration '" + good + "' OK"}},
		{"validate, every problem", []string{"validate", "-c", bad}, 1, problems},
		{"mode validate, in order", []string{"--mode", "validate", "-c", good}, 0, []string{"OK"}},
		{"mode validate, every problem", []string{"--mode", "validate", "-c", bad}, 1, problems},
		{"serve, every problem", []string{"-c", bad}, 1, append(problems, "nothing was started")},
		{"no such file", []string{"-c", filepath.Join(t.TempDir(), "absent.yaml")}, 1, []string{"absent.yaml"}},
		{"unknown flag", []string{"--no-such-flag"}, 2, []string{"no-such-flag", "attache --help"}},
		{"unknown mode", []string{"--mode", "guess", "-c", good}, 2, []string{"--mode", "guess"}},
		{"no configuration", nil, 2, []string{"-c FILE"}},
		{"version", []string{"--version"}, 0, []string{"attache "}},
		{"help", []string{"--help"}, 0, []string{"--concurrency", "--drain-time-s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, said := attache(t, test.args...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			mustHave(t, said, test.said...)
		})
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for name, config := range map[string]string{
		"admin":    fmt.Sprintf(inOrder, taken.Addr().(*net.TCPAddr).Port),
		"listener": httpConfig(freeAddr(t), socketAddress(addr), "127.0.0.1:1"),
	} {
		t.Run(name, func(t *testing.T) {
			code, said := attache(t, "-c", write(t, config))
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			mustHave(t, said, addr)
		})
	}
}

// socketAddress and pipe are addresses as a bootstrap has them.
func socketAddress(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return fmt.Sprintf("socket_address: {address: %s, port_value: %s}", host, port)
}

func pipe(path string) string { return fmt.Sprintf("pipe: {path: %q, mode: 384}", path) }

// httpConfig forwards all HTTP that comes to listen.
func httpConfig(admin, listen, upstream string) string {
	return fmt.Sprintf(`admin: {address: {%s}}
static_resources:
  listeners:
  - name: web
    address: {%s}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: web
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: web
      endpoints: [{lb_endpoints: [{endpoint: {address: {%s}}}]}]
`, socketAddress(admin), listen, socketAddress(upstream))
}

// sidecar is a running attache before a real HTTP server that says hello.
type sidecar struct {
	*process
	admin, web string
}

func startSidecar(t *testing.T, args ...string) *sidecar {
	t.Helper()
	s := &sidecar{admin: freeAddr(t), web: freeAddr(t)}
	s.process = launch(t, append([]string{program(t, "./cmd/attache"), "-c", write(t, httpConfig(s.admin, socketAddress(s.web), hello(t)))}, args...)...)
	s.serving("tcp", s.web)
	return s
}

func hello(t *testing.T) (addr string) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(upstream.Close)
	return upstream.Listener.Addr().String()
}

// ask gives status and body of an admin page.
func (s *sidecar) ask(method, path string, header ...string) (int, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, "http://"+s.admin+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	text, err := body(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, text
}

// TestTerminateUnderLoad: SIGTERM harms nobody who honours Connection: close.
func TestTerminateUnderLoad(t *testing.T) {
	s := startSidecar(t, "--drain-time-s", "2")
	load := &traffic{url: "http://" + s.web}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	load.start(ctx)
	until(t, "100 answers", func() bool { return load.answers.Load() >= 100 })
	if code, text := s.ask("GET", "/ready"); code != 200 || text != "LIVE\n" {
		t.Errorf("/ready: %d %q", code, text)
	}

	s.signal(syscall.SIGTERM)
	until(t, "/ready says DRAINING", func() bool {
		code, text := s.ask("GET", "/ready")
		return code == 503 && text == "DRAINING\n"
	})
	// The application stops when it likes within the drain time; listeners accept until its end.
	before := load.answers.Load()
	until(t, "200 answers while draining", func() bool { return load.answers.Load() >= before+200 })
	stop()
	load.workers.Wait()
	if code := s.code(2*2*time.Second + time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &s.said)
	}
	if fault := load.fault.Load(); fault != nil {
		t.Errorf("after %d answers: %v", load.answers.Load(), *fault)
	}
	if load.closes.Load() == 0 {
		t.Error("no answer said Connection: close")
	}
}

// traffic is 200 requests a second on keep-alive connections.
type traffic struct {
	url             string
	workers         sync.WaitGroup
	answers, closes atomic.Int64
	fault           atomic.Pointer[error]
}

func (l *traffic) start(ctx context.Context) {
	for range 4 {
		l.workers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for tick := time.Tick(20 * time.Millisecond); ctx.Err() == nil; <-tick {
				if err := l.once(client); err != nil {
					l.fault.CompareAndSwap(nil, &err)
				}
			}
		})
	}
}

// once sends a POST: net/http would send a GET again that failed on an old connection, and hide the fault.
func (l *traffic) once(client *http.Client) error {
	resp, err := client.Post(l.url, "text/plain", strings.NewReader("x"))
	if err != nil {
		return err
	}
	if resp.Close {
		l.closes.Add(1)
	}
	text, err := body(resp.Body)
	if err == nil && (resp.StatusCode != 200 || text != "hello") {
		err = fmt.Errorf("%s: %q", resp.Status, text)
	}
	l.answers.Add(1)
	return err
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := startSidecar(t, "--drain-time-s", "600")
	s.signal(syscall.SIGTERM)
	until(t, "/ready says DRAINING", func() bool {
		_, text := s.ask("GET", "/ready")
		return text == "DRAINING\n"
	})
	s.signal(syscall.SIGTERM)
	if code := s.code(5 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &s.said)
	}
}

// TestAdminRules: what changes something is a POST, and not from a web page; the host is ours.
func TestAdminRules(t *testing.T) {
	s := startSidecar(t)
	until(t, "it is ready, a moment after its listener", func() bool { code, _ := s.ask("GET", "/ready"); return code == 200 })
	for _, test := range []struct {
		method, path string
		header       []string
		code         int
	}{
		{"GET", "/stats", nil, 200},
		{"GET", "/clusters", nil, 200},
		{"GET", "/config_dump", nil, 200},
		{"GET", "/no_such_page", nil, 404},
		{"GET", "/healthcheck/fail", nil, 405},
		{"GET", "/quitquitquit", nil, 405},
		{"GET", "/drain_listeners", nil, 405},
		{"GET", "/stats", []string{"Host", "evil.example"}, 403},
		{"POST", "/healthcheck/fail", []string{"Origin", "http://evil.example"}, 403},
		{"GET", "/ready", nil, 200},
		{"POST", "/healthcheck/fail", nil, 200},
		{"GET", "/ready", nil, 503},
		{"POST", "/healthcheck/ok", nil, 200},
		{"GET", "/ready", nil, 200},
		{"POST", "/quitquitquit", nil, 200},
	} {
		if code, text := s.ask(test.method, test.path, test.header...); code != test.code {
			t.Errorf("%s %s %v: %d, want %d: %.200s", test.method, test.path, test.header, code, test.code, text)
		}
	}
	if code := s.code(5 * time.Second); code != 0 {
		t.Errorf("after /quitquitquit exit code %d:\n%s", code, &s.said)
	}
}

// TestUnixListeners: HTTP on a socket in the file system, and on one in the abstract namespace.
func TestUnixListeners(t *testing.T) {
	for name, path := range map[string]string{
		"pipe":     filepath.Join(t.TempDir(), "web.sock"),
		"abstract": "@attache-" + filepath.Base(t.TempDir()) + freeAddr(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, program(t, "./cmd/attache"), "-c", write(t, httpConfig(freeAddr(t), pipe(path), hello(t))))
			s.serving("unix", path)
			if info, err := os.Stat(path); name == "pipe" && (err != nil || info.Mode().Perm() != 0o600) {
				t.Errorf("the socket is %v, %v", info.Mode(), err)
			}
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}
			client := &http.Client{Transport: &http.Transport{DialContext: dial}}
			defer client.CloseIdleConnections()
			load := &traffic{url: "http://localhost/"}
			for range 3 {
				if err := load.once(client); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
