package loop

import (
	"net/netip"
	"sync"
	"syscall"

	"github.com/attache-mesh/attache/proxy/config"
)

// kernel is all that a worker asks of the world: readiness, the clock, chance
// and the network. There are two: linux (epoll and raw system calls) and the
// simulator. Every call but wake is made from the worker's goroutine, none
// blocks but wait, and errors are the numbers that Linux gives.
type kernel interface {
	// wait fills evs with what became ready since it last said so (edge
	// triggered) and returns how many there are. It waits at most timeout
	// nanoseconds; 0 only looks, negative waits for ever.
	wait(evs []event, timeout int64) int
	// doze is wait for at most a moment, and cheaper.
	doze(evs []event, timeout int64) int
	// wake makes a wait in progress, or the next one, return. Any goroutine.
	wake()
	// nanotime is a monotonic clock; seed is fresh randomness.
	nanotime() int64
	seed() [32]byte

	// free reports whether another process listens at a, see Worker.CheckFree.
	free(a config.Address) error
	// listen opens a listening socket, in the address's network namespace, and says
	// where it is; shared sockets (unix) are one for all workers, found by the address.
	listen(a config.Address, o ListenOptions) (fd int, at config.Address, err error)
	accept(fd int) (nfd int, peer netip.AddrPort, errno syscall.Errno)
	// connect begins a connection: 0 when it stands, EINPROGRESS when
	// writability or an error will tell. from is where it comes from, nil: from
	// anywhere; fd is notBound if that cannot be.
	connect(a config.Address, o config.Keepalive, from *config.LocalAddress) (fd int, errno syscall.Errno)
	// within calls f, which connects, in another network namespace. Off the worker's
	// goroutine, through offload. With an error f was not called.
	within(namespace string, f func()) error
	// pair makes two connected sockets, as socketpair does.
	pair() (x, y int, errno syscall.Errno)
	// socketError takes the pending error (SO_ERROR).
	socketError(fd int) syscall.Errno
	sockname(fd int) netip.AddrPort
	// original is where an accepted connection was going before the kernel
	// redirected it; not valid where it was not.
	original(fd int) netip.AddrPort
	// register asks for events of fd from now on, marked with gen.
	register(fd int, gen uint32, listener bool) syscall.Errno
	// unregister takes that back for a listening socket: what another process also
	// has open goes on being watched otherwise, even after close.
	unregister(fd int)

	read(fd int, p []byte) (int, syscall.Errno)
	write(fd int, p []byte) (int, syscall.Errno)
	writev(fd int, a, b []byte) (int, syscall.Errno)
	// canBatch reports whether readAll and writeAll are cheaper than one call for
	// each transfer; both take at most maxBatch, each as read and write would.
	canBatch() bool
	readAll(ts []transfer)
	writeAll(ts []transfer)
	shutdownWrite(fd int) syscall.Errno
	// close ends fd; with reset the peer gets a RST.
	close(fd int, reset bool)

	// offload runs f away from the worker and calls done, which posts.
	offload(f, done func())
	// release frees what the kernel itself holds.
	release()
}

// event says that something happened to a socket. The layout is that of
// Linux' struct epoll_event on amd64 and, with its padding, elsewhere, so that
// the kernel fills it directly.
type event = syscall.EpollEvent

// What an event may say; the values are epoll's.
const (
	evIn    = syscall.EPOLLIN
	evOut   = syscall.EPOLLOUT
	evRDHup = syscall.EPOLLRDHUP
	evHup   = syscall.EPOLLHUP
	evErr   = syscall.EPOLLERR
)

// ListenOptions are the settings of a listening socket.
type ListenOptions struct {
	Backlog   int // 0: the kernel's limit
	Socket    config.Socket
	Freebind  bool
	Multipath bool // MPTCP
	// AcceptsPerTurn bounds how many connections are taken before others run; 0: a few.
	AcceptsPerTurn int
	// Shared is given where all workers must use one socket (unix paths).
	Shared *SharedSocket
	// Replace takes the path of a unix socket away that somebody still listens on.
	Replace bool
}

// SharedSocket is one listening socket for several workers: the first opens
// it, the others take a duplicate. Any goroutine.
type SharedSocket struct {
	mu    sync.Mutex
	fd    int // 0: not open yet
	at    config.Address
	stays bool // the path, see KeepPath
}
