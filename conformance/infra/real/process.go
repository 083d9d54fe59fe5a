package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a running program that can be killed and started again with the
// same command line. Its output goes on in the same log.
type Process struct {
	t      testing.TB
	name   string
	argv   []string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs argv under a name for messages. It is killed at the end of the
// test at the latest.
func Start(t testing.TB, name string, argv ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, argv: argv, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(p.end)
	p.Restart()
	return p
}

// Restart starts the program again; one that still runs is killed first.
func (p *Process) Restart() {
	p.t.Helper()
	p.Kill()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(p.argv[0], p.argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	exited := make(chan struct{})
	p.exited = exited
	go func() {
		_ = p.cmd.Wait()
		close(exited)
	}()
}

// Kill ends the program as a crash does (SIGKILL) and waits until it is gone.
// One that is gone already stays so.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Signal sends a signal to the running program.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signal %v: %v", p.name, s, err)
	}
}

// Running reports whether the program has not ended. Any goroutine.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// PID is the running program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is everything that the program has said since its first start.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// Ready waits until so is true, and fails the test if the program ends before
// or the time runs out.
func (p *Process) Ready(within time.Duration, so func() bool) {
	p.t.Helper()
	Until(p.t, within, p.name+" is ready", func() bool {
		if !p.Running() {
			p.t.Fatalf("%s ended: %v", p.name, p.cmd.ProcessState)
		}
		return so()
	})
}

// logTail is how many last lines of a log a failed test shows.
const logTail = 25

func (p *Process) end() {
	p.Kill()
	if !p.t.Failed() {
		return
	}
	text, _ := os.ReadFile(p.log)
	p.t.Logf("%s (%s) said at last:\n%s", p.name, strings.Join(p.argv, " "), tail(string(text)))
}

// tail is the last lines of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}

// Until asks again, every 5 ms, until it is so. Any goroutine that may end the
// test.
func Until(t testing.TB, within time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !so() {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		<-again.C
	}
	return time.Since(began)
}

// Binary is the path of a server that get.sh built.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("ATTACHE_INFRA_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(user, "attache", "infra")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: make test-infra builds it", err)
	}
	return path
}

// Program builds a command of the module, such as "./cmd/attache", and gives
// its path. Go's build cache makes the second time short.
func Program(t testing.TB, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.Command("go", "build", "-o", path, pkg)
	build.Dir = root(t)
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	return path
}

// write puts text into a file below dir and gives its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hostPort is an address on loopback.
func hostPort(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
