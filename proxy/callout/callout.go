// Package callout makes HTTP and gRPC requests of attache's own from a worker: to
// an authorization service, a rate limit service, a shadow cluster.
//
//	Ask ─▶ pick a host ─▶ lease a connection or a stream ─▶ send ─▶ head ─▶ body ─▶ give all back
//	 │            ▲                                           │
//	 │            └── a kept connection was dead: once more ──┘
//	 └─ one wait after the other; each ends at the deadline, with Cancel, or when Gone says so
//
// It uses the pools, breakers and counters of the cluster as the requests of
// clients do. Sources: Envoy source/common/http/async_client_impl.cc,
// source/common/grpc/async_client_impl.cc; gRPC over HTTP/2 (PROTOCOL-HTTP2.md).
package callout

import (
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/pool"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/proxy/upstream/outlier"
)

// Request is what is asked. What it points to must stay as it is until Ask has
// returned.
type Request struct {
	// Method, Authority and Path are as they go out; Scheme only to hosts that speak
	// HTTP/2, "http" if it is empty.
	Method, Scheme, Authority, Path []byte
	// Headers are sent in their order, those marked Hop not. Content-Length and
	// what frames a message are not among them. IDs are set: see Field.
	Headers []http1.Header
	// Body is sent with its length; nil: there is none.
	Body []byte
	// Timeout bounds the time until the whole answer is there; 0: nothing does.
	Timeout time.Duration
	// MaxBody bounds the answer's body, in bytes.
	MaxBody int
	// Discard throws the answer's body away as it comes; MaxBody is not looked at.
	Discard bool
	// Hash, if HasHash, is what a hashing balancer picks by. High is the priority.
	Hash    uint64
	HasHash bool
	High    bool
	// Retry says how it is asked again; nil: it is asked once.
	Retry *config.ServiceRetry
	// Gone, if not nil, is asked every quarter of a second: true ends the call with
	// outcome.DownstreamGone.
	Gone func() bool
}

// Field is a header line as Request.Headers wants it; name is in lower case.
func Field(name, value string) http1.Header {
	n := []byte(name)
	return http1.Header{Name: n, Value: []byte(value), ID: http1.LookupField(n)}
}

// Answer is what came back. It belongs to its Call and is good until that is used
// again.
type Answer struct {
	Status   int // 0: no head came
	Headers  []http1.Header
	Body     []byte
	Trailers []http1.Header
}

// Get is the value of the first line of that name, nil if there is none; name is
// in lower case.
func (a *Answer) Get(name string) []byte { return valueOf(a.Headers, name) }

func valueOf(lines []http1.Header, name string) []byte {
	for i := range lines {
		if h := &lines[i]; equalFold(h.Name, name) {
			return h.Value
		}
	}
	return nil
}

// equalFold compares with a name in lower case.
func equalFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// Call is one request under way. Its zero value is ready to use, and it is to be
// used again and again, by one coroutine at a time: it keeps its memory. Worker
// only.
type Call struct {
	w   *loop.Worker
	req *Request

	method  http1.MethodID
	found   *upstream.Cluster
	cluster *upstream.Local
	host    *upstream.Host
	hostOn  *upstream.HostLocal
	breaker *pool.Breaker
	shared  bool // the host is spoken to in HTTP/2
	grpc    bool
	asked   bool // it had a connection
	gone    bool // the host left its cluster while it was connected to
	want    pool.Want
	limits  http1.Limits // of the answer's head

	lease   *pool.Lease
	stream  *h2.Stream
	attempt *attempt
	timer   loop.Timer
	resp    http1.Response
	own     []http1.Header // resp's list, while it has that of a stream
	chunks  http1.Chunked
	left    int64 // of the answer's body, if its length is known
	whole   bool  // all of the answer came
	untaken bool  // the kernel took nothing of the request
	err     error
	tries   int

	deadline  int64         // 0: none
	tryEnd    int64         // of the attempt; 0: none
	retrying  *pool.Breaker // that has a place among its retries for it
	paused    loop.Waiter   // between two attempts
	cancelled bool
	begun     bool

	answer Answer
	text   []byte // what the answer's lines point to
	head   []byte // scratch
	frame  []byte // the message of a gRPC call
	unary  Request
}

// glance is how often Gone is asked.
const glance = 250 * time.Millisecond

// Ask sends a request to a host of a cluster and gives the whole answer; it yields
// while it waits. With outcome.OK the answer is whole. Otherwise nothing of it is
// to be used but Status: the outcomes are those of a client's request; BodyTooLarge
// says that the answer was longer than MaxBody, Timeout that Timeout is over,
// DownstreamGone that the call was cancelled. For coroutines only.
func (c *Call) Ask(w *loop.Worker, cluster *upstream.Cluster, req *Request) (*Answer, outcome.Outcome) {
	o := outcome.Overload // should it panic
	defer func() { c.end(o) }()
	c.begin(w, cluster, req)
	o = c.persist()
	return &c.answer, o
}

// converse is one attempt: a connection, the request, the answer.
func (c *Call) converse() outcome.Outcome {
	if o := c.connect(); o != outcome.OK {
		return o
	}
	c.hostOn.Report(outlier.Connected, 0)
	c.asked = true
	c.tryTime()
	if c.cancelled {
		return outcome.DownstreamGone
	}
	if o := c.send(c.req.Body, true); o != outcome.OK {
		return o
	}
	if o := c.readHead(); o != outcome.OK {
		return o
	}
	return c.readBody()
}

// Cancel ends the call that is under way, if there is one, with
// outcome.DownstreamGone. From the call's worker, but not from its own coroutine.
func (c *Call) Cancel() {
	if !c.begun || c.cancelled {
		return
	}
	c.cancelled = true
	switch {
	case c.attempt != nil:
		c.attempt.done.Wake(c.w)
	case c.stream != nil:
		c.stream.Reset(cancelCode)
	case c.lease != nil:
		c.lease.Conn.Reset()
	default:
		c.paused.Wake(c.w)
	}
}

// begin makes the call ready for a request.
func (c *Call) begin(w *loop.Worker, cluster *upstream.Cluster, req *Request) {
	c.w, c.req, c.found = w, req, cluster
	c.method = http1.LookupMethod(req.Method)
	c.cluster, c.host, c.hostOn, c.breaker = nil, nil, nil, nil
	c.whole, c.untaken, c.err, c.tries = false, false, nil, 0
	c.cancelled, c.gone, c.begun = false, false, true
	c.forget()
	c.deadline, c.tryEnd = 0, 0
	if req.Timeout > 0 {
		c.deadline = w.Now() + int64(req.Timeout)
	}
	up := &cluster.Config().HTTP
	c.wantName(up.AutoSNI, up.AutoSANValidation)
	c.limits = http1.DefaultLimits()
	if up.MaxHeadersKB > 0 {
		c.limits.MaxHeaderBytes = int(up.MaxHeadersKB) << 10
	}
	if up.MaxHeaders > 0 {
		c.limits.MaxHeaders = int(up.MaxHeaders)
	}
}

// forget drops what is left of the answer before; a large body's memory goes.
func (c *Call) forget() {
	a := &c.answer
	a.Status, a.Headers, a.Trailers, a.Body = 0, a.Headers[:0], a.Trailers[:0], a.Body[:0]
	if cap(a.Body) > keptBody {
		a.Body = nil
	}
	c.text = c.text[:0]
}

// keptBody is the most memory, in bytes, that a call keeps for the next answer.
const keptBody = 64 << 10
