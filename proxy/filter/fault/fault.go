// Package fault is the filter that holds requests up, answers them with an error,
// or slows their answers, as it is told to or as they ask for
// (Envoy source/extensions/filters/http/fault/fault_filter.cc).
package fault

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	name   string
	prefix string
	main   settings
	active atomic.Int64 // requests that are being faulted, of all workers
	count  filter.PerWorker[counters]
}

// settings are the filter's own or a route's.
type settings struct {
	*config.Fault
	headers route.Conditions
}

type counters struct {
	delays, aborts, rates, overflow uint64
	by                              map[string]*clusterCounters
}

// clusterCounters are by x-envoy-downstream-service-cluster.
type clusterCounters struct{ delays, aborts uint64 }

// maxClusters bounds how many of a worker there are: clients name them.
const maxClusters = 1000

// New compiles it; name is its own in the chain.
func New(name string, cfg *config.Fault, env filter.Env) *Filter {
	return &Filter{
		name: name, prefix: env.Prefix + "fault.", main: *compile(cfg),
		count: filter.NewPerWorker[counters](env.Workers),
	}
}

func compile(cfg *config.Fault) *settings {
	return &settings{cfg, route.CompileConditions(cfg.Headers)}
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if f, ok := cfg.(*config.Fault); ok {
		return compile(f)
	}
	return nil
}

// fault is what is done to one request.
type fault struct {
	f      *Filter
	r      *filter.Request
	s      *settings
	c      *counters
	active bool
}

// Serve faults the request if it is one of those.
func (f *Filter) Serve(r *filter.Request) {
	s := &f.main
	if own, ok := r.Own().(*settings); ok {
		s = own
	}
	if !s.matches(r) {
		r.Next()
		return
	}
	t := &fault{f: f, r: r, s: s, c: f.count.On(r.Worker)}
	r.Defer(t)
	rate := t.rate()
	if d := t.delay(); d > 0 && t.enter() {
		t.noteDelay()
		if !r.Sleep(d) {
			return
		}
	}
	if t.abort() {
		return
	}
	if rate == 0 {
		t.leave()
	}
	if !r.Next() || rate == 0 {
		return
	}
	if b := r.AnswerBody(); b != nil {
		perSecond := float64(rate) * 1024
		bucket := filter.NewBucket(perSecond, perSecond, perSecond*step.Seconds())
		r.SetAnswerBody(&filter.Paced{Of: b, Bucket: bucket, For: r, Every: step}, filter.Same)
	}
}

// step is how often a slowed answer is given bytes.
const step = 50 * time.Millisecond

func (s *settings) matches(r *filter.Request) bool {
	if s.Cluster != "" {
		_, target := r.Route()
		if target == nil || target.Name != s.Cluster {
			return false
		}
	}
	if len(s.Nodes) > 0 {
		node, _ := r.Headers.Get("x-envoy-downstream-service-node")
		if !slices.Contains(s.Nodes, string(node)) {
			return false
		}
	}
	return s.headers.Match(r.Matched())
}

// enter counts the request among those that are being faulted, if there may be
// one more.
func (t *fault) enter() bool {
	if t.active {
		return true
	}
	if t.s.HasMaxActive && uint64(t.f.active.Load()) >= t.s.MaxActive {
		t.c.overflow++
		return false
	}
	t.f.active.Add(1)
	t.active = true
	return true
}

func (t *fault) leave() {
	if t.active {
		t.active = false
		t.f.active.Add(-1)
	}
}

// End takes the request out again.
func (t *fault) End(*filter.Request, outcome.Outcome) { t.leave() }

