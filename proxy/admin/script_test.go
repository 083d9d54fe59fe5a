package admin

// testdata/*.txt: a request (without the end of its head), a line of dashes, and
// what came back: status and headers, body, and behind ">" what the composition
// was told. "====" stands between requests. A request without a Host line gets
// one; -update writes the answers.

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attache-mesh/attache/proxy/config"
)

var update = flag.Bool("update", false, "rewrite testdata")

// start serves v on loopback until the test ends.
func start(t *testing.T, addr config.Address, v Views) *Server {
	t.Helper()
	s, err := Listen(addr, v, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return started.Add(90*time.Minute + time.Millisecond) }
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func loopback() config.Address {
	return config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")}
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, views := newFake()
	s := start(t, loopback(), views)
	var got []string
	for scene := range strings.SplitSeq(string(doc), "\n====\n") {
		request, _, _ := strings.Cut(scene, "\n----\n")
		request = strings.TrimSuffix(request, "\n----")
		answer := ask(t, s.Addr(), request)
		for _, call := range f.take() {
			answer = strings.TrimSuffix(answer, "\n") + "\n> " + call
		}
		got = append(got, request+"\n----\n"+strings.TrimSuffix(answer, "\n"))
	}
	all := strings.Join(got, "\n====\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(all), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(doc), all); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// ask sends a request and gives the answer without what changes by itself.
func ask(t *testing.T, addr net.Addr, request string) string {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	lines := strings.Split(request, "\n")
	if !strings.HasSuffix(lines[0], " HTTP/1.0") {
		lines[0] += " HTTP/1.1"
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Host:") }) {
			lines = append(lines, "Host: 127.0.0.1:9901")
		}
	}
	lines = append(lines, "Connection: close", "", "")
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, c)
}

func readAnswer(t *testing.T, c net.Conn) string {
	t.Helper()
	r := bufio.NewReader(c)
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("answer ends in its head after %q: %v", b.String(), err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if name, _, _ := strings.Cut(line, ":"); !slices.Contains([]string{"Date", "Server", "Content-Length", "Connection"}, name) {
			fmt.Fprintln(&b, strings.TrimPrefix(line, "HTTP/1.1 "))
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n")
	b.Write(body)
	return b.String()
}
