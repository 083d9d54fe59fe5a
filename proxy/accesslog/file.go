package accesslog

// Files, and the goroutine that writes to each.

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

const (
	pageSize      = 64 << 10 // a page that is fuller is handed over at once
	flushInterval = time.Second
	queueLength   = 64 // pages of one file that wait to be written
)

// Files are the open log files of a process: those of one path share one. Any
// goroutine.
type Files struct {
	workers int
	cluster func(name string) *upstream.Cluster

	mu       sync.Mutex
	open     map[string]*File
	services []*service // that are logged to

	sent, lost atomic.Uint64 // entries, to and for services

	written, failed, dropped, reopenFailed atomic.Uint64
}

// NewFiles makes an empty set for workers whose IDs are below n. cluster finds the
// clusters of services that take logs, from any worker; nil: there are none.
func NewFiles(n int, cluster func(name string) *upstream.Cluster) *Files {
	if cluster == nil {
		cluster = func(string) *upstream.Cluster { return nil }
	}
	return &Files{workers: max(n, 1), cluster: cluster, open: map[string]*File{}}
}

// Open opens a file to append to, or takes the one that is open.
func (s *Files) Open(path string) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.open[path]; f != nil {
		f.users++
		return f, nil
	}
	out, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("unable to open file '%s': %w", path, err)
	}
	f := &File{set: s, path: path, users: 1, pages: make([]page, s.workers), queue: make(chan []byte, queueLength), free: make(chan []byte, queueLength), quit: make(chan struct{})}
	for i := range f.pages {
		p := &f.pages[i]
		p.f = f
		p.late = func() { p.armed = false; p.hand() }
	}
	f.done.Add(1)
	go f.write(out)
	s.open[path] = f
	return f, nil
}

func (s *Files) join(g *service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = append(s.services, g)
}

func (s *Files) part(g *service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = slices.DeleteFunc(s.services, func(o *service) bool { return o == g })
}

// Flush has worker w send services what it has for them, and end its streams. It is
// true when nothing is left of that, and to be called again until then, or for as
// long as one is willing to wait. On w only.
func (s *Files) Flush(w *loop.Worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := true
	for _, g := range s.services {
		done = g.parts[w.ID].last() && done
	}
	return done
}

// Reopen makes every file be opened anew before it is written to again, as after
// it was moved away.
func (s *Files) Reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.open {
		f.reopen.Store(true)
	}
}

// Stats yields counters under Envoy's names (filesystem.*) and our own, dropped.
func (s *Files) Stats(yield func(name string, v uint64)) {
	yield("filesystem.write_completed", s.written.Load())
	yield("filesystem.write_failed", s.failed.Load())
	yield("filesystem.reopen_failed", s.reopenFailed.Load())
	yield("filesystem.dropped", s.dropped.Load())
	if sent, lost := s.sent.Load(), s.lost.Load(); sent+lost > 0 {
		yield("access_logs.grpc_access_log.logs_written", sent)
		yield("access_logs.grpc_access_log.logs_dropped", lost)
	}
}

// Close writes what is left of all files and closes them. Nothing may be written
// any more: the workers have ended.
func (s *Files) Close() {
	s.mu.Lock()
	all := s.open
	s.open = map[string]*File{}
	s.mu.Unlock()
	for _, f := range all {
		for i := range f.pages {
			if p := &f.pages[i]; len(p.buf) > 0 {
				f.queue <- p.buf
				p.buf = nil
			}
		}
		close(f.quit)
		f.done.Wait()
	}
}

// File is a log file.
type File struct {
	set   *Files
	path  string
	users int    // set.mu guards it
	pages []page // by worker ID; each is its worker's
	queue chan []byte
	free  chan []byte   // pages that may be filled again
	quit  chan struct{} // closed when no page will come any more

	reopen atomic.Bool
	done   sync.WaitGroup
}

// release gives the file back. The last user's entries may still be in pages: they
// are handed over within flushInterval, and the goroutine stays so long.
func (f *File) release() {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	if f.users--; f.users > 0 || f.set.open[f.path] != f {
		return
	}
	delete(f.set.open, f.path)
	time.AfterFunc(2*flushInterval, func() { close(f.quit) })
}

// openFile opens a file to append to, which need not be there. A pipe without a
// reader does not hold it up.
func openFile(path string) (*os.File, error) {
	switch path {
	case "/dev/stdout":
		return os.Stdout, nil
	case "/dev/stderr":
		return os.Stderr, nil
	}
	return os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
}

// write is the file's goroutine.
func (f *File) write(out *os.File) {
	defer f.done.Done()
	for {
		select {
		case p := <-f.queue:
			out = f.put(out, p)
		case <-f.quit:
			for len(f.queue) > 0 {
				out = f.put(out, <-f.queue)
			}
			closeFile(out)
			return
		}
	}
}

// put writes a page, to a file that is opened anew if it was asked for.
func (f *File) put(out *os.File, p []byte) *os.File {
	if f.reopen.Swap(false) {
		if again, err := openFile(f.path); err != nil {
			f.set.reopenFailed.Add(1)
		} else {
			closeFile(out)
			out = again
		}
	}
	if _, err := out.Write(p); err != nil {
		f.set.failed.Add(1)
	} else {
		f.set.written.Add(1)
	}
	select {
	case f.free <- p[:0]:
	default:
	}
	return out
}

// closeFile closes what openFile has opened; the program's own output stays open.
func closeFile(out *os.File) {
	if out != os.Stdout && out != os.Stderr {
		_ = out.Close() // what was written is written
	}
}

// page is what a worker has to say that was not handed over. Worker only.
type page struct {
	f     *File
	buf   []byte
	timer loop.Timer
	late  func() // hands over; bound once
	armed bool
}

func (f *File) on(w *loop.Worker) *page { return &f.pages[w.ID] }

// begin makes room for an entry.
func (p *page) begin(*loop.Worker) {
	if p.buf == nil {
		select {
		case p.buf = <-p.f.free:
		default:
			p.buf = make([]byte, 0, pageSize+pageSize/4)
		}
	}
}

// end hands the page over if it is full, else in a second.
func (p *page) end(w *loop.Worker) {
	switch {
	case len(p.buf) >= pageSize:
		p.hand()
	case !p.armed:
		p.armed = true
		w.SetTimer(&p.timer, flushInterval, p.late)
	}
}

// hand gives the page to the writer; if that has too many, the page is lost.
func (p *page) hand() {
	if len(p.buf) == 0 {
		return
	}
	select {
	case p.f.queue <- p.buf:
		p.buf = nil
	default:
		p.f.set.dropped.Add(1)
		p.buf = p.buf[:0]
	}
}
