package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReportKeepsRowsOfEarlierRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(file, []byte("# Other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, run := range []map[string][]verdict{
		{"memory": {{"a", "≤ 1", "2", false}}, "change": {{"b", "", "3", true}, {"c", "≤ 4", "4", true}}},
		{"memory": {{"a", "≤ 1", "1", true}}},
	} {
		if err := report(options{write: file}, run); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := tables(string(text))
	if n := strings.Count(got["change"], "\n"); n != 2 || !strings.Contains(got["change"], "| c | ≤ 4 | 4 | met |") {
		t.Errorf("%q", got["change"])
	}
	if n := strings.Count(got["memory"], "\n"); n != 1 || !strings.Contains(got["memory"], "| a | ≤ 1 | 1 | met |") {
		t.Errorf("%q", got["memory"])
	}
	if !strings.HasPrefix(string(text), "# Other\n") {
		t.Error(string(text))
	}
}

func TestQuantile(t *testing.T) {
	ds := []time.Duration{3, 1, 2, 4}
	if quantile(ds, 0.5) != 3 || quantile(ds, 0.99) != 4 || quantile(nil, 0.5) != 0 {
		t.Error(quantile(ds, 0.5), quantile(ds, 0.99))
	}
}
