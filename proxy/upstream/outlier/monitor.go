// Package outlier finds the hosts of a cluster that answer worse than they
// should, and says for how long each is left out
// (Envoy upstream/outlier_detection_impl.cc).
//
//	a request ends ─▶ Monitor.Put ─▶ too many failures in a row ─▶ Detector.Trip ─┐
//	                     └▶ rates ─▶ Detector.Sweep, at each interval ────────────┴▶ who is out
//
// It knows numbers alone: no hosts, clocks or goroutines.
package outlier

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Result is how something that was asked of a host went.
type Result uint8

// The results.
const (
	// Connected: there is a connection, and what it is for may still fail.
	Connected Result = iota
	// ConnectedFinal: there is a connection, and nothing more is known (TCP).
	ConnectedFinal
	// ConnectFailed: there was none, or it broke.
	ConnectFailed
	// TimedOut: nothing came in time.
	TimedOut
	// Answered: the host has answered, with a status.
	Answered
)

// Monitor is what is known of one host. Put is for any goroutine; the rest is
// its Detector's.
type Monitor struct {
	// Name is the host's, in events. It is set once, before Put.
	Name  string
	asked *config.Outlier
	rows  [3]row // failures in a row
	rates [2]rate

	ejected    bool
	ejections  uint32 // how often it was left out, less one for each quiet interval
	everOut    uint32 // how often it was left out
	ejectedAt  time.Duration
	returnedAt time.Duration
	returned   bool
	jitter     time.Duration
}

// row is how many failures came one after another.
type row struct{ atomic.Uint32 }

// calm begins the row again; mostly it has not begun, and nothing is written.
func (r *row) calm() {
	if r.Load() != 0 {
		r.Store(0)
	}
}

// The rows of failures.
const (
	row5xx = iota
	rowGateway
	rowLocal
)

// rate counts requests since the last sweep.
type rate struct {
	total, good         atomic.Uint64
	lastTotal, lastGood uint64        // of the interval before that; the Detector's
	shown               atomic.Uint64 // bits of the percentage; -1: none
}

// NewMonitor makes the monitor of a host of which nothing is known.
func NewMonitor(asked *config.Outlier) *Monitor {
	m := &Monitor{asked: asked}
	for i := range m.rates {
		m.rates[i].show(-1)
	}
	return m
}

// Trips is a set of kinds, by bit.
type Trips uint8

// Has reports whether a kind is among them.
func (t Trips) Has(k config.OutlierKind) bool { return t&(1<<k) != 0 }

// Put takes a result in; status is read for Answered, and for TimedOut where it
// is what the client is told (0: 504). The rows that are full now are for
// Detector.Trip. It does not allocate. Any goroutine.
func (m *Monitor) Put(r Result, status int) Trips {
	if !m.asked.Split {
		return m.putAsStatus(r, status)
	}
	switch r {
	case Connected, ConnectedFinal:
		m.rates[1].put(true)
		m.rows[rowLocal].calm()
		return 0
	case ConnectFailed, TimedOut:
		m.rates[1].put(false)
		return m.full(rowLocal, m.asked.ConsecutiveLocal, config.OutlierLocal)
	}
	return m.answered(status)
}

// putAsStatus treats everything that went wrong as an answer.
func (m *Monitor) putAsStatus(r Result, status int) Trips {
	switch r {
	case Connected:
		return 0 // what follows counts
	case ConnectedFinal:
		status = 200
	case ConnectFailed:
		status = 503
	case TimedOut:
		if status == 0 {
			status = 504
		}
	}
	return m.answered(status)
}

func (m *Monitor) answered(status int) (t Trips) {
	m.rates[0].put(status < 500)
	if status < 500 || status > 599 {
		m.rows[row5xx].calm()
		m.rows[rowGateway].calm()
		return 0
	}
	if status >= 502 && status <= 504 {
		t = m.full(rowGateway, m.asked.ConsecutiveGateway, config.OutlierGateway)
	} else {
		m.rows[rowGateway].calm()
	}
	return t | m.full(row5xx, m.asked.Consecutive5xx, config.Outlier5xx)
}

// full adds one to a row and says whether that fills it.
func (m *Monitor) full(row int, limit uint32, k config.OutlierKind) Trips {
	if m.rows[row].Add(1) == limit {
		return 1 << k
	}
	return 0
}

func (r *rate) put(good bool) {
	r.total.Add(1)
	if good {
		r.good.Add(1)
	}
}

// turn ends an interval.
func (r *rate) turn() {
	r.lastTotal, r.lastGood = r.total.Swap(0), r.good.Swap(0)
	r.lastGood = min(r.lastGood, r.lastTotal) // the two are not read at once
	r.show(-1)
}

func (r *rate) percent() float64 { return float64(r.lastGood) * 100 / float64(r.lastTotal) }

func (r *rate) show(percent float64) { r.shown.Store(math.Float64bits(percent)) }

// SuccessRate is the percentage of requests that went well in the interval
// before the last sweep, of what hosts answered or (local) of what was tried on
// this side; -1 if there were too few to say. Any goroutine.
func (m *Monitor) SuccessRate(local bool) float64 {
	i := 0
	if local {
		i = 1
	}
	return math.Float64frombits(m.rates[i].shown.Load())
}

// Ejected reports whether the host is left out. The Detector's caller.
func (m *Monitor) Ejected() bool { return m.ejected }
