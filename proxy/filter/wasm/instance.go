package wasm

// A module at work on a worker.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/attache-mesh/attache/proxy/loop"
)

// instance is a module's memory and its contexts. Worker only; w is nil while it is tried out.
type instance struct {
	f   *Filter
	w   *loop.Worker
	ctx context.Context
	mod api.Module
	fn  map[string]api.Function

	streams map[uint32]*stream
	last    uint32  // the last context's number; the root's is 1
	current *stream // that the module works for; nil: the root
	calls   map[uint32]*call
	tokens  uint32
	heard   *call // whose answer is being shown
	metrics []metric
	tick    time.Duration // how often it is called; 0: never
	timer   loop.Timer
	watch   *time.Timer
	depth   int
	dead    bool
}

const root = 1

// start makes an instance and has it configured.
func (f *Filter) start(w *loop.Worker) (*instance, error) {
	in := &instance{f: f, w: w, streams: map[uint32]*stream{}, last: root, calls: map[uint32]*call{}, fn: map[string]api.Function{}}
	in.ctx = context.WithValue(context.Background(), instanceKey{}, in)
	mc := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	for key, value := range f.cfg.Env {
		mc = mc.WithEnv(key, value)
	}
	var err error
	if in.mod, err = f.rt.InstantiateModule(in.ctx, f.code, mc); err != nil {
		return nil, err
	}
	in.watch = time.AfterFunc(time.Hour, func() { _ = in.mod.CloseWithExitCode(context.Background(), 1) }) // it runs no longer, whatever is said
	in.watch.Stop()
	for name := range f.code.ExportedFunctions() {
		in.fn[name] = in.mod.ExportedFunction(name)
	}
	for _, name := range []string{"_initialize", "_start"} {
		if in.fn[name] != nil {
			if _, err := in.run(maxStart, name); err != nil {
				return nil, err
			}
			break
		}
	}
	return in, in.configure()
}

func (in *instance) configure() error {
	cfg := in.f.cfg
	if _, err := in.run(maxStart, "proxy_on_context_create", root, 0); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		size int
	}{{"proxy_on_vm_start", len(cfg.VMConfig)}, {"proxy_on_configure", len(cfg.Config)}} {
		if in.fn[step.name] == nil {
			continue
		}
		ok, err := in.run(maxStart, step.name, root, uint64(step.size))
		switch {
		case err != nil:
			return err
		case ok == 0:
			in.close()
			return fmt.Errorf("%s has returned false", step.name)
		}
	}
	return nil
}

// run calls a function of the module, 0 if it has none. An error ends the instance.
func (in *instance) run(limit time.Duration, name string, args ...uint64) (uint64, error) {
	f := in.fn[name]
	if f == nil {
		return 0, nil
	}
	if in.dead {
		return 0, errDead
	}
	if want := len(f.Definition().ParamTypes()); len(args) != want {
		in.close()
		return 0, fmt.Errorf("%s takes %d arguments, not %d", name, want, len(args))
	}
	if in.depth == 0 {
		in.watch.Reset(limit)
	}
	in.depth++
	res, err := f.Call(in.ctx, args...)
	if in.depth--; in.depth == 0 {
		in.watch.Stop()
	}
	if err != nil {
		in.close()
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if len(res) == 0 {
		return 0, nil
	}
	return res[0], nil
}

var errDead = errors.New("the module has failed")

// call runs a function for a context; false: the instance is no more.
func (in *instance) about(s *stream, name string, args ...uint64) (uint64, bool) {
	before := in.current
	in.current = s
	v, err := in.run(maxCall, name, args...)
	in.current = before
	if err != nil {
		if err != errDead {
			in.f.fail(in.w, err)
		}
		for _, s := range in.streams {
			s.wake()
		}
		return 0, false
	}
	return v, true
}

// close ends the instance.
func (in *instance) close() {
	if in.dead {
		return
	}
	in.dead = true
	in.watch.Stop()
	in.rest()
	_ = in.mod.Close(context.Background()) // its memory is what counts
}

// allocate asks the module for memory.
func (in *instance) allocate(n int) (at uint32, ok bool) {
	f := in.fn["proxy_on_memory_allocate"]
	if f == nil {
		f = in.fn["malloc"]
	}
	res, err := f.Call(in.ctx, uint64(n))
	if err != nil || len(res) == 0 || res[0] == 0 {
		return 0, false
	}
	return uint32(res[0]), true
}

// give puts data into the module's memory, and where it is into two words.
func (in *instance) give(data []byte, at, size uint32) uint64 {
	mem := in.mod.Memory()
	where := uint32(0)
	if len(data) > 0 {
		var ok bool
		if where, ok = in.allocate(len(data)); !ok || !mem.Write(where, data) {
			return statusMemory
		}
	}
	if !mem.WriteUint32Le(at, where) || !mem.WriteUint32Le(size, uint32(len(data))) {
		return statusMemory
	}
	return statusOK
}

// read copies what is in the module's memory.
func (in *instance) read(at, n uint32) (string, bool) {
	b, ok := in.mod.Memory().Read(at, n)
	return string(b), ok
}

type instanceKey struct{}

func of(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }
