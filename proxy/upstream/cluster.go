// Package upstream is whom to ask: clusters and hosts that live as long as
// something uses them, and the view of them that each pick is made from.
//
//	config.Cluster ─▶ Cluster.Update ─▶ view (hosts, priorities, tables): one atomic pointer
//	                                      │
//	room: Cluster.On(worker) ─▶ Local ─▶ Pick ─▶ *Host ─▶ Host.On(worker) ─▶ pools
//
// A Cluster is made once and outlives snapshots; an endpoint, weight or limit
// change makes a new view and costs no connection to a host that stays.
package upstream

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Cluster is a living cluster. Its exported fields and methods are for any
// goroutine but where they say otherwise.
type Cluster struct {
	// Name and StatName are set once.
	Name     string
	StatName string
	log      *slog.Logger
	workers  []*loop.Worker
	resolve  Resolver

	view  atomic.Pointer[view]
	local []*Local // by worker ID; each is its worker's
	// Breakers by priority of the request: [0] DEFAULT, [1] HIGH.
	Breakers [2]pool.Breaker

	mu     sync.Mutex // guards what follows: updates come one at a time
	asked  *config.Cluster
	hosts  map[hostKey]*Host
	round  uint64      // of show
	target pool.Target // what the hosts' targets have in common
	paths  paths
	closed bool
	held   bool // the hosts are still those of what was asked before

	ready   chan struct{} // closed once every name was looked up, or there is none
	dns     *resolution   // nil: nothing to resolve
	answers map[string][]netip.Addr

	checks atomic.Pointer[checks] // nil: no health checks; mu guards changes
	named  bool                   // every name was looked up, or there is none
	turns  int                    // of workers to check hosts
	used   atomic.Bool            // something was asked of the hosts

	detection atomic.Pointer[detection] // nil: no outlier detection; mu guards changes

	provided *provided                  // nil: hosts are listed; mu guards it
	members  atomic.Pointer[[]*Cluster] // of an aggregate cluster; nil before Link
	like     atomic.Pointer[Cluster]    // the programs like this one; nil before Link, or there is none

	chain    atomic.Pointer[any] // see Filtered
	security *Security
	tls      *transport.Tally

	// DNS and updates count. Any goroutine.
	DNS     DNSCounters
	updates updates
}

// updates count what happened to the cluster's list of hosts. Any goroutine.
type updates struct {
	membership, rejected atomic.Uint64
}

// Local is a cluster as one worker has it. Worker only.
type Local struct {
	*Cluster
	Worker  *loop.Worker
	Count   Counters
	Pool    pool.Counters
	H2      h2.Counters
	spare   h2.Spare
	budgets *Budgets // nil: none was recorded
	// Retry is what a room has made of the retry policy RetryFor.
	RetryFor *config.Retry
	Retry    any
	// Errors is what it has made of the condition ErrorsFor.
	ErrorsFor *config.AnswerTest
	Errors    any
	picks     picker // balancing state of this worker
	// met are the hosts that were asked for here, by address; see provided.
	met   map[string]*Host
	among among // of an aggregate cluster
}

// Counters are what one worker counted of a cluster; names in Stats.
type Counters struct {
	RqTotal, RqCompleted          uint64
	Rq1xx, Rq2xx, Rq3xx, Rq4xx    uint64
	Rq5xx                         uint64
	RqTimeout, RqRetry, RqRetryOK uint64
	RqMaxDuration                 uint64
	RqRetryOverflow, RqRetryLimit uint64
	RetryBackoff                  uint64
	RetryBackoffLimited           uint64
	RetryAbandoned                uint64
	Redirected, RedirectFailed    uint64
	RqPerTryTimeout               uint64
	RqPerTryIdleTimeout           uint64
	Retried                       stats.Codes // of answers that were not passed on but tried again
	// Codes are of all answers by their status, Internal and External of requests from
	// inside or outside, Canary of hosts that are canaries.
	Codes, Internal, External, Canary stats.Codes
	RqPendingOverflow                 uint64
	RqCancelled, RqMaintenance        uint64
	RqTxReset, RqRxReset              uint64
	CxNoneHealthy                     uint64
	OriginalDstInvalid                uint64 // addresses that are none
	CxRxBytes, CxTxBytes              uint64
	CxProtocolError, CxDestroyLocal   uint64
	RqDropped                         uint64 // because of Endpoints.Drop
	CxDestroyRemote                   uint64
	RqActive                          int64
}

