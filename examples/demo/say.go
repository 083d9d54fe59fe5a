package main

// How the demo speaks: plain lines, with a little colour where a person reads.

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

type voice struct {
	out    io.Writer
	colour bool
}

// newVoice colours only what goes to a terminal whose owner does not mind (no-color.org).
func newVoice(out *os.File) *voice {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &voice{out, terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (v *voice) paint(style, text string) string {
	if !v.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// title opens a step.
func (v *voice) title(n int, text string) {
	fmt.Fprintf(v.out, "\n%s\n", v.paint(bold, fmt.Sprintf("%d. %s", n, text)))
}

// fact is something that was checked and is so.
func (v *voice) fact(format string, args ...any) {
	fmt.Fprintf(v.out, "  %s %s\n", v.paint(green, "✓"), fmt.Sprintf(format, args...))
}

// aside is what the reader should know, not a result.
func (v *voice) aside(format string, args ...any) {
	fmt.Fprintf(v.out, "  %s\n", v.paint(faint, fmt.Sprintf(format, args...)))
}

func (v *voice) fault(err error) {
	fmt.Fprintf(v.out, "\n%s %v\n", v.paint(red, "✗ not as promised:"), err)
}

// thousands writes 1000 as 1,000.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
