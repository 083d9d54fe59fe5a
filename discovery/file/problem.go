package file

// What is wrong with a file, and where.

import (
	"fmt"
	"strings"
)

// maxProblems is how many problems of one file are told.
const maxProblems = 20

// Problem is one reason to refuse a file.
type Problem struct {
	Line, Column int // from 1; 0 for the file as a whole
	Text         string
}

// Invalid is a file that is refused as a whole.
type Invalid struct {
	Path     string
	Problems []Problem // at least one, at most 20, in the order of the file
	More     int       // how many others there are
}

// Error is one line for each problem: "path:line:column: text".
func (e *Invalid) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Path)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": " + p.Text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s: %d more", e.Path, e.More)
	}
	return b.String()
}

// FailureKind is for discovery.FailureKind.
func (*Invalid) FailureKind() string { return "invalid" }

// unknown is a service that no file tells of, or a file that is not there.
type unknown struct{ text string }

func (e *unknown) Error() string       { return e.text }
func (e *unknown) FailureKind() string { return "unknown" }
