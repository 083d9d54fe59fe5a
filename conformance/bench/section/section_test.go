package section

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceLeavesTheRest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	for _, step := range []struct{ name, body, want string }{
		{"a", "one\n", "\n\n<!-- begin a -->\none\n<!-- end a -->\n"},
		{"b", "two", "\n\n<!-- begin a -->\none\n<!-- end a -->\n\n<!-- begin b -->\ntwo\n<!-- end b -->\n"},
		{"a", "three", "\n\n<!-- begin a -->\nthree\n<!-- end a -->\n\n<!-- begin b -->\ntwo\n<!-- end b -->\n"},
	} {
		if err := Write(file, step.name, step.body); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != step.want {
			t.Fatalf("%q, want %q, %v", got, step.want, err)
		}
	}
	if got := Find("<!-- begin a -->\nno end", "a"); got != "" {
		t.Error(got)
	}
}
