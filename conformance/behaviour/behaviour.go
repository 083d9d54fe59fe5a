package behaviour

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
)

// Run runs the script in file; with update it writes what was seen into it. For
// tests only.
func Run(t *testing.T, file string, update bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var seen []string
	synctest.Test(t, func(t *testing.T) { seen, err = s.play(t) })
	if err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		return
	}
	got := fill(text, seen)
	switch {
	case got == text:
	case update:
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not hold (-update writes what was seen):\n%s", file, sideBySide(steps(text), steps(got)))
	}
}

// play runs the script and gives what each step showed.
func (s *Script) play(t testing.TB) (seen []string, err error) {
	w := newWorld(t, s)
	defer w.stop()
	for i, st := range s.steps {
		if w.server == nil && !strings.HasPrefix(st.text, "dns ") { // names are known before the start
			if err := w.start(s); err != nil {
				return nil, err
			}
		}
		out, err := w.run(s, st)
		if err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", i+1, st.text, err)
		}
		seen = append(seen, out)
	}
	return seen, nil
}

// steps is the last part of a script.
func steps(text string) string {
	_, after, _ := strings.Cut(text, "-- steps --\n")
	return after
}
