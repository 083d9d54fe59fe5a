package behaviour

// Many requests alike, for what is a share of all: "times 20 GET /a", with what a
// request has below it.
//
//	= 200: 18, 503: 2
//	= one: 15, two: 3

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxTimes bounds the requests of one step.
const maxTimes = 10_000

func (w *world) times(text string, args []string) (string, error) {
	number, text, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxTimes {
		return "", fmt.Errorf("times wants a number of 1 to %d, not %q", maxTimes, number)
	}
	answers := map[string]int{}
	var seen []sighting
	for range n {
		if err := w.begin(step{text: text, args: args}); err != nil {
			return "", err
		}
		r := w.begun[len(w.begun)-1]
		err := w.finish(0) // no time but their own passes between requests
		if err != nil {
			return "", err
		}
		answers[shortly(r.answer)]++
		seen = append(seen, w.seen...)
		w.begun, w.seen = nil, nil
	}
	w.seen = seen
	return counted(answers) + w.hostsCounted(text), nil
}

// hostsCounted shows how often hosts saw what since the last time; what those are, a
// request need not be named by.
func (w *world) hostsCounted(known ...string) string {
	n := map[string]int{}
	for _, s := range w.seen {
		who := s.host.name
		if what, _, _ := strings.Cut(s.start, " HTTP/"); !slices.Contains(known, what) {
			who += " " + what
		}
		n[who]++
	}
	w.seen = nil
	return counted(n)
}

// shortly is an answer's status, or how the request has ended.
func shortly(m *message) string {
	if m == nil {
		return "nothing"
	}
	if _, rest, is := strings.Cut(m.start, " "); is && m.start[0] != '(' {
		status, _, _ := strings.Cut(rest, " ")
		return status
	}
	return m.start
}

func counted(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s: %d", name, of[name]))
	}
	if len(all) == 0 {
		return ""
	}
	return "= " + strings.Join(all, ", ") + "\n"
}
