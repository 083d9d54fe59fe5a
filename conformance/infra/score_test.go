//go:build infra

package infra

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// waiver is something that kube-score says and that is meant.
type waiver struct {
	Says string   `json:"says"`
	Of   []string `json:"of"`
	Why  string   `json:"why"`
}

// TestChartScore: kube-score finds nothing in what any set of values renders but
// what is waived with a reason, and no waiver is stale.
func TestChartScore(t *testing.T) {
	const file = "testdata/kube-score.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var waived []waiver
	if err := yaml.UnmarshalStrict(text, &waived); err != nil {
		t.Fatal(err)
	}
	newest := ages(t)["newest"]
	found := map[string][]string{} // kinds by what is said
	for _, set := range valuesFiles(t) {
		for object, says := range scored(t, rendered(t, newest, set)) {
			for _, s := range says {
				i := slices.IndexFunc(waived, func(w waiver) bool { return w.Says == s && slices.Contains(w.Of, object.kind) })
				if i < 0 {
					t.Errorf("%s %s with %v: %s", object.kind, object.name, set, s)
				}
				found[s] = append(found[s], object.kind)
			}
		}
	}
	for _, w := range waived {
		if w.Why == "" {
			t.Errorf("%s: %q is waived for no reason", file, w.Says)
		}
		for _, kind := range w.Of {
			if !slices.Contains(found[w.Says], kind) {
				t.Errorf("%s: %q is not found of any %s: it is to go", file, w.Says, kind)
			}
		}
	}
}

type scoredObject struct{ kind, name string }

// scored is what kube-score says of the objects of a file.
func scored(t *testing.T, file string) map[scoredObject][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), real.Binary(t, "kube-score"), "score", "--kubernetes-version", "v1.27", "--output-format", "json", file)
	out, err := cmd.Output() // 1 if it finds something
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > 1 {
		t.Fatalf("%s: %v", filepath.Base(cmd.Path), err)
	}
	var objects []struct {
		Type struct {
			Kind string `json:"kind"`
		} `json:"type_meta"`
		Meta struct {
			Name string `json:"name"`
		} `json:"object_meta"`
		Checks []struct {
			Check struct {
				ID string `json:"id"`
			} `json:"check"`
			Grade    int  `json:"grade"`
			Skipped  bool `json:"skipped"`
			Comments []struct {
				Summary string `json:"summary"`
			} `json:"comments"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(out, &objects); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(objects) == 0 {
		t.Fatal("nothing is looked at")
	}
	const well = 10 // a check's best grade
	says := map[scoredObject][]string{}
	for _, o := range objects {
		of := scoredObject{o.Type.Kind, o.Meta.Name}
		for _, c := range o.Checks {
			if c.Skipped || c.Grade >= well {
				continue
			}
			if len(c.Comments) == 0 {
				says[of] = append(says[of], c.Check.ID)
			}
			for _, comment := range c.Comments {
				says[of] = append(says[of], comment.Summary)
			}
		}
	}
	return says
}
