package file

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/discovery"
)

// TestDecode plays testdata/*.txt: cases parted by lines "=== name", each a
// document, a line "==>", and what Decode makes of it.
func TestDecode(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split("\n"+string(text), "\n=== ")[1:] {
			name, rest, _ := strings.Cut(c, "\n")
			doc, want, ok := strings.Cut(rest, "==>\n")
			if !ok {
				t.Fatalf("%s: %s: no ==>", script, name)
			}
			t.Run(name, func(t *testing.T) {
				if got := decoded(name, doc); got != strings.TrimSpace(want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

func decoded(name, doc string) string {
	services, err := Decode(name, []byte(doc))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(services)) {
		lines = append(lines, name)
		for _, i := range services[name].Instances {
			lines = append(lines, "  "+instanceLine(i))
		}
	}
	return strings.Join(lines, "\n")
}

func instanceLine(i discovery.Instance) string {
	line := fmt.Sprintf("%s at %s weight %d %s", i.ID, place(i), i.Weight, i.Health)
	for _, f := range []struct{ name, value string }{
		{"host", i.Hostname}, {"region", i.Region}, {"zone", i.Zone}, {"sub_zone", i.SubZone}, {"tags", strings.Join(i.Tags, ",")},
	} {
		if f.value != "" {
			line += " " + f.name + " " + f.value
		}
	}
	if i.Priority > 0 {
		line += fmt.Sprint(" priority ", i.Priority)
	}
	if i.Metadata != nil {
		line += fmt.Sprintf(" %q", i.Metadata)
	}
	return line
}

func TestDecodeBounds(t *testing.T) {
	var many strings.Builder
	many.WriteString("services:\n  s:\n")
	for i := range maxInstances + 1 {
		fmt.Fprintf(&many, "  - 10.%d.%d.%d:1\n", i>>16, i>>8&255, i&255)
	}
	for want, doc := range map[string]string{
		"longer than":           strings.Repeat("#", MaxSize+1),
		"may hold":              strings.Repeat("[", MaxSize),
		"more than 100000":      many.String(),
		"exceeded max depth":    `{"services":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}",
		"18 more":               "services:\n" + strings.Repeat("  \"\":\n", maxProblems+18),
		"wants text of at most": "services: {s: [{address: '10.0.0.1:1', id: " + strings.Repeat("x", maxText+1) + "}]}",
		"tags[64]: more than":   "services: {s: [{address: '10.0.0.1:1', tags: [" + numbers(65) + "]}]}",
	} {
		if got := decoded("x.yaml", doc); !strings.Contains(got, want) {
			t.Errorf("%.40q… gives %.300s, want %q in it", doc, got, want)
		}
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "t%d,", i)
	}
	return b.String()
}

// FuzzDecode: what is refused has its reasons with their places, what is taken
// is a set as discovery wants it.
func FuzzDecode(f *testing.F) {
	for _, doc := range []string{
		"services:\n  s:\n  - 10.0.0.1:1\n  - unix:/x\n", `{"services": {"s": ["[::1]:1", {"address": "1.2.3.4", "port": 5, "tags": ["a"], "metadata": {"k": "v"}}]}}`,
		"a: &a [*a]", "services: {<<: {a: []}}", "? [a]\n: b", "services: {s: [{path: /x, weight: 2, health: draining, zone: z}]}",
	} {
		f.Add(doc, true)
		f.Add(doc, false)
	}
	f.Fuzz(func(t *testing.T, doc string, isJSON bool) {
		path := "x.yaml"
		if isJSON {
			path = "x.json"
		}
		services, err := Decode(path, []byte(doc))
		if err != nil {
			if invalid, ok := err.(*Invalid); !ok || len(invalid.Problems) == 0 || !strings.HasPrefix(err.Error(), path+":") {
				t.Fatalf("%#v", err)
			}
			return
		}
		for name, set := range services {
			if _, err := discovery.ParseService("file://" + name); err != nil {
				t.Fatal(err)
			}
			checkSet(t, set)
		}
	})
}

func checkSet(t *testing.T, set *discovery.Set) {
	t.Helper()
	for n, i := range set.Instances {
		if n > 0 && set.Instances[n-1].ID >= i.ID {
			t.Fatalf("%q after %q", i.ID, set.Instances[n-1].ID)
		}
		if i.Weight < 1 || i.ID == "" || i.Addr.IsValid() == (i.Path != "") || i.Addr.IsValid() && i.Addr.Port() == 0 {
			t.Fatalf("%+v", i)
		}
	}
}

// BenchmarkDecode reads 10,000 instances.
func BenchmarkDecode(b *testing.B) {
	var doc strings.Builder
	doc.WriteString("services:\n  s:\n")
	for i := range 10_000 {
		fmt.Fprintf(&doc, "  - {id: shard-%d, address: 10.0.%d.%d, port: 11211, zone: eu-1a, weight: 2}\n", i, i>>8, i&255)
	}
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode("x.yaml", []byte(doc.String())); err != nil {
			b.Fatal(err)
		}
	}
}
