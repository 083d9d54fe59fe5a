package loop

import (
	"net/netip"
	"os"
	"syscall"
)

// Connections that do not leave the process, and listeners that only dials of the
// same worker reach (Envoy's internal listeners).
//
//	Dial of a name ─▶ Pair ─┬─▶ whoever dialled
//	                        └─▶ the listener of that name, in the next turn
//
// A pair is a socket pair: it has buffers, ends and events like any connection, and
// whatever serves a connection serves it. What the kernel does not know of one, a
// reset, is told here.

// inside is what an end of a pair knows beside a connection.
type inside struct {
	twin   *Conn // the other end; nil once that is closed
	torn   bool  // which was reset
	passed any
	onPart func()
}

// Pair makes two connections, each the other's peer. Their addresses are not valid.
// Errors: an *os.SyscallError (EMFILE). Worker only.
func (w *Worker) Pair() (a, b *Conn, err error) {
	x, y, errno := w.k.pair()
	if errno != 0 {
		return nil, nil, os.NewSyscallError("socketpair", errno)
	}
	if a, err = w.adopt(x, netip.AddrPort{}); err != nil {
		w.k.close(y, false)
		return nil, nil, err
	}
	if b, err = w.adopt(y, netip.AddrPort{}); err != nil {
		a.Close()
		return nil, nil, err
	}
	a.inside, b.inside = &inside{twin: b}, &inside{twin: a}
	return a, b, nil
}

// PassOn gives the other end of a pair something beside the bytes; whoever accepts
// it finds it if it was given before the dialling coroutine yields. It does nothing
// on other connections.
func (c *Conn) PassOn(v any) {
	if c.inside != nil && c.inside.twin != nil {
		c.inside.twin.inside.passed = v
	}
}

// Inside reports whether the connection is an end of a pair.
func (c *Conn) Inside() bool { return c.inside != nil }

// Passed is what PassOn has given; nil: nothing.
func (c *Conn) Passed() any {
	if c.inside == nil {
		return nil
	}
	return c.inside.passed
}

// OnPart has f called when the other end of a pair is closed, which a reader may not
// notice for long. f must not wait.
func (c *Conn) OnPart(f func()) { c.inside.onPart = f }

// Torn reports whether the other end of a pair was reset.
func (c *Conn) Torn() bool { return c.inside != nil && c.inside.torn }

// part tells the other end of a pair that this one is closed.
func (c *Conn) part(reset bool) {
	if t := c.inside.twin; t != nil {
		t.inside.torn, t.inside.twin = reset, nil
		c.inside.twin = nil
		if f := t.inside.onPart; f != nil && !t.closed {
			f()
		}
	}
}

// ListenInside accepts what this worker dials by name; a later one of the same name
// takes its place. onConn is called on the loop for each connection and sets its
// handler. Worker only.
func (w *Worker) ListenInside(name string, onConn func(*Conn)) *Listener {
	l := &Listener{w: w, fd: -1, name: name, onConn: onConn}
	if w.inside == nil {
		w.inside = map[string]*Listener{}
	}
	w.inside[name] = l
	return l
}

// dialInside connects to the listener of that name.
func (w *Worker) dialInside(name string) (*Conn, error) {
	l := w.inside[name]
	if l == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	a, b, err := w.Pair()
	if err != nil {
		return nil, err
	}
	w.nextTurn(task{f: func() {
		if b.closed {
			return
		}
		w.count.Accepted++
		l.greet(b)
	}})
	return a, nil
}
