// Package lua is the filter that runs Lua scripts on requests and their answers
// (Envoy source/extensions/filters/http/lua).
//
//	Serve ─▶ envoy_on_request(handle) ─▶ Next ─▶ envoy_on_response(handle)
//	            │ body(), httpCall(): the request waits, and the script with it
//	            ▼
//	         bodyChunks(), trailers(): the request goes on; the script is run by whoever takes its body
//
// A script that mentions neither bodyChunks nor trailers is run on the request's own stack: what it waits for is a call
// that returns later. Another is run as a coroutine (iter.Pull), which is resumed by Serve and later by the reader that
// it has around the body. Each worker has its own globals. docs/decisions/0016 says how scripts are bounded.
//
// Not as Envoy: httpCall adds no x-forwarded-for; what frames a message cannot be set by a script; typed metadata is
// not kept, so dynamicTypedMetadata gives nil.
package lua

import (
	"fmt"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/luascript"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	name    string
	cfg     *config.Lua
	env     filter.Env
	prefix  string
	main    *program // nil: none
	named   map[string]*program
	context values // of a route that says none
	count   filter.PerWorker[counters]
}

type counters struct{ errors uint64 }

// program is a script, and its states on the workers.
type program struct {
	script  *luascript.Script
	streams bool // it may run while a body flows
	writes  bool // it may change pieces of bodies
	local   filter.PerWorker[loaded]
}

// loaded is a script on one worker.
type loaded struct {
	state                 *luascript.State
	kinds                 kinds
	onRequest, onResponse *glua.LFunction
	tried                 bool
}

// New compiles it; name is its own in the chain. An error names the script.
func New(name string, cfg *config.Lua, env filter.Env) (*Filter, error) {
	f := &Filter{name: name, cfg: cfg, env: env, named: map[string]*program{}, count: filter.NewPerWorker[counters](env.Workers)}
	f.prefix = env.Prefix + "lua."
	if cfg.StatPrefix != "" {
		f.prefix += cfg.StatPrefix + "."
	}
	var err error
	if cfg.HasDefault {
		if f.main, err = f.program("default_source_code", cfg.Default); err != nil {
			return nil, err
		}
	}
	for at, text := range cfg.Named {
		if f.named[at], err = f.program(at, text); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Filter) program(name, text string) (*program, error) {
	s, err := luascript.Compile("script", text)
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", name, err)
	}
	return &program{
		script: s, streams: s.Mentions("bodyChunks") || s.Mentions("trailers"), writes: s.Mentions("setBytes"),
		local: filter.NewPerWorker[loaded](f.env.Workers),
	}, nil
}

// own is what a route says of it.
type own struct {
	program *program // nil: none is run
	context values
}

// Own compiles what a route says of it. A script was taken when the route was read; one that is not any more is none.
func (f *Filter) Own(cfg any) any {
	c, ok := cfg.(*config.LuaRoute)
	if !ok {
		return nil
	}
	o := &own{program: f.main, context: c.Context}
	switch {
	case c.Disabled:
		o.program = nil
	case c.Name != "":
		o.program = f.named[c.Name]
	case c.HasSource:
		o.program, _ = f.program("source_code", c.Source)
	}
	return o
}

// chosen is the script that the route has for the request.
func (f *Filter) chosen(r *filter.Request) (*program, values) {
	if o, ok := r.Own().(*own); ok {
		return o.program, o.context
	}
	return f.main, f.context
}

// on gives the script's state on a worker: it is loaded when it is first asked for.
func (p *program) on(f *Filter, w *loop.Worker) *loaded {
	l := p.local.On(w)
	if l.tried {
		return l
	}
	l.tried = true
	state, err := p.script.Load(luascript.Env{
		Wall:  f.env.Wall,
		Print: func(line string) { w.Log().Info("script print: "+line, "filter", f.name) },
		Open:  l.kinds.open,
	})
	if err != nil {
		f.wrong(w, err)
		return l
	}
	l.state, l.onRequest, l.onResponse = state, state.Function("envoy_on_request"), state.Function("envoy_on_response")
	return l
}

// wrong counts and logs an error of a script.
func (f *Filter) wrong(w *loop.Worker, err error) {
	f.count.On(w).errors++
	w.Log().Error("script log: "+err.Error(), "filter", f.name)
}

// Serve runs the script on the request, and then on its answer.
func (f *Filter) Serve(r *filter.Request) {
	goes := true
	if s := f.begin(r, true); s != nil {
		goes = s.serve()
	}
	if goes && !r.Next() || r.Over() {
		return
	}
	f.Answer(r)
}

// Answer runs the script on an answer.
func (f *Filter) Answer(r *filter.Request) {
	if s := f.begin(r, false); s != nil {
		s.serve()
	}
}

// Stats yields what worker w has counted.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	yield(f.prefix+"errors", f.count.On(w).errors)
}
