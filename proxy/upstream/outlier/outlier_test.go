package outlier

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

func settings(change func(*config.Outlier)) *config.Outlier {
	o := &config.Outlier{
		Interval: 10 * time.Second, BaseEjection: 30 * time.Second, MaxEjection: 70 * time.Second,
		MaxEjectionPercent: 50, UnejectOnCheck: true,
		Consecutive5xx: 5, ConsecutiveGateway: 3, ConsecutiveLocal: 2,
		StdevFactor: 1900, SuccessRateHosts: 5, SuccessRateVolume: 100,
		FailureThreshold: 85, FailureHosts: 5, FailureVolume: 50,
		Enforcing: [config.OutlierKinds]uint32{100, 100, 100, 100, 100, 100, 100},
	}
	if change != nil {
		change(o)
	}
	return o
}

type cluster struct {
	*Detector
	all []*Monitor
	now time.Duration
	r   *rand.Rand
}

func newCluster(o *config.Outlier, hosts int) *cluster {
	c := &cluster{Detector: NewDetector(o), r: rand.New(rand.NewPCG(1, 2))}
	for range hosts {
		c.all = append(c.all, NewMonitor(o))
	}
	c.Use(c.all)
	return c
}

// put says the same n times and reports whether the host is left out for it.
func (c *cluster) put(host, n int, r Result, status int) (out bool) {
	for range n {
		if trips := c.all[host].Put(r, status); trips != 0 {
			out = c.Trip(c.all[host], trips, c.now, c.r) || out
		}
	}
	return out
}

func (c *cluster) sweep(after time.Duration) bool {
	c.now += after
	return c.Sweep(c.now, c.r)
}

func TestRows(t *testing.T) {
	split := settings(func(o *config.Outlier) { o.Split = true })
	for name, x := range map[string]struct {
		asked *config.Outlier
		put   func(c *cluster) bool
		want  bool
	}{
		"five 500s": {nil, func(c *cluster) bool { return c.put(0, 5, Answered, 500) }, true},
		"four":      {nil, func(c *cluster) bool { return c.put(0, 4, Answered, 500) }, false},
		"a 404 between": {nil, func(c *cluster) bool {
			c.put(0, 4, Answered, 500)
			c.put(0, 1, Answered, 404)
			return c.put(0, 4, Answered, 500)
		}, false},
		"three 502s": {nil, func(c *cluster) bool { return c.put(0, 3, Answered, 502) }, true},
		"a 500 breaks a row of 502s": {nil, func(c *cluster) bool {
			c.put(0, 2, Answered, 504)
			c.put(0, 1, Answered, 500)
			return c.put(0, 1, Answered, 503)
		}, false},
		"three refused connections": {nil, func(c *cluster) bool { return c.put(0, 3, ConnectFailed, 0) }, true},
		"three times out":           {nil, func(c *cluster) bool { return c.put(0, 3, TimedOut, 0) }, true},
		"a connection is no answer": {nil, func(c *cluster) bool {
			c.put(0, 2, TimedOut, 0)
			c.put(0, 1, Connected, 0)
			return c.put(0, 1, TimedOut, 0)
		}, true},
		"a TCP connection is one": {nil, func(c *cluster) bool {
			c.put(0, 2, ConnectFailed, 0)
			c.put(0, 1, ConnectedFinal, 0)
			return c.put(0, 1, ConnectFailed, 0)
		}, false},
		"split: two refused": {split, func(c *cluster) bool { return c.put(0, 2, ConnectFailed, 0) }, true},
		"split: a connection between": {split, func(c *cluster) bool {
			c.put(0, 1, ConnectFailed, 0)
			c.put(0, 1, Connected, 0)
			return c.put(0, 1, TimedOut, 0)
		}, false},
		"split: answers are apart": {split, func(c *cluster) bool {
			c.put(0, 1, ConnectFailed, 0)
			c.put(0, 2, Answered, 503)
			return c.put(0, 1, Answered, 200)
		}, false},
		"split: three 503s":             {split, func(c *cluster) bool { return c.put(0, 3, Answered, 503) }, true},
		"600 is no error of the server": {nil, func(c *cluster) bool { return c.put(0, 9, Answered, 600) }, false},
	} {
		asked := x.asked
		if asked == nil {
			asked = settings(nil)
		}
		c := newCluster(asked, 4)
		if got := x.put(c); got != x.want || c.all[0].Ejected() != x.want {
			t.Errorf("%s: left out %t, want %t", name, got, x.want)
		}
	}
}

func TestHowManyMayBeOut(t *testing.T) {
	for _, x := range []struct {
		hosts   int
		percent uint32
		one     bool
		want    int
	}{{4, 50, false, 2}, {4, 49, false, 1}, {9, 10, false, 0}, {9, 10, true, 1}, {10, 10, false, 1}, {3, 100, false, 3}, {3, 0, false, 0}, {3, 0, true, 1}} {
		c := newCluster(settings(func(o *config.Outlier) { o.MaxEjectionPercent, o.AlwaysEjectOne = x.percent, x.one }), x.hosts)
		for i := range c.all {
			c.put(i, 5, Answered, 500)
		}
		if got := int(c.Count.Active.Load()); got != x.want {
			t.Errorf("%d of %d hosts are out at %d %% (one: %t), want %d", got, x.hosts, x.percent, x.one, x.want)
		}
		if over := int(c.Count.Overflow.Load()); over != x.hosts-x.want {
			t.Errorf("overflow %d", over)
		}
	}
}

