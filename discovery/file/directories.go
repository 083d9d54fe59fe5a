package file

// What the kernel tells of changes.

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// directories watches the directories in which the files and the targets of
// their symlinks lie: a file that is replaced is another inode, and a watch on
// the old one would hear nothing.
type directories struct {
	watcher *fsnotify.Watcher // nil as long as the kernel gives none
	watched map[string]os.FileInfo
}

// open asks the kernel for a watcher if there is none: it may have run out of
// them and have some again.
func (d *directories) open() bool {
	if d.watcher == nil {
		d.watcher, _ = fsnotify.NewWatcher()
		d.watched = map[string]os.FileInfo{}
	}
	return d.watcher != nil
}

func (d *directories) close() {
	if d.watcher != nil {
		_ = d.watcher.Close()
		d.watcher = nil
	}
}

// watch brings the watches in line with what the paths mean now. It tells if one
// has changed: what was read before has to be read again then, for with a watch
// its pending events are gone. It is blind if one of the directories cannot be
// watched.
func (d *directories) watch(paths []string) (blind, changed bool) {
	if !d.open() {
		return true, false
	}
	wanted := map[string]bool{}
	for _, path := range paths {
		if isDir(path) {
			wanted[path] = true
			continue
		}
		wanted[filepath.Dir(path)] = true
		if target, err := filepath.EvalSymlinks(path); err == nil {
			wanted[filepath.Dir(target)] = true
		}
	}
	for dir := range d.watched {
		if !wanted[dir] {
			d.drop(dir)
			changed = true
		}
	}
	alive := d.watcher.WatchList()
	for dir := range wanted {
		if d.isWatched(dir, alive) {
			continue
		}
		changed = d.drop(dir) || changed
		if d.add(dir) {
			changed = true
		} else {
			blind = true
		}
	}
	return blind, changed
}

// drop ends a watch; it reports whether there was one.
func (d *directories) drop(dir string) bool {
	_, was := d.watched[dir]
	_ = d.watcher.Remove(dir)
	delete(d.watched, dir)
	return was
}

// isWatched is false for a directory that has been put in the place of a watched
// one.
func (d *directories) isWatched(dir string, alive []string) bool {
	info, err := os.Stat(dir)
	before := d.watched[dir]
	return err == nil && before != nil && os.SameFile(before, info) && slices.Contains(alive, dir)
}

func (d *directories) add(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || d.watcher.Add(dir) != nil {
		return false
	}
	d.watched[dir] = info
	return true
}

// wait returns when something in the directories has changed and they have been
// still for the time quiet (or have not, for ten times as long), or after most
// without an event; not ok if ctx is done. An overflow of the kernel's queue is
// an event as well.
func (d *directories) wait(ctx context.Context, most, quiet time.Duration) (event, ok bool) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if d.watcher != nil {
		events, errs = d.watcher.Events, d.watcher.Errors
	}
	end := time.NewTimer(most)
	defer end.Stop()
	var still <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false, false
		case <-end.C:
			return still != nil, true
		case <-still:
			return true, true
		case e, ok := <-events:
			if !ok { // it could not read from the kernel any more
				d.close()
				return true, true
			}
			if e.Op == fsnotify.Chmod { // atime and such
				continue
			}
		case <-errs:
		}
		if still == nil {
			end.Reset(min(most, 10*quiet))
		}
		still = time.After(quiet)
	}
}
