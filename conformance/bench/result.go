package main

import (
	"math"
	"slices"
)

// sample is what one turn of one proxy measured; NaN where a figure does not apply.
type sample [figures]float64

func nothingYet() sample {
	var s sample
	for i := range s {
		s[i] = math.NaN()
	}
	return s
}

// result is one row: the samples of each proxy, one per round, in the order of the rounds.
type result struct {
	row     row
	subject string
	lines   []line
}

type line struct {
	proxy   string
	samples []sample
}

func (res *result) line(proxy string) *line {
	at := slices.IndexFunc(res.lines, func(l line) bool { return l.proxy == proxy })
	if at < 0 {
		return nil
	}
	return &res.lines[at]
}

// median of one figure over the rounds; NaN if it does not apply.
func (l *line) median(of figure) float64 {
	values := make([]float64, len(l.samples))
	for i, s := range l.samples {
		values[i] = s[of]
	}
	return middle(values)
}

// least of one figure over the rounds; NaN if it does not apply.
func (l *line) least(of figure) float64 {
	least := math.Inf(1)
	for _, s := range l.samples {
		least = min(least, s[of])
	}
	return least
}

// ratio is the subject's figure over a peer's: the median of the rounds' ratios, with the least
// and the greatest. A round's two turns are close in time, so what disturbs the machine for
// longer than a round cancels out.
type ratio struct{ mid, low, high float64 }

func (res *result) ratio(of figure, peer string) (ratio, bool) {
	mine, theirs := res.line(res.subject), res.line(peer)
	if mine == nil || theirs == nil || res.subject == peer {
		return ratio{}, false
	}
	var ratios []float64
	for i := range min(len(mine.samples), len(theirs.samples)) {
		ratios = append(ratios, mine.samples[i][of]/theirs.samples[i][of])
	}
	mid := middle(ratios)
	if math.IsNaN(mid) || math.IsInf(mid, 0) {
		return ratio{}, false
	}
	return ratio{mid, slices.Min(ratios), slices.Max(ratios)}, true
}

// leasts is the subject's least figure of any round over the peer's least.
func (res *result) leasts(of figure, peer string) (float64, bool) {
	mine, theirs := res.line(res.subject), res.line(peer)
	if mine == nil || theirs == nil || res.subject == peer || len(mine.samples) == 0 || len(theirs.samples) == 0 {
		return 0, false
	}
	r := mine.least(of) / theirs.least(of)
	return r, !math.IsNaN(r) && !math.IsInf(r, 0)
}

// verdict is a goal held against what was measured.
type verdict struct {
	goal
	measured float64
	met      bool
}

func (res *result) verdicts() []verdict {
	var all []verdict
	for _, g := range res.row.goals {
		var measured float64
		if g.peer == "" {
			mine := res.line(res.subject)
			if mine == nil {
				continue
			}
			measured = mine.median(g.of)
		} else {
			r, ok := res.ratio(g.of, g.peer)
			if !ok {
				continue
			}
			measured = r.mid
		}
		all = append(all, verdict{g, measured, g.atMost && measured <= g.bound || !g.atMost && measured >= g.bound})
	}
	return all
}

// middle is the median; NaN for nothing or for any NaN.
func middle(values []float64) float64 {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
