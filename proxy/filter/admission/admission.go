// Package admission is the filter that turns requests away, with some chance, where too
// few of those before have succeeded (Envoy source/extensions/filters/http/admission_control).
//
//	                       requests − successes / sr_threshold   1/aggression
//	chance = min( max, ( ─────────────────────────────────────── )            )
//	                                requests + 1
//
// Each worker looks at what has gone through itself, as Envoy's do.
package admission

import (
	"math"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.AdmissionControl
	prefix string
	local  filter.PerWorker[local]
}

// local is what a worker has seen.
type local struct {
	rejected uint64
	seen     history
}

// New compiles it.
func New(cfg *config.AdmissionControl, env filter.Env) *Filter {
	return &Filter{cfg: cfg, prefix: env.Prefix + "admission_control.", local: filter.NewPerWorker[local](env.Workers)}
}

// Serve turns the request away, or lets it pass and looks how it went.
func (f *Filter) Serve(r *filter.Request) {
	if !f.cfg.Enabled || r.Info.HealthCheck {
		r.Next()
		return
	}
	l := f.local.On(r.Worker)
	l.seen.forget(r.Worker.Now(), f.cfg.Window)
	if l.seen.rps(r.Worker.Now(), f.cfg.Window) >= f.cfg.MinRPS && f.rejects(l, r.Worker.Rand().Uint64()) {
		l.rejected++
		r.Reply(&filter.Reply{Status: 503, Empty: true, Details: "denied_by_admission_control"})
		return
	}
	if !r.Next() {
		return
	}
	if !isGRPC(r.AnswerHeaders) {
		l.seen.note(r.Worker.Now(), f.cfg.Window, f.succeeded(r.Status))
		return
	}
	if code, ok := grpcStatus(r.AnswerHeaders); ok {
		l.seen.note(r.Worker.Now(), f.cfg.Window, f.wentWell(code))
		return
	}
	if b := r.AnswerBody(); b != nil {
		r.SetAnswerBody(&ending{f: f, r: r, of: b}, filter.Same)
	}
}

// accuracy is how finely a chance is told.
const accuracy = 10000

func (f *Filter) rejects(l *local, draw uint64) bool {
	all := float64(l.seen.all.requests)
	p := (all - float64(l.seen.all.successes)/f.cfg.SuccessRate) / (all + 1)
	if f.cfg.Aggression != 1 {
		p = math.Pow(p, 1/f.cfg.Aggression)
	}
	return accuracy*max(min(p, f.cfg.MaxRejection), 0) > float64(draw%accuracy)
}

func (f *Filter) succeeded(status int) bool {
	for _, s := range f.cfg.HTTP {
		if s.From <= status && status < s.To {
			return true
		}
	}
	return false
}

func (f *Filter) wentWell(code int) bool { return code >= 0 && code < 32 && f.cfg.GRPC>>code&1 != 0 }

func isGRPC(h filter.Fields) bool {
	v, _ := h.Get("content-type")
	const kind = "application/grpc"
	return len(v) >= len(kind) && string(v[:len(kind)]) == kind && (len(v) == len(kind) || v[len(kind)] == '+' || v[len(kind)] == ';')
}

func grpcStatus(h filter.Fields) (code int, ok bool) {
	v, ok := h.Get("grpc-status")
	if !ok {
		return 0, false
	}
	code, err := strconv.Atoi(string(v))
	if err != nil {
		code = -1
	}
	return code, true
}

// ending is a gRPC answer whose status comes at its end; one that breaks off is not
// counted.
type ending struct {
	f  *Filter
	r  *filter.Request
	of filter.Body
}

// Next gives the next piece.
func (e *ending) Next() (piece []byte, last bool, err error) {
	piece, last, err = e.of.Next()
	if last && err == nil && e.r.AnswerTrailers.Len() > 0 {
		l := e.f.local.On(e.r.Worker)
		code, ok := grpcStatus(e.r.AnswerTrailers)
		l.seen.note(e.r.Worker.Now(), e.f.cfg.Window, ok && e.f.wentWell(code))
	}
	return piece, last, err
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	yield(f.prefix+"rq_rejected", f.local.On(w).rejected)
}

// history is the requests of a window, by the second; times are the worker's. Its zero
// value is empty.
type history struct {
	all     tally
	seconds []second // oldest first
}

type tally struct{ requests, successes uint64 }

type second struct {
	began int64
	tally
}

// forget drops what is older than the window.
func (h *history) forget(now int64, window time.Duration) {
	n := 0
	for n < len(h.seconds) && now-h.seconds[n].began >= int64(window) {
		h.all.requests -= h.seconds[n].requests
		h.all.successes -= h.seconds[n].successes
		n++
	}
	if n > 0 {
		h.seconds = h.seconds[:copy(h.seconds, h.seconds[n:])]
	}
}

// note counts a request.
func (h *history) note(now int64, window time.Duration, success bool) {
	h.forget(now, window)
	if n := len(h.seconds); n == 0 || now-h.seconds[n-1].began >= int64(time.Second) {
		h.seconds = append(h.seconds, second{began: now})
	}
	last := &h.seconds[len(h.seconds)-1]
	last.requests++
	h.all.requests++
	if success {
		last.successes++
		h.all.successes++
	}
}

// rps is the requests a second, over the window.
func (h *history) rps(now int64, window time.Duration) uint32 {
	if len(h.seconds) == 0 {
		return 0
	}
	whole := max(window, time.Duration(now-h.seconds[0].began)) / time.Second
	return uint32(h.all.requests / uint64(max(whole, 1)))
}
