package document

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

var update = flag.Bool("update", false, "rewrite testdata")

// Each script is a document, a line of dashes, and what was found in it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, want, _ := strings.Cut(string(script), "\n----\n")
			got := tell(doc + "\n")
			if *update {
				if err := os.WriteFile(file, []byte(doc+"\n----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func tell(doc string) string {
	o := Options{}
	if first, rest, _ := strings.Cut(doc, "\n"); strings.HasPrefix(first, "# type ") {
		o.Type, doc = strings.TrimPrefix(first, "# type "), "\n"+rest
	}
	d, problems := Read([]byte(doc), "document.yaml", o)
	var b strings.Builder
	if d.Bootstrap != nil {
		b.WriteString("a bootstrap\n")
	}
	for _, r := range d.Resources {
		fmt.Fprintf(&b, "%s is a %s\n", r.Path, r.Type)
	}
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// No document makes Read panic, and a problem always has a text.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		doc, _, _ := strings.Cut(string(data), "\n----\n")
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, problems := Read(doc, "document.yaml", Options{})
		for _, p := range problems {
			if p.Text == "" {
				t.Errorf("a problem without a text: %+v", p)
			}
		}
		if !load.Refused(problems) && d.Bootstrap == nil && len(d.Resources) == 0 && len(problems) > 0 {
			t.Errorf("nothing was found, and only warned of: %v", problems)
		}
	})
}
