package loop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// socket is one end of a connection in the simulated network, or a listening
// socket. Its states are those of a Linux TCP socket as far as a program can
// tell them apart.
type socket struct {
	s          *Sim
	k          *simKernel // whose; nil while it waits to be accepted
	fd         int
	gen        uint32
	registered bool
	queued     bool // in k.queue
	closed     bool // by its program

	site          *site // the address that was dialled
	index         int   // in site.conns
	server        bool  // the side that accepted
	local, remote netip.AddrPort
	original      netip.AddrPort // where it was going before it was redirected
	peer          *socket        // nil until the SYN has arrived
	backlog       *backlog

	connecting bool
	patience   int64 // until the next SYN if the backlog was full
	shutW      bool  // FIN sent or on its way
	finIn      bool  // FIN has come
	aborted    bool  // by a RST from either side
	err        syscall.Errno

	out       stream // what it sends
	wantSpace bool   // a write was cut short or refused
}

// backlog is the accept queue of a listening socket, which several workers may
// share.
type backlog struct {
	site     *site
	limit    int
	sockets  []*socket
	waiting  []*socket
	sharedBy *SharedSocket
}

func (b *backlog) fullUp() bool { return len(b.waiting) >= b.limit }

// add makes the server's end of x' connection and tells one listener of it.
func (b *backlog) add(x *socket) {
	y := &socket{s: x.s, site: x.site, server: true, local: x.remote, remote: x.local, peer: x}
	if x.site.addr.Path == "" && x.site.addr.IP != x.remote { // redirected
		y.local, y.original = x.site.addr.IP, x.remote
	}
	x.peer = y
	x.site.add(y)
	b.waiting = append(b.waiting, y)
	b.sockets[x.s.rng.IntN(len(b.sockets))].notify()
}

// mask is what poll would say (tcp_poll in Linux' net/ipv4/tcp.c).
func (x *socket) mask() uint32 {
	if x.backlog != nil {
		if len(x.backlog.waiting) > 0 {
			return evIn
		}
		return 0
	}
	var m uint32
	if x.aborted || x.shutW && x.finIn {
		m |= evHup
	}
	if x.aborted || x.finIn {
		m |= evIn | evRDHup
	}
	if x.err != 0 {
		m |= evErr
	}
	if x.connecting {
		return m
	}
	if x.unread() > 0 {
		m |= evIn
	}
	if x.aborted || x.shutW || x.writable() {
		m |= evOut
	} else {
		x.wantSpace = true
	}
	return m
}

// notify queues an event: what it says is decided when it is taken.
func (x *socket) notify() {
	if x.k == nil || !x.registered || x.queued || x.closed || x.stalled() {
		return
	}
	x.queued = true
	x.k.queue = append(x.k.queue, x)
}

// stalled reports whether the program behind x is told nothing.
func (x *socket) stalled() bool {
	if x.backlog != nil {
		return x.backlog.site.stalled || x.s.all.stalled
	}
	return x.server && (x.site.stalled || x.s.all.stalled)
}

func (x *socket) takeError() syscall.Errno {
	errno := x.err
	x.err = 0
	return errno
}

// unread is how many bytes its program could read now.
func (x *socket) unread() int {
	if x.peer == nil {
		return 0
	}
	return x.peer.out.delivered - x.peer.out.off
}