// delay is how long the request is held up, 0: not.
func (t *fault) delay() time.Duration {
	d := t.s.Delay
	switch {
	case d == nil || !t.chosen(d.Percent, d.Header, "x-envoy-fault-delay-request-percentage"):
		return 0
	case !d.Header:
		return d.Fixed
	}
	ms, ok := t.number("x-envoy-fault-delay-request")
	if !ok || ms > 1<<40 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func (t *fault) noteDelay() {
	t.c.delays++
	if by := t.cluster(); by != nil {
		by.delays++
	}
	t.r.Info.Flags |= streaminfo.DelayInjected
	t.noteMetadata()
}

func (t *fault) noteMetadata() {
	if t.s.Metadata != nil {
		t.r.Info.Metadata.Set(t.f.name, t.s.Metadata)
	}
}

// abort answers the request if it is to be.
func (t *fault) abort() bool {
	a := t.s.Abort
	if a == nil || !t.chosen(a.Percent, a.Header, "x-envoy-fault-abort-request-percentage") {
		return false
	}
	status, grpc, hasGRPC := a.Status, a.GRPC, a.HasGRPC
	if a.Header {
		if n, ok := t.number("x-envoy-fault-abort-request"); ok && n >= 200 && n < 600 {
			status = int(n)
		} else if n, ok := t.number("x-envoy-fault-abort-grpc-request"); ok && n < 1<<31 {
			grpc, hasGRPC = int(n), true
		}
	}
	if status == 0 && !hasGRPC || !t.enter() {
		return false
	}
	if status == 0 {
		status = 200
	} else {
		hasGRPC = false
	}
	t.c.aborts++
	if by := t.cluster(); by != nil {
		by.aborts++
	}
	t.noteMetadata()
	t.r.Reply(&filter.Reply{
		Outcome: outcome.FaultAbort, Status: status, Body: outcome.FaultAbort.HTTPBody(),
		GRPCStatus: grpc, HasGRPCStatus: hasGRPC,
	})
	return true
}

// rate is what the answer is slowed to, in KiB per second, 0: not.
func (t *fault) rate() uint64 {
	l := t.s.Rate
	if l == nil || !t.chosen(l.Percent, l.Header, "x-envoy-fault-throughput-response-percentage") {
		return 0
	}
	kbps := l.KBps
	if l.Header {
		kbps, _ = t.number("x-envoy-fault-throughput-response")
	}
	if kbps == 0 || kbps > 1<<40 || !t.enter() {
		return 0
	}
	t.c.rates++
	return kbps
}

// chosen draws whether the request is one of a share, which a header may lower
// where the fault is asked for by header.
func (t *fault) chosen(share config.Fraction, byHeader bool, header string) bool {
	num := uint64(share.Num)
	if byHeader {
		if n, ok := t.number(header); ok {
			num = min(n, num)
		}
	}
	return num >= uint64(share.Den) || num > 0 && t.r.Worker.Rand().Uint64()%uint64(share.Den) < num
}

func (t *fault) number(header string) (uint64, bool) {
	v, ok := t.r.Headers.Get(header)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(v), 10, 64)
	return n, err == nil
}

// cluster finds the counters of the service that asks; nil if it does not say.
func (t *fault) cluster() *clusterCounters {
	name, ok := t.r.Headers.Get("x-envoy-downstream-service-cluster")
	if !ok || len(name) == 0 || t.s.NoClusterStats {
		return nil
	}
	by := t.c.by[string(name)]
	if by == nil && len(t.c.by) < maxClusters {
		by = &clusterCounters{}
		if t.c.by == nil {
			t.c.by = map[string]*clusterCounters{}
		}
		t.c.by[string(name)] = by
	}
	return by
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"delays_injected", c.delays)
	yield(f.prefix+"aborts_injected", c.aborts)
	yield(f.prefix+"response_rl_injected", c.rates)
	yield(f.prefix+"faults_overflow", c.overflow)
	if w.ID == 0 {
		yield(f.prefix+"active_faults", uint64(max(f.active.Load(), 0)))
	}
	for name, by := range c.by {
		yield(f.prefix+name+".delays_injected", by.delays)
		yield(f.prefix+name+".aborts_injected", by.aborts)
	}
}
