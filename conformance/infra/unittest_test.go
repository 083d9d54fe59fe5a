//go:build infra

package infra

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// TestChartUnits runs the chart's own tests, of which each template has a file.
func TestChartUnits(t *testing.T) {
	want := map[string]bool{}
	for _, pattern := range []string{"*.yaml", "*.txt", "tests/*.yaml"} {
		templates, err := filepath.Glob(chart + "/templates/" + pattern)
		if err != nil || len(templates) == 0 {
			t.Fatal("no templates", pattern, err)
		}
		for _, path := range templates {
			name, _ := filepath.Rel(chart+"/templates", path)
			suite := strings.ReplaceAll(strings.TrimSuffix(name, filepath.Ext(name)), "/", "-") + "_test.yaml"
			want[suite] = true
			text, err := os.ReadFile(filepath.Join(chart, "tests", suite))
			if err != nil || !strings.Contains(string(text), "\ntemplates: ["+name+"]\n") {
				t.Errorf("template %s has no test: %v", name, err)
			}
		}
	}
	suites, _ := filepath.Glob(chart + "/tests/*_test.yaml")
	for _, s := range suites {
		if !want[filepath.Base(s)] {
			t.Errorf("%s tests no template", s)
		}
	}
	cmd := exec.CommandContext(t.Context(), real.Binary(t, "helm-unittest"), "--strict", chart)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
