package inject

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pmezard/go-difflib/difflib"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write what is seen into testdata/*.diff")

const someSettings = `
image: localhost/attache:v1
controlPlane: attache.attache.svc:18000
native: true
neverIn: [kube-system, attache]
`

func settings(t *testing.T, more string) *Settings {
	t.Helper()
	s, err := ReadSettings([]byte(someSettings + more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestManifests shows what is added to each file of testdata, as a diff, and that
// nothing is added the second time.
func TestManifests(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := settings(t, "")
			before, after, done, err := Manifest(text, "default", s)
			if err != nil || len(done) != 1 || done[0].Why != "" || len(done[0].Warnings) > 0 {
				t.Fatalf("%+v %v", done, err)
			}
			diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
				A: difflib.SplitLines(string(before)), B: difflib.SplitLines(string(after)), FromFile: "before", ToFile: "after", Context: 2,
			})
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".diff"
			if *update {
				if err := os.WriteFile(golden, []byte(diff), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != diff {
				t.Errorf("%v, or not as in %s (go test -update):\n%s", err, golden, diff)
			}
			_, again, done, err := Manifest(after, "default", s)
			if err != nil || !bytes.Equal(again, after) || done[0].Why != "it has a container attache already" {
				t.Errorf("a second time: %+v %v", done, err)
			}
		})
	}
}

// TestDecisions: who gets a sidecar and who does not, what is warned of and what
// is refused.
func TestDecisions(t *testing.T) {
	for _, x := range []struct {
		about     string
		pod       string // YAML
		namespace string
		wanted    bool   // by the namespace
		settings  string // more of them
		why       string // not injected
		warning   string
		err       string
	}{
		{about: "its namespace asks", pod: "{metadata: {labels: {app: a}}}", wanted: true},
		{about: "its annotation asks", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/inject: enabled}}}"},
		{about: "its label asks", pod: "{metadata: {labels: {app: a, attache.dev/inject: 'true'}}}"},
		{about: "nobody asks", pod: "{metadata: {labels: {app: a}}}", why: "nobody asks for a sidecar"},
		{about: "it declines", pod: "{metadata: {labels: {app: a, attache.dev/inject: disabled}}}", wanted: true, why: "nobody asks"},
		{about: "its annotation goes over its label", pod: "{metadata: {labels: {attache.dev/inject: enabled}, annotations: {attache.dev/inject: disabled}}}", wanted: true, why: "nobody asks"},
		{about: "a word of no meaning", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/inject: please}}}", why: "nobody asks", warning: `attache.dev/inject: "please": want enabled or disabled`},
		{about: "kube-system", namespace: "kube-system", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/inject: enabled}}}", why: "namespace kube-system never gets sidecars"},
		{about: "in the node's network", pod: "{metadata: {labels: {app: a}}, spec: {hostNetwork: true}}", wanted: true, why: "it is in the node's network"},
		{about: "written by hand", pod: "{metadata: {labels: {app: a}}, spec: {initContainers: [{name: attache}]}}", wanted: true, why: "it has a container attache already"},
		{about: "an annotation of no meaning", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/memory-limits: 1Gi}}}", wanted: true, warning: "annotation attache.dev/memory-limits: there is no such annotation: want one of inject, ambassador,"},
		{about: "a value of no meaning", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/memory-limit: much}}}", wanted: true, err: `annotation attache.dev/memory-limit: "much": want a quantity such as 100m or 64Mi`},
		{about: "a number out of bounds", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/admin-port: '70000'}}}", wanted: true, err: `annotation attache.dev/admin-port: "70000": want a number from 1 to 65535`},
		{about: "native where it is not", settings: "native: false", pod: "{metadata: {labels: {app: a}, annotations: {attache.dev/native: 'true'}}}", wanted: true, err: "this cluster has no native sidecars"},
		{about: "nobody knows its ambassador", pod: "{spec: {serviceAccountName: default}}", wanted: true, err: "annotation attache.dev/ambassador: is required"},
		{about: "its service account is its name", pod: "{spec: {serviceAccountName: shop}}", wanted: true},
		{about: "not a pod", pod: "{spec: {containers: 1}}", wanted: true, err: "pod: json: cannot unmarshal number"},
	} {
		t.Run(x.about, func(t *testing.T) {
			var pod any
			if err := yaml.Unmarshal([]byte(x.pod), &pod); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			base := someSettings
			if x.settings != "" {
				base = strings.Replace(base, "native: true", x.settings, 1)
			}
			s, err := ReadSettings([]byte(base))
			if err != nil {
				t.Fatal(err)
			}
			out, err := Pod(Request{Pod: text, Namespace: x.namespace, Wanted: x.wanted}, s)
			if x.err != "" {
				if err == nil || !strings.Contains(err.Error(), x.err) {
					t.Fatalf("%v, want %s", err, x.err)
				}
				return
			}
			if err != nil || (x.why == "") != (out.Why == "") || !strings.Contains(out.Why, x.why) || (out.Why == "") != (len(out.Patch) > 0) {
				t.Errorf("%v: %q, %d operations; want %q", err, out.Why, len(out.Patch), x.why)
			}
			if warnings := strings.Join(out.Warnings, "\n"); (x.warning == "") != (warnings == "") || !strings.Contains(warnings, x.warning) {
				t.Errorf("warnings %q, want %q", warnings, x.warning)
			}
		})
	}
}

