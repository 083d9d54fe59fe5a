// Package moves tells of names that come into directories, or leave them by being
// moved: what whoever replaces a file as a whole does to it. Writing into a file is
// none of it. fsnotify, whose types it shares, cannot be asked for so little: a
// directory of certificates in which somebody writes a log would wake the process
// with every line, and cost a quarter of a busy proxy's time.
package moves

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// asked is what the kernel is asked for (inotify(7)).
const asked = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// Watcher follows directories. Its methods are for any goroutine.
type Watcher struct {
	// Events are fsnotify.Create for what came under a name, and fsnotify.Rename
	// for what left it, or for a directory that was itself moved. Closed by Close.
	Events chan fsnotify.Event
	// Errors are fsnotify.ErrEventOverflow: events were lost. Closed by Close.
	Errors chan error

	file  *os.File
	done  chan struct{}
	ended chan struct{}

	mu     sync.Mutex
	byPath map[string]int
	byID   map[int]string // the kernel's, of a watch
}

// New makes a watcher of nothing yet, with a goroutine that ends with Close.
// Errors: the kernel has no inotify, or too many are in use.
func New() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &Watcher{
		Events: make(chan fsnotify.Event), Errors: make(chan error),
		file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), ended: make(chan struct{}),
		byPath: map[string]int{}, byID: map[int]string{},
	}
	go w.read()
	return w, nil
}

// Close ends the watcher and waits for its goroutine.
func (w *Watcher) Close() error {
	close(w.done)
	err := w.file.Close()
	<-w.ended
	return err
}

// Add begins to follow a directory; one that is followed already is looked up
// again, as another may have its name by now. Errors: there is none of that name.
func (w *Watcher) Add(directory string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var id int
	err := w.do(func(fd int) (err error) {
		id, err = unix.InotifyAddWatch(fd, directory, asked)
		return err
	})
	if err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	if before, followed := w.byPath[directory]; followed && before != id {
		w.forget(before)
	}
	w.byPath[directory], w.byID[id] = id, directory
	return nil
}

// Remove ends that. Errors: it was not followed.
func (w *Watcher) Remove(directory string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	id, followed := w.byPath[directory]
	if !followed {
		return fsnotify.ErrNonExistentWatch
	}
	delete(w.byPath, directory)
	return w.forget(id)
}

// forget ends a watch of the kernel's.
func (w *Watcher) forget(id int) error {
	delete(w.byID, id)
	return w.do(func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(id))
		return err
	})
}

// do runs f with the descriptor, which is not closed meanwhile.
func (w *Watcher) do(f func(fd int) error) error {
	c, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := c.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// read hands events on until Close.
func (w *Watcher) read() {
	defer close(w.ended)
	defer close(w.Errors)
	defer close(w.Events)
	buf := make([]byte, 16<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			id, mask := int(int32(binary.NativeEndian.Uint32(rest))), binary.NativeEndian.Uint32(rest[4:])
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[12:]))
			if end > len(rest) {
				return // the kernel gives whole events
			}
			if !w.tell(id, mask, string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))) {
				return
			}
			rest = rest[end:]
		}
	}
}

// tell hands one event on; false if the watcher is closed.
func (w *Watcher) tell(id int, mask uint32, name string) bool {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		select {
		case w.Errors <- fsnotify.ErrEventOverflow:
			return true
		case <-w.done:
			return false
		}
	}
	directory, followed := w.directory(id, mask)
	e := fsnotify.Event{Name: filepath.Join(directory, name)}
	switch {
	case !followed:
		return true
	case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		e.Op = fsnotify.Create
	case mask&(unix.IN_MOVED_FROM|unix.IN_MOVE_SELF) != 0:
		e.Op = fsnotify.Rename
	default:
		return true
	}
	select {
	case w.Events <- e:
		return true
	case <-w.done:
		return false
	}
}

// directory is what a watch of the kernel's is on. One that has ended with its
// directory (IN_IGNORED) is forgotten.
func (w *Watcher) directory(id int, mask uint32) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	directory, followed := w.byID[id]
	if followed && mask&unix.IN_IGNORED != 0 {
		delete(w.byID, id)
		if w.byPath[directory] == id {
			delete(w.byPath, directory)
		}
	}
	return directory, followed
}
