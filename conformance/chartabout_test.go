package conformance

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestChartAbout: what Chart.yaml tells a catalogue of charts is what there is.
func TestChartAbout(t *testing.T) {
	text, err := os.ReadFile("../charts/attache/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Version     string            `yaml:"version"`
		AppVersion  string            `yaml:"appVersion"`
		Annotations map[string]string `yaml:"annotations"`
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	list := func(name string) (items []map[string]any) {
		if err := yaml.Unmarshal([]byte(c.Annotations["artifacthub.io/"+name]), &items); err != nil || len(items) == 0 {
			t.Errorf("artifacthub.io/%s: %v", name, err)
		}
		return items
	}
	for _, i := range list("images") {
		if image, _ := i["image"].(string); !strings.HasSuffix(image, ":"+c.AppVersion) {
			t.Errorf("image %s is not of version %s", image, c.AppVersion)
		}
	}
	for _, change := range list("changes") {
		if change["kind"] == nil || change["description"] == nil {
			t.Errorf("change %v", change)
		}
	}
	definition, err := os.ReadFile("../charts/attache/templates/crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range list("crds") {
		if name, _ := crd["name"].(string); !strings.Contains(string(definition), "name: "+name+"\n") {
			t.Errorf("no definition of %s", name)
		}
	}
}
