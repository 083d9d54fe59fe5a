package cache

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
)

func dir(t testing.TB) *Dir {
	return &Dir{Path: t.TempDir(), NodeID: "n", NodeCluster: "c", MaxAge: 24 * time.Hour}
}

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func contents() *Contents {
	return &Contents{Saved: now, Resources: []Resource{
		{"a", "1", &anypb.Any{TypeUrl: "type.googleapis.com/x", Value: []byte("body of a")}},
		{"b", "2", &anypb.Any{TypeUrl: "type.googleapis.com/x", Value: []byte("body of b")}},
	}}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	d := dir(t)
	if _, err := d.Load(now); !errors.Is(err, ErrNone) {
		t.Fatalf("of an empty directory: %v", err)
	}
	for range 2 { // the second replaces the first
		if err := d.Save(contents()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := d.Load(now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Saved.Equal(now) || len(c.Resources) != 2 || c.Resources[1].Name != "b" || c.Resources[1].Version != "2" || string(c.Resources[1].Body.GetValue()) != "body of b" {
		t.Errorf("loaded %+v", c)
	}
	all, err := os.ReadDir(d.Path)
	if err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

// Each way of being unusable has its reason.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *Dir, file []byte) []byte
		after  time.Duration
		want   string
	}{
		{"cut", func(_ *Dir, f []byte) []byte { return f[:len(f)-3] }, 0, "truncated"},
		{"cut in the first line", func(_ *Dir, f []byte) []byte { return f[:20] }, 0, "first line"},
		{"empty", func(*Dir, []byte) []byte { return nil }, 0, "first line"},
		{"grown", func(_ *Dir, f []byte) []byte { return append(f, 'x') }, 0, "grown"},
		{"one bit", func(_ *Dir, f []byte) []byte { f[len(f)-2] ^= 1; return f }, 0, "checksum"},
		{"another schema", func(_ *Dir, f []byte) []byte { return bytes.Replace(f, []byte(`"schema":1`), []byte(`"schema":2`), 1) }, 0, "schema 2"},
		{"another file", func(_ *Dir, f []byte) []byte { return []byte(`{"format":"else"}` + "\n") }, 0, "format"},
		{"another node", func(d *Dir, f []byte) []byte { d.NodeID = "m"; return f }, 0, `node "n" of cluster "c"`},
		{"too old", func(_ *Dir, f []byte) []byte { return f }, 25 * time.Hour, "too old"},
		{"from the future", func(_ *Dir, f []byte) []byte { return f }, -2 * time.Hour, "future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dir(t)
			if err := d.Save(contents()); err != nil {
				t.Fatal(err)
			}
			file, err := os.ReadFile(d.File())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.File(), c.change(d, file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = d.Load(now.Add(c.after))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), d.File()) {
				t.Errorf("got %v, want %q and the file's name", err, c.want)
			}
		})
	}
}

func TestSaveSaysWhatIsWrong(t *testing.T) {
	d := dir(t)
	d.Path += "/none"
	if err := d.Save(contents()); err == nil {
		t.Error("saved to nowhere")
	}
}

// No file makes Load panic or take more than the file's size; one that loads was
// whole.
func FuzzLoad(f *testing.F) {
	d := dir(f)
	if err := d.Save(contents()); err != nil {
		f.Fatal(err)
	}
	file, err := os.ReadFile(d.File())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		h, body, err := read(bytes.NewReader(file))
		if err == nil && len(body) != h.Length {
			t.Errorf("%d bytes of %d", len(body), h.Length)
		}
	})
}
