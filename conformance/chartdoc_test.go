package conformance

// The chart's README is made from the comments of its values: a key without a
// word, or with another default than it has, cannot be in it.

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const chartReadme = `# attache

The control plane of [attache](../../README.md), the ambassador proxy, and the injector that puts it into pods.

	helm install attache charts/attache -n attache --create-namespace

[docs/kubernetes.md](../../docs/kubernetes.md) says how it is used, values-ha.yaml what production wants.

## Values

| key | default | |
|---|---|---|
`

func TestChartReadme(t *testing.T) {
	const file = "../charts/attache/README.md"
	text, err := os.ReadFile("../charts/attache/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values yaml.Node
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString(chartReadme)
	valueRows(t, &want, "", "", values.Content[0])
	if os.Getenv("ATTACHE_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want.String() {
		t.Errorf("%s is not what values.yaml says (%v): ATTACHE_UPDATE=1 go test -run TestChartReadme ./conformance", file, err)
	}
}

// valueRows writes a row for each value, with what is said of it, or else of the
// map that it is in.
func valueRows(t *testing.T, out *strings.Builder, path, about string, m *yaml.Node) {
	t.Helper()
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		said := strings.Join(strings.Fields(strings.NewReplacer("# --", "", "#", "", "\n", " ", "|", `\|`).Replace(key.HeadComment)), " ")
		name := path + key.Value
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			valueRows(t, out, name+".", said, value)
			continue
		}
		if said == "" {
			said = about
		}
		if said == "" {
			t.Errorf("values.yaml says nothing of %s", name)
		}
		var plain any
		if err := value.Decode(&plain); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("| `" + name + "` | `" + string(text) + "` | " + said + " |\n")
	}
}
