package loop

import (
	crand "crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop/netns"
)

// linux is the real kernel: one epoll instance, edge triggered, each socket
// registered once for its life, and raw system calls on sockets that never
// block, so that the Go scheduler need not be told of them. Only a wait that
// may sleep is an ordinary call.
type linux struct {
	ep     int
	ev     int // eventfd of wake
	began  time.Time
	wakeup [8]byte
	aio    *aio // nil: no batches
}

func newLinux() (*linux, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, os.NewSyscallError("eventfd", err)
	}
	k := &linux{ep: ep, ev: ev, began: time.Now(), wakeup: [8]byte{1}, aio: newAIO()}
	if errno := k.ctl(ev, 0, unix.EPOLLIN|unix.EPOLLET); errno != 0 {
		k.release()
		return nil, os.NewSyscallError("epoll_ctl", errno)
	}
	return k, nil
}

func (k *linux) release() {
	if k.aio != nil {
		k.aio.release()
	}
	unix.Close(k.ev)
	unix.Close(k.ep)
}

// wait rounds a sleep up to whole milliseconds, so that a timer is due when it
// ends.
func (k *linux) wait(evs []event, timeout int64) int {
	p := uintptr(unsafe.Pointer(&evs[0]))
	if timeout == 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(k.ep), p, uintptr(len(evs)), 0, 0, 0)
		return counted(n, errno)
	}
	ms := -1
	if timeout > 0 {
		ms = int(min((timeout+tick-1)/tick, 1<<30))
	}
	n, _, errno := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(k.ep), p, uintptr(len(evs)), uintptr(ms), 0, 0)
	return counted(n, errno)
}

// dozeTime is the longest doze, in milliseconds.
const dozeTime = 2

// doze sleeps in a raw system call: the worker keeps its processor (P) in the Go
// scheduler and saves giving it back and getting it again, which is a quarter
// of what a lone busy connection costs (docs/decisions/0001). The collector is not held up: when it wants the
// world to stop it signals the thread, and a signal ends epoll_wait. The
// processor that a dozing worker holds is made up for by one more than there
// are workers (cmd/attache).
func (k *linux) doze(evs []event, timeout int64) int {
	ms := dozeTime
	if timeout > 0 {
		ms = int(min((timeout+tick-1)/tick, dozeTime))
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(k.ep), uintptr(unsafe.Pointer(&evs[0])), uintptr(len(evs)), uintptr(ms), 0, 0)
	return counted(n, errno)
}

func counted(n uintptr, errno syscall.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(n)
}

// wake relies on edge triggering: every write is an event, nobody reads.
func (k *linux) wake() {
	_, _ = unix.Write(k.ev, k.wakeup[:])
}

func (k *linux) nanotime() int64 { return int64(time.Since(k.began)) }

func (k *linux) seed() (s [32]byte) {
	_, _ = crand.Read(s[:])
	return s
}

