package kube

// What services and slices come to, as files: testdata/*.yaml holds a reference
// in its first line, objects, and below them the instances.
// "go test ./discovery/kube -run Merge -update" writes what is seen.

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/discovery"
)

var update = flag.Bool("update", false, "write what was seen into the files")

func TestMerge(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			asked, want, _ := strings.Cut(string(text), "# instances\n")
			seen := merged(t, asked)
			if *update {
				if err := os.WriteFile(file, []byte(asked+"# instances\n"+seen), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if seen != want {
				t.Errorf("saw\n%s\nwant\n%s", seen, want)
			}
		})
	}
}

// merged is the comment that a file ends with.
func merged(t *testing.T, text string) string {
	var service *corev1.Service
	var slices []*discoveryv1.EndpointSlice
	var out strings.Builder
	first, _, _ := strings.Cut(text, "\n")
	asked, err := discovery.ParseService(strings.TrimPrefix(first, "# "))
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{conf: Config{Log: slog.New(slog.DiscardHandler)}}
	ref, err := s.parse(asked)
	if err != nil {
		return fmt.Sprintf("# %v\n", err)
	}
	for document := range strings.SplitSeq(text, "---\n") {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "":
		case "Service":
			service = &corev1.Service{}
			strict(t, document, service)
		case "EndpointSlice":
			slice := &discoveryv1.EndpointSlice{}
			strict(t, document, slice)
			slices = append(slices, slice)
		default:
			t.Fatalf("a %s?", kind.Kind)
		}
	}
	f, err := merge(ref, service, slices, "cluster.local")
	if err != nil {
		return fmt.Sprintf("# %v\n", err)
	}
	for _, i := range f.instances {
		fmt.Fprintf(&out, "# %s %s %s", i.ID, i.Addr, i.Health)
		for _, more := range []struct{ key, value string }{
			{"zone", i.Zone}, {"for", strings.Join(i.ForZones, ",")}, {"host", i.Hostname}, {"node", i.Metadata["node"]},
		} {
			if more.value != "" {
				fmt.Fprintf(&out, " %s=%s", more.key, more.value)
			}
		}
		out.WriteString("\n")
	}
	for _, err := range f.leftOut {
		fmt.Fprintf(&out, "# left out: %v\n", err)
	}
	return out.String()
}

func strict(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}
