// Package httpproxy is the HTTP room: it takes HTTP/1.1 requests from clients,
// finds their route, sends each to one host of a cluster, and streams the
// answer back.
//
//	conn (between requests: a small struct, no coroutine, no buffer)
//	  │ bytes came: a coroutine, and from the worker's pool
//	  ▼
//	exchange.run: read head ─▶ match ─▶ pick ─▶ connect ─▶ forward ─▶ finish
//	                            │        │        │          │          ▲
//	                            └────────┴────────┴──────────┴─ outcome ┘
//
// What it says and does is Envoy's http_connection_manager and router filter
// (source/common/http/conn_manager_impl.cc, conn_manager_utility.cc;
// source/common/router/router.cc; v1.36), but for the framing, which is
// codec/http1's and stricter.
package httpproxy

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Env is what a room takes from the process.
type Env struct {
	// Wall is the wall clock, for the date header; nil: time.Now. It is asked
	// about once a second and worker.
	Wall func() time.Time
	// Workers is how many workers there are: IDs are below it. At least 1.
	Workers int
	// Chains are the room's filters, compiled.
	Chains Chains
	// Logs are written when a request has ended; nil: none.
	Logs *accesslog.Log
	// UpstreamLogs are written when an attempt has ended; nil: none.
	UpstreamLogs *accesslog.Log
	// Place is where clients come in, for access logs; nil: not known.
	Place *streaminfo.Place
	// Leaving, while it is true, has every answer say that the connection ends; nil:
	// never (Envoy DrainManagerImpl::drainClose with failed health checks).
	Leaving *atomic.Bool
	// Secure says that clients come over TLS: x-forwarded-proto is https.
	Secure bool
}

// Room is one connection manager, compiled. What it was made of is immutable
// but for the table; what it counts and keeps is per worker.
type Room struct {
	cfg   *config.HTTP
	table atomic.Pointer[served] // loaded once for each request
	env   Env

	limits    http1.Limits
	paths     http1.PathOptions
	scheme    []byte
	server    []byte
	via       []byte
	h2        *h2.Options
	replies   *replies // nil: answers of our own are worded as they are
	trustsXFF bool     // something depends on x-forwarded-for
	early     []route.Mutation
	deaf      []route.Text // protocols that Upgrade may name without being heard
	status    *proxyStatus // nil: no proxy-status
	needs     format.Needs // what is looked at of every request when it has ended

	chains atomic.Pointer[Chains]
	past   atomic.Pointer[[]filter.Counter] // that were there before

	local []local // by worker ID; each is its worker's
}

// New compiles a connection manager that routes by table. cfg is kept and must
// not change; its own routes are not looked at.
func New(cfg *config.HTTP, table *Table, env Env) *Room {
	if env.Wall == nil {
		env.Wall = time.Now
	}
	r := &Room{
		cfg: cfg, env: env,
		limits: limitsOf(cfg), paths: pathsOf(cfg),
		scheme: []byte("http"), server: []byte(cfg.ServerName), via: []byte(cfg.Via),
		trustsXFF: len(cfg.InternalCIDRs) > 0 || cfg.UseRemoteAddress,
		local:     make([]local, max(env.Workers, 1)),
	}
	flush := cfg.StreamIdleTimeout
	if cfg.StreamFlushTimeout != nil {
		flush = *cfg.StreamFlushTimeout
	}
	r.h2 = h2.NewOptions(&cfg.HTTP2, r.limits, streamLimit, cfg.DelayedCloseTimeout, flush)
	r.early = route.CompileMutations(cfg.EarlyMutations)
	for i := range cfg.IgnoreUpgrades {
		r.deaf = append(r.deaf, route.CompileText(&cfg.IgnoreUpgrades[i]))
	}
	r.status = newProxyStatus(cfg.ProxyStatus)
	r.chains.Store(&env.Chains)
	r.past.Store(&[]filter.Counter{})
	r.Use(table)
	r.needs = env.Logs.Needs() | env.UpstreamLogs.Needs()
	if cfg.LocalReplies != nil {
		r.replies = compileReplies(cfg.LocalReplies)
		r.needs |= r.replies.needs
	}
	if env.Secure {
		r.scheme = []byte("https")
	}
	if cfg.Scheme != "" {
		r.scheme = []byte(cfg.Scheme)
	}
	if len(r.server) == 0 {
		r.server = []byte("attache")
	}
	return r
}

// Use makes the requests that come from now on follow another table; those in
// progress keep theirs. Any goroutine.
func (r *Room) Use(table *Table) { r.table.Store(r.chains.Load().bind(table)) }

// Refilter makes them pass other filters, and follow a table; those in progress keep what they
// have. Any goroutine, one at a time.
func (r *Room) Refilter(c Chains, table *Table) {
	past, stay := slices.Clone(*r.past.Load()), c.counters()
	for _, f := range r.chains.Load().counters() {
		if !slices.Contains(stay, f) {
			past = append(past, f)
		}
	}
	past = past[max(len(past)-maxPast, 0):]
	r.past.Store(&past)
	r.chains.Store(&c)
	r.Use(table)
}

