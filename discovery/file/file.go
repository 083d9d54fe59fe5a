// Package file is a discovery source that reads services from YAML or JSON files
// and sees them change: by a rename into place, by Kubernetes' swap of symlinks,
// by an editor, or by a write that no event told of.
//
//	directories ─ fsnotify ─┐
//	every 30 s ─────────────┴▶ reader: read, decode, compare ─▶ picture ─▶ one Watch for each service
package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// Source reads files of services. They are read once for all services that are
// watched, and only while one is. Any goroutine.
//
// A file that cannot be read or is refused changes nothing: its services, as of
// its last good content, are reported as failed, with every problem and its
// place. A service that no file names is a failure too, since it may be a slip;
// one that has none now is written as an empty list. Files should be replaced by
// renaming: one that is written in place may be seen half written.
type Source struct {
	paths []string
	every time.Duration // between looks at files of which no event told
	quiet time.Duration // how long a directory is still before its files are read

	mu      sync.Mutex
	reader  *reader // while someone watches
	watches int
}

// New makes a source of files and directories. Of a directory all files are
// read whose names end in .yaml, .yml or .json and do not begin with a dot. They
// need not exist yet. Two files may not name the same service.
func New(paths ...string) *Source {
	s := &Source{every: 30 * time.Second, quiet: 20 * time.Millisecond}
	for _, p := range paths {
		s.paths = append(s.paths, filepath.Clean(p))
	}
	slices.Sort(s.paths)
	s.paths = slices.Compact(s.paths)
	return s
}

// Check is discovery.Checker's: a service of a file is a name alone.
func (s *Source) Check(service discovery.Service) error {
	if service.Port != "" || service.Query != "" {
		return fmt.Errorf("%s: a service in a file has neither port nor parameters", service)
	}
	return nil
}

// Watch is discovery.Source's. A look at the files that finds nothing new is
// reported as well, so that the age of what is used is seen.
func (s *Source) Watch(ctx context.Context, service discovery.Service, report func(discovery.Report)) {
	if err := s.Check(service); err != nil {
		report(discovery.Report{Err: err})
		<-ctx.Done()
		return
	}
	r := s.join()
	defer s.leave(r)
	for {
		now, next := r.picture()
		if now != nil {
			report(now.of(service.Name))
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// join starts to read if nobody has.
func (s *Source) join() *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		s.reader = startReader(s.paths, s.every, s.quiet)
	}
	s.watches++
	return s.reader
}

// leave ends the reading if nobody is left, and waits for its end.
func (s *Source) leave(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches--
	if s.watches == 0 {
		s.reader = nil
		r.stop()
	}
}

// Files are the files that are read now, sorted by path; none while nobody
// watches.
func (s *Source) Files() []FileStatus {
	s.mu.Lock()
	r := s.reader
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	now, _ := r.picture()
	if now == nil {
		return nil
	}
	return slices.Clone(now.files)
}

// FileStatus is what is known of one file.
type FileStatus struct {
	Path     string
	Services int       // in its last good content
	Looked   time.Time // last time that it was looked at
	Changed  time.Time // when it last had new content, good or not
	Err      error     // why it is not used as it is now; an *Invalid if its content is refused
	Changes  uint64    // contents seen, good or not
	Refused  uint64    // of them refused
}

// picture is all files at one moment. It is immutable.
type picture struct {
	files    []FileStatus
	services map[string]discovery.Report
}

// of is what to report of a service.
func (p *picture) of(name string) discovery.Report {
	if r, ok := p.services[name]; ok {
		return r
	}
	var errs []error
	for _, f := range p.files {
		if f.Err != nil { // it may be there
			errs = append(errs, f.Err)
		}
	}
	errs = append(errs, &unknown{fmt.Sprintf("no service %q in %d files", name, len(p.files))})
	return discovery.Report{Err: errors.Join(errs...)}
}
