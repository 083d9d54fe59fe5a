package secretfile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, dir string, p *pki.Pair) {
	t.Helper()
	put(t, filepath.Join(dir, "chain"), p.ChainPEM())
	put(t, filepath.Join(dir, "key"), p.KeyPEM())
}

// put moves a file into its place.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func spec(dir string) *config.SecretSpec {
	return &config.SecretSpec{Name: "s", Certificate: &config.CertificateSpec{
		Chain: config.Data{Path: filepath.Join(dir, "chain")}, Key: config.Data{Path: filepath.Join(dir, "key")},
	}}
}

// word is what a watcher reported.
type word struct {
	serial string
	err    error
}

// heard waits for the next report.
func heard(t *testing.T, words <-chan word, within time.Duration) word {
	t.Helper()
	select {
	case w := <-words:
		return w
	case <-time.After(within):
		t.Fatal("nothing was reported in time")
		return word{}
	}
}

func reporter(words chan<- word) Report {
	return func(_ string, _ *config.SecretSpec, s *config.Secret, err error) {
		w := word{err: err}
		if s != nil {
			w.serial = s.Certificate.Leaf.SerialNumber.String()
		}
		words <- w
	}
}

// Every way in which files are replaced is seen, by the kernel's word.
func TestReplaced(t *testing.T) {
	ca := pki.New(t, "ca")
	for name, replace := range map[string]func(t *testing.T, dir string, p *pki.Pair){
		"one after the other": write,
		"the directory": func(t *testing.T, dir string, p *pki.Pair) {
			write(t, dir+".new", p)
			if err := os.Rename(dir, dir+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+".new", dir); err != nil {
				t.Fatal(err)
			}
		},
		"the directory a second later": func(t *testing.T, dir string, p *pki.Pair) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			write(t, dir, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "certs")
			one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
			write(t, dir, one)
			words := make(chan word, 16)
			w := New(reporter(words))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				w.Run(ctx)
			}()
			defer func() { cancel(); <-done }()
			w.Set(map[string]*config.SecretSpec{"k": spec(dir)})
			if got := heard(t, words, 5*time.Second); got.serial != one.Cert.SerialNumber.String() {
				t.Fatalf("at first %+v", got)
			}
			replace(t, dir, two)
			if got := heard(t, words, 5*time.Second); got.serial != two.Cert.SerialNumber.String() {
				t.Errorf("then %+v", got)
			}
		})
	}
}

// A directory that is watched for a secret tells of files elsewhere that were written in
// place: before the slow look would.
func TestWatchedDirectory(t *testing.T) {
	ca := pki.New(t, "ca")
	dir, watched := t.TempDir(), t.TempDir()
	one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	write(t, dir, one)
	s := spec(dir)
	s.Certificate.Chain.Directory, s.Certificate.Key.Directory = watched, watched
	words := make(chan word, 16)
	w := New(reporter(words))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	w.Set(map[string]*config.SecretSpec{"k": s})
	if got := heard(t, words, 5*time.Second); got.serial != one.Cert.SerialNumber.String() {
		t.Fatalf("at first %+v", got)
	}
	for name, text := range map[string]string{"chain": two.ChainPEM(), "key": two.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(watched, "..data"), "2")
	if got := heard(t, words, 5*time.Second); got.serial != two.Cert.SerialNumber.String() {
		t.Errorf("then %+v", got)
	}
}

// Without the kernel's word the slow look finds what has changed; a chain and a
// key that do not fit for a moment are no error; what stays bad is one, once.
func TestSlowLook(t *testing.T) {
	ca := pki.New(t, "ca")
	one, two := ca.Issue(pki.Leaf{}), ca.Issue(pki.Leaf{})
	dir := t.TempDir()
	write(t, dir, one)
	synctest.Test(t, func(t *testing.T) {
		words := make(chan word, 16)
		sets := make(chan map[string]*config.SecretSpec, 1)
		moved := make(chan fsnotify.Event)
		f := &following{report: reporter(words), entries: map[string]*entry{}, watched: map[string]bool{}}
		ctx, cancel := context.WithCancel(t.Context())
		go f.run(ctx, sets, moved, nil)
		sets <- map[string]*config.SecretSpec{"k": spec(dir)}
		if got := <-words; got.serial != one.Cert.SerialNumber.String() {
			t.Errorf("at first %+v", got)
		}
		write(t, dir, two)
		start := time.Now()
		if got := <-words; got.serial != two.Cert.SerialNumber.String() {
			t.Errorf("then %+v", got)
		}
		if took := time.Since(start); took > look {
			t.Errorf("after %v", took)
		}

		put(t, filepath.Join(dir, "key"), one.KeyPEM())
		moved <- fsnotify.Event{Name: filepath.Join(dir, "key"), Op: fsnotify.Create}
		<-time.After(again)
		put(t, filepath.Join(dir, "chain"), one.ChainPEM())
		if got := <-words; got.err != nil || got.serial != one.Cert.SerialNumber.String() {
			t.Errorf("for a moment they did not fit, and the watcher said %+v", got)
		}

		put(t, filepath.Join(dir, "key"), two.KeyPEM())
		moved <- fsnotify.Event{Name: filepath.Join(dir, "key"), Op: fsnotify.Create}
		if got := <-words; got.err == nil {
			t.Errorf("they do not fit, and the watcher said %+v", got)
		}
		<-time.After(3 * look)
		if len(words) > 0 {
			t.Errorf("said again: %+v", <-words)
		}
		put(t, filepath.Join(dir, "chain"), two.ChainPEM())
		if got := <-words; got.err != nil {
			t.Errorf("mended, and the watcher said %+v", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestReadIsBounded(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, config.MaxSecretFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{big, dir, filepath.Join(dir, "none")} {
		if text, err := Read(name); err == nil || text != nil {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}
