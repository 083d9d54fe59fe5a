package moves

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// next is the next event.
func next(t *testing.T, w *Watcher) fsnotify.Event {
	t.Helper()
	select {
	case e := <-w.Events:
		return e
	case err := <-w.Errors:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
	}
	return fsnotify.Event{}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoves: what comes under a name and what leaves it is told, also of a
// directory that stands in the place of another; what is written into files, or
// done to them otherwise, is not.
func TestMoves(t *testing.T) {
	top := t.TempDir()
	dir, other := filepath.Join(top, "dir"), filepath.Join(top, "other")
	do(t, os.Mkdir(dir, 0o700), os.Mkdir(other, 0o700))
	w, err := New()
	do(t, err)
	defer w.Close()
	do(t, w.Add(dir), w.Add(dir))
	if w.Add(filepath.Join(top, "none")) == nil {
		t.Error("a directory that is not there is followed")
	}

	at := func(name string) string { return filepath.Join(dir, name) }
	file, err := os.Create(at("a"))
	do(t, err)
	defer file.Close()
	if e := next(t, w); e.Name != at("a") || e.Op != fsnotify.Create {
		t.Errorf("created: %v", e)
	}
	for range 1000 {
		_, err := file.WriteString("line\n")
		do(t, err)
	}
	do(t, os.Chmod(at("a"), 0o400), os.Rename(at("a"), at("b")))
	if e := next(t, w); e.Name != at("a") || e.Op != fsnotify.Rename {
		t.Errorf("moved away: %v", e)
	}
	if e := next(t, w); e.Name != at("b") || e.Op != fsnotify.Create {
		t.Errorf("moved here: %v", e)
	}

	do(t, os.Rename(dir, filepath.Join(top, "old")), os.Rename(other, dir))
	if e := next(t, w); e.Name != dir || e.Op != fsnotify.Rename {
		t.Errorf("the directory moved: %v", e)
	}
	do(t, w.Add(dir))
	do(t, os.WriteFile(filepath.Join(top, "old", "unseen"), nil, 0o600), os.WriteFile(at("c"), nil, 0o600))
	if e := next(t, w); e.Name != at("c") {
		t.Errorf("in the directory of now: %v", e)
	}
	do(t, w.Remove(dir))
	if w.Remove(dir) == nil {
		t.Error("what is not followed is removed")
	}
}

// TestClose: it ends although nobody takes what has happened.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	w, err := New()
	do(t, err, w.Add(dir), os.WriteFile(filepath.Join(dir, "a"), nil, 0o600), os.WriteFile(filepath.Join(dir, "b"), nil, 0o600))
	do(t, w.Close())
	if _, open := <-w.Events; open {
		t.Error("events are not closed")
	}
}