// Pick is what a request says about where it wants to go.
type Pick struct {
	Hash    uint64
	HasHash bool
	// Attempt counts from 0; a later one asks for another host where it can.
	Attempt int
	// Match is what the hosts' metadata must have, where the cluster has subsets.
	Match config.Criteria
	// To is the address that the request is for, "10.0.0.1:80", or the name with its
	// port, in a cluster that provides its hosts itself. Empty: none.
	To []byte
	// High is the request's priority.
	High bool
	// Avoid is a host that was tried; nil for none.
	Avoid *Host
	// Wanted are hosts that the request lists; nil: it lists none.
	Wanted *Wanted
	// Override is a host that the request names by itself; nil for none.
	Override *Override

	loads *loads // instead of the view's; see PickAgain
}

// On gives the cluster as worker w has it.
func (c *Cluster) On(w *loop.Worker) *Local { return c.local[w.ID] }

// Breaker is that of the request's priority.
func (c *Cluster) Breaker(high bool) *pool.Breaker {
	if high {
		return &c.Breakers[1]
	}
	return &c.Breakers[0]
}

// Ready is closed when the hosts are known as far as they can be: at once, or
// when every name of a DNS cluster was looked up and every host checked once, with
// whatever result. A listener that waits for it does not turn its first requests
// away. Any goroutine.
func (c *Cluster) Ready() <-chan struct{} { return c.ready }

// tryReady is setReady once nothing is waited for. c.mu is held.
func (c *Cluster) tryReady() {
	if k := c.checks.Load(); c.named && (k == nil || len(k.fresh) == 0) || c.asked.WarmInBackground {
		c.setReady()
	}
}

// setReady is for whoever holds c.mu.
func (c *Cluster) setReady() {
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
}

// Config is what was last asked for. The value is not to be changed.
func (c *Cluster) Config() *config.Cluster { return c.view.Load().asked }

// Filtered is what each HTTP request to a host passes: a chain that was made of
// Config().HTTP.Filters, which the HTTP room knows; nil: none. Any goroutine.
func (c *Cluster) Filtered() any {
	if p := c.chain.Load(); p != nil {
		return *p
	}
	return nil
}

// Filter sets that chain. Any goroutine.
func (c *Cluster) Filter(chain any) {
	if chain == nil {
		c.chain.Store(nil)
		return
	}
	c.chain.Store(&chain)
}

// Drops says whether a request is refused because the configuration has a part of them
// refused (Endpoints.Drop): outcome.OK if it is not. Worker only.
func (l *Local) Drops() outcome.Outcome {
	d := l.view.Load().asked.Endpoints.Drop
	switch {
	case d.Num == 0:
		return outcome.OK
	case d.Num >= d.Den:
		l.Count.RqDropped++
		return outcome.DropAll
	case l.Worker.Rand().Uint32N(d.Den) < d.Num:
		l.Count.RqDropped++
		return outcome.Dropped
	}
	return outcome.OK
}

// Pick chooses a host: outcome.OK and the host, or outcome.NoHost. It does not
// allocate. Worker only.
func (l *Local) Pick(p *Pick) (*Host, outcome.Outcome) {
	v := l.view.Load()
	if o := p.Override; o != nil {
		if h := v.named(o.Address); h != nil {
			return h, outcome.OK
		}
		if o.Strict {
			l.Count.CxNoneHealthy++
			return nil, outcome.NoHost
		}
	}
	if p.Wanted != nil {
		if h := v.wanted(p.Wanted); h != nil {
			return h, outcome.OK
		}
	}
	switch v.asked.Discovery {
	case config.DiscoveryOriginalDst, config.DiscoveryDynamic:
		return l.pickProvided(v.provided, p)
	case config.DiscoveryAggregate:
		return l.pickAmong(v, p)
	}
	l.picks.now = l.Worker.Now()
	if v.asked.Zone != nil {
		l.near()
	}
	if h := l.picks.pick(v, p, l.Worker.Rand()); h != nil {
		return h, outcome.OK
	}
	l.Count.CxNoneHealthy++
	return nil, outcome.NoHost
}
