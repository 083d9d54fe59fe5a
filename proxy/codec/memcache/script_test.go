package memcache

// Do the scripts in testdata hold, however their bytes are cut?

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the parsers say into testdata")

// A script is a row of cases. Each has a title line beginning with "==", the
// client's lines, a line of dashes, and what they came to. A line ends in CR LF
// unless it ends in a backslash; {x*5} stands for xxxxx; Go's escapes hold.
type scriptCase struct{ title, input, want string }

func readScript(t testing.TB, path string) (cases []scriptCase) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split("\n"+string(text), "\n== ")[1:] {
		title, body, _ := strings.Cut(block, "\n")
		input, want, ok := strings.Cut(body, "----\n")
		if !ok {
			t.Fatalf("%s: %q has no line of dashes", path, title)
		}
		cases = append(cases, scriptCase{title, input, strings.TrimSpace(want)})
	}
	return cases
}

var repeated = regexp.MustCompile(`\{([^*{}]+)\*(\d+)\}`)

// wire turns the written lines into the bytes they stand for.
func wire(t testing.TB, input string) []byte {
	t.Helper()
	input = repeated.ReplaceAllStringFunc(input, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	var b strings.Builder
	for line := range strings.Lines(input) {
		line = strings.TrimSuffix(line, "\n")
		line, open := strings.CutSuffix(line, `\`)
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		b.WriteString(s)
		if !open {
			b.WriteString(crlf)
		}
	}
	return []byte(b.String())
}

func TestCommandScripts(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.txt")
	if len(paths) == 0 {
		t.Fatal("no scripts")
	}
	for _, path := range paths {
		var out strings.Builder
		for _, sc := range readScript(t, path) {
			input := wire(t, sc.input)
			limits := DefaultLimits()
			whole, _ := feed(t, &limits, [][]byte{input})
			var lines []string
			for _, s := range whole {
				lines = append(lines, s.String())
			}
			got := strings.Join(lines, "\n")
			fmt.Fprintf(&out, "== %s\n%s----\n%s\n\n", sc.title, sc.input, got)
			t.Run(sc.title, func(t *testing.T) {
				if got != sc.want && !*update {
					t.Errorf("got\n%s\nwant\n%s", got, sc.want)
				}
				cutEverywhere(t, &limits, input, whole)
			})
		}
		if *update {
			if err := os.WriteFile(path, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// cutEverywhere offers input in two pieces cut at each place and in pieces of
// every small size; long inputs are cut near their ends and at some places.
func cutEverywhere(t *testing.T, limits *Limits, input []byte, want []step) {
	t.Helper()
	for i := range input {
		if i > 400 && i < len(input)-100 && i%max(997, len(input)/50) != 0 {
			continue
		}
		got, _ := feed(t, limits, [][]byte{input[:i], input[i:]})
		wantSteps(t, fmt.Sprintf("cut at %d", i), got, want)
	}
	sizes := []int{1, 2, 3, 7, 61}
	if len(input) > 4096 {
		sizes = []int{1021, 4096, 20000}
	}
	for _, size := range sizes {
		got, _ := feed(t, limits, cutEvery(input, size))
		wantSteps(t, fmt.Sprintf("pieces of %d", size), got, want)
	}
	small := *limits
	small.WholeBytes = 0 // every value that is not there at once is streamed
	got, _ := feed(t, &small, cutEvery(input, max(1, len(input)/2000)))
	wantSteps(t, "streamed", got, want)
}
