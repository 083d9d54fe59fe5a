package listener

// Sockets that another process has opened: those that this one is given at its
// start, and those that it gives on.

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/loop/netns"
)

// Inherited are the listening sockets of the process before, until a listener asks
// for them. Its methods are for any goroutine, and for nil, which has none.
type Inherited struct {
	// Share is set where the process before could not be asked: it may still have
	// our ports, and that does not keep us from listening there too.
	Share bool
	mu    sync.Mutex
	fds   map[string][]int // by key
}

// Add gives it sockets that were given away under a key.
func (i *Inherited) Add(key string, fds ...int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fds == nil {
		i.fds = map[string][]int{}
	}
	i.fds[key] = append(i.fds[key], fds...)
}

// take gives the sockets of a key away. A network namespace is known by its path: if
// that is another one's by now, what was opened in the one before is let go. If nothing is
// there any more, what was opened is all that there is of it, and stays.
func (i *Inherited) take(key, namespace string) []int {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	fds := i.fds[key]
	delete(i.fds, key)
	if namespace != "" && len(fds) > 0 && isThere(namespace) && !netns.Has(namespace, fds[0]) {
		closeAll(fds)
		return nil
	}
	return fds
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Close lets go of what nobody has asked for, and says how many addresses that were.
func (i *Inherited) Close() int {
	if i == nil {
		return 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, fds := range i.fds {
		closeAll(fds)
	}
	n := len(i.fds)
	i.fds = nil
	return n
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Sockets are duplicates of the listening sockets at one address; their owner closes
// them.
type Sockets struct {
	Key string
	FDs []int
}

// key is how the process that comes after asks for the sockets of an address: by the
// address, with its network namespace, and where the kernel has chosen the port, by the
// listener's name and which of its addresses it is.
func key(listener string, n int, asked config.Address) string {
	if asked.Path == "" && asked.IP.Port() == 0 {
		return listener + "#" + strconv.Itoa(n) + " " + asked.Place()
	}
	return asked.Place()
}

// Sockets gives duplicates of all of the listener's sockets. Any goroutine.
func (l *Listener) Sockets() (all []Sockets, err error) {
	for n, asked := range l.asked {
		one := Sockets{Key: key(l.Name, n, asked)}
		for _, w := range l.workers {
			do(w, func() {
				for _, s := range l.local[w.ID].sockets {
					if err == nil && !s.Inside() && s.Addr() == l.addrs[n] && (asked.Path == "" && !l.oneSocket || len(one.FDs) == 0) {
						var fd int
						if fd, err = s.Duplicate(); err == nil {
							one.FDs = append(one.FDs, fd)
						}
					}
				}
			})
		}
		if len(one.FDs) > 0 {
			all = append(all, one)
		}
	}
	return all, err
}

// KeepPaths says whether the paths of unix sockets are another process's: Close lets
// them be then. Any goroutine.
func (l *Listener) KeepPaths(keep bool) {
	for _, s := range l.shared {
		s.KeepPath(keep)
	}
}

// inherit has the workers accept on sockets of the process before; with more sockets
// than workers some have several, with fewer some have none, and false.
func (l *Listener) inherit(fds []int, a config.Address, o loop.ListenOptions) (at config.Address, served map[int]bool, err error) {
	at, served = a, map[int]bool{}
	for i, fd := range fds {
		w := l.workers[i%len(l.workers)]
		if err != nil {
			unix.Close(fd)
			continue
		}
		do(w, func() {
			var s *loop.Listener
			local := l.local[w.ID]
			if s, err = w.ListenOn(fd, a, o, func(c *loop.Conn) { l.accepted(local, c) }); err == nil {
				local.sockets = append(local.sockets, s)
				at, served[w.ID] = s.Addr(), true
			}
		})
	}
	return at, served, err
}
