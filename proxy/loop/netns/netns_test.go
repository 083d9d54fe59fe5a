package netns_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/loop/netns"
	"github.com/attache-mesh/attache/proxy/loop/netns/nstest"
)

// home is the namespace that a thread is in.
func home(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The thread is in the namespace while the function runs, and every other one never is.
func TestCall(t *testing.T) {
	path := nstest.New(t)
	own := home(t)
	want, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	if want, err = os.Readlink(want); err != nil || want == own {
		t.Fatalf("the namespace is %s, %v; the test's is %s", want, err, own)
	}
	for range 200 {
		inside := ""
		if err := netns.Call(path, func() { inside, _ = os.Readlink("/proc/thread-self/ns/net") }); err != nil {
			t.Fatal(err)
		}
		if inside != want {
			t.Fatalf("the function ran in %s, want %s", inside, want)
		}
		outside := make(chan string)
		go func() {
			runtime.Gosched()
			name, _ := os.Readlink("/proc/thread-self/ns/net")
			outside <- name
		}()
		if now := <-outside; now != own {
			t.Fatalf("another goroutine is in %s, want %s", now, own)
		}
	}
}

// A socket stays where it was made: two listen at one address, and each has its own clients.
func TestSocketsStay(t *testing.T) {
	path := nstest.New(t)
	there, err := nstest.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	at := netip.MustParseAddrPort(there.Addr().String())
	if c, err := net.Dial("tcp", at.String()); err == nil {
		c.Close()
		if here, err := net.Listen("tcp", at.String()); err == nil {
			here.Close()
			t.Errorf("%s is reached from outside the namespace", at)
		}
	}
	go func() {
		for {
			c, err := there.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "there")
			c.Close()
		}
	}()
	c, err := nstest.Dial(path, at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if said, err := io.ReadAll(c); string(said) != "there" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

// Errors say what the path is and what is to be done; the function has not run.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "there is no such file",
		file:                       "not a network namespace",
		pipe:                       "not a network namespace", // and nobody waits for who writes
		dir:                        "not a network namespace",
		"/proc/self/ns/uts":        "not a network namespace",
		"":                         "there is no such file",
	} {
		err := netns.Call(path, func() { t.Errorf("%s: the function has run", path) })
		if err == nil || !strings.HasPrefix(err.Error(), "network namespace "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
}

// Without the right to enter it, the error names the right.
func TestNoRight(t *testing.T) {
	path := nstest.New(t)
	said := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread has no rights any more
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			said <- err
			return
		}
		said <- netns.Visit(path, func() { t.Error("the function has run") })
	}()
	if err := <-said; !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want that it is not permitted", err)
	} else {
		t.Log(err)
	}
}

// Has tells a namespace from another one that has taken its path.
func TestHas(t *testing.T) {
	path := nstest.New(t)
	l, err := nstest.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !netns.Has(path, int(f.Fd())) {
		t.Error("a socket is not of the namespace that it was made in")
	}
	nstest.At(t, path)
	if netns.Has(path, int(f.Fd())) {
		t.Error("a socket is of the namespace that was made later")
	}
	if netns.Has(path+"-none", int(f.Fd())) {
		t.Error("a socket is of a namespace that is not there")
	}
}