func (k *linux) ctl(fd int, gen uint32, events uint32) syscall.Errno {
	ev := syscall.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(gen)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(k.ep), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

func (k *linux) register(fd int, gen uint32, listener bool) syscall.Errno {
	if listener {
		return k.ctl(fd, gen, unix.EPOLLIN|unix.EPOLLET|unix.EPOLLEXCLUSIVE)
	}
	return k.ctl(fd, gen, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

func (k *linux) unregister(fd int) {
	_ = unix.EpollCtl(k.ep, unix.EPOLL_CTL_DEL, fd, nil)
}

func (k *linux) read(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// write uses send for its MSG_NOSIGNAL: a peer that is gone is an error, not
// a signal.
func (k *linux) write(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func (k *linux) writev(fd int, a, b []byte) (int, syscall.Errno) {
	var iov [2]syscall.Iovec
	iov[0].Base, iov[0].Len = unsafe.SliceData(a), uint64(len(a))
	iov[1].Base, iov[1].Len = unsafe.SliceData(b), uint64(len(b))
	msg := syscall.Msghdr{Iov: &iov[0], Iovlen: 2}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func (k *linux) accept(fd int) (int, netip.AddrPort, syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(n), rawAddr(&sa), 0
}

func (k *linux) sockname(fd int) netip.AddrPort {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return rawAddr(&sa)
}

// soOriginalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST
// (linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h).
const soOriginalDst = 80

// original asks netfilter; where it knows nothing, a transparent socket's own
// address is the destination (Envoy network/utility.cc, getOriginalDst).
func (k *linux) original(fd int) netip.AddrPort {
	level, transparent := uintptr(unix.SOL_IP), unix.IP_TRANSPARENT
	at := k.sockname(fd)
	if !at.Addr().Is4() {
		level, transparent = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), level, soOriginalDst, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 {
		return rawAddr(&sa)
	}
	if on, err := unix.GetsockoptInt(fd, int(level), transparent); err == nil && on != 0 {
		return at
	}
	return netip.AddrPort{}
}

// rawAddr reads a socket address of the kernel's; anything but IP is the zero
// address.
func rawAddr(sa *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 {
		b := (*[2]byte)(unsafe.Pointer(p))
		return uint16(b[0])<<8 | uint16(b[1])
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), port(&in.Port))
	}
	return netip.AddrPort{}
}

// socketAddr gives x/sys' form of an address, and its family.
func socketAddr(a config.Address) (unix.Sockaddr, int) {
	if a.Path != "" {
		return &unix.SockaddrUnix{Name: a.Path}, unix.AF_UNIX
	}
	if ip := a.IP.Addr(); ip.Is4() || ip.Is4In6() {
		return &unix.SockaddrInet4{Port: int(a.IP.Port()), Addr: ip.Unmap().As4()}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: int(a.IP.Port()), Addr: a.IP.Addr().As16()}, unix.AF_INET6
}

func (k *linux) connect(a config.Address, o config.Keepalive, from *config.LocalAddress) (int, syscall.Errno) {
	sa, family := socketAddr(a)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err.(syscall.Errno)
	}
	if family != unix.AF_UNIX {
		setTCP(fd, o)
		if from != nil {
			if errno := bindTo(fd, from); errno != 0 {
				unix.Close(fd)
				return notBound, errno
			}
		}
	}
	switch err := unix.Connect(fd, sa); err {
	case nil:
		return fd, 0
	case unix.EINPROGRESS:
		return fd, syscall.EINPROGRESS
	default:
		unix.Close(fd)
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EINVAL // a path that is too long
		}
		return -1, errno
	}
}

// bindTo gives a socket the address that it is to come from. Its port is chosen when it connects, if
// none is given: so as many connections can be made from one address as there are ports for each
// host.
func bindTo(fd int, from *config.LocalAddress) syscall.Errno {
	for _, o := range from.Options {
		if err := setOption(fd, o); err != nil {
			return numberOf(err)
		}
	}
	if from.Free {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1); err != nil {
			return numberOf(err)
		}
	}
	if !from.Address.IsValid() {
		return 0
	}
	if from.Address.Port() == 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	sa, _ := socketAddr(config.Address{IP: from.Address})
	if err := unix.Bind(fd, sa); err != nil {
		return numberOf(err)
	}
	return 0
}

func numberOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EINVAL
}

func (k *linux) pair() (x, y int, errno syscall.Errno) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err.(syscall.Errno)
	}
	return fds[0], fds[1], 0
}

// setTCP sets what a TCP socket should have; a listening socket hands it to
// those it accepts. What the kernel does not know it leaves.
func setTCP(fd int, o config.Keepalive) {
	set := func(level, name, value int) { _ = unix.SetsockoptInt(fd, level, name, value) }
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if o.Enabled {
		set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		if o.Idle > 0 {
			set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, max(1, int(o.Idle/time.Second)))
		}
		if o.Interval > 0 {
			set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(1, int(o.Interval/time.Second)))
		}
		if o.Probes > 0 {
			set(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.Probes)
		}
	}
	if o.UserTimeout > 0 {
		set(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.UserTimeout/time.Millisecond))
	}
}

func (k *linux) socketError(fd int) syscall.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err.(syscall.Errno)
	}
	return syscall.Errno(v)
}

func (k *linux) shutdownWrite(fd int) syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

func (k *linux) close(fd int, reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

func (k *linux) offload(f, done func()) {
	go func() {
		defer done()
		f()
	}()
}

func (k *linux) listen(a config.Address, o ListenOptions) (int, config.Address, error) {
	if o.Shared == nil {
		return listenAt(a, o)
	}
	o.Shared.mu.Lock()
	defer o.Shared.mu.Unlock()
	if o.Shared.fd == 0 {
		fd, at, err := listenAt(a, o)
		if err != nil {
			return -1, at, err
		}
		o.Shared.fd, o.Shared.at = fd, at
	}
	fd, err := unix.FcntlInt(uintptr(o.Shared.fd), unix.F_DUPFD_CLOEXEC, 0)
	return fd, o.Shared.at, os.NewSyscallError("fcntl", err)
}

// Close closes the socket itself and removes its path; the workers' duplicates
// are theirs.
func (s *SharedSocket) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd != 0 {
		unix.Close(s.fd)
		if p := s.at.Path; p != "" && !strings.HasPrefix(p, "@") && !s.stays {
			_ = os.Remove(p)
		}
		s.fd = 0
	}
}

