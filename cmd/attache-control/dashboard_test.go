package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDashboardHasRealMetrics: every metric that the chart's dashboard and alerts
// ask for is one that the program exports.
func TestDashboardHasRealMetrics(t *testing.T) {
	_, page := start(t).get("/metrics")
	exported := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(page, -1) {
		exported[m[1]] = true
		if m[2] == "histogram" {
			for _, end := range []string{"_bucket", "_sum", "_count"} {
				exported[m[1]+end] = true
			}
		}
	}
	name := regexp.MustCompile(`attache_control_[a-z_]+`)
	for _, file := range []string{"files/dashboard.json", "templates/prometheusrule.yaml"} {
		text, err := os.ReadFile("../../charts/attache/" + file)
		if err != nil {
			t.Fatal(err)
		}
		asked := name.FindAllString(string(text), -1)
		if len(asked) < 4 {
			t.Errorf("%s asks for %d metrics", file, len(asked))
		}
		for _, one := range asked {
			if !exported[one] {
				t.Errorf("%s asks for %s, which is not exported", file, one)
			}
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON", file)
		}
	}
}
