package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// screen is standard output for tables and standard error for progress; colour and a progress
// line that overwrites itself only where that is a terminal.
type screen struct {
	tables, progressTo io.Writer
	colour, live       bool
}

func newScreen() *screen {
	return &screen{os.Stdout, os.Stderr, terminal(os.Stdout), terminal(os.Stderr)}
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// progress says what is being done now; the function it returns takes the line away again.
func (s *screen) progress(what string) (done func()) {
	if !s.live {
		fmt.Fprintln(s.progressTo, what)
		return func() {}
	}
	fmt.Fprintf(s.progressTo, "\r\x1b[K%s", what)
	return func() { fmt.Fprint(s.progressTo, "\r\x1b[K") }
}

// row prints one row's table and its verdicts.
func (s *screen) row(res *result) {
	fmt.Fprintf(s.tables, "\n%s: %s\n", s.bold(res.row.name), res.row.title)
	table := tabwriter.NewWriter(s.tables, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, cells := range res.cells() {
		fmt.Fprintln(table, "  "+strings.Join(cells, "\t")+"\t")
	}
	table.Flush()
	for _, v := range res.verdicts() {
		fmt.Fprintf(s.tables, "  %s %s\n", s.mark(v.met), v.sentence(res.subject))
	}
}

func (s *screen) bold(text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

func (s *screen) mark(met bool) string {
	switch {
	case met && s.colour:
		return "\x1b[32mmet   \x1b[0m"
	case met:
		return "met   "
	case s.colour:
		return "\x1b[31mmissed\x1b[0m"
	}
	return "missed"
}

// cells is a result as a table: a heading, then one line per proxy.
func (res *result) cells() [][]string {
	if res.row.method == storming {
		return res.stormCells()
	}
	loaded := res.row.method == underLoad
	heading := []string{"proxy", "RSS MiB"}
	switch res.row.method {
	case underLoad:
		heading = []string{"proxy", "CPU µs/req", "req/s", "p50 µs", "p99 µs", "RSS MiB", res.subject + "/it CPU", "least–most", "req/s"}
	case idle:
		heading = append(heading, "bytes per connection")
	}
	table := [][]string{heading}
	for i := range res.lines {
		l := &res.lines[i]
		if len(l.samples) == 0 {
			continue
		}
		cells := []string{l.proxy}
		if loaded {
			cells = append(cells, number("%.2f", l.median(cpuPerRequest)), number("%.0f", l.median(requestsPerSecond)),
				number("%.0f", l.median(p50)), number("%.0f", l.median(p99)))
		}
		cells = append(cells, number("%.1f", l.median(resident)/(1<<20)))
		if loaded {
			cells = append(cells, res.ratioCells(l.proxy)...)
		}
		if res.row.method == idle {
			cells = append(cells, number("%.0f", l.median(bytesPerIdle)))
		}
		table = append(table, cells)
	}
	return table
}

// stormCells are those of a row with storms: its requests/s are handshakes.
func (res *result) stormCells() [][]string {
	table := [][]string{{"proxy", "handshakes/s", "p99 quiet µs", "p50 storm µs", "p99 storm µs", "storm/quiet", "RSS MiB"}}
	for i := range res.lines {
		if l := &res.lines[i]; len(l.samples) > 0 {
			table = append(table, []string{
				l.proxy, number("%.0f", l.median(requestsPerSecond)), number("%.0f", l.median(quiet99)), number("%.0f", l.median(p50)),
				number("%.0f", l.median(p99)), number("%.2f", l.median(stormOverQuiet)), number("%.1f", l.median(resident)/(1<<20)),
			})
		}
	}
	return table
}

func (res *result) ratioCells(peer string) []string {
	cells := []string{"", "", ""}
	if r, ok := res.ratio(cpuPerRequest, peer); ok {
		cells[0], cells[1] = number("%.2f", r.mid), fmt.Sprintf("%.2f–%.2f", r.low, r.high)
	}
	if r, ok := res.ratio(requestsPerSecond, peer); ok {
		cells[2] = number("%.2f", r.mid)
	}
	return cells
}

func number(format string, value float64) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// sentence reads "CPU per request 0.88 × nginx (goal ≤ 0.92)".
func (v verdict) sentence(subject string) string {
	sign := "≥"
	if v.atMost {
		sign = "≤"
	}
	name := map[figure]string{
		cpuPerRequest: "CPU per request", requestsPerSecond: "requests/s", p50: "p50",
		bytesPerIdle: "bytes per idle connection", stormOverQuiet: "p99 in a storm over the quiet p99",
	}[v.of]
	if v.peer == "" && v.of == resident {
		return fmt.Sprintf("%s: RSS %.1f MiB (goal %s %.0f MiB)", subject, v.measured/(1<<20), sign, v.bound/(1<<20))
	}
	if v.of == stormOverQuiet {
		return fmt.Sprintf("%s: %s %.2f (goal %s %.2f)", subject, name, v.measured, sign, v.bound)
	}
	if v.peer == "" {
		return fmt.Sprintf("%s: %s %.0f (goal %s %.0f)", subject, name, v.measured, sign, v.bound)
	}
	return fmt.Sprintf("%s: %s %.2f × %s (goal %s %.2f)", subject, name, v.measured, v.peer, sign, v.bound)
}
