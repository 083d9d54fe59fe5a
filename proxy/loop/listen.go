package loop

import (
	"cmp"
	"os"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// acceptsPerTurn bounds how many connections a listener takes before the
// others run, unless it says how many.
const acceptsPerTurn = 8

// acceptPause is how long accepting rests when file descriptors or memory ran
// out, unless a connection closes before.
const acceptPause = 100 * time.Millisecond

// Listener accepts connections for one worker. Worker only.
type Listener struct {
	w      *Worker
	fd     int
	addr   config.Address
	name   string // of one inside the process, which has no fd
	onConn func(*Conn)
	turn   int // how many are taken in one turn
	retry  Timer
	queued bool
	closed bool
	ending bool    // closing: the last ones are taken
	origin *origin // of all that it accepts: the network namespace; nil: the program's own
	waits  bool    // for file descriptors
	listed bool    // in Worker.paused
	// Paused counts how often accepting rested for want of resources.
	Paused uint64
}

// CheckFree reports whether anybody else listens at a TCP address. Sockets that
// share a port (SO_REUSEPORT) do not notice each other: without this a second
// attache would quietly take half of the connections of the first. Errors: as of
// Listen. Any goroutine.
func (w *Worker) CheckFree(a config.Address) error { return w.k.free(a) }

// Listen opens a listening socket; each worker has its own (SO_REUSEPORT),
// unix sockets are shared. onConn is called on the loop for each connection
// and sets its handler. Errors: an *os.SyscallError, or that the address's network
// namespace cannot be entered.
func (w *Worker) Listen(a config.Address, o ListenOptions, onConn func(*Conn)) (*Listener, error) {
	fd, at, err := w.k.listen(a, o)
	if err != nil {
		return nil, err
	}
	return w.watch(fd, at, o, onConn)
}

// watch begins to accept on a listening socket, which is the worker's from now on.
func (w *Worker) watch(fd int, at config.Address, o ListenOptions, onConn func(*Conn)) (*Listener, error) {
	l := &Listener{w: w, fd: fd, addr: at, onConn: onConn, turn: cmp.Or(o.AcceptsPerTurn, acceptsPerTurn)}
	if at.Namespace != "" {
		l.origin = &origin{namespace: at.Namespace}
	}
	w.enter(fd, &entry{listener: l})
	if errno := w.k.register(fd, w.gen, true); errno != 0 {
		w.conns[fd] = nil
		w.k.close(fd, false)
		return nil, os.NewSyscallError("epoll_ctl", errno)
	}
	return l, nil
}

// Addr is where it listens; the port is the kernel's choice if 0 was asked.
func (l *Listener) Addr() config.Address { return l.addr }

// acceptsAtEnd bounds how many connections are taken when a listener closes.
const acceptsAtEnd = 4096

// Close stops accepting; connections that were accepted stay, and those that
// wait to be are accepted now: the kernel would reset them with the socket.
func (l *Listener) Close() {
	if l.closed || l.ending {
		return
	}
	l.ending = true
	if l.name != "" {
		l.closed = true
		if l.w.inside[l.name] == l {
			delete(l.w.inside, l.name)
		}
		return
	}
	l.w.k.unregister(l.fd) // first: who comes later is told to whoever else has the socket
	if !l.waits {
		l.take(acceptsAtEnd)
	}
	l.closed = true
	l.w.ClearTimer(&l.retry)
	l.w.conns[l.fd] = nil
	l.w.k.close(l.fd, false)
}

// accept takes what waits, up to a bound, and goes on in the next turn if there
// may be more.
func (l *Listener) accept() {
	l.queued = false
	if !l.closed && !l.waits && l.take(l.turn) {
		l.enqueue()
	}
}

// take accepts up to n connections; true if there may be more.
func (l *Listener) take(n int) bool {
	for range n {
		fd, peer, errno := l.w.k.accept(l.fd)
		switch errno {
		case 0:
		case syscall.EAGAIN:
			return false
		case syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO, syscall.EPERM:
			continue
		default: // EMFILE, ENFILE, ENOBUFS, ENOMEM
			l.pause()
			return false
		}
		l.w.count.Accepted++
		if c, err := l.w.adopt(fd, peer); err == nil {
			c.origin = l.origin
			l.greet(c)
		}
		if l.closed {
			return false
		}
	}
	return true
}

func (l *Listener) greet(c *Conn) {
	defer l.w.caught(c)
	l.onConn(c)
}

func (l *Listener) enqueue() {
	if !l.queued {
		l.queued = true
		l.w.nextTurn(task{f: l.accept})
	}
}

// pause rests until a file descriptor comes free or some time has passed: a
// loop that is told of a connection it cannot take must not spin.
func (l *Listener) pause() {
	l.Paused++
	l.w.count.AcceptPaused++
	l.waits = true
	if !l.listed {
		l.listed = true
		l.w.paused = append(l.w.paused, l)
	}
	l.w.SetTimer(&l.retry, acceptPause, l.resume)
}

func (l *Listener) resume() {
	if l.waits {
		l.waits = false
		l.w.ClearTimer(&l.retry)
		if !l.closed {
			l.enqueue()
		}
	}
}

// resumeAccepting is called when a file descriptor came free.
func (w *Worker) resumeAccepting() {
	if len(w.paused) == 0 {
		return
	}
	for _, l := range w.paused {
		l.listed = false
		l.resume()
	}
	w.paused = w.paused[:0]
}
