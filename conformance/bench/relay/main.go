// Command relay is the floor of the bench: an epoll loop that pairs each downstream connection
// with an upstream one and copies bytes without looking at them. What it costs is the kernel's
// TCP work and one epoll_wait per turn; no proxy that parses anything can cost less per request
// unless it makes fewer system calls.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	listen := flag.String("listen", "", "address to accept on (ip:port)")
	upstream := flag.String("upstream", "", "address to connect to (ip:port)")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	if err := run(*listen, *upstream); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// relay is the whole program's state; one goroutine owns it.
type relay struct {
	epoll    int
	listener int
	upstream unix.Sockaddr
	ends     []*end // by descriptor; nil where none is open
	buf      [64 << 10]byte
}

// end is one socket of a pair.
type end struct {
	fd      int
	peer    *end
	pending []byte // read from peer, not yet taken by this socket
	waiting bool   // readable, but peer has pending bytes: read on when they are gone
	ended   bool   // read to its end
}

const interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

func run(listen, upstream string) error {
	from, err := sockaddr(listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	to, err := sockaddr(upstream)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	r := &relay{upstream: to}
	if r.listener, err = listenOn(from); err != nil {
		return err
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.listener)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.listener, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return r.loop()
}

func (r *relay) loop() error {
	var events [256]unix.EpollEvent
	for {
		n, errno := r.wait(events[:])
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", errno)
		}
		for _, event := range events[:max(n, 0)] {
			r.handle(int(event.Fd), event.Events)
		}
	}
}

// wait blocks without telling Go's scheduler: nothing else runs here, and nothing is collected.
func (r *relay) wait(events []unix.EpollEvent) (int, unix.Errno) {
	const forever = ^uintptr(0)
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), forever, 0, 0)
	return int(n), errno
}

func (r *relay) handle(fd int, what uint32) {
	if fd == r.listener {
		r.accept()
		return
	}
	e := r.at(fd)
	if e == nil {
		return // closed earlier in this turn
	}
	if what&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && what&unix.EPOLLIN == 0 {
		r.drop(e)
		return
	}
	if what&unix.EPOLLOUT != 0 && !r.flush(e) {
		return
	}
	if what&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
		r.copyFrom(e, what&unix.EPOLLRDHUP != 0)
	}
}

func (r *relay) at(fd int) *end {
	if fd >= len(r.ends) {
		return nil
	}
	return r.ends[fd]
}

func (r *relay) accept() {
	fd, _, err := unix.Accept4(r.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return
	}
	up, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(fd)
		return
	}
	down := &end{fd: fd}
	down.peer = &end{fd: up, peer: down}
	if err := r.open(down); err != nil {
		r.drop(down)
	}
}

// open connects the upstream end and watches both.
func (r *relay) open(down *end) error {
	for _, e := range []*end{down, down.peer} {
		for e.fd >= len(r.ends) {
			r.ends = append(r.ends, nil)
		}
		r.ends[e.fd] = e
	}
	if err := unix.Connect(down.peer.fd, r.upstream); err != nil && err != unix.EINPROGRESS {
		return err
	}
	return errors.Join(r.watch(down), r.watch(down.peer))
}

func (r *relay) watch(e *end) error {
	if err := unix.SetsockoptInt(e.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: interest, Fd: int32(e.fd)}
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, e.fd, &event)
}

// copyFrom moves what e has to its peer until e is drained or the peer takes no more.
// A short read means drained, except where the other side has closed (toEnd).
func (r *relay) copyFrom(e *end, toEnd bool) {
	for !e.ended {
		if len(e.peer.pending) > 0 {
			e.waiting = true
			return
		}
		n, errno := rawIO(unix.SYS_READ, e.fd, r.buf[:])
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			r.drop(e)
			return
		case n == 0:
			e.ended = true
			r.finish(e)
			return
		}
		sent, errno := rawIO(unix.SYS_WRITE, e.peer.fd, r.buf[:n])
		if errno != 0 && errno != unix.EAGAIN {
			r.drop(e)
			return
		}
		if sent < n {
			e.peer.pending = append(e.peer.pending[:0], r.buf[max(sent, 0):n]...)
		}
		if n < len(r.buf) && !toEnd && len(e.peer.pending) == 0 {
			return
		}
	}
}

// flush sends what is pending on e; false if e is gone.
func (r *relay) flush(e *end) bool {
	if len(e.pending) == 0 {
		return true
	}
	sent, errno := rawIO(unix.SYS_WRITE, e.fd, e.pending)
	if errno != 0 && errno != unix.EAGAIN {
		r.drop(e)
		return false
	}
	e.pending = e.pending[:copy(e.pending, e.pending[max(sent, 0):])]
	if len(e.pending) == 0 && e.peer.waiting {
		e.peer.waiting = false
		r.copyFrom(e.peer, true)
	}
	return r.at(e.fd) == e
}

// finish passes the half-close on, and closes the pair when both have ended.
func (r *relay) finish(e *end) {
	_ = unix.Shutdown(e.peer.fd, unix.SHUT_WR)
	if e.peer.ended {
		r.drop(e)
	}
}

func (r *relay) drop(e *end) {
	for _, one := range []*end{e, e.peer} {
		if r.at(one.fd) == one {
			r.ends[one.fd] = nil
			_ = unix.Close(one.fd)
		}
	}
}

// rawIO reads or writes without telling Go's scheduler: the socket never blocks. -1 and an errno if it could not.
func rawIO(call uintptr, fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func listenOn(address unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, fmt.Errorf("setsockopt: %w", err)
	}
	if err := unix.Bind(fd, address); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, 1024); err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

func sockaddr(address string) (unix.Sockaddr, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("%q is not an IPv4 address and port", address)
	}
	return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, nil
}
