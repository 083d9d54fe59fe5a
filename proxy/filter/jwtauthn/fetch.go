package jwtauthn

// Keys that are fetched.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// keySet are a provider's keys as all workers share them. Immutable.
type keySet struct {
	keys  []key
	until time.Time // zero: for ever
}

// maxJWKS bounds a set of keys, in bytes.
const maxJWKS = 1 << 20

// fetching is one attempt to get a provider's keys, in a coroutine of its own: it
// may outlive the request that began it.
type fetching struct {
	f     *Filter
	p     *provider
	w     *loop.Worker
	call  callout.Call
	left  bool
	keys  *keySet
	empty bool // it came, and there was no key in it
}

// keys gives the provider's keys, fetched if need be; false if the request is over.
func (f *Filter) keys(r *filter.Request, p *provider) (k []key, s status, ok bool) {
	set := p.set.Load()
	if set != nil && (set.until.IsZero() || f.env.Wall().Before(set.until)) {
		return set.keys, statusOK, true
	}
	if p.cfg.Remote == nil {
		return nil, statusNoKeys, true
	}
	x := &fetching{f: f, p: p, w: r.Worker}
	if set != nil && p.cfg.Remote.Async {
		if p.refreshing.CompareAndSwap(false, true) {
			r.Worker.Go(func() { defer p.refreshing.Store(false); x.run() })
		}
		return set.keys, statusOK, true
	}
	if !r.Await(x.run, x.cancel) {
		return nil, 0, false
	}
	switch {
	case x.keys != nil:
		return x.keys.keys, statusOK, true
	case x.empty:
		return nil, statusNoKeys, true
	}
	return nil, statusFetch, true
}

// cancel ends the attempt: nobody waits for it.
func (x *fetching) cancel() {
	x.left = true
	x.call.Cancel()
}

// run fetches, and stores what came.
func (x *fetching) run() {
	n := x.f.local.On(x.w)
	if !x.left && x.ask() {
		n.fetched++
		return
	}
	n.failed++
}

// ask fetches, as often as the policy says.
func (x *fetching) ask() bool {
	cfg := x.p.cfg.Remote
	cluster := x.f.env.Cluster(cfg.Cluster)
	if cluster == nil {
		return false
	}
	a, o := x.call.Ask(x.w, cluster, &callout.Request{
		Method: []byte("GET"), Authority: []byte(cfg.Authority), Path: []byte(cfg.Path),
		Headers: []http1.Header{callout.Field("x-envoy-internal", "true")}, Timeout: cfg.Timeout, MaxBody: maxJWKS, Retry: cfg.Retry,
	})
	if o != outcome.OK || a.Status != 200 {
		return false
	}
	keys, err := parseKeys(a.Body)
	if err != nil {
		x.empty = true
		return false
	}
	x.keys = &keySet{keys, x.f.env.Wall().Add(cfg.Cache)}
	x.p.set.Store(x.keys)
	return true
}