// listenAt is openListener in the address's network namespace.
func listenAt(a config.Address, o ListenOptions) (fd int, at config.Address, err error) {
	if a.Namespace == "" {
		return openListener(a, o)
	}
	if there := netns.Call(a.Namespace, func() { fd, at, err = openListener(a, o) }); there != nil {
		return -1, a, fmt.Errorf("%s: %w", a, there)
	}
	return fd, at, err
}

// within may be called on any goroutine, and so may connect.
func (*linux) within(namespace string, f func()) error { return netns.Call(namespace, f) }

func openListener(a config.Address, o ListenOptions) (fd int, at config.Address, err error) {
	sa, family := socketAddr(a)
	protocol := 0
	if o.Multipath {
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, a, fmt.Errorf("%s: %w", a.Place(), os.NewSyscallError("socket", err))
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if family == unix.AF_UNIX {
		removeStale(a.Path, o.Replace)
	} else {
		setTCP(fd, o.Socket.Keepalive)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if o.Shared == nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if o.Freebind {
			_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
		}
	}
	if err = bindAndListen(fd, sa, o); err != nil {
		return fd, a, fmt.Errorf("%s: %w", a.Place(), err)
	}
	at = a
	if family == unix.AF_UNIX {
		if a.Mode != 0 && !strings.HasPrefix(a.Path, "@") {
			err = os.Chmod(a.Path, os.FileMode(a.Mode))
		}
		return fd, at, err
	}
	at.IP = (&linux{}).sockname(fd)
	return fd, at, nil
}

// bindAndListen also sets the options that were asked for, each in its state.
func bindAndListen(fd int, sa unix.Sockaddr, o ListenOptions) error {
	if err := setOptions(fd, o.Socket.Options, config.BeforeBind); err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := setOptions(fd, o.Socket.Options, config.Bound); err != nil {
		return err
	}
	if err := unix.Listen(fd, backlogOf(o)); err != nil {
		return os.NewSyscallError("listen", err)
	}
	return setOptions(fd, o.Socket.Options, config.Listening)
}

// setOptions sets those of a state. Errors name the option.
func setOptions(fd int, all []config.SocketOption, when config.SocketState) error {
	for _, o := range all {
		if o.When != when {
			continue
		}
		if err := setOption(fd, o); err != nil {
			return fmt.Errorf("socket option %s: %w", optionName(o), os.NewSyscallError("setsockopt", err))
		}
	}
	return nil
}

func setOption(fd int, o config.SocketOption) error {
	if o.Bytes != "" {
		return unix.SetsockoptString(fd, o.Level, o.Name, o.Bytes)
	}
	return unix.SetsockoptInt(fd, o.Level, o.Name, o.Value)
}

// optionName is the name of an option that has a field of its own in Envoy's
// listeners, and of others the numbers.
func optionName(o config.SocketOption) string {
	switch [2]int{o.Level, o.Name} {
	case [2]int{unix.IPPROTO_IP, unix.IP_TRANSPARENT}:
		return "IP_TRANSPARENT"
	case [2]int{unix.IPPROTO_TCP, unix.TCP_FASTOPEN}:
		return "TCP_FASTOPEN"
	}
	return fmt.Sprintf("%d/%d", o.Level, o.Name)
}

func backlogOf(o ListenOptions) int {
	if o.Backlog > 0 {
		return o.Backlog
	}
	return 1 << 16 // the kernel cuts it to somaxconn
}

// removeStale takes away the socket of a process that is gone: one that nobody
// answers on, or with any one that somebody does.
func removeStale(path string, anyOne bool) {
	if strings.HasPrefix(path, "@") {
		return
	}
	if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSocket == 0 {
		return
	}
	if anyOne {
		_ = os.Remove(path)
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == unix.ECONNREFUSED {
		_ = os.Remove(path)
	}
}

func (*linux) free(a config.Address) (err error) {
	switch {
	case a.IP.Port() == 0:
		return nil
	case a.Namespace == "":
		return freeHere(a)
	}
	if there := netns.Call(a.Namespace, func() { err = freeHere(a) }); there != nil {
		return fmt.Errorf("%s: %w", a, there)
	}
	return err
}

func freeHere(a config.Address) error {
	sa, family := socketAddr(a)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, sa); err == unix.EADDRINUSE {
		return fmt.Errorf("%s: %w", a.Place(), os.NewSyscallError("bind", err))
	}
	return nil
}
