package file

// The goroutine that looks at the files.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// maxFiles is how many files are read.
const maxFiles = 1000

// reader looks at the files until it is stopped. What it knows of them is its
// goroutine's own; others see pictures.
type reader struct {
	paths        []string
	every, quiet time.Duration
	known        map[string]*known
	dirs         directories
	cancel       context.CancelFunc
	ended        chan struct{}

	mu   sync.Mutex
	now  *picture      // nil before the first look
	next chan struct{} // closed when there is another picture
}

// known is one file, as far as it has been read.
type known struct {
	status   FileStatus
	content  []byte // what was last decoded; nil if it could not be read
	info     os.FileInfo
	services map[string]*discovery.Set
}

func startReader(paths []string, every, quiet time.Duration) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{
		paths: paths, every: every, quiet: quiet,
		known: map[string]*known{}, cancel: cancel, ended: make(chan struct{}), next: make(chan struct{}),
	}
	go r.run(ctx)
	return r
}

func (r *reader) stop() {
	r.cancel()
	<-r.ended
}

func (r *reader) picture() (now *picture, next <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.next
}

func (r *reader) publish(p *picture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.next)
	r.now, r.next = p, make(chan struct{})
}

func (r *reader) run(ctx context.Context) {
	defer close(r.ended)
	defer r.dirs.close()
	for all := true; ; {
		// First the watches, then the look, so that nothing changes unseen between;
		// and once more if the look was at what is not watched any more.
		r.dirs.watch(r.paths)
		r.publish(r.look(time.Now(), all))
		blind, changed := r.dirs.watch(r.paths)
		if changed {
			continue
		}
		wait := r.every
		if blind {
			wait = min(wait, time.Second)
		}
		event, ok := r.dirs.wait(ctx, wait, r.quiet)
		if !ok {
			return
		}
		all = !event
	}
}

// look reads the files that have changed, or all, and decodes those with new
// content.
func (r *reader) look(now time.Time, all bool) *picture {
	paths, broken := r.list()
	for path := range r.known {
		if _, listed := slices.BinarySearch(paths, path); !listed {
			r.gone(path, now)
		}
	}
	for _, path := range paths {
		if all || !r.isAsRead(path, now) {
			r.read(path, now)
		}
	}
	return r.draw(broken, now)
}

// isAsRead: the file has surely not been written since it was read. One that
// was fresh then may have been, within the same tick of the file system's clock.
func (r *reader) isAsRead(path string, now time.Time) bool {
	k := r.known[path]
	if k == nil || k.content == nil || k.info.ModTime().After(k.status.Looked.Add(-time.Second)) {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || !os.SameFile(info, k.info) || info.Size() != k.info.Size() || !info.ModTime().Equal(k.info.ModTime()) {
		return false
	}
	k.status.Looked = now
	return true
}

// list is what there is to read, and directories that cannot be.
func (r *reader) list() (paths []string, broken map[string]error) {
	broken = map[string]error{}
	for _, path := range r.paths {
		entries, err := os.ReadDir(path)
		switch {
		case err == nil:
			for _, e := range entries {
				if isServices(e.Name()) {
					paths = append(paths, filepath.Join(path, e.Name()))
				}
			}
		case isDir(path):
			broken[path] = err
		default: // a file, or nothing yet
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) > maxFiles {
		broken[paths[maxFiles]] = fmt.Errorf("%s: more than %d files: this one and those after it are not read", paths[maxFiles], maxFiles)
		paths = paths[:maxFiles]
	}
	return paths, broken
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isServices(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// gone: a file of a directory is there no more. It is remembered as long as it
// had services: they have not become empty, they are not told of.
func (r *reader) gone(path string, now time.Time) {
	k := r.known[path]
	if len(k.services) == 0 {
		delete(r.known, path)
		return
	}
	k.status.Looked = now
	k.status.Err = &unknown{path + ": gone"}
	k.content = nil
}

func (r *reader) read(path string, now time.Time) {
	k := r.known[path]
	if k == nil {
		k = &known{status: FileStatus{Path: path}}
		r.known[path] = k
	}
	k.status.Looked = now
	content, info, err := readFile(path)
	k.info = info
	if err != nil {
		k.status.Err, k.content = err, nil
		return
	}
	if k.content != nil && bytes.Equal(content, k.content) {
		return
	}
	k.content = content
	k.status.Changed = now
	k.status.Changes++
	services, err := Decode(path, content)
	k.status.Err = err
	if err != nil {
		k.status.Refused++
		return
	}
	k.services, k.status.Services = services, len(services)
}

// readFile reads at most what Decode takes, and one byte to tell more. Only a
// regular file is read: a pipe may never end.
func readFile(path string) ([]byte, os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, &unknown{path + ": not there"}
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return content, info, err
}

// draw makes a picture of what is known.
func (r *reader) draw(broken map[string]error, now time.Time) *picture {
	p := &picture{services: map[string]discovery.Report{}}
	in := map[string][]string{} // service: the good files that name it
	for _, path := range slices.Sorted(maps.Keys(r.known)) {
		k := r.known[path]
		p.files = append(p.files, k.status)
		for name, set := range k.services {
			switch {
			case k.status.Err == nil:
				in[name] = append(in[name], path)
				p.services[name] = discovery.Report{Set: set}
			case len(in[name]) == 0: // else it has moved to a good file
				p.services[name] = discovery.Report{Err: k.status.Err}
			}
		}
	}
	for name, paths := range in {
		if len(paths) > 1 {
			p.services[name] = discovery.Report{Err: twice(name, paths)}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(broken)) {
		p.files = append(p.files, FileStatus{Path: path, Looked: now, Err: broken[path]})
	}
	return p
}

func twice(name string, paths []string) error {
	return &Invalid{Path: paths[1], Problems: []Problem{{Text: fmt.Sprintf("service %q is in %s too", name, paths[0])}}}
}
