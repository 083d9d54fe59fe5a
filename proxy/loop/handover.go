package loop

// Listening sockets that go from one process to the next: a duplicate of each is
// given away, and who waits to be accepted waits for whoever accepts first.

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/config"
)

// Duplicate gives a file descriptor of the same socket, which is the caller's to
// close. Worker only. Errors: an *os.SyscallError.
func (l *Listener) Duplicate() (fd int, err error) {
	fd, err = unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}

// Inside reports whether it listens inside the process, without a socket.
func (l *Listener) Inside() bool { return l.name != "" }

// ListenOn accepts on a socket that another process has opened, at a; fd is the
// worker's from now on, also if there is an error. The options are set anew. Errors:
// an *os.SyscallError, or that it is no such socket.
func (w *Worker) ListenOn(fd int, a config.Address, o ListenOptions, onConn func(*Conn)) (*Listener, error) {
	at, err := inherit(fd, a, o)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return w.watch(fd, at, o, onConn)
}

var errNotListening = errors.New("what was handed over is not a listening socket of that address")

// inherit checks that a socket is what it is said to be, and sets it up as one of
// our own.
func inherit(fd int, a config.Address, o ListenOptions) (config.Address, error) {
	on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return a, os.NewSyscallError("getsockopt", err)
	}
	_, want := socketAddr(a)
	if family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || family != want || on == 0 {
		return a, errNotListening
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return a, os.NewSyscallError("fcntl", err)
	}
	if a.Path == "" {
		bound := (&linux{}).sockname(fd)
		if port := a.IP.Port(); port != 0 && bound.Port() != port {
			return a, errNotListening
		}
		a.IP = bound
		setTCP(fd, o.Socket.Keepalive)
	} else if a.Mode != 0 && !strings.HasPrefix(a.Path, "@") {
		if err := os.Chmod(a.Path, os.FileMode(a.Mode)); err != nil {
			return a, err
		}
	}
	if err := unix.Listen(fd, backlogOf(o)); err != nil { // as often as one likes
		return a, os.NewSyscallError("listen", err)
	}
	return a, setOptions(fd, o.Socket.Options, config.Listening)
}

// Inherit makes fd, which another process has opened at a, the socket that workers
// share; it is the SharedSocket's from now on, also if there is an error. Its path is
// still the other process's, see KeepPath.
func (s *SharedSocket) Inherit(fd int, a config.Address, o ListenOptions) error {
	at, err := inherit(fd, a, o)
	if err != nil {
		unix.Close(fd)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fd, s.at, s.stays = fd, at, true
	return nil
}

// KeepPath says whether the path is another process's: Close lets it be then. Any
// goroutine.
func (s *SharedSocket) KeepPath(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stays = keep
}
