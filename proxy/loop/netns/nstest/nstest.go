// Package nstest makes network namespaces for tests: real ones, which are gone with
// the test.
package nstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/loop/netns"
)

// New makes a network namespace whose only interface is lo, and gives a path of it that
// other processes of the same user can open, too. Where the system does not let us, it
// says so and skips the test.
func New(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "namespace")
	At(t, path)
	return path
}

// At makes a namespace at path, in place of the one that is there; that one is gone when
// the test ends.
func At(t testing.TB, path string) {
	t.Helper()
	err := Make(t, path)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("LEFT OUT: no network namespace can be made here (CAP_SYS_ADMIN is needed): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Make is At for who goes on without.
func Make(t testing.TB, path string) error {
	type made struct {
		thread string
		err    error
	}
	there, end := make(chan made), make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, and lets go of the namespace
		err := os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWNET))
		if err == nil {
			err = raise("lo")
		}
		there <- made{fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()), err}
		<-end
	}()
	t.Cleanup(func() { close(end) })
	m := <-there
	if m.err != nil {
		return m.err
	}
	_ = os.Remove(path)
	return os.Symlink(m.thread, path)
}

// raise sets an interface up.
func raise(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r)
	}
	if err == nil {
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	}
	return os.NewSyscallError("ioctl", err)
}

// Dial connects inside the namespace at path to an IP address that listens there.
func Dial(path string, to netip.AddrPort) (net.Conn, error) {
	fd := -1
	var err error
	connect := func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
		}
	}
	if there := netns.Call(path, connect); there != nil {
		return nil, there
	}
	return whole(fd, err, net.FileConn)
}

// Listen listens inside the namespace at path, on a port of loopback that is free there.
func Listen(path string) (net.Listener, error) {
	fd := -1
	var err error
	listen := func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			err = unix.Listen(fd, 16)
		}
	}
	if there := netns.Call(path, listen); there != nil {
		return nil, there
	}
	return whole(fd, err, net.FileListener)
}

// whole makes package net's form of a socket, which has a duplicate of it.
func whole[T any](fd int, err error, of func(*os.File) (T, error)) (none T, _ error) {
	if fd < 0 {
		return none, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if err != nil {
		return none, err
	}
	return of(f)
}
