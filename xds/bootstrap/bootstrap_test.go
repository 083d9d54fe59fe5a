package bootstrap

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

func TestCommandLineOverridesNode(t *testing.T) {
	b, problems := Load([]byte("node: {id: a, cluster: b, locality: {region: r, zone: c}}"), "x.yaml",
		Options{ServiceNode: "n", ServiceZone: "z"})
	if load.Refused(problems) {
		t.Fatal(problems)
	}
	if b.Node.ID != "n" || b.Node.Cluster != "b" || b.Node.Zone != "z" || b.Node.Region != "r" {
		t.Errorf("node is %+v", b.Node)
	}
	b, problems = Load([]byte("{}"), "x.yaml", Options{ServiceCluster: "c"})
	if load.Refused(problems) || b.Node.Cluster != "c" {
		t.Errorf("node is %+v, %v", b.Node, problems)
	}
}

// Envoy merges protos: single values replace, lists append.
func TestConfigYAMLIsMergedOverTheFile(t *testing.T) {
	file := `
node: {id: file, cluster: file}
static_resources: {clusters: [{name: a, connect_timeout: 1s}]}`
	over := `{"node": {"id": "over"}, "static_resources": {"clusters": [{"name": "b"}]}}`
	b, problems := Load([]byte(file), "x.yaml", Options{ConfigYAML: []byte(over)})
	if load.Refused(problems) {
		t.Fatal(problems)
	}
	if b.Node.ID != "over" || b.Node.Cluster != "file" {
		t.Errorf("node is %+v", b.Node)
	}
	if c := b.Resources.Clusters; len(c) != 2 || c[0].Name != "a" || c[1].Name != "b" {
		t.Errorf("clusters are %v", c)
	}
	b, problems = Load(nil, "", Options{ConfigYAML: []byte(over)})
	if load.Refused(problems) || len(b.Resources.Clusters) != 1 {
		t.Errorf("without a file: %v", problems)
	}
	_, problems = Load([]byte(file), "x.yaml", Options{ConfigYAML: []byte("foo: 1")})
	if !load.Refused(problems) || !strings.Contains(problems[0].Text, "--config-yaml") {
		t.Errorf("got %v", problems)
	}
}

func TestNothingToLoadIsRefused(t *testing.T) {
	if _, problems := Load([]byte("- a list"), "x.yaml", Options{}); !load.Refused(problems) {
		t.Errorf("a list was taken")
	}
}

// Bootstraps of Envoy's own tree (Apache-2.0). EXPECT.tsv says what comes of
// each: "clean", or a part of one of the problems; every refusal has a path or
// is about the document as a whole.
func TestEnvoysOwnBootstraps(t *testing.T) {
	expect, err := os.Open("testdata/envoy/EXPECT.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer expect.Close()
	for lines := bufio.NewScanner(expect); lines.Scan(); {
		name, want, _ := strings.Cut(lines.Text(), "\t")
		doc, err := os.ReadFile(filepath.Join("testdata/envoy", name))
		if err != nil {
			t.Fatal(err)
		}
		_, problems := Load(doc, name, Options{})
		var texts []string
		for _, p := range problems {
			texts = append(texts, p.String())
			if !p.Warning && p.Path == "" && !strings.Contains(p.Text, "want a mapping") {
				t.Errorf("%s: no path: %s", name, p)
			}
		}
		all := strings.Join(texts, "\n")
		if want == "clean" {
			if load.Refused(problems) {
				t.Errorf("%s is refused:\n%s", name, all)
			}
		} else if !load.Refused(problems) && !strings.HasPrefix(want, "warning") || !strings.Contains(all, want) {
			t.Errorf("%s: want %q in\n%s", name, want, all)
		}
	}
}

// No document makes Load or Dump panic, and a problem always has a text.
func FuzzBootstrap(f *testing.F) {
	for _, pattern := range []string{"testdata/scripts/*.txt", "testdata/envoy/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(files, err)
		}
		for _, file := range files {
			doc, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			yaml, _, _ := strings.Cut(string(doc), dashes)
			f.Add([]byte(yaml))
		}
	}
	f.Add([]byte(canaryDoc))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, allow := range []bool{false, true} {
			b, problems := Load(doc, "x.yaml", Options{AllowUnsupported: allow, AllowUnknownStatic: allow})
			for _, p := range problems {
				if p.Text == "" {
					t.Errorf("a problem without text at %s", p.Path)
				}
			}
			if load.Refused(problems) {
				continue
			}
			if _, err := b.Dump(fuzzTime); err != nil {
				t.Errorf("dump: %v", err)
			}
		}
	})
}

var fuzzTime = time.Unix(1700000000, 0)

// What is read again under other runtime values is all that there was.
func TestResourcesWithRuntime(t *testing.T) {
	listener := func(name, port string) string {
		return "{name: " + name + ", address: {socket_address: {address: 127.0.0.1, port_value: " + port + "}}, filter_chains: [{filters: []}]}"
	}
	b, problems := Load([]byte("static_resources: {listeners: ["+listener("a", "1")+", "+listener("''", "0")+", "+listener("''", "0")+"]}"), "b.yaml", Options{})
	if load.Refused(problems) {
		t.Fatal(problems)
	}
	again := b.ResourcesWith(b.Runtime)
	if !slices.Equal(again.Listeners, b.Resources.Listeners) || len(again.Listeners) != 3 {
		t.Errorf("read again: %d listeners of %d", len(again.Listeners), len(b.Resources.Listeners))
	}
}
