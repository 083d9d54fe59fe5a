// Package netns is how a socket is made in another network namespace of Linux
// (Envoy network/utility.h, execInNetworkNamespace). A socket belongs to the
// namespace that its thread was in when it was made, and stays there wherever it is
// used afterwards.
package netns

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Call runs f on a thread that is in the network namespace of the file at path, such
// as /run/netns/a or /proc/1/ns/net, and returns when f has. The file is opened anew
// each time: another one under the same path is another namespace. f makes sockets
// and nothing else: what it does of the network it does there; it must not panic.
// Without an error f has run, with one it has not. Errors name the path and say what
// is to be done. Any goroutine; it waits as long as f, and opening the file, take.
func Call(path string, f func()) error {
	ended := make(chan error, 1)
	go func() { ended <- visit(path, f) }()
	return <-ended
}

// visit locks its thread: the namespace is the thread's, and another goroutine must
// not find itself in it.
func visit(path string, f func()) error {
	runtime.LockOSThread()
	home, err := unix.Open(own, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("network namespace %s: the program's own, %s, cannot be opened, and there would be no way back: %w", path, own, err)
	}
	defer unix.Close(home)
	if err := enter(path); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	f()
	if unix.Setns(home, unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	// else the thread ends with this goroutine, for it is locked: nobody else runs there.
	return nil
}

// own is the namespace of the calling thread; /proc/self would be that of the first.
const own = "/proc/thread-self/ns/net"

// enter opens without waiting: a path may be that of a pipe.
func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("there is no such file: it must be there, and visible in a container, before a socket is opened in it: %w", err)
	case err != nil:
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	switch err := unix.Setns(fd, unix.CLONE_NEWNET); {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the program may not enter it: it needs CAP_SYS_ADMIN: %w", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("the file is not a network namespace: %w", err)
	case err != nil:
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// siocGSKNS asks for the network namespace of a socket (linux/sockios.h, SIOCGSKNS).
const siocGSKNS = 0x894C

// Has reports whether a socket is of the network namespace that is at path now. Where the
// kernel does not say of which one it is, it is taken to be of that one. Any goroutine.
func Has(path string, socket int) bool {
	var now, its unix.Stat_t
	if unix.Stat(path, &now) != nil {
		return false
	}
	fd, err := unix.IoctlRetInt(socket, siocGSKNS)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	return unix.Fstat(fd, &its) != nil || now.Dev == its.Dev && now.Ino == its.Ino
}