func TestEnforcingPercentage(t *testing.T) {
	asked := settings(func(o *config.Outlier) { o.Enforcing[config.Outlier5xx], o.MaxEjectionPercent = 30, 100 })
	c := newCluster(asked, 2000)
	for i := range c.all {
		c.put(i, 5, Answered, 500)
	}
	if n := c.Count.Enforced[config.Outlier5xx].Load(); n < 540 || n > 660 {
		t.Errorf("%d of 2000 are left out at 30 %%", n)
	}
	if n := c.Count.Detected[config.Outlier5xx].Load(); n != 2000 {
		t.Errorf("%d detected", n)
	}
}

// A host is out for the base time times how often it was, up to the maximum, and
// each quiet interval forgives one.
func TestTimes(t *testing.T) {
	c := newCluster(settings(nil), 4)
	out := func() (d time.Duration) {
		c.put(0, 5, Answered, 500)
		for began := c.now; ; {
			if c.sweep(10 * time.Second) {
				return c.now - began
			}
		}
	}
	for i, want := range []time.Duration{30 * time.Second, 60 * time.Second, 70 * time.Second, 70 * time.Second} {
		if got := out(); got != want {
			t.Errorf("ejection %d lasted %s, want %s", i+1, got, want)
		}
	}
	for range 3 {
		c.sweep(10 * time.Second)
	}
	if got := out(); got != 60*time.Second {
		t.Errorf("after three quiet intervals: %s", got)
	}
}

func TestJitter(t *testing.T) {
	c := newCluster(settings(func(o *config.Outlier) { o.Jitter = 20 * time.Second; o.MaxEjectionPercent = 100 }), 200)
	for i := range c.all {
		c.put(i, 5, Answered, 500)
	}
	var back []int64
	for c.now < 60*time.Second {
		before := c.Count.Active.Load()
		c.sweep(10 * time.Second)
		back = append(back, before-c.Count.Active.Load())
	}
	if back[0]+back[1] != 0 || back[3] < 60 || back[4] < 60 || c.Count.Active.Load() != 0 {
		t.Errorf("came back by interval: %v", back)
	}
}

// The example of Envoy's source: rates of 50 and four times 100 have an average of
// 90 and a standard deviation of 20.
func TestSuccessRate(t *testing.T) {
	c := newCluster(settings(nil), 5)
	for i := range c.all {
		bad := 0
		if i == 0 {
			bad = 50
		}
		for n := range 100 {
			status := 200
			if n < 2*bad && n%2 == 0 {
				status = 500
			}
			c.put(i, 1, Answered, status)
		}
	}
	if !c.sweep(10*time.Second) || !c.all[0].Ejected() || c.all[1].Ejected() {
		t.Error("not the first alone")
	}
	if average, least := c.Count.Rates(false); average != 90 || least != 90-1.9*20 {
		t.Errorf("average %v, threshold %v", average, least)
	}
	if c.all[0].SuccessRate(false) != 50 || c.all[1].SuccessRate(false) != 100 || c.all[1].SuccessRate(true) != -1 {
		t.Error("rates")
	}
	if c.Count.Detected[config.OutlierSuccessRate].Load() != 1 {
		t.Error("not counted")
	}
	c.sweep(10 * time.Second)
	if average, _ := c.Count.Rates(false); average != -1 || c.all[1].SuccessRate(false) != -1 {
		t.Error("an interval without requests has a rate")
	}
}

func TestFailurePercentage(t *testing.T) {
	asked := settings(func(o *config.Outlier) { o.Consecutive5xx, o.ConsecutiveGateway, o.SuccessRateHosts = 1000, 1000, 100 })
	c := newCluster(asked, 5)
	for i := range c.all {
		for n := range 60 {
			status := 200
			if i == 2 && n%10 != 0 {
				status = 500
			}
			c.put(i, 1, Answered, status)
		}
	}
	if !c.sweep(10*time.Second) || !c.all[2].Ejected() || c.Count.Active.Load() != 1 || c.Count.Enforced[config.OutlierFailurePercentage].Load() != 1 {
		t.Errorf("%d are out", c.Count.Active.Load())
	}
}

func TestCheckBringsBack(t *testing.T) {
	c := newCluster(settings(nil), 4)
	c.put(0, 5, Answered, 500)
	if !c.Passed(c.all[0], c.now) || c.all[0].Ejected() || c.Passed(c.all[0], c.now) {
		t.Error("a check that went well")
	}
	c = newCluster(settings(func(o *config.Outlier) { o.UnejectOnCheck = false }), 4)
	c.put(0, 5, Answered, 500)
	if c.Passed(c.all[0], c.now) {
		t.Error("it was told not to")
	}
}

func TestHostsThatLeaveMakeRoom(t *testing.T) {
	c := newCluster(settings(nil), 4)
	c.put(0, 5, Answered, 500)
	c.put(1, 5, Answered, 500)
	if c.put(2, 5, Answered, 500) {
		t.Error("three of four are out")
	}
	c.all = c.all[1:]
	c.all = append(c.all, NewMonitor(c.Asked()))
	c.Use(c.all)
	if !c.put(1, 5, Answered, 500) {
		t.Error("the place of one that has left is not free")
	}
}

func TestPutDoesNotAllocate(t *testing.T) {
	m := NewMonitor(settings(nil))
	if n := testing.AllocsPerRun(100, func() { m.Put(Connected, 0); m.Put(Answered, 200); m.Put(TimedOut, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
