// Package secretfile follows the files of secrets: a secret is read again when
// something is moved into the directory of one of its files, or into the one that
// is watched for it, as Kubernetes does with its symbolic links, and when such a
// directory is itself replaced.
//
//	Set ──▶ entries ◀── moves (inotify), a look every 10 s
//	           │ read, all files of a secret together
//	           ▼
//	        report: a new secret, or why there is none
package secretfile

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/moves"
)

// Times.
const (
	// calm is how long after a move files are read: several come together.
	calm = 10 * time.Millisecond
	// look is how often files are looked at without having been told: a watch may
	// miss what happens on a network file system.
	look = 10 * time.Second
	// settled is how old a change in place has to be before it is believed: what is
	// being written may read well and lack its end.
	settled = 2 * time.Second
	// again and patience: a certificate and its key may be replaced one after the
	// other. What does not fit is read again, and is an error if it still does not.
	again    = 200 * time.Millisecond
	patience = 2 * time.Second
)

// Report says what became of a secret whose files have changed: a new one, or why
// there is none. spec is what Set gave. Called from the watcher's goroutine.
type Report func(key string, spec *config.SecretSpec, s *config.Secret, err error)

// Watcher follows the files of any number of secrets. Make it with New, call Run
// once; Set is for any goroutine.
type Watcher struct {
	report Report
	sets   chan map[string]*config.SecretSpec
}

// New makes a watcher that tells report of changes.
func New(report Report) *Watcher {
	return &Watcher{report: report, sets: make(chan map[string]*config.SecretSpec, 1)}
}

// Set says which secrets are followed from now on, by key: all of them, and no
// others. The caller has read each once and does not change the map any more; what
// changed between its reading and the watch is found.
func (w *Watcher) Set(all map[string]*config.SecretSpec) {
	for {
		select {
		case w.sets <- all:
			return
		case <-w.sets: // an older set that was not taken yet
		}
	}
}

// Run works until ctx is done.
func (w *Watcher) Run(ctx context.Context) {
	f := &following{report: w.report, entries: map[string]*entry{}, watched: map[string]bool{}}
	var moved <-chan fsnotify.Event
	var missed <-chan error
	if notify, err := moves.New(); err == nil { // else the slow look has to do
		defer notify.Close()
		f.notify, moved, missed = notify, notify.Events, notify.Errors
	}
	f.run(ctx, w.sets, moved, missed)
}

// Look is Run for worlds whose time stands still while somebody waits for the
// kernel: it only looks, every ten seconds.
func (w *Watcher) Look(ctx context.Context) {
	f := &following{report: w.report, entries: map[string]*entry{}, watched: map[string]bool{}}
	f.run(ctx, w.sets, nil, nil)
}

// following is the state of Run.
type following struct {
	report  Report
	notify  *moves.Watcher // nil: there is none
	entries map[string]*entry
	watched map[string]bool // directories
}

// entry is a secret being followed.
type entry struct {
	spec   *config.SecretSpec
	last   *config.Secret // nil: not read yet
	files  map[string]os.FileInfo
	due    time.Time // of the next reading; zero: none is due
	since  time.Time // when it began to be bad; zero: it is not
	failed string    // the error reported last; "" if it was none
}

func (f *following) run(ctx context.Context, sets <-chan map[string]*config.SecretSpec, moved <-chan fsnotify.Event, missed <-chan error) {
	slow := time.NewTicker(look)
	defer slow.Stop()
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case all := <-sets:
			f.set(all, time.Now())
		case e, open := <-moved:
			if !open {
				moved = nil
			}
			f.moved(e, time.Now())
		case _, open := <-missed: // the kernel's queue was full: any event may be lost
			if !open {
				missed = nil
			}
			f.suspect(time.Now(), func(*entry) bool { return true })
		case <-slow.C:
			f.watch()
			f.suspect(time.Now(), (*entry).changed)
		case <-timer.C:
		}
		timer.Reset(f.work(time.Now()))
	}
}

