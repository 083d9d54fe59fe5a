// Package section keeps generated parts of one markdown file apart: each program
// replaces its own, between two comments, and leaves the others'.
package section

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

func begin(name string) string { return "<!-- begin " + name + " -->\n" }
func end(name string) string   { return "<!-- end " + name + " -->\n" }

// Find gives the part called name of text, its comments included; empty if
// there is none.
func Find(text, name string) string {
	from := strings.Index(text, begin(name))
	if from < 0 {
		return ""
	}
	rest := text[from:]
	to := strings.Index(rest, end(name))
	if to < 0 {
		return ""
	}
	return rest[:to+len(end(name))]
}

// Replace puts body where the part called name is, or at the end.
func Replace(text, name, body string) string {
	part := begin(name) + strings.TrimRight(body, "\n") + "\n" + end(name)
	if old := Find(text, name); old != "" {
		return strings.Replace(text, old, part, 1)
	}
	return strings.TrimRight(text, "\n") + "\n\n" + part
}

// Write replaces the part called name in a file.
func Write(file, name, body string) error {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(file, []byte(Replace(string(text), name, body)), 0o644); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
