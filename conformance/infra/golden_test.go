//go:build infra

package infra

// What each template renders, as files that a reviewer reads: with the defaults,
// with the values for production, and with everything on.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const goldens = "../testdata/chart"

// TestChartTemplates compares what is rendered of each template with its file:
// ATTACHE_UPDATE=1 writes it.
func TestChartTemplates(t *testing.T) {
	sets := []struct{ name, file string }{
		{"default", ""}, {"values-ha.yaml", chart + "/values-ha.yaml"}, {"ci/full-values.yaml", chart + "/ci/full-values.yaml"},
	}
	templates, err := filepath.Glob(chart + "/templates/*.yaml")
	if err != nil || len(templates) == 0 {
		t.Fatal("no templates", err)
	}
	tests, _ := filepath.Glob(chart + "/templates/tests/*.yaml")
	rendered := map[string]string{}
	for _, set := range sets {
		args := []string{"template", "r", chart, "-n", "attache", "--kube-version", "1.36.0"}
		if set.file != "" {
			args = append(args, "-f", set.file)
		}
		of := bySource(mustHelm(t, args...))
		for _, path := range append(templates, tests...) {
			name, _ := filepath.Rel(chart+"/templates", path)
			text := of[name]
			if text == "" {
				text = "nothing\n"
			}
			rendered[name] += "# " + set.name + "\n" + text
		}
	}
	for name, text := range rendered {
		file := filepath.Join(goldens, strings.ReplaceAll(name, "/", "-"))
		if os.Getenv("ATTACHE_UPDATE") != "" {
			if err := os.MkdirAll(goldens, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != text {
			t.Errorf("%s renders\n%s\nwant %s (%v)", name, text, file, err)
		}
	}
	files, _ := filepath.Glob(goldens + "/*.yaml")
	if len(files) != len(rendered) {
		t.Errorf("%d files in %s for %d templates", len(files), goldens, len(rendered))
	}
}

// bySource splits what Helm renders by the template that it comes from. Long
// files of the chart that a template carries whole are left out: they have tests
// of their own.
func bySource(text string) map[string]string {
	const mark = "# Source: attache/templates/"
	carried := regexp.MustCompile(`(?ms)^(spec:\n    group: attache\.dev|  attache-control\.json: \|).*`)
	of := map[string]string{}
	for _, doc := range strings.Split(text, "\n---\n") {
		_, doc, found := strings.Cut(doc, mark)
		name, doc, _ := strings.Cut(doc, "\n")
		if found {
			of[name] += "---\n" + strings.TrimRight(carried.ReplaceAllString(doc, "# as in files"), "\n") + "\n"
		}
	}
	return of
}
