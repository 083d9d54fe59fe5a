package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// costs makes a result whose lines have these CPU figures, round by round.
func costs(goals []goal, lines map[string][]float64) *result {
	res := &result{row: row{goals: goals}, subject: "attache"}
	for proxy, values := range lines {
		l := line{proxy: proxy}
		for _, v := range values {
			s := nothingYet()
			s[cpuPerRequest] = v
			l.samples = append(l.samples, s)
		}
		res.lines = append(res.lines, l)
	}
	return res
}

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	// The second round was disturbed for both: its ratio still counts like any other.
	res := costs(nil, map[string][]float64{"attache": {9, 27, 8}, "nginx": {10, 30, 10}})
	got, ok := res.ratio(cpuPerRequest, "nginx")
	if want := (ratio{0.9, 0.8, 0.9}); !ok || got != want {
		t.Errorf("got %v %v, want %v", got, ok, want)
	}
}

func TestLeastsAreOfAnyRound(t *testing.T) {
	// Each was disturbed once, in different rounds: the median of the ratios says 1.0, the leasts what is true.
	res := costs(nil, map[string][]float64{"attache": {16, 8, 9}, "nginx": {10, 11, 9}})
	if got, ok := res.leasts(cpuPerRequest, "nginx"); !ok || got != 8.0/9 {
		t.Errorf("got %v %v, want %v", got, ok, 8.0/9)
	}
	if _, ok := res.leasts(cpuPerRequest, "haproxy"); ok {
		t.Error("a proxy that did not run has a ratio")
	}
}

func TestRatioNeedsBothAndAFigure(t *testing.T) {
	res := costs(nil, map[string][]float64{"attache": {9}, direct: {math.NaN()}})
	for _, peer := range []string{"nginx", direct, "attache"} {
		if got, ok := res.ratio(cpuPerRequest, peer); ok {
			t.Errorf("%s: got %v, want none", peer, got)
		}
	}
}

func TestVerdicts(t *testing.T) {
	goals := []goal{cpu("nginx", 0.9), cpu("haproxy", 0.85), cpu("absent", 1), {cpuPerRequest, "", 10, true}, {cpuPerRequest, "nginx", 0.9, false}}
	res := costs(goals, map[string][]float64{"attache": {9}, "nginx": {10}, "haproxy": {10}})
	var met []bool
	for _, v := range res.verdicts() {
		met = append(met, v.met)
	}
	if want := []bool{true, false, true, true}; !slices.Equal(met, want) {
		t.Errorf("met %v, want %v", met, want)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := middle(test.values); got != test.want {
			t.Errorf("middle(%v) = %v, want %v", test.values, got, test.want)
		}
	}
	if got := middle(nil); !math.IsNaN(got) {
		t.Errorf("middle of nothing is %v, want NaN", got)
	}
}

func TestCeilingsSurviveWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ceiling.txt")
	want := []ceiling{{"http64", "nginx", [2]float64{0.92, 0.7}}, {"mem64x16", "nutcracker", [2]float64{0.5, 0.34}}}
	if err := writeCeilings(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := readCeilings(path)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ceiling{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := os.WriteFile(path, []byte("http64 nginx 0.92\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readCeilings(path); err == nil {
		t.Error("a line without its second ratio passed")
	}
}

func TestEveryGuardRowHasItsCeiling(t *testing.T) {
	committed, err := readCeilings("ceiling.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range guardRows("attache") {
		if !slices.ContainsFunc(committed, func(c ceiling) bool { return c.row == r.name && slices.Contains(r.peers, c.peer) }) {
			t.Errorf("%s against %v is not in ceiling.txt", r.name, r.peers)
		}
	}
}

func TestEveryGoalNamesAPeerOfItsRow(t *testing.T) {
	for _, r := range rows() {
		for _, g := range r.goals {
			if g.peer != "" && !slices.Contains(r.peers, g.peer) {
				t.Errorf("%s: %s does not run", r.name, g.peer)
			}
		}
		for _, name := range r.peers {
			if !slices.Contains(proxyNames(), name) {
				t.Errorf("%s: there is no proxy %s", r.name, name)
			}
		}
	}
}
