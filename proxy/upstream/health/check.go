package health

import (
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
)

// Host is who is checked.
type Host struct {
	// Target is how connections are made; its ConnectTimeout is the check's Timeout.
	Target *pool.Target
	// Hostname is the endpoint's own for checks, "" for none; Cluster is the
	// cluster's name.
	Hostname, Cluster string
}

// Report is called after each check, in a coroutine of the check's worker.
type Report func(s State, c Change, r Result, exclude bool)

// Check checks one host again and again. Worker only, but for New.
type Check struct {
	w      *loop.Worker
	asked  *config.HealthCheck
	host   Host
	report Report
	used   func() bool
	count  *Counters

	state State
	timer loop.Timer
	busy  bool // a check is under way
	ended bool

	breaker   pool.Breaker
	pools     pool.Counters
	frames    h2.Counters
	spare     h2.Spare
	exclusive *pool.Exclusive
	shared    *pool.Shared
	request   []byte
	alpn      string
	limits    http1.Limits
}

// New makes a check; nothing happens before Start. state is the host's as it is.
// used says whether something was ever asked of the cluster. Any goroutine.
func New(w *loop.Worker, asked *config.HealthCheck, h Host, state State, used func() bool, count *Counters, report Report) *Check {
	k := &Check{w: w, asked: asked, host: h, report: report, used: used, count: count, state: state, limits: http1.DefaultLimits(), alpn: strings.Join(asked.ALPN, ",")}
	for _, g := range []*pool.Gate{&k.breaker.Connections, &k.breaker.Pending, &k.breaker.Requests} {
		g.SetLimit(4) // one is used, and one that has come too late may still be there
	}
	return k
}

// Start begins to check.
func (k *Check) Start() {
	if k.asked.InitialJitter > 0 {
		k.w.SetTimer(&k.timer, max(jitter(k.asked.InitialJitter, k.w.Rand()), time.Millisecond), k.begin)
		return
	}
	k.begin()
}

// End ends the checks; Report is not called any more.
func (k *Check) End() {
	k.ended = true
	k.w.ClearTimer(&k.timer)
	if !k.busy {
		k.closePools()
	}
}

// State is what was found so far.
func (k *Check) State() State { return k.state }

// FailNow takes the word of an answer to a client that the host is not fit.
func (k *Check) FailNow() {
	if !k.ended {
		k.w.Go(func() { k.settle(Passive, false) })
	}
}

func (k *Check) begin() {
	k.busy = true
	k.w.Go(k.run)
}

// run is one check.
func (k *Check) run() {
	r, exclude := Broken, false
	defer func() { // a panic is a check that has failed
		k.busy = false
		if k.ended {
			k.closePools()
			return
		}
		c := k.settle(r, exclude)
		if !k.ended {
			k.w.SetTimer(&k.timer, k.state.Wait(r.Bad(), c, k.asked, k.used(), k.w.Rand()), k.begin)
		}
	}()
	k.count.Attempts.Add(1)
	q := &question{k: k, w: k.w, deadline: k.w.Now() + int64(k.asked.Timeout)}
	defer q.giveBack()
	r = q.ask()
	exclude = q.exclude
}

// settle takes a result in and tells of it.
func (k *Check) settle(r Result, exclude bool) Change {
	k.count.took(r)
	c := k.state.Take(r, k.asked)
	k.report(k.state, c, r, exclude)
	return c
}

func (k *Check) closePools() {
	if k.exclusive != nil {
		k.exclusive.Close()
	}
	if k.shared != nil {
		k.shared.Close()
	}
}
