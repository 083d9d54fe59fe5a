package behaviour

// A script as text: its parts, and its steps with what is expected below each.

import (
	"fmt"
	"slices"
	"strings"
)

// Script is one file.
type Script struct {
	// Title is the text above the first part.
	Title string
	// Config is the YAML of the bootstrap, as written; Later are those of the parts
	// "config NAME", which the step "apply NAME" makes live, by name.
	Config string
	Later  map[string]string
	// Files are those of the parts "file PATH", below the directory $dir, by path.
	Files map[string]string
	// Certs are those of the parts "cert NAME" (tls.go), by name: their lines.
	Certs map[string][]string
	// Env are environment variables, NAME=VALUE each, of the part "env".
	Env []string

	steps []step
	// change, if not nil, alters configurations and files of resources before they are
	// read: what a script proves is found by what breaks it.
	change func(name, yaml string) string
}

// step is a line and the indented lines below it.
type step struct {
	text string
	args []string
	file []string // the same lines with all but four of their blanks: what "file" writes
}

// Parse reads a script. Errors name the line.
func Parse(text string) (*Script, error) {
	s := &Script{Later: map[string]string{}, Files: map[string]string{}, Certs: map[string][]string{}}
	at, steps := "title", false
	for i, line := range strings.Split(text, "\n") {
		if name, ok := part(line); ok {
			at = name
			if at != "config" && at != "steps" && at != "env" && !strings.HasPrefix(at, "config ") && !strings.HasPrefix(at, "file ") && !strings.HasPrefix(at, "cert ") {
				return nil, fmt.Errorf("line %d: no part is called %q", i+1, at)
			}
			steps = steps || at == "steps"
			if name, ok := strings.CutPrefix(at, "cert "); ok {
				s.Certs[name] = nil
			}
			continue
		}
		if err := s.add(at, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if s.Config == "" || !steps {
		return nil, fmt.Errorf("a script has the parts config and steps")
	}
	return s, nil
}

// part is the name in a line "-- name --".
func part(line string) (string, bool) {
	name, ok := strings.CutPrefix(line, "-- ")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, " --")
}

func (s *Script) add(at, line string) error {
	switch {
	case at == "title":
		s.Title += line + "\n"
	case at == "config":
		s.Config += line + "\n"
	case at == "env":
		if line != "" {
			s.Env = append(s.Env, line)
		}
	case strings.HasPrefix(at, "file "):
		s.Files[strings.TrimPrefix(at, "file ")] += line + "\n"
	case strings.HasPrefix(at, "cert "):
		if name := strings.TrimPrefix(at, "cert "); line != "" {
			s.Certs[name] = append(s.Certs[name], strings.TrimSpace(line))
		}
	case at != "steps":
		s.Later[strings.TrimPrefix(at, "config ")] += line + "\n"
	case line == "" || line[0] == '#' || expectation(line):
	case indented(line):
		if len(s.steps) == 0 {
			return fmt.Errorf("an indented line belongs to a step")
		}
		last := &s.steps[len(s.steps)-1]
		last.args = append(last.args, strings.TrimSpace(line))
		last.file = append(last.file, strings.TrimPrefix(line, "    "))
	default:
		s.steps = append(s.steps, step{text: line})
	}
	return nil
}

// expectation reports whether a line is what was seen, not what is done.
func expectation(line string) bool { return line != "" && strings.ContainsRune("><=", rune(line[0])) }

// fill gives the script's text with seen, one text for each step, in place of
// what it expects: each right below its step.
func fill(text string, seen []string) string {
	var out []string
	where, below, n := "", 0, 0 // the part; where the last step ends, in out
	flush := func() {
		if n > 0 && n <= len(seen) && seen[n-1] != "" {
			out = slices.Insert(out, below, strings.Split(strings.TrimSuffix(seen[n-1], "\n"), "\n")...)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		name, isPart := part(line)
		switch {
		case isPart && where == "steps":
			flush()
			where = name
		case isPart:
			where = name
		case where == "steps" && expectation(line):
			continue
		}
		steps := where == "steps" && !isPart && line != "" && line[0] != '#'
		if steps && !indented(line) {
			flush()
			n++
		}
		out = append(out, line)
		if steps {
			below = len(out)
		}
	}
	if where == "steps" {
		flush()
	}
	return strings.Join(out, "\n")
}

func indented(line string) bool { return line[0] == ' ' || line[0] == '\t' }