// TestSettings: what is missing or unknown is named.
func TestSettings(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"controlPlane: a:1", "image: is required"},
		{"image: a", `controlPlane: "": want HOST:PORT`},
		{"image: a\ncontrolPlane: a", `controlPlane: "a": want HOST:PORT`},
		{"image: a\ncontrolPlane: a:1\ntls: {serverName: b}", "tls.ca: is required"},
		{"image: a\ncontrolPlane: a:1\ndefaults: {colour: red}", "defaults.colour: there is no such key"},
		{"image: a\ncontrolPlane: a:1\ndefaults: {drain-time: never}", `defaults.drain-time: "never": want a time from 1s to 1h0m0s`},
		{"image: a\ncontrolPlane: a:1\ncolour: red", "field colour not found"},
	} {
		if _, err := ReadSettings([]byte(x.text)); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%q: %v, want %s", x.text, err, x.want)
		}
	}
}

// TestDollars: Kubernetes reads $(NAME) in arguments, and what a pod's labels or
// the CA say is not to be read so.
func TestDollars(t *testing.T) {
	s := settings(t, "tls: {ca: \"$(SECRET) $$\"}\n")
	out, err := Pod(Request{Pod: []byte(`{"metadata": {"labels": {"app": "a"}}}`), Wanted: true}, s)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(out.Patch)
	if err != nil || !bytes.Contains(text, []byte(`$$(SECRET) $$$$`)) {
		t.Errorf("%v: %s", err, text)
	}
}

// TestDocumented: the table of docs/kubernetes.md is that of the code.
func TestDocumented(t *testing.T) {
	const file, begin, end = "../../docs/kubernetes.md", "<!-- annotations: go test ./charts/inject -update -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("no place for the table in " + file)
	}
	table := "| annotation | default | |\n|---|---|---|\n"
	for _, a := range Annotations() {
		value := ""
		if a.Default != "" {
			value = "`" + a.Default + "`"
		}
		table += "| `" + a.Name + "` | " + value + " | " + a.Meaning + " |\n"
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s is not what the code says: go test ./charts/inject -update", file)
	}
}

// TestChartKnowsEveryAnnotation: the chart's schema takes the same names as
// defaults, and no others.
func TestChartKnowsEveryAnnotation(t *testing.T) {
	text, err := os.ReadFile("../attache/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Injector struct {
				Properties struct {
					Defaults struct{ Properties map[string]any }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(schema.Properties.Injector.Properties.Defaults.Properties))
	if want := slices.Sorted(slices.Values(knobNames())); !slices.Equal(names, want) {
		t.Errorf("the schema has %q, the code %q", names, want)
	}
}
