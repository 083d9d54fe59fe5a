// Package extproc is the filter that has a gRPC service look at requests and answers,
// and change them (Envoy source/extensions/filters/http/ext_proc).
//
//	  request: headers, body, trailers        answer: headers, body, trailers
//	      │ ask            ▲                       │ ask            ▲
//	      ▼                │ what to change        ▼                │
//	══════════════════ one stream, for as long as the request lives ══════════════
//	                            service
//
// Each side of the request asks one question at a time and waits for its answer: the
// request's headers before its body, a piece of the body before the next one. Both sides
// may be waiting at once. What comes on the stream is read by a coroutine of its own
// (call.go), which wakes whoever asked.
//
// A body may also go both ways at once (duplex.go).
//
// Not as Envoy: in mode STREAMED a piece of a body is sent when the one before it has
// come back, not earlier. A new body has its length in content-length where it is known.
package extproc

import (
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg                 *config.ExtProc
	env                 filter.Env
	method              *callout.Method
	allowed, disallowed []match.String
	attributes          [2][]attribute // of the request, of the answer
	prefix              string
	local               filter.PerWorker[counters]
}

// counters are those of one worker, under Envoy's names.
type counters struct {
	started, sent, received, spurious, closed, failed, failureAllowed, timeouts, rejected uint64
	timeoutReceived, timeoutIgnored, clearIgnored, clearDisabled                          uint64
}

// New compiles it.
func New(cfg *config.ExtProc, env filter.Env) *Filter {
	f := &Filter{cfg: cfg, env: env, method: method(cfg.GRPC), local: filter.NewPerWorker[counters](env.Workers)}
	f.prefix = env.Prefix + "ext_proc."
	if cfg.StatPrefix != "" {
		f.prefix += cfg.StatPrefix + "."
	}
	f.attributes = [2][]attribute{compileAttributes(cfg.RequestAttributes), compileAttributes(cfg.ResponseAttributes)}
	for i := range cfg.Allowed {
		f.allowed = append(f.allowed, match.NewString(&cfg.Allowed[i]))
	}
	for i := range cfg.Disallowed {
		f.disallowed = append(f.disallowed, match.NewString(&cfg.Disallowed[i]))
	}
	return f
}

// method is the service's. A stream lives as long as its request: it has no time limit
// of its own.
func method(g *config.GRPCService) *callout.Method {
	m := &callout.Method{
		Authority: []byte(g.Authority), Path: []byte("/envoy.service.ext_proc.v3.ExternalProcessor/Process"),
		MaxMessage: int(g.MaxMessage),
	}
	for _, d := range g.Metadata {
		m.Metadata = append(m.Metadata, callout.Field(d.Key, d.Value))
	}
	m.Ready()
	return m
}

// own is what a level of the route says.
type own struct {
	*config.ExtProcRoute
	method *callout.Method
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	c, ok := cfg.(*config.ExtProcRoute)
	if !ok {
		return nil
	}
	o := &own{ExtProcRoute: c}
	if c.GRPC != nil {
		o.method = method(c.GRPC)
	}
	return o
}

// Serve lets the service look at the request and at its answer, if that is a host's
// (Filter::onLocalReply).
func (f *Filter) Serve(r *filter.Request) {
	c := f.begin(r)
	if c == nil {
		r.Next()
		return
	}
	r.Defer(c)
	if c.request(r) && r.Next() && (!r.Local || c.refusal != nil) {
		c.response(r)
	}
}

// begin sets a call up as the route says, most specific level first; nil if the filter
// is off (FilterConfigPerRoute).
func (f *Filter) begin(r *filter.Request) *call {
	c := &call{
		f: f, n: f.local.On(r.Worker), w: r.Worker, mode: f.cfg.Mode, failureAllow: f.cfg.FailureAllow,
		forward: f.cfg.Forward, forwardTyped: f.cfg.ForwardTyped, receive: f.cfg.Receive, method: f.method, cluster: f.cfg.GRPC.Cluster,
	}
	c.sides[0], c.sides[1] = side{c: c, r: r, request: true}, side{c: c, r: r}
	owns := r.Owns()
	if len(owns) == 0 {
		return c
	}
	if owns[0].(*own).Disabled {
		return nil
	}
	for i := len(owns) - 1; i >= 0; i-- {
		c.override(owns[i].(*own))
	}
	return c
}

func (c *call) override(o *own) {
	if o.Disabled {
		return
	}
	if o.Mode != nil {
		c.mode = *o.Mode
	}
	if o.method != nil {
		c.method, c.cluster = o.method, o.GRPC.Cluster
	}
	if o.FailureAllow != nil {
		c.failureAllow = *o.FailureAllow
	}
	if o.Forward != nil {
		c.forward, c.forwardTyped = *o.Forward, o.ForwardTyped
	}
	if o.Receive != nil {
		c.receive = *o.Receive
	}
	if len(o.Metadata) == 0 {
		return
	}
	m := *c.method
	m.Metadata = m.Metadata[:len(m.Metadata):len(m.Metadata)]
	lines := filter.FieldsOf(&m.Metadata)
	for _, d := range o.Metadata {
		lines.Remove(d.Key)
		lines.Add(d.Key, d.Value)
	}
	m.Ready()
	c.method = &m
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n, p := f.local.On(w), f.prefix
	yield(p+"streams_started", n.started)
	yield(p+"stream_msgs_sent", n.sent)
	yield(p+"stream_msgs_received", n.received)
	yield(p+"spurious_msgs_received", n.spurious)
	yield(p+"streams_closed", n.closed)
	yield(p+"streams_failed", n.failed)
	yield(p+"failure_mode_allowed", n.failureAllowed)
	yield(p+"message_timeouts", n.timeouts)
	yield(p+"rejected_header_mutations", n.rejected)
	yield(p+"override_message_timeout_received", n.timeoutReceived)
	yield(p+"override_message_timeout_ignored", n.timeoutIgnored)
	yield(p+"clear_route_cache_ignored", n.clearIgnored)
	yield(p+"clear_route_cache_disabled", n.clearDisabled)
}

// remoteClose is how long the service has to end its half of the stream when this one
// is over (DefaultRemoteCloseTimeoutMilliseconds).
const remoteClose = time.Second
