package memproxy

// What has a worker counted?

import (
	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/loop"
)

// counters are one worker's, of one room.
type counters struct {
	total, active uint64 // connections
	refused       uint64 // commands that were answered here with an error
	failed        uint64 // commands, or parts of one, that no host has answered
	missed        uint64 // the same, answered as misses
	dropped       uint64 // answers that there was no room for
	cut           uint64 // clients closed within a value
	commands      [memcache.Quit + 1]uint64
}

// Stats yields the worker's counters by name, memcached.<stat_prefix>.…; the
// one gauge is downstream_cx_active. Worker only.
func (r *Room) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n := &r.local[w.ID].count
	prefix := "memcached." + r.cfg.StatPrefix + "."
	yield(prefix+"downstream_cx_total", n.total)
	yield(prefix+"downstream_cx_active", n.active)
	all := n.refused
	for op, v := range n.commands {
		if op > 0 {
			all += v
			yield(prefix+"command."+memcache.Op(op).String()+".total", v)
		}
	}
	yield(prefix+"downstream_rq_total", all)
	yield(prefix+"downstream_rq_refused", n.refused)
	yield(prefix+"upstream_rq_failed", n.failed)
	yield(prefix+"upstream_rq_missed", n.missed)
	yield(prefix+"downstream_rq_dropped", n.dropped)
	yield(prefix+"downstream_cx_cut", n.cut)
}

// Active is how many client connections the worker has. Worker only.
func (r *Room) Active(w *loop.Worker) int { return int(r.local[w.ID].count.active) }
