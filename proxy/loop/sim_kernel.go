package loop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// simKernel is the simulator as one worker sees it: the second implementation
// of kernel. It answers as Linux would; nothing in it blocks.
type simKernel struct {
	s      *Sim
	w      *Worker
	name   string
	fds    []*socket // by file descriptor less firstFD
	open   int
	limit  int // of file descriptors; 0: none
	queue  []*socket
	busy   int64 // no turn before this time
	frozen bool
	dead   bool // killed: no call has any effect
	// redirects are of the addresses that this worker dials.
	redirects map[netip.AddrPort]netip.AddrPort
}

// firstFD leaves room for what a process has open when it begins.
const firstFD = 3

// offloadLatency bounds how long what was offloaded takes.
const offloadLatency = 2 * time.Millisecond

// runnable reports whether a turn would do something.
func (k *simKernel) runnable() bool {
	return !k.frozen && k.busy <= k.s.now && k.hasWork()
}

func (k *simKernel) hasWork() bool {
	w := k.w
	if len(k.queue) > 0 || w.ready.len() > 0 || len(w.dirty) > 0 || w.hasPosts.Load() ||
		w.later.len() > 0 || w.last.len() > 0 || w.stopped.Load() {
		return true
	}
	at, ok := w.wheel.next()
	return ok && at*tick <= k.s.now
}

// nextTime is when the worker will have something to do by itself.
func (k *simKernel) nextTime() (int64, bool) {
	if k.frozen {
		return 0, false
	}
	if k.hasWork() {
		return max(k.busy, k.s.now), true
	}
	at, ok := k.w.wheel.next()
	return max(at*tick, k.busy), ok
}

// wait takes what happened in an order that the seed decides.
func (k *simKernel) doze(evs []event, timeout int64) int { return k.wait(evs, timeout) }

func (k *simKernel) wait(evs []event, _ int64) int {
	n := 0
	for n < len(evs) && len(k.queue) > 0 {
		i := len(k.queue) - 1
		if i > 0 {
			i = k.s.rng.IntN(len(k.queue))
		}
		x := k.queue[i]
		last := len(k.queue) - 1
		k.queue[i] = k.queue[last]
		k.queue[last] = nil
		k.queue = k.queue[:last]
		x.queued = false
		if x.closed || x.stalled() {
			continue
		}
		if mask := x.mask(); mask != 0 {
			evs[n] = event{Events: mask, Fd: int32(x.fd), Pad: int32(x.gen)}
			n++
			k.s.note(k, opEvent, x.fd, int(mask))
		}
	}
	return n
}

// wake tells who drives the world; Run looks itself.
func (k *simKernel) wake() {
	if k.s.woken != nil {
		k.s.woken()
	}
}

func (k *simKernel) nanotime() int64 { return k.s.now }
func (k *simKernel) release()        {}

func (k *simKernel) seed() (b [32]byte) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], k.s.rng.Uint64())
	}
	return b
}

// within has nowhere to go: connect looks at the namespace itself.
func (k *simKernel) within(_ string, f func()) error {
	f()
	return nil
}

func (k *simKernel) offload(f, done func()) {
	f()
	k.s.After(time.Duration(k.s.rng.Int64N(int64(offloadLatency))), func() {
		if !k.dead {
			done()
		}
	})
}

// socket gives what a file descriptor stands for, or nil.
func (k *simKernel) socket(fd int) *socket {
	if i := fd - firstFD; !k.dead && i >= 0 && i < len(k.fds) {
		return k.fds[i]
	}
	return nil
}

// full reports whether one more file descriptor is too many.
func (k *simKernel) full() bool { return k.limit > 0 && k.open >= k.limit }

// install gives x the lowest free file descriptor.
func (k *simKernel) install(x *socket) int {
	i := 0
	for i < len(k.fds) && k.fds[i] != nil {
		i++
	}
	if i == len(k.fds) {
		k.fds = append(k.fds, nil)
	}
	k.fds[i] = x
	k.open++
	x.k, x.fd = k, i+firstFD
	return x.fd
}

// free is always so: the world's listeners are all of one machine's making.
func (k *simKernel) free(config.Address) error { return nil }

