package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const stall = 5 * time.Second // no reply at all for so long is an error

// generator is the whole run's state; one goroutine owns it.
type generator struct {
	script    *script
	epoll     int
	conns     []*conn // by descriptor
	out       []byte  // commands of one turn of one connection
	in        [256 << 10]byte
	now       time.Time // of this turn of the loop
	start     time.Time
	last      time.Time // when a reply last arrived
	replies   uint64
	received  uint64
	open      int // commands in flight, all connections
	latencies load.Histogram
}

// conn is one connection and what it waits for, oldest first.
type conn struct {
	fd      int
	window  []wait // ring
	head, n int
	matched int    // bytes of the oldest reply that have arrived
	unsent  []byte // what the socket did not take
}

type wait struct {
	*exchange
	sent time.Time
}

func open(o options, s *script) (*generator, error) {
	at, err := netip.ParseAddrPort(o.target)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("target %q is not an IPv4 address and port", o.target)
	}
	g := &generator{script: s}
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	for range o.conns {
		if err := g.connect(&unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, o.inflight); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *generator) connect(to unix.Sockaddr, inflight int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)}
	if err := errors.Join(
		unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &event),
	); err != nil {
		return err
	}
	for len(g.conns) <= fd {
		g.conns = append(g.conns, nil)
	}
	g.conns[fd] = &conn{fd: fd, window: make([]wait, inflight)}
	return nil
}

// run fills every window and keeps it full until the time is over, or until a preload is answered.
func (g *generator) run(duration time.Duration) error {
	g.start = time.Now()
	g.now, g.last = g.start, g.start
	for _, c := range g.conns {
		if c != nil {
			if err := g.fill(c); err != nil {
				return err
			}
		}
	}
	var events [256]unix.EpollEvent
	for g.open > 0 && (g.script.left >= 0 || g.now.Sub(g.start) < duration) {
		n, err := unix.EpollWait(g.epoll, events[:], 100)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		g.now = time.Now()
		for _, event := range events[:max(n, 0)] {
			if err := g.serve(g.conns[event.Fd], event.Events); err != nil {
				return err
			}
		}
		if g.now.Sub(g.last) > stall {
			return fmt.Errorf("%d commands without a reply for %v", g.open, stall)
		}
	}
	return nil
}

func (g *generator) serve(c *conn, what uint32) error {
	if what&unix.EPOLLOUT != 0 && len(c.unsent) > 0 {
		if err := c.send(nil); err != nil {
			return err
		}
	}
	if what&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return nil
	}
	for {
		n, err := unix.Read(c.fd, g.in[:])
		switch {
		case err == unix.EAGAIN:
			return g.fill(c)
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return fmt.Errorf("connection closed with %d commands unanswered", c.n)
		}
		if err := g.match(c, g.in[:n]); err != nil {
			return err
		}
		if n < len(g.in) { // drained
			return g.fill(c)
		}
	}
}

// match compares what arrived with what must arrive next.
func (g *generator) match(c *conn, got []byte) error {
	g.received += uint64(len(got))
	g.last = g.now
	for len(got) > 0 {
		if c.n == 0 {
			return fmt.Errorf("%q arrived unasked", cut(got))
		}
		oldest := &c.window[c.head]
		want := oldest.reply[c.matched:]
		n := min(len(want), len(got))
		if !bytes.Equal(want[:n], got[:n]) {
			return fmt.Errorf("%q was answered, after %d right bytes, with %q where %q is due", cut(oldest.request), c.matched, cut(got), cut(want))
		}
		c.matched, got = c.matched+n, got[n:]
		if n < len(want) {
			return nil
		}
		g.latencies.Add(g.now.Sub(oldest.sent))
		c.matched, c.n, c.head = 0, c.n-1, c.head+1
		if c.head == len(c.window) {
			c.head = 0
		}
		g.replies++
		g.open--
	}
	return nil
}

// fill sends as many commands as the window has room for, in one write.
func (g *generator) fill(c *conn) error {
	g.out = g.out[:0]
	for c.n < len(c.window) {
		e, ok := g.script.next()
		if !ok {
			break
		}
		c.window[(c.head+c.n)%len(c.window)] = wait{e, g.now}
		c.n++
		g.open++
		g.out = append(g.out, e.request...)
	}
	return c.send(g.out)
}

func (c *conn) send(more []byte) error {
	if len(c.unsent) > 0 {
		c.unsent = append(c.unsent, more...)
		more = c.unsent
	}
	for len(more) > 0 {
		n, err := unix.Write(c.fd, more)
		if err == unix.EAGAIN {
			break
		}
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("write: %w", err)
		}
		more = more[max(n, 0):]
	}
	c.unsent = append(c.unsent[:0], more...)
	return nil
}

func (g *generator) report() load.Report {
	return load.Measured(g.replies, g.received, g.now.Sub(g.start), &g.latencies)
}

func cut(b []byte) []byte { return b[:min(len(b), 60)] }
