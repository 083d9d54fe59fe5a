package adaptive

// The limit, found by the gradient of latencies
// (Envoy adaptive_concurrency/controller/gradient_controller.cc).
//
//	           ┌── every Interval, or after the lowest limit five times ──┐
//	           ▼                                                          │
//	 measure: the lowest limit, until there are Requests latencies     sample: every Window
//	           │  their percentile is the least latency                 gradient = least × (1 + Buffer) / percentile
//	           └──────────────── the limit that there was ───────────▶  limit    = limit × gradient + √(limit × gradient)
//
// There are no timers: what is due is done when something happens next. That is the
// same as at its time, as nothing that counts has happened between.

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// controller is shared by all workers. A request exchanges a few numbers; what is due
// is done by the one who comes first, and the others go on meanwhile.
type controller struct {
	cfg    *config.GradientController
	limit  atomic.Uint32
	active atomic.Int64 // requests in progress
	// due is when something is to be done, in the workers' time; since is when the
	// measurement began: what began before it is not counted.
	due, since atomic.Int64
	measuring  atomic.Bool
	seen       histogram

	busy atomic.Bool // somebody does what is due; the rest is theirs
	// resume is the limit from before the measurement, measure when the next one is due.
	resume          uint32
	sample, measure int64
	least           float64 // latency, in microseconds
	lowest          int     // how often the limit was set to the lowest in a row

	shown struct{ headroom, gradient, least, sample atomic.Uint64 }
}

// never is a time that does not come.
const never = math.MaxInt64

func newController(cfg *config.GradientController) *controller {
	c := &controller{cfg: cfg, measure: never}
	c.due.Store(math.MinInt64) // the first who comes begins
	c.limit.Store(cfg.MinLimit)
	return c
}

// admit takes a place for a request, if there is one.
func (c *controller) admit(now int64, rng *rand.Rand) bool {
	c.step(now, rng)
	for {
		n := c.active.Load()
		if n >= int64(c.limit.Load()) {
			return false
		}
		if c.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave gives a place back.
func (c *controller) leave() { c.active.Add(-1) }

// record gives a place back and counts how long the request took.
func (c *controller) record(began, now int64, rng *rand.Rand) {
	c.step(now, rng) // a window that has ended does not have it
	c.leave()
	if began < c.since.Load() {
		return
	}
	c.seen.add((now - began) / int64(time.Microsecond))
	c.step(now, rng)
}

// measured says that the measurement has what it needs.
func (c *controller) measured() bool {
	return c.measuring.Load() && c.seen.count.Load() >= int64(c.cfg.Requests)
}

// step does what is due.
func (c *controller) step(now int64, rng *rand.Rand) {
	if now < c.due.Load() && !c.measured() || !c.busy.CompareAndSwap(false, true) {
		return
	}
	c.work(now, rng)
	c.busy.Store(false)
}

func (c *controller) work(now int64, rng *rand.Rand) {
	if c.due.Load() == math.MinInt64 {
		c.begin(now)
	}
	if c.measured() {
		c.learn(now, rng)
	}
	for c.due.Load() <= now {
		if c.measure <= c.sample {
			c.enter(c.measure)
			continue
		}
		at := c.sample
		c.sample += (now-at)/int64(c.cfg.Window)*int64(c.cfg.Window) + int64(c.cfg.Window)
		if c.seen.count.Load() > 0 {
			c.adjust(at)
		}
		c.plan()
	}
}

func (c *controller) begin(now int64) {
	c.sample = now + int64(c.cfg.Window)
	if c.cfg.Fixed > 0 {
		c.know(float64(c.cfg.Fixed.Microseconds()))
		c.plan()
		return
	}
	c.enter(now)
}

// plan settles when something is due next.
func (c *controller) plan() { c.due.Store(min(c.sample, c.measure)) }

// enter begins to measure the least latency.
func (c *controller) enter(at int64) {
	c.resume = c.limit.Load()
	c.sample, c.measure = never, never
	c.since.Store(at)
	c.measuring.Store(true)
	c.set(c.cfg.MinLimit, at)
	c.seen.clear()
	c.plan()
}

// know takes a latency for the least.
func (c *controller) know(us float64) {
	c.least = us
	c.shown.least.Store(uint64(us / 1000))
}

// learn ends the measurement.
func (c *controller) learn(now int64, rng *rand.Rand) {
	c.know(c.seen.percentile(c.cfg.Percentile))
	c.set(c.resume, now)
	c.measuring.Store(false)
	c.measure = now + int64(c.cfg.Interval)
	if c.cfg.Jitter > 0 {
		most := math.Ceil(float64(c.cfg.Interval.Milliseconds()) * c.cfg.Jitter)
		c.measure += int64(rng.Uint64N(uint64(max(most, 1)))) * int64(time.Millisecond)
	}
	c.sample = now + int64(c.cfg.Window)
	c.plan()
}

// adjust ends a window of samples at a time: a new limit.
func (c *controller) adjust(at int64) {
	took, gradient := c.seen.percentile(c.cfg.Percentile), 2.0
	if took > 0 {
		gradient = max(0.5, min(2, c.least*(1+c.cfg.Buffer)/took))
	}
	limit := float64(c.limit.Load()) * gradient
	headroom := math.Sqrt(limit)
	c.shown.headroom.Store(uint64(headroom))
	c.shown.gradient.Store(uint64(gradient * 1000))
	c.shown.sample.Store(uint64(took / 1000))
	c.set(max(c.cfg.MinLimit, uint32(min(float64(c.cfg.MaxLimit), limit+headroom))), at)
}

// mistrusted is how often in a row the limit may be the lowest before the least
// latency is measured again: it may have been wrong.
const mistrusted = 5

func (c *controller) set(limit uint32, at int64) {
	was := c.limit.Swap(limit)
	if c.measuring.Load() || was != c.cfg.MinLimit || limit != c.cfg.MinLimit {
		c.lowest = 0
		return
	}
	if c.lowest++; c.lowest >= mistrusted && c.cfg.Fixed == 0 {
		c.measure = at
	}
}

// figures are the controller's, in Envoy's units.
type figures struct{ headroom, limit, gradient, measuring, minRTT, sampleRTT uint64 }

// figures gives what is known by now.
func (c *controller) figures(now int64, rng *rand.Rand) (g figures) {
	if c.due.Load() != math.MinInt64 {
		c.step(now, rng)
	}
	g.limit, g.headroom, g.gradient = uint64(c.limit.Load()), c.shown.headroom.Load(), c.shown.gradient.Load()
	g.minRTT, g.sampleRTT = c.shown.least.Load(), c.shown.sample.Load()
	if c.measuring.Load() || c.due.Load() == math.MinInt64 && c.cfg.Fixed == 0 {
		g.measuring = 1
	}
	return g
}
