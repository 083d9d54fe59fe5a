package path

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/xds/client/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const clusters = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

// cds is a file with one cluster.
func cds(name string) string {
	return `{"version_info": "of ` + name + `", "resources": [{"@type": "` + clusters + `", "name": "` + name + `"}]}`
}

// report is one call of Watch's.
type report struct {
	update *protocol.Update
	err    error
}

// follower is a Watch that runs until the test ends.
type follower struct {
	*testing.T
	reports chan report
}

func follow(t *testing.T, name, directory string) *follower {
	t.Helper()
	return followFile(t, File{Name: name, Directory: directory, Type: clusters})
}

func followFile(t *testing.T, file File) *follower {
	t.Helper()
	f := &follower{t, make(chan report, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, file, func(u *protocol.Update, err error) { f.reports <- report{u, err} })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		for len(f.reports) > 0 {
			t.Errorf("reported besides: %+v", <-f.reports)
		}
	})
	return f
}

func (f *follower) next() report {
	f.Helper()
	select {
	case r := <-f.reports:
		return r
	case <-time.After(3 * look): // enough where the kernel gives no more watches
		f.Fatal("nothing is reported")
		return report{}
	}
}

// has demands that the next report is one cluster of this name.
func (f *follower) has(name string) {
	f.Helper()
	r := f.next()
	if r.err != nil {
		f.Fatalf("want %s: %v", name, r.err)
	}
	if u := r.update; len(u.Resources) != 1 || u.Resources[0].Name != "" && u.Resources[0].Name != name || u.Version != "of "+name || !u.Whole || u.TypeURL != clusters {
		f.Fatalf("want %s: %+v", name, u)
	}
}

// fails demands that the next report is an error that says text.
func (f *follower) fails(text string) {
	f.Helper()
	r := f.next()
	if r.err == nil || !strings.Contains(r.err.Error(), text) || r.update != nil {
		f.Fatalf("want an error with %q: %+v %v", text, r.update, r.err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put moves a file into place from a directory that nobody watches.
func put(t *testing.T, name, text string) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "new")
	must(t, os.WriteFile(from, []byte(text), 0o600))
	must(t, os.Rename(from, name))
}

func TestMovedIntoPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cds.json")
	put(t, name, cds("a"))
	f := follow(t, name, "")
	f.has("a")
	put(t, name, cds("b"))
	f.has("b")
	put(t, name, cds("b")) // the same is not reported again
	put(t, filepath.Join(filepath.Dir(name), "other.json"), cds("other"))
	put(t, name, cds("c"))
	f.has("c")
}

// What is broken is reported once, with its file, and what follows is taken.
func TestBroken(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"not JSON", `{"resources": [`, "cds.json"},
		{"empty", "", "cds.json"},
		{"an unknown field", `{"resource": []}`, "resource"},
		{"of another type", `{"type_url": "type.googleapis.com/x"}`, "type_url"},
		{"twice the same", `{"resources": [` + wrapped("a") + `, ` + wrapped("a") + `]}`, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "cds.json")
			put(t, name, cds("a"))
			f := follow(t, name, "")
			f.has("a")
			put(t, name, c.text)
			f.fails(c.want)
			put(t, name, c.text) // the same is not reported again
			put(t, name, cds("b"))
			f.has("b")
		})
	}
}

func wrapped(name string) string {
	return `{"@type": "type.googleapis.com/envoy.service.discovery.v3.Resource", "name": "` + name +
		`", "resource": {"@type": "` + clusters + `", "name": "` + name + `"}}`
}

// A file that is not there yet, comes, goes and comes back as it was.
func TestGoesAndComesBack(t *testing.T) {
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
	name := filepath.Join(dir, "cds.json")
	f := follow(t, name, "")
	f.fails("no such file")
	put(t, name, cds("a"))
	f.has("a")
	must(t, os.Rename(name, away))
	f.fails("no such file")
	must(t, os.Rename(away, name))
	f.has("a")
}

// A volume of Kubernetes: the file is a link through ..data, which is replaced
// (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go).
func TestKubernetesVolume(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, version, "cds.yaml"), []byte(text), 0o600))
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("..1", cds("a"))
	name := filepath.Join(dir, "cds.yaml")
	must(t, os.Symlink(filepath.Join("..data", "cds.yaml"), name))
	f := follow(t, name, "")
	f.has("a")
	swap("..2", cds("b"))
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	f.has("b")
	swap("..3", "resources: [oops")
	f.fails("cds.yaml")
	swap("..4", cds("c"))
	f.has("c")
}

