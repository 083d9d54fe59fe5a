package loop

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Dial connects to a, which must be resolved, in at most timeout (0: the
// kernel's own patience). The connection has no handler yet. For coroutines
// only. Errors: ErrTimeout, or an *os.SyscallError that holds the reason
// (ECONNREFUSED, ENETUNREACH, EMFILE …).
func (w *Worker) Dial(a config.Address, timeout time.Duration, o config.Keepalive) (*Conn, error) {
	return w.DialFrom(nil, a, timeout, o, nil)
}

// DialFrom is Dial from an address of our own; nil: the kernel chooses it. If that cannot be
// taken, or an option not be set, the error is an *os.SyscallError of bind; if its network
// namespace cannot be entered, a *NamespaceError. Connections to an
// internal listener, or over a unix socket, have none. begun, unless it is nil, is given the
// connection before it stands: to close it ends the attempt with ErrClosed. timeout begins
// when the attempt does: how long the file of a network namespace takes to be opened, on a
// file system that does not answer say, nothing bounds.
func (w *Worker) DialFrom(from *config.LocalAddress, a config.Address, timeout time.Duration, o config.Keepalive, begun func(*Conn)) (*Conn, error) {
	if a.Inside != "" {
		return w.dialInside(a.Inside)
	}
	fd, errno, err := w.connect(a, o, from)
	switch {
	case err != nil:
		return nil, err
	case errno != 0 && fd == notBound:
		return nil, os.NewSyscallError("bind", errno)
	case errno != 0 && errno != syscall.EINPROGRESS:
		return nil, os.NewSyscallError("connect", errno)
	}
	peer := a.IP
	if a.Path != "" {
		peer = netip.AddrPort{}
	}
	c, err := w.adopt(fd, peer)
	if err != nil {
		return nil, err
	}
	if begun != nil {
		begun(c)
	}
	if c.closed {
		return nil, ErrClosed
	}
	if errno == 0 {
		return c, nil
	}
	c.connecting, c.writable = true, false
	c.SetWriteTimeout(timeout)
	c.writer.Wait(w)
	if err := c.connected(); err != nil {
		c.connecting = false
		c.Close()
		return nil, err
	}
	c.SetWriteTimeout(0)
	return c, nil
}

// connect begins a connection. In another network namespace that is somebody else's work: a
// thread goes there, and a file is opened.
func (w *Worker) connect(a config.Address, o config.Keepalive, from *config.LocalAddress) (fd int, errno syscall.Errno, err error) {
	if from == nil || from.Namespace == "" || !a.IP.IsValid() {
		fd, errno = w.k.connect(a, o, from)
		return fd, errno, nil
	}
	w.Offload(func() {
		err = w.k.within(from.Namespace, func() { fd, errno = w.k.connect(a, o, from) })
	})
	if err != nil {
		err = &NamespaceError{err}
	}
	return fd, errno, err
}

// NamespaceError is why a network namespace could not be entered; its text names the
// namespace's file.
type NamespaceError struct{ Err error }

func (e *NamespaceError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *NamespaceError) Unwrap() error { return e.Err }

// notBound is what connect gives for fd where the way from here could not be had.
const notBound = -2

// connected says how the attempt ended.
func (c *Conn) connected() error {
	switch {
	case c.closed:
		return ErrClosed
	case c.connecting:
		return ErrTimeout
	}
	if errno := c.w.k.socketError(c.fd); errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}
