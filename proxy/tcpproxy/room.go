// Package tcpproxy joins each accepted connection to one of a cluster's hosts
// and copies bytes both ways (Envoy tcp_proxy).
//
//	Accept ─▶ connect: cluster by weight ─▶ host ─▶ breaker ─▶ dial ─┬─▶ join
//	             ▲                                   failed, attempts left
//	             └───────────────────────────────────────────────────┘
//	join:  down ── request ──▶ up      each way by itself: bytes, end,
//	       down ◀── reply ──── up      back-pressure; a reset ends both
//
// A direction in which nothing moves holds no coroutine and no buffer.
package tcpproxy

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/demand"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Room serves the connections of one filter chain. What it was made from does
// not change; what is counted is each worker's own.
type Room struct {
	clusters    []share
	total       uint64 // of the weights
	attempts    int
	backoff     config.Backoff
	onData      bool
	onDemand    *config.ClusterDemand // nil: clusters are there, or not
	hashIP      bool
	hashState   string
	idleTimeout time.Duration // 0: never
	maxDuration time.Duration // 0: never
	jitter      uint64        // ms: less than so many are added to maxDuration; 0: none
	tlvs        []tlv
	resolve     func(cluster string) *upstream.Cluster
	tunnel      *tunneling // nil: bytes go as they are
	names       [counters]string
	env         Env
	logOptions  config.AccessLogOptions
	local       []*local // by worker ID
}

// share is a cluster and its part of the connections; cluster is nil if there
// is none of the name.
type share struct {
	name    string
	cluster *upstream.Cluster
	weight  uint64
	match   config.Criteria
}

// local is what a worker has of a room. Worker only.
type local struct {
	count    [counters]uint64
	sessions session // head of the ring of those at work
	active   int
	ids      uint64 // of the last session that is logged
}

// Env is what a room takes from the process.
type Env struct {
	// Workers is how many workers there are; their IDs count from 0.
	Workers int
	// Wall is the time of day, for access logs; nil: time.Now.
	Wall func() time.Time
	// Desk is where is asked for clusters that are not there; nil: nowhere.
	Desk *demand.Desk
	// Place is where connections come in; Logs are written when one has ended; nil:
	// none.
	Place *streaminfo.Place
	Logs  *accesslog.Log
}

// New makes a room. resolve gives
// the cluster of a name, from any worker, or nil: connections meant for that one are closed and
// counted, as in Envoy. Errors: no cluster, or weights that add up to nothing.
// Any goroutine.
func New(c *config.TCP, resolve func(cluster string) *upstream.Cluster, env Env) (*Room, error) {
	if len(c.Clusters) == 0 {
		return nil, errors.New("tcp_proxy: no cluster")
	}
	r := &Room{
		attempts:    max(c.MaxConnectAttempts, 1),
		backoff:     c.Backoff,
		onData:      c.OnData,
		onDemand:    c.OnDemand,
		hashIP:      c.HashSourceIP,
		hashState:   c.HashState,
		idleTimeout: c.IdleTimeout,
		maxDuration: c.MaxDuration,
		jitter:      uint64(math.Ceil(float64(c.MaxDuration.Milliseconds()) * c.Jitter / 100)),
		tlvs:        compileTLVs(c.TLVs),
		resolve:     resolve,
		names:       counterNames(c.StatPrefix),
		env:         env,
		logOptions:  c.LogOptions,
		tunnel:      newTunneling(c.Tunnel),
	}
	if r.env.Wall == nil {
		r.env.Wall = time.Now
	}
	for _, wc := range c.Clusters {
		r.clusters = append(r.clusters, share{wc.Name, resolve(wc.Name), uint64(wc.Weight), wc.Match})
		r.total += uint64(wc.Weight)
	}
	switch {
	case len(r.clusters) == 1:
		r.clusters[0].weight, r.total = 1, 1
	case r.total == 0:
		return nil, fmt.Errorf("tcp_proxy %s: weighted_clusters: the weights add up to 0", c.StatPrefix)
	}
	for range env.Workers {
		l := &local{}
		l.sessions.next, l.sessions.prev = &l.sessions, &l.sessions
		r.local = append(r.local, l)
	}
	return r, nil
}

// Accept serves a connection and connects to a host at once, before the client
// has sent anything: in many protocols the server speaks first. A room may be told
// to wait for the client instead. bufferLimit
// bounds, in bytes, what is held of the reply while the client does not read;
// the request is bounded by the cluster's limit. On the connection's worker.
func (r *Room) Accept(c *loop.Conn, bufferLimit int) {
	w := c.Worker()
	l := r.local[w.ID]
	l.count[cxTotal]++
	s := newSession(r, l, c, bufferLimit)
	l.enter(s)
	s.noteBegin()
	if r.maxDuration > 0 {
		s.stop = w.Now() + int64(r.lasts(w.Rand()))
	}
	s.arm()
	if r.onData {
		c.Serve(&s.request, true)
		return
	}
	c.Pause()
	c.Serve(&s.request, true)
	w.Go(s.connect)
}

// lasts is how long a session may last (calculateMaxDownstreamConnectionDurationWithJitter).
func (r *Room) lasts(rng *rand.Rand) time.Duration {
	if r.jitter == 0 {
		return r.maxDuration
	}
	return r.maxDuration + time.Duration(rng.Uint64N(r.jitter))*time.Millisecond
}

// Drain changes nothing for the sessions at work: TCP has no word to ask a
// client to go, so they end when their ends end them, as in Envoy. Who cannot
// wait longer calls Close. On the worker.
func (r *Room) Drain(*loop.Worker) {}

// Close ends every session of the worker. On the worker.
func (r *Room) Close(w *loop.Worker) {
	l := r.local[w.ID]
	for l.sessions.next != &l.sessions {
		l.sessions.next.end()
	}
}

// Active is how many sessions the worker has. On the worker.
func (r *Room) Active(w *loop.Worker) int { return r.local[w.ID].active }

// Connections are the sessions: Active.
func (r *Room) Connections(w *loop.Worker) int { return r.Active(w) }

// cluster chooses by weight.
func (r *Room) cluster(rng *rand.Rand) *share {
	at := uint64(0)
	if len(r.clusters) > 1 {
		at = rng.Uint64N(r.total)
	}
	for i := range r.clusters {
		if s := &r.clusters[i]; at < s.weight {
			return s
		} else {
			at -= s.weight
		}
	}
	panic("tcpproxy: weights do not add up")
}

func (l *local) enter(s *session) {
	s.prev, s.next = l.sessions.prev, &l.sessions
	s.prev.next, s.next.prev = s, s
	l.active++
}

func (l *local) leave(s *session) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
	l.active--
}