// The directory that is watched is not the file's own.
func TestWatchedDirectory(t *testing.T) {
	watched := t.TempDir()
	swap := func(text string) {
		t.Helper()
		version := t.TempDir()
		must(t, os.WriteFile(filepath.Join(version, "cds.json"), []byte(text), 0o600))
		link := filepath.Join(t.TempDir(), "link")
		must(t, os.Symlink(version, link))
		must(t, os.Rename(link, filepath.Join(watched, "current")))
	}
	swap(cds("a"))
	f := follow(t, filepath.Join(watched, "current", "cds.json"), watched)
	f.has("a")
	swap(cds("b"))
	f.has("b")
}

func TestSuffix(t *testing.T) {
	body, err := anypb.New(&clusterv3.Cluster{Name: "a"})
	must(t, err)
	m := &discoveryv3.DiscoveryResponse{VersionInfo: "of a", Resources: []*anypb.Any{body}}
	binary, err := proto.Marshal(m)
	must(t, err)
	text := prototext.Format(m)
	yaml := "version_info: of a\nresources:\n- \"@type\": " + clusters + "\n  name: a\n"
	for _, c := range []struct{ suffix, text, want string }{
		{".yaml", yaml, ""},
		{".yml", yaml, ""},
		{".YAML", yaml, ""},
		{".json", cds("a"), ""},
		{".pb", string(binary), ""},
		{".pb_text", text, ""},
		{".json", string(binary), "cds.json"},
		{".pb", yaml, "not a DiscoveryResponse"},
		{".pb_text", yaml, "not a DiscoveryResponse"},
	} {
		name := filepath.Join(t.TempDir(), "cds"+c.suffix)
		put(t, name, c.text)
		if f := follow(t, name, ""); c.want == "" {
			f.has("a")
		} else {
			f.fails(c.want)
		}
	}
}

// What is too large, or not a file, is not read at all.
func TestNotRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "cds.json")
	put(t, name, cds("a"))
	f := follow(t, name, "")
	f.has("a")
	large := filepath.Join(t.TempDir(), "large")
	must(t, os.WriteFile(large, nil, 0o600))
	must(t, os.Truncate(large, maxFile+1)) // takes no room on disk
	must(t, os.Rename(large, name))
	f.fails("at most 67108864 are read")
	must(t, os.Remove(name))
	must(t, os.Mkdir(name, 0o700))
	f.fails("not a regular file")
	must(t, os.Remove(name))
	put(t, name, cds("b"))
	f.has("b")
}

// What the slow look believes, of which no event tells.
func TestChanged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cds.json")
	put(t, name, cds("a"))
	w := &watch{File: File{Name: name, Type: clusters}, report: func(*protocol.Update, error) {}}
	w.read()
	demand := func(what string, want bool) {
		t.Helper()
		if got := w.changed(); got != want {
			t.Errorf("%s: changed %v, want %v", what, got, want)
		}
	}
	demand("as it was read", false)
	must(t, os.WriteFile(name, []byte(cds("longer")), 0o600))
	must(t, os.Chtimes(name, time.Time{}, time.Now().Add(time.Hour)))
	demand("just written in place", false)
	must(t, os.Chtimes(name, time.Time{}, time.Now().Add(-2*settled)))
	demand("written in place some time ago", true)
	w.read()
	demand("read again", false)
	must(t, os.Remove(name))
	demand("gone", true)
	w.read()
	demand("known to be gone", false)
	put(t, name, cds("a"))
	demand("back", true)
	w.read()
	put(t, name, cds("b"))
	demand("another file", true)
}

// Without an event: what is lost with an error of the watch is read at once, the
// rest at the slow look, also when the watch has ended.
func TestWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "cds.json")
		put(t, name, cds("a"))
		var last atomic.Pointer[report]
		w := &watch{File: File{Name: name, Type: clusters}, report: func(u *protocol.Update, err error) { last.Store(&report{u, err}) }}
		ctx, cancel := context.WithCancel(t.Context())
		moved, missed, done := make(chan fsnotify.Event), make(chan error), make(chan struct{})
		go func() {
			defer close(done)
			w.follow(ctx, moved, missed)
		}()
		demand := func(what, version string) {
			t.Helper()
			synctest.Wait()
			if r := last.Load(); r.update == nil || r.update.Version != "of "+version {
				t.Fatalf("%s: %+v, want %s", what, *r, version)
			}
		}
		demand("at first", "a")
		put(t, name, cds("b"))
		missed <- fsnotify.ErrEventOverflow
		demand("after an overflow", "b")
		moved <- fsnotify.Event{Op: fsnotify.Chmod}
		put(t, name, cds("c"))
		demand("of which nothing tells", "b")
		<-time.After(look + time.Millisecond) // virtual
		demand("at the slow look", "c")
		close(moved)
		close(missed)
		put(t, name, cds("d"))
		<-time.After(look + time.Millisecond)
		demand("after the end of the watch", "d")
		must(t, os.Remove(name))
		<-time.After(look + time.Millisecond)
		synctest.Wait()
		if last.Load().err == nil {
			t.Error("it is not said that the file is gone")
		}
		cancel()
		<-done
	})
}