func (k *simKernel) listen(a config.Address, o ListenOptions) (int, config.Address, error) {
	a = plain(a)
	fail := func(call string, errno syscall.Errno) (int, config.Address, error) {
		return -1, a, fmt.Errorf("%s: %w", a, os.NewSyscallError(call, errno))
	}
	switch {
	case k.dead:
		return fail("socket", syscall.EBADF)
	case k.full():
		return fail("socket", syscall.EMFILE)
	}
	var b *backlog
	if o.Shared != nil {
		b = k.s.shared[o.Shared]
	}
	if b == nil {
		if a.Path == "" && a.IP.Port() == 0 {
			a.IP = netip.AddrPortFrom(a.IP.Addr(), k.s.freePort(a.IP.Addr()))
		}
		st := k.s.site(a)
		if a.Path != "" && len(st.listeners) > 0 {
			return fail("bind", syscall.EADDRINUSE)
		}
		b = &backlog{site: st, limit: o.Backlog, sharedBy: o.Shared}
		if b.limit <= 0 {
			b.limit = 4096 // somaxconn
		}
		st.listeners = append(st.listeners, b)
		if o.Shared != nil {
			k.s.shared[o.Shared] = b
		}
	}
	x := &socket{s: k.s, backlog: b, local: b.site.addr.IP}
	b.sockets = append(b.sockets, x)
	fd := k.install(x)
	k.s.note(k, opListen, fd, 0)
	k.tellAsked(false, b.site.addr, o, nil)
	return fd, b.site.addr, nil
}

func (k *simKernel) register(fd int, gen uint32, _ bool) syscall.Errno {
	x := k.socket(fd)
	if x == nil {
		return syscall.EBADF
	}
	x.gen, x.registered = gen, true
	if x.mask() != 0 {
		x.notify()
	}
	return 0
}

func (k *simKernel) unregister(fd int) {
	if x := k.socket(fd); x != nil {
		x.registered = false
	}
}

// accept takes its file descriptor before it looks at the queue, as Linux does:
// EMFILE comes even if nobody waits.
func (k *simKernel) accept(fd int) (int, netip.AddrPort, syscall.Errno) {
	l := k.socket(fd)
	switch {
	case l == nil || l.backlog == nil:
		return -1, netip.AddrPort{}, syscall.EBADF
	case k.full():
		k.s.note(k, opAccept, fd, -int(syscall.EMFILE))
		return -1, netip.AddrPort{}, syscall.EMFILE
	case len(l.backlog.waiting) == 0:
		return -1, netip.AddrPort{}, syscall.EAGAIN
	}
	y := l.backlog.waiting[0]
	l.backlog.waiting[0] = nil
	l.backlog.waiting = l.backlog.waiting[1:]
	n := k.install(y)
	k.s.note(k, opAccept, fd, n)
	return n, y.remote, 0
}

func (k *simKernel) connect(a config.Address, o config.Keepalive, from *config.LocalAddress) (int, syscall.Errno) {
	a = plain(a)
	switch {
	case k.dead:
		return -1, syscall.EBADF
	case k.full():
		return -1, syscall.EMFILE
	case a.Path != "":
		return k.connectUnix(a)
	}
	s := k.s
	if from != nil { // each network namespace is a network of its own
		a.Namespace = from.Namespace
	}
	x := &socket{s: s, site: s.site(a), remote: a.IP, connecting: true}
	if via, ok := k.redirects[a.IP]; ok {
		x.site = s.site(config.Address{IP: via, Namespace: a.Namespace})
	}
	x.local = netip.AddrPortFrom(k.source(a.IP.Addr()), s.localPort())
	if from != nil && from.Address.IsValid() {
		if from.Address.Addr().Is4() != a.IP.Addr().Unmap().Is4() {
			return notBound, syscall.EINVAL
		}
		x.local = netip.AddrPortFrom(from.Address.Addr(), x.local.Port())
		if p := from.Address.Port(); p != 0 {
			x.local = from.Address
		}
	}
	if a.IP.Addr().IsLoopback() && s.deaf(x.site) && s.rng.IntN(2) == 0 {
		return -1, syscall.ECONNREFUSED // over loopback the answer may be there at once
	}
	s.stats.Connections++
	x.site.add(x)
	fd := k.install(x)
	s.note(k, opConnect, fd, int(x.local.Port()))
	k.tellAsked(true, a, ListenOptions{Socket: config.Socket{Keepalive: o}}, from)
	s.push(simEvent{at: s.now + x.delay(), kind: evSyn, sock: x})
	return fd, syscall.EINPROGRESS
}

// connectUnix succeeds or fails at once.
func (k *simKernel) connectUnix(a config.Address) (int, syscall.Errno) {
	s := k.s
	st := s.site(a)
	b := st.listener(s)
	switch {
	case b == nil || st.refused || s.all.refused:
		return -1, syscall.ECONNREFUSED
	case b.fullUp():
		return -1, syscall.EAGAIN
	}
	s.stats.Connections++
	x := &socket{s: s, site: st}
	st.add(x)
	fd := k.install(x)
	s.note(k, opConnect, fd, 0)
	b.add(x)
	return fd, 0
}

// pairPath is where pairs are, for faults and for names.
const pairPath = "(pair)"

func (k *simKernel) pair() (int, int, syscall.Errno) {
	s := k.s
	switch {
	case k.dead:
		return -1, -1, syscall.EBADF
	case k.limit > 0 && k.open+2 > k.limit:
		return -1, -1, syscall.EMFILE
	}
	s.stats.Connections++
	st := s.site(config.Address{Path: pairPath})
	x := &socket{s: s, site: st}
	y := &socket{s: s, site: st, peer: x}
	x.peer = y
	st.add(x)
	st.add(y)
	fd, other := k.install(x), k.install(y)
	s.note(k, opConnect, fd, other)
	return fd, other, 0
}

// source is the address that this worker's connections come from.
func (k *simKernel) source(to netip.Addr) netip.Addr {
	id := byte(k.w.ID)
	switch {
	case to.IsLoopback():
		return to
	case to.Is4():
		return netip.AddrFrom4([4]byte{10, 255, 0, id})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 15: id})
}

func (k *simKernel) socketError(fd int) syscall.Errno {
	x := k.socket(fd)
	if x == nil {
		return syscall.EBADF
	}
	return x.takeError()
}

func (k *simKernel) sockname(fd int) netip.AddrPort {
	if x := k.socket(fd); x != nil {
		return x.local
	}
	return netip.AddrPort{}
}

func (k *simKernel) original(fd int) netip.AddrPort {
	if x := k.socket(fd); x != nil {
		return x.original
	}
	return netip.AddrPort{}
}

func (k *simKernel) read(fd int, p []byte) (int, syscall.Errno) {
	x := k.socket(fd)
	if x == nil {
		return 0, syscall.EBADF
	}
	n, errno := x.read(p)
	k.s.noteBytes(k, opRead, fd, p[:n], errno)
	return n, errno
}

// canBatch: half of the workers batch, as the seed decides.
func (k *simKernel) canBatch() bool { return k.s.rng.IntN(2) == 0 }

func (k *simKernel) readAll(ts []transfer) {
	for i := range ts {
		ts[i].n, ts[i].errno = k.read(ts[i].fd, ts[i].p)
	}
}

func (k *simKernel) writeAll(ts []transfer) {
	for i := range ts {
		ts[i].n, ts[i].errno = k.write(ts[i].fd, ts[i].p)
	}
}

func (k *simKernel) write(fd int, p []byte) (int, syscall.Errno) { return k.writev(fd, p, nil) }

func (k *simKernel) writev(fd int, a, b []byte) (int, syscall.Errno) {
	x := k.socket(fd)
	if x == nil {
		return 0, syscall.EBADF
	}
	n, errno := x.room(len(a) + len(b))
	a = a[:min(len(a), n)]
	b = b[:n-len(a)]
	if errno == 0 {
		x.send(a, b)
	}
	k.s.noteBytes(k, opWrite, fd, a, errno)
	if len(b) > 0 {
		k.s.noteBytes(k, opWrite, fd, b, errno)
	}
	return n, errno
}

func (k *simKernel) shutdownWrite(fd int) syscall.Errno {
	x := k.socket(fd)
	switch {
	case x == nil:
		return syscall.EBADF
	case x.aborted || x.connecting || x.backlog != nil:
		return syscall.ENOTCONN
	}
	k.s.note(k, opShutdown, fd, 0)
	if !x.shutW {
		x.shutW = true
		x.segment(segFin, 0)
		x.notify() // Linux tells pollers of it
	}
	return 0
}

func (k *simKernel) close(fd int, reset bool) {
	x := k.socket(fd)
	if x == nil {
		return
	}
	how := 0
	if reset {
		how = 1
	}
	k.s.note(k, opClose, fd, how)
	k.fds[fd-firstFD] = nil
	k.open--
	x.close(reset)
}

// openSockets describes them for an error, the first few.
func (k *simKernel) openSockets() string {
	var b strings.Builder
	n := 0
	for _, x := range k.fds {
		if x == nil {
			continue
		}
		if n++; n > 8 {
			b.WriteString("\n    …")
			break
		}
		b.WriteString("\n    " + x.String())
	}
	return b.String()
}
