package health

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Results are letters: + passed, d degraded, - refused, r retriable, x broken, t
// timed out, p passive; after each, what became of the host: F or f if it is fit,
// D or d if degraded, U or u if not, L or l if it is late; capital if that is new.
func TestThresholds(t *testing.T) {
	results := map[byte]Result{'+': Passed, 'd': Degraded, '-': Refused, 'r': Retriable, 'x': Broken, 't': TimedOut, 'p': Passive}
	asked := &config.HealthCheck{Healthy: 3, Unhealthy: 2}
	for _, x := range []struct{ name, results, want string }{
		{"the first success is enough", "+", "F"},
		{"then it takes two that cannot be asked", "+xx", "FfU"},
		{"two that time out", "+tt", "FfL"},
		{"a success between", "+x+xx", "FfffU"},
		{"retriable", "+rr", "FfU"},
		{"a refusal is enough", "+-", "FU"},
		{"so is the word of an answer", "+p", "FU"},
		{"and three that pass", "-+++", "uuuF"},
		{"without a failure between", "-++-+++", "uuuuuuF"},
		{"degraded", "+d+", "FDF"},
		{"degraded and unfit", "+d-ddd", "FDUuuD"},
		{"late and unfit in turn", "+-tx", "FUlu"},
	} {
		s := State{New: true, Failed: true}
		got := ""
		for i := range x.results {
			c := s.Take(results[x.results[i]], asked)
			letter := byte('f')
			switch {
			case s.Late:
				letter = 'l'
			case s.Failed:
				letter = 'u'
			case s.Degraded:
				letter = 'd'
			}
			if c == Changed {
				letter -= 'a' - 'A'
			}
			got += string(letter)
		}
		if got != x.want {
			t.Errorf("%s: %s gives %s, want %s", x.name, x.results, got, x.want)
		}
	}
}

func TestWaits(t *testing.T) {
	asked := &config.HealthCheck{
		Interval: 1 * time.Second, HealthyEdge: 2 * time.Second, UnhealthyInterval: 3 * time.Second, UnhealthyEdge: 4 * time.Second,
		NoTraffic: 5 * time.Second, NoTrafficHealthy: 6 * time.Second,
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, x := range []struct {
		bad  bool
		c    Change
		used bool
		want time.Duration
	}{
		{false, Unchanged, true, 1},
		{false, Changed, true, 1},
		{false, Pending, true, 2},
		{true, Unchanged, true, 3},
		{true, Changed, true, 3},
		{true, Pending, true, 4},
		{true, Changed, false, 5},
		{false, Pending, false, 5},
		{false, Unchanged, false, 6},
	} {
		if got := (&State{}).Wait(x.bad, x.c, asked, x.used, r); got != x.want*time.Second {
			t.Errorf("%+v: %s", x, got)
		}
	}
	asked.JitterPercent, asked.Jitter = 50, time.Second
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := (&State{}).Wait(false, Unchanged, asked, true, r)
		least, most = min(least, d), max(most, d)
	}
	if least < time.Second || least > 1100*time.Millisecond || most > 2500*time.Millisecond || most < 2200*time.Millisecond {
		t.Errorf("with jitter %s to %s", least, most)
	}
}
