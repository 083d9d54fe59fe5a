// Package path follows a file that holds a DiscoveryResponse
// (path_config_source) or a collection (a file: locator): it is read when something is moved into its place, or
// into the directory that is watched for it, as Kubernetes does with its
// symbolic links.
package path

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/moves"
)

// Bounds and times.
const (
	maxFile = 64 << 20 // bytes
	// calm is how long after a move the file is read: several come together.
	calm = 10 * time.Millisecond
	// look is how often the file is looked at without having been told: a watch
	// may miss what happens on a network file system.
	look = 10 * time.Second
	// settled is how old a change in place has to be before it is believed: a file
	// that is being written may read well and lack its end.
	settled = 2 * time.Second
)

// File is what is followed.
type File struct {
	Name string
	// Directory, if not empty, is what is watched instead of the file's own.
	Directory string
	// Type is the URL of the type of its resources.
	Type string
	// Collection says that it holds a collection and not a DiscoveryResponse.
	Collection bool
}

// Watch reports the resources in the file, now and after each change, or why it
// cannot be read; not the same twice. It returns when ctx is done.
func Watch(ctx context.Context, f File, report func(*protocol.Update, error)) {
	w := &watch{File: f, report: report}
	directory := cmp.Or(f.Directory, filepath.Dir(f.Name))
	var moved <-chan fsnotify.Event
	var missed <-chan error
	notify, err := moves.New()
	if err == nil {
		defer notify.Close()
		if notify.Add(directory) == nil { // else the slow look has to do
			moved, missed = notify.Events, notify.Errors
		}
	}
	w.follow(ctx, moved, missed)
}

// Look is Watch for worlds whose time stands still while somebody waits for the
// kernel: it only looks, every ten seconds.
func Look(ctx context.Context, f File, report func(*protocol.Update, error)) {
	w := &watch{File: f, report: report}
	w.follow(ctx, nil, nil)
}

// follow reads the file now and whenever there is a reason to, until ctx is
// done. An error left in missed would hold up the events for good.
func (w *watch) follow(ctx context.Context, moved <-chan fsnotify.Event, missed <-chan error) {
	w.read()
	slow := time.NewTicker(look)
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-moved:
			if !ok {
				moved = nil
			}
			if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Rename) {
				continue
			}
			rest(ctx, moved)
			w.read()
		case _, ok := <-missed: // the kernel's queue was full: any event may be lost
			if !ok {
				missed = nil
			}
			w.read()
		case <-slow.C:
			if w.changed() {
				w.read()
			}
		}
	}
}

// rest lets events that belong together pass.
func rest(ctx context.Context, events <-chan fsnotify.Event) {
	over := time.After(calm)
	for {
		select {
		case <-events:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// watch is the state of one Watch.
type watch struct {
	File
	report func(*protocol.Update, error)
	seen   os.FileInfo
	sum    [sha256.Size]byte
	said   bool   // sum is that of what was reported
	failed string // the error reported last; "" if it was none
}

// changed reports whether the file is another one, or was changed in place long
// enough ago.
func (w *watch) changed() bool {
	info, err := os.Stat(w.Name)
	if err != nil || w.seen == nil {
		return (err != nil) != (w.seen == nil)
	}
	if !os.SameFile(info, w.seen) {
		return true
	}
	return (info.ModTime() != w.seen.ModTime() || info.Size() != w.seen.Size()) && time.Since(info.ModTime()) > settled
}

func (w *watch) read() {
	doc, err := w.load()
	if err != nil {
		w.fail(err)
		return
	}
	sum := sha256.Sum256(doc)
	if w.said && sum == w.sum && w.failed == "" {
		return
	}
	u, err := w.update(doc, hex.EncodeToString(sum[:8]))
	if err != nil {
		w.fail(err)
		return
	}
	w.said, w.sum, w.failed = true, sum, ""
	w.report(u, nil)
}

// fail reports an error once.
func (w *watch) fail(err error) {
	if err.Error() != w.failed {
		w.failed = err.Error()
		w.report(nil, err)
	}
}

func (w *watch) load() ([]byte, error) {
	info, err := os.Stat(w.Name)
	if err != nil {
		w.seen = nil
		return nil, err
	}
	w.seen = info
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", w.Name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", w.Name, info.Size(), maxFile)
	}
	file, err := os.Open(w.Name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	doc, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(doc) > maxFile { // it grew meanwhile
		err = fmt.Errorf("%s: more than %d bytes", w.Name, maxFile)
	}
	return doc, err
}

// Once reads the resources in the file at name, of the type given, as they are now.
func Once(name, typeURL string) (*protocol.Update, error) {
	w := &watch{File: File{Name: name, Type: typeURL}}
	doc, err := w.load()
	if err != nil {
		return nil, err
	}
	return w.update(doc, "")
}
