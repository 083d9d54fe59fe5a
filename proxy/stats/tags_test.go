package stats

import (
	"os"
	"strings"
	"testing"
)

// testdata/tags.txt: a name, "=>", its family and its tags, as Envoy
// extracts them (test/common/stats/tag_extractor_impl_test.cc has such names).
func TestExtract(t *testing.T) {
	doc, err := os.ReadFile("testdata/tags.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		family, tags := Extract(fields[0])
		got := fields[0] + " => " + family
		for _, tag := range tags {
			got += " " + tag.Name + "=" + tag.Value
		}
		if want := strings.Join(fields, " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
