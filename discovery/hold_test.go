package discovery

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestHold plays the scripts of testdata/hold. Each line is
//
//	[option=value ...]                      before the first line with a time
//	TIME answer ID,ID,... => KIND ID,ID,... [told] [until TIME] [err]
//	TIME empty | fail | tick => ...
//
// with times counted from the start; "-" is an empty set, "nil" is none.
func TestHold(t *testing.T) {
	scripts, err := filepath.Glob("testdata/hold/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) { playHold(t, path) })
	}
}

func playHold(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	start := time.Unix(1e9, 0)
	var options Options
	var h *hold
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		said, want, isStep := strings.Cut(line, "=>")
		words := strings.Fields(said)
		switch {
		case len(words) == 0:
		case !isStep:
			setOptions(t, &options, words)
		default:
			if h == nil {
				h = newHold(options, start)
			}
			now := start.Add(duration(t, words[0]))
			told := playStep(h, words[1:], now)
			if got, want := describe(h.state, told, start), strings.Join(strings.Fields(want), " "); got != want {
				t.Errorf("%s:%d: %s\n\tgot  %s\n\twant %s", path, n, strings.TrimSpace(said), got, want)
			}
		}
	}
}

func setOptions(t *testing.T, o *Options, words []string) {
	t.Helper()
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "retention":
			o.Retention = duration(t, value)
		case "empty_retention":
			o.EmptyRetention = duration(t, value)
		case "give_up":
			o.GiveUp = value == "true"
		case "max_drop":
			o.MaxDrop, err = strconv.ParseFloat(value, 64)
		case "confirm":
			o.Confirm, err = strconv.Atoi(value)
		default:
			err = errors.New("unknown option")
		}
		if err != nil {
			t.Fatal(w, err)
		}
	}
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func playStep(h *hold, words []string, now time.Time) (told bool) {
	switch words[0] {
	case "answer":
		return h.hear(Report{Set: setOf(strings.Split(words[1], ",")...)}, now)
	case "empty":
		return h.hear(Report{Set: setOf()}, now)
	case "fail":
		return h.hear(Report{Err: errors.New("away")}, now)
	case "tick":
		return h.pass(now)
	}
	panic("unknown step " + words[0])
}

func setOf(ids ...string) *Set {
	var all []Instance
	for _, id := range ids {
		all = append(all, Instance{ID: id, Weight: 1})
	}
	set, _ := MakeSet("", all)
	return set
}

func describe(s State, told bool, start time.Time) string {
	text := fmt.Sprintf("%s %s", s.Kind, idsOf(s.Set))
	if told {
		text += " told"
	}
	if !s.Until.IsZero() {
		text += " until " + short(s.Until.Sub(start))
	}
	if s.Err != nil {
		text += " err"
	}
	return text
}

func idsOf(set *Set) string {
	if set == nil {
		return "nil"
	}
	ids := []string{}
	for _, i := range set.Instances {
		ids = append(ids, i.ID)
	}
	if len(ids) == 0 {
		return "-"
	}
	return strings.Join(ids, ",")
}

// short writes 10m0s as 10m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

func TestStateAge(t *testing.T) {
	start := time.Unix(1e9, 0)
	h := newHold(Options{}, start)
	if age := h.state.Age(start); age != 0 {
		t.Errorf("age %s without an answer", age)
	}
	h.hear(Report{Set: setOf("a"), Behind: 3 * time.Second}, start)
	first := h.state.Set
	h.hear(Report{Err: errors.New("away")}, start.Add(time.Second))
	if age := h.state.Age(start.Add(5 * time.Second)); age != 8*time.Second {
		t.Errorf("age %s, want 5 s and the 3 s that it was behind", age)
	}
	h.hear(Report{Set: setOf("a")}, start.Add(6*time.Second))
	if age := h.state.Age(start.Add(7 * time.Second)); age != time.Second || h.state.Set != first {
		t.Errorf("age %s, same set %v; want 1 s and the same set", age, h.state.Set == first)
	}
}

func TestCounters(t *testing.T) {
	h, now := newHold(Options{}, time.Unix(1e9, 0)), time.Unix(1e9, 0)
	for range 2 {
		h.hear(Report{Set: setOf("a")}, now)
		h.hear(Report{Err: errors.New("away")}, now)
		h.hear(Report{Err: os.ErrDeadlineExceeded}, now)
		h.hear(Report{Set: setOf()}, now)
	}
	c := h.counters()
	if c.Answers != 4 || c.Empties != 2 || c.Doubted != 2 || c.Changes != 1 || c.Failures["error"] != 4 {
		t.Errorf("%+v", c)
	}
}

func TestOptionsCheck(t *testing.T) {
	for _, o := range []Options{{Retention: -1}, {MaxDrop: -0.1}, {MaxDrop: 1}, {Confirm: -1}} {
		if o.Check() == nil {
			t.Errorf("%+v passes", o)
		}
	}
	if err := (Options{MaxDrop: 0.5, EmptyRetention: -1}).Check(); err != nil {
		t.Error(err)
	}
}
