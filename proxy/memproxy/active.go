package memproxy

import "github.com/attache-mesh/attache/proxy/loop"

// Active is how many client connections the worker has. Worker only.
func (r *Room) Active(w *loop.Worker) int { return int(r.local[w.ID].count.active) }