// set takes over what is to be followed. A new entry is read at once: its files
// may have changed since its owner read them.
func (f *following) set(all map[string]*config.SecretSpec, now time.Time) {
	for key, e := range f.entries {
		if all[key] != e.spec {
			delete(f.entries, key)
		}
	}
	for key, spec := range all {
		if f.entries[key] == nil {
			f.entries[key] = &entry{spec: spec, due: now}
		}
	}
	f.watch()
}

// watch brings the watches to the directories of all entries, and the directories
// that hold those, where one that is replaced shows up.
func (f *following) watch() {
	if f.notify == nil {
		return
	}
	want := map[string]bool{}
	for _, e := range f.entries {
		for _, dir := range e.spec.Directories() {
			want[dir], want[filepath.Dir(dir)] = true, true
		}
	}
	for dir := range f.watched {
		if !want[dir] {
			_ = f.notify.Remove(dir) // it may be gone
			delete(f.watched, dir)
		}
	}
	for dir := range want {
		if f.notify.Add(dir) == nil { // what is not there is looked for again
			f.watched[dir] = true
		}
	}
}

// moved has read again what a move concerns.
func (f *following) moved(e fsnotify.Event, now time.Time) {
	if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Rename) {
		return
	}
	if name := filepath.Clean(e.Name); f.holds(name) { // a directory was replaced: the watch is on the old one
		if f.notify != nil {
			_ = f.notify.Remove(name)
		}
		f.watch()
		f.suspect(now.Add(calm), func(x *entry) bool { return x.in(name) })
	}
	at := filepath.Dir(e.Name)
	f.suspect(now.Add(calm), func(x *entry) bool { return x.in(at) })
}

// holds reports whether a path is a directory of an entry.
func (f *following) holds(path string) bool {
	for _, e := range f.entries {
		if e.in(path) {
			return true
		}
	}
	return false
}

func (e *entry) in(directory string) bool {
	for _, dir := range e.spec.Directories() {
		if filepath.Clean(dir) == directory {
			return true
		}
	}
	return false
}

// suspect has entries read at a time, unless they are read before.
func (f *following) suspect(at time.Time, which func(*entry) bool) {
	for _, e := range f.entries {
		if (e.due.IsZero() || e.due.After(at)) && which(e) {
			e.due = at
		}
	}
}

// changed reports whether a file is another one, or was changed in place long
// enough ago, or was bad.
func (e *entry) changed() bool {
	if e.failed != "" {
		return true
	}
	for _, name := range e.spec.Files() {
		info, err := os.Stat(name)
		seen := e.files[name]
		switch {
		case err != nil || seen == nil:
			if (err != nil) != (seen == nil) {
				return true
			}
		case !os.SameFile(info, seen):
			return true
		case (info.ModTime() != seen.ModTime() || info.Size() != seen.Size()) && time.Since(info.ModTime()) > settled:
			return true
		}
	}
	return false
}

// work reads what is due, and says how long nothing is.
func (f *following) work(now time.Time) time.Duration {
	next := now.Add(look)
	for key, e := range f.entries {
		if !e.due.IsZero() && !e.due.After(now) {
			f.read(key, e, now)
		}
		if !e.due.IsZero() && e.due.Before(next) {
			next = e.due
		}
	}
	return max(0, time.Until(next))
}

func (f *following) read(key string, e *entry, now time.Time) {
	e.due, e.files = time.Time{}, map[string]os.FileInfo{}
	for _, name := range e.spec.Files() {
		if info, err := os.Stat(name); err == nil {
			e.files[name] = info
		}
	}
	s, err := e.spec.Load(key, Read)
	if err == nil {
		err = s.Expired(now)
	}
	switch {
	case err == nil:
		e.since, e.failed = time.Time{}, ""
		if e.last == nil || !e.last.Equal(s) {
			e.last = s
			f.report(key, e.spec, s, nil)
		}
	case e.since.IsZero():
		e.since, e.due = now, now.Add(again)
	case now.Sub(e.since) < patience:
		e.due = now.Add(again)
	case err.Error() != e.failed:
		e.failed = err.Error()
		f.report(key, e.spec, nil, err)
	}
}
