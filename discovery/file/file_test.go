package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attache-mesh/attache/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEvents is a source that sees a change by its event or not at all.
func onEvents(paths ...string) *Source {
	s := New(paths...)
	s.every = time.Hour
	return s
}

// watching is a service that a test watches.
type watching struct {
	t       *testing.T
	name    string
	reports chan discovery.Report
	stop    func()
}

func watch(t *testing.T, s *Source, name string) *watching {
	t.Helper()
	service, err := discovery.ParseService("file://" + name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{t: t, name: name, reports: make(chan discovery.Report, 1000)}
	var running sync.WaitGroup
	running.Go(func() { s.Watch(ctx, service, func(r discovery.Report) { w.reports <- r }) })
	w.stop = func() { cancel(); running.Wait() }
	t.Cleanup(w.stop)
	return w
}

// want waits for a report that reads like text: identities parted by commas, or
// "error " and a part of the error.
func (w *watching) want(text string) {
	w.t.Helper()
	last := "nothing"
	deadline := time.After(10 * time.Second)
	for {
		select {
		case r := <-w.reports:
			last = read(r)
			reason, isErr := strings.CutPrefix(text, "error ")
			if last == text || isErr && strings.HasPrefix(last, "error ") && strings.Contains(last, reason) {
				return
			}
		case <-deadline:
			w.t.Fatalf("%s: last report %s, want %s", w.name, last, text)
		}
	}
}

func read(r discovery.Report) string {
	if r.Err != nil {
		return "error " + r.Err.Error()
	}
	ids := []string{}
	for _, i := range r.Set.Instances {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, ",")
}

func services(name string, ids ...string) string {
	text := "services:\n  " + name + ":"
	for n, id := range ids {
		text += fmt.Sprintf("\n  - {id: %s, address: 10.0.0.%d, port: 1}", id, n+1)
	}
	if len(ids) == 0 {
		text += " []"
	}
	return text + "\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRenameIntoPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "services.yaml")
	write(t, path, services("s", "a", "b"))
	w := watch(t, onEvents(path), "s")
	w.want("a,b")
	for n := range 5 {
		next := filepath.Join(dir, ".services.yaml.swp")
		write(t, next, services("s", "a", fmt.Sprint("n", n)))
		must(t, os.Rename(next, path))
		w.want(fmt.Sprint("a,n", n))
	}
}

func TestWrittenInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	write(t, path, services("s", "a"))
	w := watch(t, onEvents(path), "s")
	w.want("a")
	write(t, path, services("s", "b"))
	w.want("b")
}

// TestBrokenChangesNothing: every service of a broken file fails, with place and
// reason; none gets another set.
func TestBrokenChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	write(t, path, services("s", "a")+"  t: []\n")
	source := onEvents(path)
	s, other, nobody := watch(t, source, "s"), watch(t, source, "t"), watch(t, source, "nobody")
	s.want("a")
	other.want("")
	nobody.want(`error no service "nobody" in 1 files`)
	write(t, path, services("s", "a", "b")+"  t: [{}]\n  u: 1\n")
	s.want("error " + path + ":5:7: services.t[0]: wants address or path\n" + path + ":6:6: services.u")
	other.want("error :5:7: ")
	nobody.want("error :5:7: ")
	if f := source.Files(); len(f) != 1 || f[0].Err == nil || f[0].Refused != 1 || f[0].Services != 2 || f[0].Changes != 2 {
		t.Errorf("%+v", f)
	}
	write(t, path, services("s", "a", "b"))
	s.want("a,b")
	other.want(`error no service "t"`) // a slip, maybe: it is not an empty answer
}

func TestGoneAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep")
	path := filepath.Join(dir, "services.yaml")
	source := onEvents(path)
	w := watch(t, source, "s")
	w.want("error services.yaml: not there")
	must(t, os.Mkdir(dir, 0o700)) // not even the directory was there
	write(t, path, services("s", "a"))
	w.want("a")
	must(t, os.Remove(path))
	w.want("error not there")
	write(t, path, services("s", "a"))
	w.want("a")
	must(t, os.RemoveAll(dir))
	w.want("error not there")
	must(t, os.Mkdir(dir, 0o700))
	write(t, path, services("s", "b"))
	w.want("b")
	write(t, path, services("s", "c")) // the directory that is there now is watched
	w.want("c")
}

// TestDirectoryGoneWhileReading takes the directory away as soon as its file was
// read: the watch that the reader then finds dead must not have swallowed that.
func TestDirectoryGoneWhileReading(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep")
	path := filepath.Join(dir, "services.yaml")
	w := watch(t, onEvents(path), "s")
	for range 5 {
		must(t, os.Mkdir(dir, 0o700))
		write(t, path, services("s", "a"))
		w.want("a")
		must(t, os.RemoveAll(dir))
		w.want("error not there")
	}
}

// TestKubernetesSwap swaps "..data" as the kubelet does for a ConfigMap
// (pkg/volume/util/atomic_writer.go): the files are symlinks into it.
func TestKubernetesSwap(t *testing.T) {
	for _, of := range []string{"a file", "the directory"} {
		t.Run(of, func(t *testing.T) {
			dir := t.TempDir()
			project := func(stamp, text string) {
				must(t, os.Mkdir(filepath.Join(dir, stamp), 0o700))
				write(t, filepath.Join(dir, stamp, "services.yaml"), text)
				must(t, os.Symlink(stamp, filepath.Join(dir, "..data_tmp")))
				must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			}
			project("..2024_1", services("s", "a"))
			path := filepath.Join(dir, "services.yaml")
			must(t, os.Symlink("..data/services.yaml", path))
			if of == "the directory" {
				path = dir
			}
			w := watch(t, onEvents(path), "s")
			w.want("a")
			for n := 2; n < 6; n++ {
				project(fmt.Sprint("..2024_", n), services("s", fmt.Sprint("n", n)))
				must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprint("..2024_", n-1))))
				w.want(fmt.Sprint("n", n))
			}
		})
	}
}

