package conformance

// What init containers do before the application starts.

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInitFetch: a file, or the program itself, is in its place whole, and nothing else is.
func TestInitFetch(t *testing.T) {
	from, to := write(t, "a: b\n"), t.TempDir()
	if err := os.Chmod(from, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{from, to + "/bootstrap.yaml"}, {from, to}, {"--program", to}, {"--program", to}} {
		if code, said := attache(t, append([]string{"init", "fetch"}, args...)...); code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, said)
		}
	}
	for _, name := range []string{"bootstrap.yaml", filepath.Base(from)} {
		text, err := os.ReadFile(filepath.Join(to, name))
		info, _ := os.Stat(filepath.Join(to, name))
		if err != nil || string(text) != "a: b\n" || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %q, %v, %v", name, text, info.Mode(), err)
		}
	}
	p := launch(t, filepath.Join(to, filepath.Base(program(t, "./cmd/attache"))), "--version")
	if code := p.code(10 * time.Second); code != 0 {
		t.Errorf("the copy of the program: exit code %d", code)
	}
	if left, _ := os.ReadDir(to); len(left) != 3 {
		t.Errorf("in the volume: %v", left)
	}
	for _, args := range [][]string{{}, {from}, {from, to + "/no/such/place"}, {to, to + "/x"}, {"--program"}} {
		if code, said := attache(t, append([]string{"init", "fetch"}, args...)...); code == 0 {
			t.Errorf("%v: exit code 0: %s", args, said)
		}
	}
}

// TestInitWait: it ends when each cluster has answered, and says until then what it waits
// for; it listens nowhere.
func TestInitWait(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // where the configuration listens
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	web := freeAddr(t)
	config := write(t, httpConfig(taken.Addr().String(), socketAddress(taken.Addr().String()), web))
	for _, args := range [][]string{{"web"}, {"nobody"}, {}} {
		code, said := attache(t, append([]string{"init", "wait", "-c", config, "--deadline", "300ms"}, args...)...)
		if code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		if len(args) > 0 {
			mustHave(t, said, "the deadline has passed", "cluster "+args[0])
		}
	}
	p := launch(t, program(t, "./cmd/attache"), "init", "wait", "-c", config, "--progress", "50ms", "web")
	until(t, "it says what it waits for", func() bool {
		return strings.Contains(p.said.String(), "waits for cluster web: "+web+": cannot be asked")
	})
	l, err := net.Listen("tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	if code := p.code(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	mustHave(t, p.said.String(), "done after")
}

// TestInitWarm: a sidecar whose config cache was warmed serves without a control plane.
func TestInitWarm(t *testing.T) {
	web, cache := freeAddr(t), t.TempDir()
	p := startPair(t, fmt.Sprintf("services: {web: [{id: a, address: %q}]}", named(t, "a")), fmt.Sprintf(
		`ambassadors: [{name: shop, ports: [{name: web, port: %s, protocol: http, service: "file://web"}]}]`, port(web)))
	bootstrap := write(t, ways[1].bootstrap(p.admin, p.control))
	for range 2 { // what was warmed before is no answer
		if code, said := attache(t, "init", "warm", "-c", bootstrap, "--config-cache", cache); code != 0 {
			t.Fatalf("exit code %d: %s", code, said)
		}
	}
	if err := p.plane.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.plane.exited
	code, said := attache(t, "init", "warm", "-c", bootstrap, "--config-cache", cache, "--deadline", "300ms")
	if code != 1 {
		t.Errorf("without a control plane: exit code %d", code)
	}
	mustHave(t, said, "nothing has come from the control plane")
	p.startSidecar(web, "--config-cache", cache)
	if got := asked("http://" + web + "/"); got != "a" {
		t.Errorf("from the cache: %q", got)
	}
}
