package upstream

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// watched is static with outlier detection that leaves out for 30 s.
func watched(weights ...uint32) *config.Cluster {
	c := static(config.RoundRobin, weights...)
	c.Outlier = &config.Outlier{
		Interval: 10 * time.Second, BaseEjection: 30 * time.Second, MaxEjection: 300 * time.Second,
		MaxEjectionPercent: 100, Consecutive5xx: 5, SuccessRateHosts: 5, SuccessRateVolume: 100, FailureHosts: 5, FailureVolume: 50,
		Enforcing: [config.OutlierKinds]uint32{config.Outlier5xx: 100},
	}
	return c
}

func TestEjection(t *testing.T) {
	s, l := opened(t, watched(1, 1, 1, 1))
	spread := func(want ...int) {
		t.Helper()
		got := count(l, 12*len(want), Pick{})
		for _, i := range want {
			if got[i] != 12 {
				t.Errorf("at %s: %v, want hosts %v", s.Now(), got, want)
				return
			}
		}
	}
	run := func(d time.Duration) {
		t.Helper()
		if err := s.RunFor(d); err != nil {
			t.Fatal(err)
		}
	}
	run(time.Millisecond)
	bad := hostAt(t, l.Cluster, address(2)).On(l.Worker)
	for range 5 {
		bad.Report(outlier.Answered, 500)
	}
	spread(1, 2, 3, 4) // it is decided elsewhere
	run(time.Millisecond)
	spread(1, 3, 4)

	// The host stays out though others come and go.
	more := watched(1, 1, 1, 1, 1)
	if err := l.Cluster.Update(more); err != nil {
		t.Fatal(err)
	}
	spread(1, 3, 4, 5)
	run(29 * time.Second)
	spread(1, 3, 4, 5)
	run(12 * time.Second)
	spread(1, 2, 3, 4, 5)

	for range 5 {
		bad.Report(outlier.Answered, 500)
	}
	run(time.Millisecond)
	figures := map[string]uint64{}
	l.Cluster.Stats(func(name string, v uint64) { figures[name] = v })
	for name, want := range map[string]uint64{
		"membership_healthy": 4, "membership_total": 5, "outlier_detection.ejections_active": 1,
		"outlier_detection.ejections_enforced_total": 2, "outlier_detection.ejections_detected_consecutive_5xx": 2,
	} {
		if figures[name] != want {
			t.Errorf("%s is %d, want %d", name, figures[name], want)
		}
	}
	off := watched(1, 1, 1, 1, 1)
	off.Outlier = nil
	if err := l.Cluster.Update(off); err != nil {
		t.Fatal(err)
	}
	spread(1, 2, 3, 4, 5)
	if bad.Watched() {
		t.Error("still watched")
	}
}

func TestReportCostsNothingUnasked(t *testing.T) {
	_, l := opened(t, static(config.RoundRobin, 1))
	h := hostAt(t, l.Cluster, address(1)).On(l.Worker)
	if n := testing.AllocsPerRun(100, func() { h.Report(outlier.Answered, 500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
