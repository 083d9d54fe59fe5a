//go:build infra

package infra

// What the chart renders is what the API of the oldest and of the newest
// Kubernetes takes, and what kube-score would have of it.

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// ages are the oldest and the newest Kubernetes that the chart is for.
func ages(t *testing.T) map[string]string {
	t.Helper()
	var c struct {
		KubeVersion string `json:"kubeVersion"`
	}
	text, err := os.ReadFile(chart + "/Chart.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for _, age := range []string{"oldest", "newest"} {
		pin, err := os.ReadFile(real.Binary(t, "kubernetes-"+age+".pin"))
		if err != nil {
			t.Fatal(err)
		}
		of[age] = strings.TrimSpace(string(pin))
	}
	if minor := regexp.MustCompile(`^v1\.\d+`).FindString(of["oldest"]); c.KubeVersion != ">="+minor[1:]+".0-0" {
		t.Errorf("kubeVersion of the chart is %q, but get.sh has %s as the oldest", c.KubeVersion, of["oldest"])
	}
	return of
}

// rendered is what a set of values makes on a version, as a file.
func rendered(t *testing.T, version string, set []string) string {
	t.Helper()
	text := mustHelm(t, append([]string{"template", "attache", chart, "-n", "attache", "--kube-version", version}, set...)...)
	file := filepath.Join(t.TempDir(), "rendered.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// conform holds files to the schemas of a version, and of the definitions of others that
// the chart makes objects of (testdata/schemas).
func conform(t *testing.T, schemas string, files ...string) (string, error) {
	t.Helper()
	const name = "/{{.ResourceKind}}{{.KindSuffix}}.json"
	args := append([]string{"-strict", "-summary", "-schema-location", schemas + name, "-schema-location", "testdata/schemas" + name}, files...)
	out, err := exec.CommandContext(t.Context(), real.Binary(t, "kubeconform"), args...).CombinedOutput()
	return string(out), err
}

func TestChartConforms(t *testing.T) {
	for age, version := range ages(t) {
		t.Run(age, func(t *testing.T) {
			schemas, _ := fromKubernetes(t, age)
			var files []string
			for _, set := range valuesFiles(t) {
				files = append(files, rendered(t, version, set))
			}
			out, err := conform(t, schemas, files...)
			if err != nil || !strings.Contains(out, "Skipped: 0") {
				t.Errorf("%s: %v\n%s", version, err, out)
			}
			t.Log(version, strings.TrimSpace(out))
		})
	}
}

// TestChartConformsBites: a field too many and a value of another type are found, in an
// object of Kubernetes' and in one of each definition of testdata/schemas.
func TestChartConformsBites(t *testing.T) {
	schemas, _ := fromKubernetes(t, "oldest")
	full := rendered(t, ages(t)["oldest"], []string{"-f", chart + "/ci/full-values.yaml"})
	text, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var object map[string]any
		if err := yaml.Unmarshal(doc, &object); err != nil {
			t.Fatal(err)
		}
		kind, _ := object["kind"].(string)
		spec, ok := object["spec"].(map[string]any)
		if !ok || seen[kind] {
			continue
		}
		seen[kind] = true
		for what, spoil := range map[string]func(){
			"a field too many": func() { spec["typo"] = 1 },
			"another type":     func() { delete(spec, "typo"); object["spec"] = []any{"text"} },
		} {
			spoil()
			bad, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			object["spec"] = spec
			delete(spec, "typo")
			file := filepath.Join(t.TempDir(), "bad.yaml")
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := conform(t, schemas, file); err == nil {
				t.Errorf("%s: %s is not found: %s", kind, what, out)
			}
		}
	}
	ours, _ := filepath.Glob("testdata/schemas/*.json")
	for _, file := range ours {
		kind, _, _ := strings.Cut(filepath.Base(file), "-")
		found := false
		for k := range seen {
			found = found || strings.EqualFold(k, kind)
		}
		if !found {
			t.Errorf("%s: the chart makes no such object", file)
		}
	}
}