func TestTargetOfASymlinkChanges(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	target, path := filepath.Join(there, "target"), filepath.Join(here, "services.yaml")
	write(t, target, services("s", "a"))
	must(t, os.Symlink(target, path))
	w := watch(t, onEvents(path), "s")
	w.want("a")
	write(t, target, services("s", "b"))
	w.want("b")
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), services("a", "a"))
	write(t, filepath.Join(dir, "b.json"), `{"services": {"b": ["10.0.0.1:1"]}}`)
	write(t, filepath.Join(dir, ".hidden.yaml"), "nonsense")
	write(t, filepath.Join(dir, "README"), "nonsense")
	write(t, filepath.Join(dir, "a.yaml~"), "nonsense")
	source := onEvents(dir)
	a, b, c := watch(t, source, "a"), watch(t, source, "b"), watch(t, source, "c")
	a.want("a")
	b.want("10.0.0.1:1")
	c.want("error no service")
	write(t, filepath.Join(dir, "c.yml"), services("c", "c"))
	c.want("c")
	must(t, os.Rename(filepath.Join(dir, "c.yml"), filepath.Join(dir, "d.yml"))) // the service is in another file now
	write(t, filepath.Join(dir, "d.yml"), services("c", "d"))
	c.want("d")
	must(t, os.Remove(filepath.Join(dir, "d.yml")))
	c.want("error d.yml: gone")
	write(t, filepath.Join(dir, "b.json"), `{`)
	b.want("error b.json:1:1: not readable as JSON")
	write(t, filepath.Join(dir, "a.yaml"), services("a", "z"))
	a.want("z") // whatever the others are
}

func TestOneServiceInTwoFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x.yaml", "y.yaml", "z.yaml"} {
		write(t, filepath.Join(dir, name), services("s", name))
	}
	w := watch(t, onEvents(dir), "s")
	w.want(`error y.yaml: service "s" is in ` + filepath.Join(dir, "x.yaml") + " too")
	must(t, os.Remove(filepath.Join(dir, "x.yaml")))
	w.want(`error z.yaml: service "s" is in ` + filepath.Join(dir, "y.yaml") + " too")
	must(t, os.Remove(filepath.Join(dir, "y.yaml")))
	w.want("z.yaml")
}

// TestWithoutEvents: what no event told is seen at the next look, and a look that
// finds nothing new is told.
func TestWithoutEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	write(t, path, services("s", "a"))
	s := New(path)
	s.every, s.quiet = 5*time.Millisecond, time.Hour
	w := watch(t, s, "s")
	w.want("a")
	w.want("a")
	info, err := os.Stat(path)
	must(t, err)
	write(t, path, services("s", "b")) // as long, and as old
	must(t, os.Chtimes(path, time.Time{}, info.ModTime()))
	w.want("b")
}

func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop.yaml")
	must(t, os.Symlink(loop, loop))
	watch(t, onEvents(loop), "s").want("error loop.yaml")
	watch(t, onEvents(os.DevNull), "s").want("error not a regular file")
	big := filepath.Join(dir, "big.yaml")
	write(t, big, "")
	must(t, os.Truncate(big, MaxSize*1000)) // sparse
	watch(t, onEvents(big), "s").want("error longer than")
}

// TestReadOnce: all services share one reader, which ends with the last Watch.
func TestReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	write(t, path, services("s", "a")+"  t: []\n")
	source := onEvents(path)
	s := watch(t, source, "s")
	s.want("a")
	reader := source.reader
	other := watch(t, source, "t")
	other.want("")
	if source.reader != reader || source.Files()[0].Changes != 1 {
		t.Error("a second service reads again")
	}
	s.stop()
	if source.reader != reader {
		t.Error("the reader ended under a Watch")
	}
	other.stop()
	if source.reader != nil || source.Files() != nil {
		t.Error("the reader does not end")
	}
	watch(t, source, "s").want("a")
}

func TestServiceWithPortFails(t *testing.T) {
	source := onEvents(t.TempDir())
	for _, s := range []discovery.Service{{Source: "file", Name: "s", Port: "1"}, {Source: "file", Name: "s", Query: "a=b"}} {
		ctx, cancel := context.WithCancel(t.Context())
		source.Watch(ctx, s, func(r discovery.Report) {
			if r.Err == nil {
				t.Error("watched", s)
			}
			cancel()
		})
	}
}

// TestLosesItsWatcher: a watcher that ends by itself is replaced.
func TestLosesItsWatcher(t *testing.T) {
	dir := t.TempDir()
	var d directories
	defer d.close()
	if blind, changed := d.watch([]string{dir}); blind || !changed {
		t.Fatal("not watched")
	}
	must(t, d.watcher.Close())
	if event, ok := d.wait(t.Context(), time.Hour, time.Millisecond); !event || !ok {
		t.Error("the end of the watcher is no event")
	}
	if blind, changed := d.watch([]string{dir}); blind || !changed {
		t.Error("not watched anew")
	}
	write(t, filepath.Join(dir, "x"), "")
	if event, ok := d.wait(t.Context(), time.Hour, time.Millisecond); !event || !ok {
		t.Error("the new watcher tells nothing")
	}
}
