package memproxy

// Do the scripts in testdata hold: what a client hears, and what reaches a
// shard?

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

var update = flag.Bool("update", false, "write what the room says into testdata")

var repeated = regexp.MustCompile(`\{([^*{}]+)\*(\d+)\}`)

// wire turns the written lines into the bytes they stand for: a line ends in CR
// LF unless it ends in a backslash; {x*5} stands for xxxxx; Go's escapes hold.
func wire(t testing.TB, input string) string {
	t.Helper()
	input = repeated.ReplaceAllStringFunc(input, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	var b strings.Builder
	for line := range strings.Lines(input) {
		line, open := strings.CutSuffix(strings.TrimSuffix(line, "\n"), `\`)
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		must(t, err)
		b.WriteString(s)
		if !open {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

var long = regexp.MustCompile(`k{30,}|v{30,}|x{30,}`)

// tell writes bytes as a script has them.
func tell(s string) string {
	s = long.ReplaceAllStringFunc(s, func(r string) string { return fmt.Sprintf("{%c*%d}", r[0], len(r)) })
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// perform says input to a room over two shards and tells what came of it.
func perform(t *testing.T, input string, segment int) string {
	s := loop.NewSim(1, nil)
	defer s.Close()
	s.SetLink(config.Address{}, loop.Link{Latency: 100 * time.Microsecond, MaxSegment: segment})
	w := newWorld(t, s, 2, config.Memcached{OpTimeout: 10 * time.Second}, nil)
	var out strings.Builder
	w.run(func() {
		a := w.connect()
		a.say(wire(t, input))
		var heard []byte
		closed := false
		for !closed {
			a.SetReadTimeout(time.Second)
			_, err := a.Next()
			heard = append(heard, a.Buffered()...)
			a.Discard(a.Pending())
			if err != nil {
				closed = err != loop.ErrTimeout
				break
			}
		}
		for line := range strings.Lines(string(heard)) {
			line, whole := strings.CutSuffix(line, "\r\n")
			if out.WriteString(tell(line)); !whole {
				out.WriteString(" (without its end)")
			}
			out.WriteByte('\n')
		}
		if closed {
			out.WriteString("(closed)\n")
		}
		a.Conn.Close()
	})
	asked := append(w.shards[0].asked, w.shards[1].asked...)
	slices.Sort(asked)
	for _, c := range asked {
		out.WriteString("  shard was asked: " + tell(c) + "\n")
	}
	w.settle()
	return out.String()
}

func TestGallery(t *testing.T) {
	const path = "testdata/gallery.txt"
	text, err := os.ReadFile(path)
	must(t, err)
	var out strings.Builder
	for _, block := range strings.Split("\n"+string(text), "\n== ")[1:] {
		title, body, _ := strings.Cut(block, "\n")
		input, want, ok := strings.Cut(body, "----\n")
		if !ok {
			t.Fatalf("%q has no line of dashes", title)
		}
		got := perform(t, input, 0)
		fmt.Fprintf(&out, "== %s\n%s----\n%s\n", title, input, got)
		t.Run(title, func(t *testing.T) {
			if got != strings.TrimRight(want, "\n")+"\n" && !*update {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if len(input) < 2000 && !strings.Contains(input, "*1048") && !strings.Contains(input, "*2097") {
				if cut := perform(t, input, 1); cut != got {
					t.Errorf("byte by byte:\n%s\nin one piece:\n%s", cut, got)
				}
			}
		})
	}
	if *update {
		must(t, os.WriteFile(path, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644))
	}
}