// maxPast is of how many filters that are gone the statistics are still shown.
const maxPast = 16

func limitsOf(cfg *config.HTTP) http1.Limits {
	l := http1.DefaultLimits()
	if cfg.MaxRequestHeadersKB > 0 {
		l.MaxHeaderBytes = int(cfg.MaxRequestHeadersKB) << 10
		l.MaxTrailerBytes = l.MaxHeaderBytes
	}
	if cfg.MaxHeaders > 0 {
		l.MaxHeaders = int(cfg.MaxHeaders)
	}
	return l
}

func pathsOf(cfg *config.HTTP) http1.PathOptions {
	p := http1.PathOptions{Normalize: cfg.NormalizePath, MergeSlashes: cfg.MergeSlashes}
	switch cfg.EscapedSlashes {
	case config.EscapedSlashesKeep:
	case config.EscapedSlashesReject:
		p.EscapedSlashes = http1.SlashesReject
	case config.EscapedSlashesRedirect:
		p.EscapedSlashes = http1.SlashesUnescapeRedirect
	case config.EscapedSlashesForward:
		p.EscapedSlashes = http1.SlashesUnescapeForward
	}
	return p
}

// local is a room as one worker has it. Worker only.
type local struct {
	room       *Room
	w          *loop.Worker
	count      Counters
	spare      h2.Spare
	conns      []*conn // all that are open
	free       []*exchange
	filters    []*filtered // for later
	scratch    []byte      // the head being written; nothing keeps it over a wait
	draining   bool
	bindings   map[tryBinding]*filter.Bound // of chains that clusters bring
	bindingsOf *served

	ids       uint64 // of the last connection, without the worker's part
	date      [29]byte
	dateUntil int64 // in the worker's time
}

// maxFree bounds the exchanges that a worker keeps for later.
const maxFree = 1024

// on gives the room as worker w has it.
func (r *Room) on(w *loop.Worker) *local {
	l := &r.local[w.ID]
	if l.w == nil {
		l.room, l.w = r, w
		l.scratch = make([]byte, 0, 8<<10)
	}
	return l
}

// Accept takes a new client connection; at most bufferLimit bytes (0: 1 MiB)
// are queued for it, and for what it sends. Worker only.
func (r *Room) Accept(c *loop.Conn, bufferLimit int) {
	l := r.on(c.Worker())
	if bufferLimit <= 0 {
		bufferLimit = 1 << 20
	}
	cn := &conn{here: l, c: c, limit: bufferLimit, at: len(l.conns)}
	cn.meet()
	l.conns = append(l.conns, cn)
	l.count.CxTotal++
	l.count.CxActive++
	cn.rest()
	switch cfg := r.cfg; {
	case cfg.Codec == config.CodecHTTP2, cfg.Codec == config.CodecAuto && c.Protocol() == "h2":
		cn.turn()
	default:
		c.Serve(cn, false)
	}
}

// streamLimit is how much is queued for a connection that speaks HTTP/2 before its
// streams wait, in bytes.
const streamLimit = 1 << 20

// Drain begins to send the worker's clients away: every answer from now on
// says connection: close, and connections that stay idle are closed at times
// spread over the second half of drain_timeout, so that they do not all come back
// at once, and hardly one just when its client asks.
func (r *Room) Drain(w *loop.Worker) {
	l := r.on(w)
	l.draining = true
	for i := len(l.conns) - 1; i >= 0; i-- {
		switch cn := l.conns[i]; {
		case cn.h != nil:
			cn.h.Drain()
		case !cn.busy:
			cn.rest()
		}
	}
}

// Active is how many connections of the worker have a request in progress or
// an answer that is not sent yet. Worker only.
func (r *Room) Active(w *loop.Worker) int {
	n := 0
	for _, cn := range r.on(w).conns {
		if cn.h != nil && cn.h.Streams() > 0 || cn.h == nil && cn.busy || cn.c.Pending() > 0 || cn.c.Unsent() > 0 {
			n++
		}
	}
	return n
}

// leaves reports whether answers say that their connection ends. Worker only.
func (l *local) leaves() bool {
	return l.draining || l.room.env.Leaving != nil && l.room.env.Leaving.Load()
}

// Connections is how many connections of the worker are open. Worker only.
func (r *Room) Connections(w *loop.Worker) int { return len(r.on(w).conns) }

// take gives an exchange for a connection's next request.
func (l *local) take(cn *conn) *exchange {
	var x *exchange
	if n := len(l.free); n > 0 {
		x = l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
	} else {
		x = newExchange(l)
	}
	x.conn, x.down, x.info.Conn = cn, end{c: cn.c}, cn.info
	return x
}

// give takes an exchange back.
func (l *local) give(x *exchange) {
	x.clear()
	if len(l.free) < maxFree {
		l.free = append(l.free, x)
	}
}
