// Package wasm is the filter that has a WebAssembly module look at requests and answers, and change them, by the
// proxy-wasm ABI 0.2 (proxy-wasm spec, abi-versions/v0.2.1; Envoy source/extensions/filters/http/wasm).
//
//	worker ── instance: one memory, a root context, a context for each request
//	             ▲ proxy_on_request_headers, …_body, …     │ proxy_get_header_map_value, proxy_http_call, …
//	request ─────┘  pause: the request waits               ▼
//	                                                     host.go
//
// A call into the module never waits: what it asks for comes with a later call. One that takes too long is ended from
// outside, and with it the instance. docs/decisions/0016 says what is bounded.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/wasmmodule"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.Wasm
	env    filter.Env
	prefix string
	rt     wazero.Runtime
	code   wazero.CompiledModule
	writes bool // it may change bodies
	acts   bool // it may do something between requests
	local  filter.PerWorker[local]
	shared shared
}

// local is a worker's own.
type local struct {
	live    bool      // see Begin
	in      *instance // nil: none yet, or it has failed
	until   int64     // when it may be started again
	failed  bool
	created uint64
	traps   uint64
}

// New compiles the module and starts it once, as every worker will: one that does not come up is an error.
func New(cfg *config.Wasm, env filter.Env) (*Filter, error) {
	ctx := context.Background()
	f := &Filter{cfg: cfg, env: env, prefix: env.Prefix + "wasm." + cfg.Name + ".", local: filter.NewPerWorker[local](env.Workers)}
	f.shared.values = map[string]shareable{}
	f.rt = wazero.NewRuntimeWithConfig(ctx, wasmmodule.Config(true))
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, f.rt); err != nil {
		return nil, err
	}
	if err := f.openHost(ctx); err != nil {
		return nil, err
	}
	var err error
	if f.code, err = f.rt.CompileModule(ctx, []byte(cfg.Code)); err != nil {
		return nil, err
	}
	for _, d := range f.code.ImportedFunctions() {
		if _, name, _ := d.Import(); name == "proxy_set_buffer_bytes" {
			f.writes = true
		} else if acts(name) {
			f.acts = true
		}
	}
	in, err := f.start(nil)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", cfg.Name, err)
	}
	in.close()
	return f, nil
}

// instance gives the worker's, and starts it if there is none; nil: it has failed.
func (f *Filter) instance(w *loop.Worker) *instance {
	l := f.local.On(w)
	if l.in != nil && !l.in.dead {
		return l.in
	}
	if l.failed && (f.cfg.Failure != config.WasmReload || w.Now() < l.until) {
		return nil
	}
	in, err := f.start(w)
	if err != nil {
		f.fail(w, err)
		return nil
	}
	l.in, l.failed = in, false
	l.created++
	return in
}

// fail notes that the worker's instance is no more.
func (f *Filter) fail(w *loop.Worker, err error) {
	if w == nil {
		return
	}
	l := f.local.On(w)
	l.in, l.failed, l.until = nil, true, w.Now()+int64(f.cfg.Backoff)
	l.traps++
	w.Log().Error("wasm module has failed", "plugin", f.cfg.Name, "error", err)
}

// Serve has the module look at the request, and then at its answer.
func (f *Filter) Serve(r *filter.Request) {
	in := f.instance(r.Worker)
	if in == nil {
		if f.cfg.Failure == config.WasmOpen {
			r.Next()
			return
		}
		r.Reply(failedReply())
		return
	}
	s := in.open(r)
	r.Defer(s)
	if s.head(&s.sides[0]) && !r.Next() || r.Over() {
		return
	}
	s.head(&s.sides[1])
}

// Answer has it look at an answer to a request that it has not seen.
func (f *Filter) Answer(r *filter.Request) {
	if in := f.instance(r.Worker); in != nil {
		s := in.open(r)
		r.Defer(s)
		s.head(&s.sides[1])
	}
}

// failedReply is what a client is told whose request a failed module should have seen.
func failedReply() *filter.Reply {
	return &filter.Reply{Status: 503, Empty: true, Details: "wasm_fail_stream"}
}

// Stats yields what worker w has counted, and the module's own figures.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	l := f.local.On(w)
	yield(f.prefix+"created", l.created)
	yield(f.prefix+"failed", l.traps)
	if l.in == nil {
		return
	}
	for i := range l.in.metrics {
		yield("wasmcustom."+l.in.metrics[i].name, l.in.metrics[i].value)
	}
}

// maxCall bounds one call into a module: its worker waits for it.
const maxCall = 100 * time.Millisecond

// maxStart bounds each call of a start.
const maxStart = 10 * time.Second

var errEnded = errors.New("the module has refused the rest of the message")
