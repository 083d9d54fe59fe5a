package conformance

// The programs as they are shipped: built once, run as processes.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/ports"
)

// programs builds each command of the module at most once.
type programs struct {
	mu    sync.Mutex
	dir   string
	built map[string]string
}

// built is where the programs of this run are; TestMain takes them away.
var built = &programs{built: map[string]string{}}

func TestMain(m *testing.M) {
	if spec := os.Getenv(attackersEnv); spec != "" {
		os.Exit(attackMain(spec))
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// program gives the path of the built command, such as "./cmd/attache", or one of a module that go.mod requires.
func program(t *testing.T, pkg string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "attache-conformance-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	if built.built[pkg] == "" {
		path := filepath.Join(built.dir, strings.ReplaceAll(strings.TrimPrefix(pkg, "./cmd/"), "/", "-"))
		build := exec.Command("go", "build", "-o", path, pkg)
		build.Dir = ".."
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, text)
		}
		built.built[pkg] = path
	}
	return built.built[pkg]
}

// process is a running program with all that it said.
type process struct {
	*testing.T
	cmd    *exec.Cmd
	said   lockedBuffer
	exited chan struct{}
}

// lockedBuffer is written by the process and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// launch runs argv; it is killed at the end of the test, or with the test program's thread. Only the test's own goroutine
// may call it.
func launch(t *testing.T, argv ...string) *process {
	t.Helper()
	runtime.LockOSThread() // not unlocked: the thread ends with the test's goroutine, after its cleanups
	p := &process{T: t, cmd: exec.Command(argv[0], argv[1:]...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if said := p.said.String(); t.Failed() && said != "" {
			t.Logf("%v said:\n%s", p.cmd.Args, said[max(0, len(said)-4096):])
		}
	})
	return p
}

// code waits for the end and gives the exit code; -1 is death by a signal.
func (p *process) code(within time.Duration) int {
	p.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		p.Fatalf("%v runs on after %v; it said:\n%s", p.cmd.Args, within, &p.said)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// attache runs the sidecar with args to its end.
func attache(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	p := launch(t, append([]string{program(t, "./cmd/attache")}, args...)...)
	return p.code(10 * time.Second), p.said.String()
}

// until asks again until it is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-again.C {
		if so() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

// serving waits until the listener accepts.
func (p *process) serving(network, addr string) {
	p.Helper()
	until(p.T, fmt.Sprintf("%s %s accepts", network, addr), func() bool {
		select {
		case <-p.exited:
			p.Fatalf("%v ended: %s", p.cmd.Args, &p.said)
		default:
		}
		c, err := net.Dial(network, addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// freeAddr is a loopback address that nothing listens on and no other test is given.
func freeAddr(t *testing.T) string {
	t.Helper()
	claimed, err := ports.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", claimed[0])
}

// write puts a configuration into a file of the test.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustHave demands pieces of a text.
func mustHave(t *testing.T, text string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(text, piece) {
			t.Errorf("no %q in:\n%s", piece, text)
		}
	}
}

// body reads and closes.
func body(r io.ReadCloser) (string, error) {
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}
