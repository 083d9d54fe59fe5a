package conformance

// The program's life: what it does for the application and for others, in each state.

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// life is what /lifecycle says.
type life struct {
	State, Why, Deadline string
	WaitsFor             []string `json:"waits_for"`
	Before               []life
}

func (s *sidecar) life() (l life) {
	s.Helper()
	_, text := s.ask("GET", "/lifecycle")
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		s.Fatalf("%v: %s", err, text)
	}
	return l
}

// startTwoFaced has one listener for the application and one for others.
func startTwoFaced(t *testing.T, args ...string) (s *sidecar, inbound string) {
	t.Helper()
	s, inbound = &sidecar{admin: freeAddr(t), web: freeAddr(t)}, freeAddr(t)
	head, rest, _ := strings.Cut(httpConfig(s.admin, socketAddress(s.web), hello(t)), "  - name: web\n")
	listener, clusters, _ := strings.Cut(rest, "  clusters:\n")
	second := strings.Replace(listener, socketAddress(s.web), socketAddress(inbound), 1)
	config := head + "  - name: web\n    traffic_direction: OUTBOUND\n" + listener + "  - name: in\n    traffic_direction: INBOUND\n" + second + "  clusters:\n" + clusters
	s.process = launch(t, append([]string{program(t, "./cmd/attache"), "-c", write(t, config)}, args...)...)
	s.serving("tcp", s.web)
	s.serving("tcp", inbound)
	return s, inbound
}

func refuses(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// TestApplicationLast: after SIGTERM the application is served as before until it says
// that it has ended, on the socket that it was given for that; others are not.
func TestApplicationLast(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "exit.sock")
	s, inbound := startTwoFaced(t, "--exit-socket", socket, "--wait-for-app-s", "600")
	load := &traffic{url: "http://" + s.web}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	load.start(ctx)
	until(t, "20 answers", func() bool { return load.answers.Load() >= 20 })
	if l := s.life(); l.State != "ready" || len(l.Before) != 1 || l.Before[0].State != "starting" {
		t.Errorf("/lifecycle: %+v", l)
	}
	s.signal(syscall.SIGTERM)
	until(t, "others are refused", func() bool { return refuses(inbound) })
	before := load.answers.Load()
	until(t, "50 answers while draining", func() bool { return load.answers.Load() >= before+50 })
	l := s.life()
	if l.State != "draining" || !strings.Contains(l.Why, "terminated") || l.Deadline == "" || len(l.WaitsFor) != 1 || !strings.Contains(l.WaitsFor[0], "application") {
		t.Errorf("/lifecycle: %+v", l)
	}
	stop()
	load.workers.Wait()
	if fault := load.fault.Load(); fault != nil {
		t.Error(*fault)
	}
	if n := load.closes.Load(); n > 0 {
		t.Errorf("%d answers said Connection: close to an application that works on", n)
	}
	if code, said := attache(t, "exit", "--socket", socket); code != 0 {
		t.Errorf("attache exit: %d, %s", code, said)
	}
	if code := s.code(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	mustHave(t, s.said.String(), "the application has ended")
	if code, said := attache(t, "exit", "--socket", socket); code != 1 {
		t.Errorf("attache exit, of one that is gone: %d, %s", code, said)
	}
}

// TestExitSocket: an application that has done its work says so, and nobody else is waited for.
func TestExitSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "exit.sock")
	s := startSidecar(t, "--exit-socket", socket)
	if code, said := attache(t, "exit", "--socket", socket); code != 0 {
		t.Errorf("attache exit: %d, %s", code, said)
	}
	if code := s.code(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestAppGoneOnSignal: nobody waits for an application that is gone, and has left a
// connection behind.
func TestAppGoneOnSignal(t *testing.T) {
	s := startSidecar(t, "--app-gone-on-sigterm", "--drain-time-s", "600")
	left, err := net.Dial("tcp", s.web)
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	s.signal(syscall.SIGTERM)
	if code := s.code(5 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestDrainListeners: the shapes of Envoy's /drain_listeners.
func TestDrainListeners(t *testing.T) {
	s, inbound := startTwoFaced(t, "--drain-time-s", "1")
	post := func(query string, want int) {
		t.Helper()
		if code, text := s.ask("POST", "/drain_listeners"+query); code != want {
			t.Errorf("%s: %d %s", query, code, text)
		}
	}
	closes := func(addr string) bool {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.Close
	}
	post("?skip_exit", 400)
	post("?graceful&inboundonly&skip_exit", 200)
	until(t, "clients from outside are told to go", func() bool { return closes(inbound) })
	if closes(s.web) {
		t.Error("the application is told to go too")
	}
	post("?inboundonly", 200)
	until(t, "others are refused", func() bool { return refuses(inbound) })
	if refuses(s.web) {
		t.Error("the application is refused too")
	}
	post("?graceful", 200)
	until(t, "the application is told to go", func() bool { return closes(s.web) })
	until(t, "the application is refused", func() bool { return refuses(s.web) })
	if code, _ := s.ask("GET", "/stats"); code != 200 {
		t.Error("the program has ended")
	}
}
