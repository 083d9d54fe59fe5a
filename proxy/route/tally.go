package route

// What hosts answered to the requests of a virtual cluster, or of a route with a
// stat_prefix (router_filter.rst, virtual cluster and route statistics).

import (
	"sync"
	"weak"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/stats"
)

// Tally counts under one name; each worker has a part of its own. It outlives the
// table that it was made for as long as a later one has the same name.
type Tally struct {
	prefix string // "vhost.a.route.b."
	parts  []TallyPart
}

// TallyPart is what one worker has counted. Worker only.
type TallyPart struct {
	Total, Retry, RetryOK, RetryLimit, RetryOverflow, Timeout uint64
	Codes                                                     stats.Codes
}

// On gives the part of a worker; nil of a nil tally.
func (t *Tally) On(w *loop.Worker) *TallyPart {
	if t == nil {
		return nil
	}
	return &t.parts[w.ID]
}

// Tallies are those of a process. Any goroutine.
type Tallies struct {
	workers int
	mu      sync.Mutex
	by      map[string]weak.Pointer[Tally]
}

// NewTallies makes an empty set for workers whose IDs are below n.
func NewTallies(n int) *Tallies { return &Tallies{workers: n, by: map[string]weak.Pointer[Tally]{}} }

// of gives the tally of a prefix: the one that there is, or a new one.
func (t *Tallies) of(prefix string) *Tally {
	if have := t.by[prefix].Value(); have != nil {
		return have
	}
	made := &Tally{prefix, make([]TallyPart, t.workers)}
	t.by[prefix] = weak.Make(made)
	return made
}

// Stats yields what a worker has counted. On that worker.
func (t *Tallies) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for prefix, p := range t.by {
		tally := p.Value()
		if tally == nil {
			delete(t.by, prefix) // no table has the name any more
			continue
		}
		n := tally.On(w)
		yield(prefix+"upstream_rq_total", n.Total)
		yield(prefix+"upstream_rq_retry", n.Retry)
		yield(prefix+"upstream_rq_retry_success", n.RetryOK)
		yield(prefix+"upstream_rq_retry_limit_exceeded", n.RetryLimit)
		yield(prefix+"upstream_rq_retry_overflow", n.RetryOverflow)
		yield(prefix+"upstream_rq_timeout", n.Timeout)
		n.Codes.Stats(prefix, yield)
	}
}

// Count has the table's virtual clusters and routes counted in all. It is called once,
// before the table serves: what an earlier table has in common with it is left alone.
func (t *Table[C]) Count(all *Tallies) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, h := range t.hosts {
		prefix := "vhost." + stats.Clean(h.asked.Name) + "."
		for i := range h.common.virtual {
			if v := &h.common.virtual[i]; v.tally == nil {
				v.tally = all.of(prefix + "vcluster." + v.counted + ".")
			}
		}
		for _, r := range h.routes {
			if r.Tally == nil && r.Asked != nil && r.Asked.StatPrefix != "" {
				r.Tally = all.of(prefix + "route." + stats.Clean(r.Asked.StatPrefix) + ".")
			}
		}
	}
}
