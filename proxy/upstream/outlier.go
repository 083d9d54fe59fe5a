package upstream

// Outlier detection: what hosts answer goes in, and who is left out comes of it.
//
//	room: HostLocal.Report ─▶ Monitor (atomics) ─▶ a row is full ─▶ trip ─┐
//	timer of the first worker, each interval ─▶ sweep ────────────────────┴▶ flags, a new view
//
// Workers only count. What is decided is decided on another goroutine, since it
// may make hash tables anew.

import (
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// detection is the outlier detection of one cluster. Cluster.mu guards it, but
// for timer and over, which are the first worker's.
type detection struct {
	*outlier.Detector
	of    *Cluster
	w     *loop.Worker
	timer loop.Timer
	over  bool
}

// Report tells how something that was asked of the host went; status is that of
// outlier.Answered. It costs nothing without outlier detection. Worker only.
func (l *HostLocal) Report(r outlier.Result, status int) {
	m := l.monitor.Load()
	if m == nil {
		return
	}
	if trips := m.Put(r, status); trips != 0 {
		l.trip(m, trips)
	}
}

// Watched reports whether outlier detection is on. Any goroutine.
func (h *Host) Watched() bool { return h.monitor.Load() != nil }

// trip hands a row that is full to the detector.
func (l *HostLocal) trip(m *outlier.Monitor, trips outlier.Trips) {
	w, c, h := l.Worker, l.Cluster, l.Host
	now, r := time.Duration(w.Now()), dice(w)
	w.Go(func() {
		w.Offload(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			d := c.detection.Load()
			if d != nil && h.monitor.Load() == m && !h.Removed() && d.Trip(m, trips, now, r) {
				c.settleEjections()
			}
		})
	})
}

// dice are for another goroutine to throw; in a simulation the seed decides.
func dice(w *loop.Worker) *rand.Rand {
	return rand.New(rand.NewPCG(w.Rand().Uint64(), w.Rand().Uint64()))
}

// detect begins, changes or ends outlier detection, as asked. With other
// settings it begins anew, and nobody is left out. c.mu is held.
func (c *Cluster) detect(asked *config.Cluster) {
	switch d := c.detection.Load(); {
	case d == nil && asked.Outlier == nil:
		return
	case d != nil && reflect.DeepEqual(d.Asked(), asked.Outlier):
		return
	}
	c.endDetection()
	if asked.Outlier != nil && len(c.workers) > 0 {
		d := &detection{Detector: outlier.NewDetector(asked.Outlier), of: c, w: c.workers[0]}
		if asked.Outlier.Log != "" {
			d.Tell = outlier.Log{Path: asked.Outlier.Log, Cluster: c.Name}.Tell
		}
		c.detection.Store(d)
		d.w.Post(d.arm)
	}
	back := false
	for _, h := range c.hosts {
		back = back || h.Ejected()
		h.monitor.Store(nil)
		h.set(flagEjected, false)
	}
	c.monitor()
	if back {
		c.weighAnew()
	}
}

// endDetection forgets the detector. c.mu is held.
func (c *Cluster) endDetection() {
	if d := c.detection.Swap(nil); d != nil {
		d.w.Post(d.end)
	}
}

// monitor gives every host of the view its monitor. c.mu is held.
func (c *Cluster) monitor() {
	d := c.detection.Load()
	if d == nil {
		return
	}
	members := c.view.Load().members
	all := make([]*outlier.Monitor, len(members))
	for i := range members {
		h := members[i].host
		m := h.monitor.Load()
		if m == nil {
			m = outlier.NewMonitor(d.Asked())
			m.Name = members[i].endpoint.Address.String()
			h.monitor.Store(m)
		}
		all[i] = m
	}
	d.Use(all)
}

// settleEjections brings the hosts' flags to what the detector says. c.mu is
// held.
func (c *Cluster) settleEjections() {
	for _, h := range c.hosts {
		m := h.monitor.Load()
		if m == nil || m.Ejected() == h.Ejected() {
			continue
		}
		h.set(flagEjected, m.Ejected())
		if m.Ejected() {
			h.drain(c.asked.EndOnFailure)
		}
	}
	c.weighAnew()
}

// SuccessRates gives the average success rate of the hosts and the rate below
// which one is an outlier, in percent (-1: not known), of what hosts answered or
// of what was tried on this side; on: there is outlier detection. Any goroutine.
func (c *Cluster) SuccessRates(local bool) (average, threshold float64, on bool) {
	d := c.detection.Load()
	if d == nil {
		return -1, -1, false
	}
	average, threshold = d.Count.Rates(local)
	return average, threshold, true
}

// arm waits for the next sweep. Worker only.
func (d *detection) arm() {
	if !d.over {
		d.w.SetTimer(&d.timer, d.Asked().Interval, d.sweep)
	}
}

func (d *detection) sweep() {
	now, r := time.Duration(d.w.Now()), dice(d.w)
	d.w.Go(func() {
		d.w.Offload(func() {
			c := d.of
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.detection.Load() == d && d.Sweep(now, r) {
				c.settleEjections()
			}
		})
		d.arm()
	})
}

// end stops the sweeps. Worker only.
func (d *detection) end() {
	d.over = true
	d.w.ClearTimer(&d.timer)
}

// outlierNames are the kinds as statistics have them.
var outlierNames = [config.OutlierKinds]string{
	"consecutive_5xx", "consecutive_gateway_failure", "success_rate", "consecutive_local_origin_failure",
	"local_origin_success_rate", "failure_percentage", "local_origin_failure_percentage",
}

// stats yields Envoy's figures (cluster_stats.rst), the deprecated ones too. Any
// goroutine.
func (d *detection) stats(yield func(name string, value uint64)) {
	n, sum := &d.Count, uint64(0)
	for k, name := range outlierNames {
		sum += n.Enforced[k].Load()
		yield("outlier_detection.ejections_detected_"+name, n.Detected[k].Load())
		yield("outlier_detection.ejections_enforced_"+name, n.Enforced[k].Load())
	}
	yield("outlier_detection.ejections_enforced_total", sum)
	yield("outlier_detection.ejections_active", gauge(n.Active.Load()))
	yield("outlier_detection.ejections_overflow", n.Overflow.Load())
	yield("outlier_detection.ejections_total", n.Total.Load())
	yield("outlier_detection.ejections_consecutive_5xx", n.Detected[config.Outlier5xx].Load())
	yield("outlier_detection.ejections_success_rate", n.Detected[config.OutlierSuccessRate].Load()+n.Detected[config.OutlierLocalSuccessRate].Load())
}
