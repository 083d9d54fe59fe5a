package upstream

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/transport"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// Host is one living host of a cluster. It is kept as long as its address and
// identity stay in the cluster, whatever else changes about it.
type Host struct {
	// Cluster and Address are set once. In a LOGICAL_DNS cluster the address is
	// the name; Target says what it resolves to.
	Cluster *Cluster
	Address config.Address

	// Any goroutine.
	target  atomic.Pointer[pool.Target]
	seen    pool.Seen
	asked   atomic.Pointer[config.Endpoint]
	active  atomic.Int64 // requests in progress, all workers
	removed atomic.Bool
	used    atomic.Bool   // was asked for, see provided
	flags   atomic.Uint32 // see flag
	// fitSince is when the host has come, or has passed a check after it had failed,
	// by its workers' clock; 0: it was there from the beginning, or nobody asks.
	fitSince atomic.Int64
	monitor  atomic.Pointer[outlier.Monitor] // nil: outlier detection is off
	said     atomic.Pointer[reported]        // nil: nothing, of its load
	check    atomic.Pointer[checked]         // nil: it is not checked
	local    []*HostLocal                    // by worker ID; each is its worker's
	name     string                          // Address as text; set once
	path     *transport.Path
	met      bool   // came because it was asked for; set once
	round    uint64 // the last in which the cluster had it; Cluster.mu guards it
}

// hostKey is the identity of a host: what may not change while it lives.
type hostKey struct {
	address  config.Address
	hostname string
	path     *transport.Path // what connects by another path is another host
}

// HostLocal is a host as one worker has it. Worker only.
type HostLocal struct {
	*Host
	Worker *loop.Worker
	Count  HostCounters
	// Exclusive is the pool for protocols with one request at a time.
	Exclusive *pool.Exclusive
	// HTTP1 says that the host has chosen HTTP/1.1 by ALPN when it was last asked.
	HTTP1 bool
	// shared is the pool for HTTP/2, nil until it is first wanted.
	shared    *pool.Shared
	sharedFor *config.Cluster // what it was made for
	// Session is the state of a room that shares connections (memcached); the
	// room sets it. If it has a method Close it is called when the host leaves,
	// so none may be set once Removed; if it has a method
	// SetTarget(*pool.Target), that is called when the target changes.
	Session any
	bound   map[Bound]struct{} // sessions that end with its health; nil: none
}

// HostCounters are the per-host figures of /clusters.
type HostCounters struct {
	CxTotal, CxConnectFail                 uint64
	RqTotal, RqSuccess, RqError, RqTimeout uint64
	CxActive, RqActive                     int64
}

// On gives the host as worker w has it.
func (h *Host) On(w *loop.Worker) *HostLocal { return h.local[w.ID] }

// Endpoint is what was last asked of the host. Any goroutine.
func (h *Host) Endpoint() *config.Endpoint { return h.asked.Load() }

// Hostname is the endpoint's host name, "" if it has none. Any goroutine.
func (h *Host) Hostname() string { return h.asked.Load().Hostname }

// Target is how pools connect to the host from now on. Any goroutine.
func (h *Host) Target() *pool.Target { return h.target.Load() }

// Removed reports whether the host has left its cluster. Any goroutine.
func (h *Host) Removed() bool { return h.removed.Load() }

// Shared is the pool for HTTP/2, as the cluster's settings are now.
func (l *HostLocal) Shared() *pool.Shared {
	if asked := l.Cluster.Config(); l.sharedFor != asked {
		l.openShared(asked)
	}
	return l.shared
}

// openShared makes the pool, unless the one that stands was made with the same
// settings. One that has others ends with its last stream.
func (l *HostLocal) openShared(asked *config.Cluster) {
	before := l.sharedFor
	l.sharedFor = asked
	if l.shared != nil {
		if reflect.DeepEqual(before.HTTP, asked.HTTP) && before.BufferLimit == asked.BufferLimit {
			return
		}
		l.shared.Close()
	}
	c := l.Cluster.On(l.Worker)
	l.shared = pool.NewShared(l.Worker, l.Target(), h2Options(asked), &c.Pool, &c.H2, &c.spare)
	if asked.HTTP.Protocol == config.UpstreamAuto {
		l.shared.Instead(l.Exclusive.Adopt)
	}
	if l.Removed() {
		l.shared.Close()
	}
}

// h2Options are those of a cluster's HTTP/2 connections.
func h2Options(asked *config.Cluster) *h2.Options {
	lim := http1.DefaultLimits()
	if asked.HTTP.MaxHeadersKB > 0 {
		lim.MaxHeaderBytes = int(asked.HTTP.MaxHeadersKB) << 10
		lim.MaxTrailerBytes = lim.MaxHeaderBytes
	}
	if asked.HTTP.MaxHeaders > 0 {
		lim.MaxHeaders = int(asked.HTTP.MaxHeaders)
	}
	limit := int(asked.BufferLimit)
	if limit <= 0 {
		limit = 1 << 20
	}
	return h2.NewOptions(&asked.HTTP.HTTP2, lim, limit, time.Second, time.Minute)
}

// Begin and End bracket a request, for least request and bounded loads.
func (l *HostLocal) Begin() {
	l.active.Add(1)
	l.Count.RqActive++
	l.Count.RqTotal++
}

// End undoes Begin.
func (l *HostLocal) End() {
	l.active.Add(-1)
	l.Count.RqActive--
}
