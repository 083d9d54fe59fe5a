package behaviour

import (
	"flag"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what was seen into the scripts")

// Every file of testdata is a script, see the package's comment. One area:
//
//	go test ./conformance/behaviour -run Scripts/retry -update
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txt")
		t.Run(name, func(t *testing.T) {
			Run(t, file, *update)
		})
	}
}

// What a script expects stands beside what was seen, and below its step.
func TestShown(t *testing.T) {
	const script = "t\n-- config --\nc\n-- steps --\nGET /\n    x: 1\n< old\n\n# why\nwait 1s\n-- config b --\nd\n"
	got := fill(script, []string{"> a\n< new\n", "= b\n"})
	want := strings.Replace(strings.Replace(script, "< old", "> a\n< new", 1), "wait 1s\n", "wait 1s\n= b\n", 1)
	if got != want {
		t.Errorf("filled in: %q", got)
	}
	s, err := Parse(script)
	if err != nil || len(s.steps) != 2 || s.Later["b"] != "d\n\n" {
		t.Errorf("read: %+v, %v", s, err)
	}
	side := sideBySide("< a\n< b\n< c", "< a\n< x\n< c")
	for _, row := range []string{`(?m)^  < a +│ < a$`, `(?m)^✗ < b +│ < x$`, `(?m)^  < c +│ < c$`} {
		if !regexp.MustCompile(row).MatchString(side) {
			t.Errorf("%s is not in\n%s", row, side)
		}
	}
}
