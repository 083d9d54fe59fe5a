// Package connectionlimit is the network filter that lets so many connections
// stand, of all workers together
// (Envoy source/extensions/filters/network/connection_limit/connection_limit.cc).
package connectionlimit

import (
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/netfilter"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg   *config.ConnectionLimit
	open  atomic.Uint64 // those that are refused too, until they are closed
	local filter.PerWorker[counters]
}

type counters struct{ limited, active uint64 }

// New compiles it.
func New(cfg *config.ConnectionLimit, env netfilter.Env) *Filter {
	return &Filter{cfg: cfg, local: filter.NewPerWorker[counters](env.Workers)}
}

// Greet counts the connection until it is closed, and closes it if it is one too
// many.
func (f *Filter) Greet(c *netfilter.Conn) bool {
	if f.cfg.Off {
		return true
	}
	n := f.local.On(c.Worker())
	n.active++
	over := f.open.Add(1) > f.cfg.Max
	c.OnClosed(func() {
		n.active--
		f.open.Add(^uint64(0))
	})
	if !over {
		return true
	}
	n.limited++
	if f.cfg.Delay > 0 && !c.Sleep(f.cfg.Delay) {
		return false
	}
	return c.Refuse("over_connection_limit")
}

// Stats yields what worker w has counted.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n, p := f.local.On(w), "connection_limit."+f.cfg.StatPrefix+"."
	yield(p+"limited_connections", n.limited)
	yield(p+"active_connections", n.active)
}
