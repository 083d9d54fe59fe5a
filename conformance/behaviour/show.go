package behaviour

// How messages are shown, and how a script that did not hold is.

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Values that have no meaning of their own.
var (
	uuid    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	dates   = regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)
	digests = regexp.MustCompile(`(Hash=|CLIENT_RANDOM )[0-9a-f]{64}( [0-9a-f]{96})?`)
	pems    = regexp.MustCompile(`-----BEGIN%20CERTIFICATE-----[^";]*`)
	stamps  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`)
)

func scrub(s string) string {
	s = dates.ReplaceAllString(s, "<date>")
	s = stamps.ReplaceAllString(s, "<time>")
	s = pems.ReplaceAllString(s, "<PEM>")
	s = digests.ReplaceAllString(s, "$1<hex>")
	return uuid.ReplaceAllString(s, "<uuid>")
}

func show(mark, who string, m *message, took time.Duration) string {
	var b strings.Builder
	for _, i := range m.interim {
		b.WriteString(show(mark, who, i, 0))
	}
	fmt.Fprintf(&b, "%s %s%s%s\n", mark, who, m.start, after(took))
	if m.tls != "" {
		fmt.Fprintf(&b, "%s   (%s)\n", mark, m.tls)
	}
	for _, f := range m.fields {
		value := scrub(f.value)
		if strings.EqualFold(f.name, "x-envoy-upstream-service-time") {
			value = "<ms>"
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s   %s: %s", mark, f.name, value), " ") + "\n")
	}
	if strings.HasPrefix(m.start, "POST "+procPath) {
		showProc(&b, mark, m.body)
	} else if text, ok := m.asGRPC(); ok {
		for line := range strings.Lines(text) {
			fmt.Fprintf(&b, "%s   |%s\n", mark, pems.ReplaceAllString(strings.TrimSuffix(line, "\n"), "<PEM>"))
		}
	} else {
		showBody(&b, mark, m.body)
	}
	for _, f := range m.trailers {
		fmt.Fprintf(&b, "%s   trailer %s: %s\n", mark, f.name, scrub(f.value))
	}
	if m.end != "" {
		fmt.Fprintf(&b, "%s   (%s)\n", mark, m.end)
	}
	return b.String()
}

// after says how long an answer took, to the half second: less is chance.
func after(took time.Duration) string {
	d := took.Round(500 * time.Millisecond)
	if d == 0 {
		return ""
	}
	return "   (after " + d.String() + ")"
}

const shownBody = 400

func showBody(b *strings.Builder, mark string, body []byte) {
	if len(body) == 0 {
		return
	}
	text := string(body)
	if len(text) > shownBody {
		text = fmt.Sprintf("%s… (%d bytes)", text[:32], len(body))
	}
	for line := range strings.Lines(text) {
		text := strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == '\ufffd' }) {
			text = fmt.Sprintf("%q", text)
		}
		fmt.Fprintf(b, "%s   |%s\n", mark, scrub(text))
	}
}

// rows are lines beside each other; those far from a difference are left out.
type rows struct {
	lines  []string
	marked []bool
}

func (r *rows) add(differs bool, left, right string) {
	const width = 64
	if len(left) > width {
		left = left[:width-1] + "…"
	}
	mark := " "
	if differs {
		mark = "✗"
	}
	r.lines = append(r.lines, fmt.Sprintf("%s %-*s │ %s", mark, width, left, right))
	r.marked = append(r.marked, differs)
}

func (r *rows) String() string {
	const around = 8
	var b strings.Builder
	gap := false
	for i, line := range r.lines {
		near := i == 0 || slices.Contains(r.marked[max(0, i-around):min(len(r.marked), i+around)], true)
		if near {
			b.WriteString(line + "\n")
		} else if !gap {
			b.WriteString("  …\n")
		}
		gap = !near
	}
	return b.String()
}

// sideBySide shows two texts line by line, what differs marked.
func sideBySide(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	out := rows{}
	out.add(false, "expected", "seen")
	common := subsequence(a, b)
	i, j := 0, 0
	for _, c := range append(common, [2]int{len(a), len(b)}) {
		for i < c[0] || j < c[1] {
			l, r := "", ""
			if i < c[0] {
				l = a[i]
				i++
			}
			if j < c[1] {
				r = b[j]
				j++
			}
			out.add(true, l, r)
		}
		if i < len(a) && j < len(b) {
			out.add(false, a[i], b[j])
		}
		i, j = i+1, j+1
	}
	return out.String()
}

// subsequence are the places of a longest common subsequence.
func subsequence(a, b []string) (places [][2]int) {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			places = append(places, [2]int{i, j})
			i, j = i+1, j+1
		case n[i+1][j] >= n[i][j+1]:
			i++
		default:
			j++
		}
	}
	return places
}
