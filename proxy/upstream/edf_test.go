package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Any run of picks as long as the weights' sum gives each entry its weight in
// turns, give or take one; so does what newEDF pretends to have picked.
func TestEDFKeepsToTheWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		weights := make([]float64, 1+r.IntN(20))
		sum := 0.0
		for i := range weights {
			weights[i] = float64(1 + r.IntN(100))
			sum += weights[i]
		}
		e := newEDF(len(weights), func(i int) float64 { return weights[i] }, r)
		turns := make([]int, len(weights))
		for range int(sum) {
			i := e.first()
			turns[i]++
			e.again(weights[i])
		}
		for i, n := range turns {
			if math.Abs(float64(n)-weights[i]) > 1 {
				t.Fatalf("weights %v: turns %v", weights, turns)
			}
		}
	}
}

// Equal deadlines are served in the order in which they came.
func TestEDFBreaksTiesInOrder(t *testing.T) {
	e := edf{order: 3, heap: []turn{{1, 0, 0}, {1, 1, 1}, {1, 2, 2}}}
	var got []int
	for range 9 {
		got = append(got, e.first())
		e.again(1)
	}
	if !slices.Equal(got, []int{0, 1, 2, 0, 1, 2, 0, 1, 2}) {
		t.Errorf("%v", got)
	}
}

// Schedules do not all begin with the same entry.
func TestEDFBeginsAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	first := map[int]int{}
	for range 1000 {
		e := newEDF(3, func(i int) float64 { return float64(i + 1) }, r)
		first[e.first()]++
	}
	for i := range 3 {
		if n := first[i]; math.Abs(float64(n)-1000*float64(i+1)/6) > 60 {
			t.Errorf("entry %d comes first %d times of 1000", i, n)
		}
	}
}
