package bootstrap

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

var update = flag.Bool("update", false, "rewrite testdata/scripts")

const dashes = "\n----\n"

// Each script is a bootstrap, a line of dashes, and what comes of it: the
// warnings and config values, or every problem.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, want, _ := strings.Cut(string(script), dashes)
			got := outcome(doc+"\n", Options{AllowUnsupported: strings.Contains(doc, "# --allow-unsupported")})
			if *update {
				if err := os.WriteFile(file, []byte(doc+dashes+got), 0o644); err != nil {
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

// outcome prints what Load makes of a document.
func outcome(doc string, o Options) string {
	b, problems := Load([]byte(doc), "bootstrap.yaml", o)
	var out strings.Builder
	for _, p := range problems {
		out.WriteString(p.String() + "\n")
	}
	if !load.Refused(problems) {
		out.WriteString(show("node", b.Node) + show("admin", b.Admin) + show("runtime", b.Runtime) + show("dynamic", b.Dynamic))
		if !b.Dynamic.IsZero() {
			out.WriteString(show("control planes", b.ControlPlanes))
		}
		for _, l := range b.Resources.Listeners {
			out.WriteString(show("listener", l))
		}
		for _, c := range b.Resources.Clusters {
			out.WriteString(show("cluster", c))
		}
	}
	return out.String()
}
