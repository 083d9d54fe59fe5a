package adaptive

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// load sends so many requests at once, each of a duration, and gives how many were let in.
type load struct {
	t   *testing.T
	c   *controller
	now int64
	rng *rand.Rand
}

func newLoad(t *testing.T, cfg config.GradientController) *load {
	return &load{t: t, c: newController(&cfg), rng: rand.New(rand.NewPCG(1, 2))}
}

func (l *load) send(n int, took time.Duration) (let int) {
	began := l.now
	for range n {
		if l.c.admit(began, l.rng) {
			let++
		}
	}
	l.now += int64(took)
	for range let {
		l.c.record(began, l.now, l.rng)
	}
	return let
}

func (l *load) want(limit, least, gradient uint64, measuring bool) {
	l.t.Helper()
	g := l.c.figures(l.now, l.rng)
	if g.limit != limit || g.minRTT != least || g.gradient != gradient || (g.measuring == 1) != measuring {
		l.t.Fatalf("at %v: %+v, want limit %d, least %d, gradient %d, measuring %v", time.Duration(l.now), g, limit, least, gradient, measuring)
	}
}

func gradient() config.GradientController {
	return config.GradientController{
		Percentile: 0.5, MaxLimit: 40, MinLimit: 3, Window: 100 * time.Millisecond,
		Interval: 30 * time.Second, Requests: 6, Buffer: 0.25,
	}
}

// TestGradient follows a limit: measured, raised while all is well, halved at most where it is not.
func TestGradient(t *testing.T) {
	l := newLoad(t, gradient())
	l.want(3, 0, 0, true)
	if n := l.send(10, 10*time.Millisecond); n != 3 {
		t.Fatalf("%d were let in while the least latency is measured, want 3", n)
	}
	l.want(3, 0, 0, true)
	l.send(3, 10*time.Millisecond)
	l.want(3, 10, 0, false) // the bin of 10 to 11 ms: its middle
	for _, limit := range []uint64{5, 8, 13, 20, 30, 40, 40} {
		l.send(1, 10*time.Millisecond)
		l.now += int64(100 * time.Millisecond)
		l.want(limit, 10, 1250, false)
	}
	l.send(1, time.Second)
	l.now += int64(100 * time.Millisecond)
	l.want(24, 10, 500, false) // 20 and its root
	l.now += int64(time.Second)
	l.want(24, 10, 500, false) // a window without requests says nothing
}

// TestMeasuredAgain says when: after the interval, and after the lowest limit five times in a row.
func TestMeasuredAgain(t *testing.T) {
	cfg := gradient()
	l := newLoad(t, cfg)
	l.send(3, 10*time.Millisecond)
	l.send(3, 10*time.Millisecond)
	due := l.now + int64(cfg.Interval)
	l.send(1, time.Millisecond)
	l.now = due - 1
	l.want(8, 10, 2000, false)
	old := l.now
	if !l.c.admit(old, l.rng) {
		t.Fatal("no place")
	}
	l.now += 1
	l.want(3, 10, 2000, true)
	l.c.record(old, l.now, l.rng) // began before: it does not count
	l.send(3, 20*time.Millisecond)
	l.send(2, 20*time.Millisecond)
	l.want(3, 10, 2000, true)
	l.send(1, 20*time.Millisecond)
	l.want(8, 20, 2000, false)
	for i, limit := range []uint64{6, 4, 3, 3, 3, 3, 3, 3} {
		l.send(1, 2*time.Second)
		l.now += int64(cfg.Window)
		l.want(limit, 20, 500, i == 7) // the lowest, five times after it
	}
}

// TestJitter is bounded, and there.
func TestJitter(t *testing.T) {
	cfg := gradient()
	cfg.Jitter = 0.1
	seen := map[int64]bool{}
	for range 100 {
		l := newLoad(t, cfg)
		l.rng = rand.New(rand.NewPCG(uint64(len(seen)), 7))
		l.send(3, time.Millisecond)
		l.send(3, time.Millisecond)
		late := l.c.measure - l.now - int64(cfg.Interval)
		if late < 0 || late >= int64(3*time.Second) {
			t.Fatalf("%v late", time.Duration(late))
		}
		seen[late] = true
	}
	if len(seen) < 2 {
		t.Error("no jitter")
	}
}

// TestFixed has a least latency from the start.
func TestFixed(t *testing.T) {
	cfg := gradient()
	cfg.Fixed = 20 * time.Millisecond
	l := newLoad(t, cfg)
	l.send(1, 20*time.Millisecond)
	l.now += int64(cfg.Window)
	l.want(5, 20, 1219, false) // 25 by 20.5
}

// TestPercentile is that of libcircllhist.
func TestPercentile(t *testing.T) {
	for _, c := range []struct {
		us    []int64
		share float64
		want  float64
	}{
		{[]int64{0, 0}, 0.5, 0},
		{[]int64{5}, 1, 5},
		{[]int64{100}, 0.5, 105},
		{[]int64{100, 200, 300, 400}, 0.5, 210},
		{[]int64{100, 200, 300, 400}, 0, 100},
		{[]int64{1 << 60}, 1, 1e11},
	} {
		var h histogram
		for _, us := range c.us {
			h.add(us)
		}
		if got := h.percentile(c.share); got != c.want || h.count.Load() != 0 {
			t.Errorf("%v at %v: %v, want %v; %d are left", c.us, c.share, got, c.want, h.count.Load())
		}
	}
}

// TestWorkers has several at once: no more than the limit are ever in progress, and no place is lost.
func TestWorkers(t *testing.T) {
	cfg := gradient()
	cfg.Window = time.Millisecond
	c := newController(&cfg)
	var active, over atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for w := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 0))
			for range 20000 {
				at := int64(time.Since(began))
				if !c.admit(at, rng) {
					continue
				}
				if active.Add(1) > int64(cfg.MaxLimit) {
					over.Add(1)
				}
				active.Add(-1)
				c.record(at, int64(time.Since(began)), rng)
			}
		})
	}
	all.Wait()
	if over.Load() > 0 || c.active.Load() != 0 {
		t.Errorf("%d over the limit, %d left in progress", over.Load(), c.active.Load())
	}
}

// TestAdmitIsFree: a request costs no allocation.
func TestAdmitIsFree(t *testing.T) {
	cfg := gradient()
	c := newController(&cfg)
	rng := rand.New(rand.NewPCG(1, 2))
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += int64(time.Millisecond)
		c.admit(now, rng)
		c.record(now, now+1000, rng)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
