package admin

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
)

func TestUnixSocketAnswersWhateverHost(t *testing.T) {
	_, v := newFake()
	path := filepath.Join(t.TempDir(), "admin.sock")
	if stale, err := net.Listen("unix", path); err != nil {
		t.Fatal(err)
	} else {
		stale.(*net.UnixListener).SetUnlinkOnClose(false)
		stale.Close()
	}
	s := start(t, config.Address{Path: path, Mode: 0o600}, v)
	if got := ask(t, s.Addr(), "GET /ready\nHost: anything.example"); !strings.HasPrefix(got, "200 OK\n") {
		t.Errorf("got %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestAbstractSocket(t *testing.T) {
	_, v := newFake()
	s := start(t, config.Address{Path: "@attache-admin-test-" + filepath.Base(t.TempDir()) + time.Now().Format("150405.000000")}, v)
	if got := ask(t, s.Addr(), "GET /ready"); !strings.HasPrefix(got, "200 OK\n") {
		t.Errorf("got %s", got)
	}
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, v := newFake()
	_, err := Listen(config.Address{Path: path}, v, slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "admin address "+path+": ") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestListenNamesTheAddressThatIsTaken(t *testing.T) {
	_, v := newFake()
	s := start(t, loopback(), v)
	taken := config.Address{IP: netip.MustParseAddrPort(s.Addr().String())}
	if _, err := Listen(taken, v, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func TestConfiguredNameIsKnown(t *testing.T) {
	g := newGuard(config.Address{Host: "Admin.Internal", Port: 9901})
	for host, want := range map[string]bool{
		"admin.internal:9901": true, "ADMIN.INTERNAL": true, "localhost:1": true, "[::1]:80": true, "[fe80::1]": true,
		"10.0.0.1": true, "127.0.0.1.nip.example": false, "localhost.example": false, "x.localhost": false, "": true, "127.1": false, ":": false,
	} {
		if got := g.knows(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
	if (guard{}).knows("x") {
		t.Error("a server without a name answers to one")
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	_, v := newFake()
	v.Stats = func() []stats.Row { panic("boom") }
	s := start(t, loopback(), v)
	if got := ask(t, s.Addr(), "GET /stats"); !strings.HasPrefix(got, "500 ") || strings.Contains(got, "boom") {
		t.Errorf("got %s", got)
	}
	if got := ask(t, s.Addr(), "GET /ready"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("got %s", got)
	}
}

// The answer to /quitquitquit arrives although Quit leads to Close at once.
func TestQuitIsAnswered(t *testing.T) {
	f, v := newFake()
	var s *Server
	closed := make(chan error, 1)
	v.Quit = func() { go func() { closed <- s.Close() }() }
	s, err := Listen(loopback(), v, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	if got := ask(t, s.Addr(), "POST /quitquitquit"); !strings.HasSuffix(got, "\nOK\n") {
		t.Errorf("got %s", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("it still listens")
	}
	if calls := f.take(); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

func TestCloseWithoutServe(t *testing.T) {
	_, v := newFake()
	s, err := Listen(loopback(), v, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestBigRequestsAreRefused(t *testing.T) {
	_, v := newFake()
	s := start(t, loopback(), v)
	head := "GET /ready HTTP/1.1\r\nX: "
	for name, tt := range map[string]struct{ request, want string }{
		// Exactly what is read: a byte more and the answer is lost in a reset.
		"head":   {head + strings.Repeat("x", maxHead-len(head)), "431 Request Header Fields Too Large\n"},
		"body":   {"POST /logging HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4097\r\n\r\n", "413 Request Entity Too Large\n"},
		"filter": {"GET /stats?filter=" + strings.Repeat("x", maxFilter+1) + " HTTP/1.0\r\n\r\n", "400 Bad Request\n"},
		"noise":  {"\x16\x03\x01\x02\x00\r\n\r\n", "400 Bad Request\n"},
	} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte(tt.request)); err != nil {
			t.Fatal(err)
		}
		if got := readAnswer(t, c); !strings.HasPrefix(got, tt.want) || !strings.Contains(got, "nosniff") {
			t.Errorf("%s: got %.300s", name, got)
		}
		c.Close()
	}
}

func TestMemoryAddsUp(t *testing.T) {
	_, v := newFake()
	s := start(t, loopback(), v)
	_, body, _ := strings.Cut(ask(t, s.Addr(), "GET /memory"), "\n\n")
	var m map[string]string
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err, body)
	}
	n := func(name string) uint64 {
		v, err := strconv.ParseUint(m[name], 10, 64)
		if err != nil {
			t.Error(err)
		}
		return v
	}
	if a, h := n("allocated"), n("heap_size"); a == 0 || h < a+n("pageheap_free")+n("pageheap_unmapped") || n("total_physical_bytes") < a {
		t.Errorf("%v", m)
	}
}
