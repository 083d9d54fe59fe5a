package wasm

// What a module does between requests: it is called every so often, and when a queue has
// something for it. A chain that is not live any more calls it no more.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// acts are the calls of modules that do something between requests.
func acts(name string) bool {
	return name == "proxy_set_tick_period_milliseconds" || name == "proxy_register_shared_queue"
}

// Begin starts the worker's instance, if the module does something between requests.
func (f *Filter) Begin(w *loop.Worker) {
	if !f.acts {
		return
	}
	f.local.On(w).live = true
	if in := f.instance(w); in != nil {
		in.arm()
	}
}

// Quit ends what it does. Requests that are still under way have their instance.
func (f *Filter) Quit(w *loop.Worker) {
	l := f.local.On(w)
	if l.live = false; l.in != nil {
		l.in.rest()
	}
}

// live says whether the module is called between requests.
func (in *instance) live() bool { return in.w != nil && in.f.local.On(in.w).live }

func hostTick(in *instance, a []uint64) uint64 {
	in.tick = time.Duration(uint32(a[0])) * time.Millisecond
	in.arm()
	return statusOK
}

// arm sets the timer of the next tick, or clears it.
func (in *instance) arm() {
	switch {
	case in.w == nil:
	case in.tick > 0 && in.live() && !in.dead:
		in.w.SetTimer(&in.timer, in.tick, in.ticks)
	default:
		in.w.ClearTimer(&in.timer)
	}
}

// ticks calls the module, and sets the timer again unless it has done that.
func (in *instance) ticks() {
	if _, ok := in.about(nil, "proxy_on_tick", root); ok && !in.timer.Set() {
		in.arm()
	}
}

// rest ends what it does between requests.
func (in *instance) rest() {
	if in.w != nil {
		in.w.ClearTimer(&in.timer)
		in.leaveQueues()
	}
}