// read gives what came, then the end or the error, each as Linux would.
func (x *socket) read(p []byte) (int, syscall.Errno) {
	if n := min(x.unread(), len(p)); n > 0 {
		from := &x.peer.out
		copy(p, from.data[from.off:from.off+n])
		from.off += n
		from.compact()
		if from.full {
			from.full = false
			x.peer.plan(x.s.now + x.delay())
		}
		return n, 0
	}
	switch {
	case x.finIn:
		return 0, 0
	case x.err != 0:
		return 0, x.takeError()
	case x.aborted:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

// room says how many of n bytes the socket takes now.
func (x *socket) room(n int) (int, syscall.Errno) {
	switch {
	case x.connecting:
		return 0, syscall.EAGAIN
	case x.err != 0 && !x.unix():
		return 0, x.takeError()
	case x.aborted || x.shutW:
		return 0, syscall.EPIPE
	}
	link := x.link()
	free := link.buffer() - x.out.unsent()
	take := max(min(n, free), 0)
	if link.PartialWrites && take > 0 {
		switch x.s.rng.IntN(4) {
		case 0:
			take = 0
		case 1, 2:
			take = 1 + x.s.rng.IntN(take)
		}
		if take < min(n, free) {
			x.s.push(simEvent{at: x.s.now + 1 + x.s.rng.Int64N(100_000), kind: evSpace, sock: x})
		}
	}
	if take < n {
		x.wantSpace = true
	}
	if take == 0 && n > 0 {
		return 0, syscall.EAGAIN
	}
	return take, 0
}

// writable is sk_stream_is_writeable: a third of the buffer is free.
func (x *socket) writable() bool {
	used := x.out.unsent()
	return x.link().buffer()-used >= (used+1)/2
}

// spaceAgain tells a program that was cut short that it may go on.
func (x *socket) spaceAgain() {
	if x.wantSpace && !x.closed && x.writable() {
		x.wantSpace = false
		x.notify()
	}
}

// close is close(2), or with reset after SO_LINGER was set to 0. Unread bytes
// make it a RST.
func (x *socket) close(reset bool) {
	x.closed = true
	if x.backlog != nil {
		x.backlog.close(x)
		return
	}
	switch {
	case x.aborted:
	case x.unix():
		x.leave()
	case x.connecting && x.peer == nil: // its SYN will find nobody
	case reset || x.connecting || x.unread() > 0:
		x.abort()
	case !x.shutW:
		x.shutW = true
		x.segment(segFin, 0)
	}
	x.site.remove(x)
}

// close takes one listening socket off; with the last one those who wait to be
// accepted get a RST.
func (b *backlog) close(x *socket) {
	b.sockets = slices.DeleteFunc(b.sockets, func(y *socket) bool { return y == x })
	if len(b.sockets) > 0 {
		if len(b.waiting) > 0 {
			b.sockets[0].notify()
		}
		return
	}
	b.site.listeners = slices.DeleteFunc(b.site.listeners, func(c *backlog) bool { return c == b })
	if b.sharedBy != nil {
		delete(x.s.shared, b.sharedBy)
	}
	for _, y := range b.waiting {
		y.close(true)
	}
	b.waiting = nil
}

// abort sends a RST. Chance decides how much of what is under way is lost; what
// waited for the peer's window is.
func (x *socket) abort() {
	x.aborted = true
	if x.shutW && x.finIn && x.out.unsent() == 0 {
		return // TIME_WAIT: the connection is over
	}
	keep := 0
	if !x.out.full {
		keep = x.s.rng.IntN(len(x.out.segs) - x.out.head + 1)
	}
	x.out.cut(keep)
	x.out.full = false
	x.segment(segRst, 0)
}

// leave is how a unix socket is closed: what was sent is with the peer already,
// there is no RST to send, and the peer has an error if bytes were unread or the
// connection was never accepted.
func (x *socket) leave() {
	x.aborted = true
	if x.k == nil || x.unread() > 0 || x.peer.out.unsent() > 0 {
		x.segment(segRst, 0)
		return
	}
	x.segment(segGone, 0)
}

func (x *socket) unix() bool { return x.site.addr.Path != "" }

// reset is the arrival of a RST (tcp_reset in Linux' net/ipv4/tcp_input.c):
// what came before can still be read.
func (x *socket) reset() {
	if x.aborted {
		return
	}
	x.err = syscall.ECONNRESET
	switch {
	case x.connecting:
		x.err = syscall.ECONNREFUSED
	case x.finIn && !x.shutW && !x.unix():
		x.err = syscall.EPIPE
	}
	x.gone()
}

// gone leaves nothing but to read what came.
func (x *socket) gone() {
	x.aborted, x.connecting = true, false
	x.out.cut(0)
	x.notify()
}

// String describes the socket for whoever looks for a leak or a wait.
func (x *socket) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fd %d ", x.fd)
	if x.backlog != nil {
		fmt.Fprintf(&b, "listens on %s, %d wait", x.backlog.site.addr, len(x.backlog.waiting))
		return b.String()
	}
	side := "dialled"
	if x.server {
		side = "accepted at"
	}
	fmt.Fprintf(&b, "%s %s (port %d–%d), %d B unread, %d B unsent", side, x.site.addr, x.local.Port(), x.remote.Port(), x.unread(), x.out.unsent())
	for _, f := range []struct {
		is   bool
		name string
	}{
		{x.connecting, "connecting"},
		{x.shutW, "FIN sent"},
		{x.finIn, "FIN received"},
		{x.aborted, "reset"},
		{x.out.held, "black hole"},
		{x.out.full, "peer's window full"},
	} {
		if f.is {
			b.WriteString(", " + f.name)
		}
	}
	return b.String()
}
