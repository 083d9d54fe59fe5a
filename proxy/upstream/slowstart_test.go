package upstream

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestSlowStart(t *testing.T) {
	const n = 20000
	for _, kind := range []config.BalanceKind{config.RoundRobin, config.LeastRequest} {
		slow := func(weights ...uint32) *config.Cluster {
			c := static(kind, weights...)
			c.Balance.SlowStart, c.Balance.Aggression, c.Balance.LeastWeight = 100*time.Second, 1, 0.1
			return c
		}
		s, l := opened(t, slow(1, 1, 1))
		run := func(d time.Duration) {
			if err := s.RunFor(d); err != nil {
				t.Fatal(err)
			}
		}
		run(200 * time.Second)
		l.Worker.Go(func() {})
		run(time.Millisecond)
		if err := l.Update(slow(1, 1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		step := func(d time.Duration, part float64) {
			t.Helper()
			run(d)
			l.Worker.Go(func() {}) // the worker's time goes on with its turns
			run(time.Millisecond)
			each := 1 / (3 + part)
			near(t, count(l, n, Pick{}), map[int]float64{1: each, 2: each, 3: each, 4: part * each}, n, 0.015)
		}
		step(time.Second, 0.1)
		step(49*time.Second, 0.5)
		step(25*time.Second, 0.75)
		step(30*time.Second, 1)
	}
}

func TestAggression(t *testing.T) {
	b := &config.Balance{SlowStart: 100 * time.Second, Aggression: 2, LeastWeight: 0.3}
	h := &Host{}
	h.fitSince.Store(int64(time.Second))
	for at, want := range map[time.Duration]float64{26 * time.Second: 0.5, 2 * time.Second: 0.3, 65 * time.Second: 0.8, 101 * time.Second: 1} {
		if got := h.warmth(b, int64(at)); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
	}
}

func TestFullScan(t *testing.T) {
	const n = 20000
	c := static(config.LeastRequest, 1, 1, 1, 1)
	c.Balance.FullScan = true
	_, l := opened(t, c)
	hostAt(t, l.Cluster, address(1)).On(l.Worker).Begin()
	hostAt(t, l.Cluster, address(3)).On(l.Worker).Begin()
	near(t, count(l, n, Pick{}), map[int]float64{2: .5, 4: .5}, n, 0.015)
}
