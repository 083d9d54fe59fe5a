package memproxy

import (
	"errors"
	"fmt"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Room serves memcached connections of one filter chain. It is built for one
// configuration and immutable, but for what each worker keeps of its own. A
// connection stays with the room that accepted it. Any goroutine, but where a
// method says otherwise.
type Room struct {
	cfg    config.Memcached
	limits memcache.Limits
	routes []*route // longest prefix first; a catch-all is the last
	none   *route   // for keys without a route
	local  []*local // by worker ID; each is its worker's
}

// local is the room as one worker has it.
type local struct {
	*Room
	clients  *client // all that are open, linked
	draining bool
	primed   bool
	pins     int
	slots    *slot // free
	parts    *part // free
	spare    int   // how many slots are free
	cmd      memcache.Command
	count    counters
}

// New builds a room. resolve gives the living cluster of a name, or nil: then
// its keys are answered with an error. Worker IDs are 0 to workers-1. Errors
// name the field.
func New(cfg *config.Memcached, resolve func(cluster string) *upstream.Cluster, workers int) (*Room, error) {
	r := &Room{cfg: *cfg, limits: memcache.DefaultLimits()}
	if cfg.MaxKeyBytes > 0 {
		r.limits.KeyBytes = int(cfg.MaxKeyBytes)
	}
	if cfg.MaxValueBytes > 0 {
		r.limits.ValueBytes = int(cfg.MaxValueBytes)
	}
	r.limits.WholeBytes = r.limits.ValueBytes + commandBytes
	if err := r.limits.Validate(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if cfg.OpTimeout < 0 {
		return nil, errors.New("settings.op_timeout: is negative")
	}
	r.route(resolve)
	for range workers {
		r.local = append(r.local, &local{Room: r})
	}
	return r, nil
}

// commandBytes is more than a storage command's line may have.
const commandBytes = 4096

// Accept takes a connection on its worker and serves it. bufferLimit bounds, in
// bytes, what is held for it before it is no longer read from; 0: 1 MiB. Worker
// only.
func (r *Room) Accept(c *loop.Conn, bufferLimit int) {
	if bufferLimit <= 0 {
		bufferLimit = 1 << 20
	}
	at := r.local[c.Worker().ID]
	at.pins++
	if !at.primed {
		at.prime(c.Worker())
	}
	k := &client{at: at, conn: c, limit: bufferLimit, pin: at.pins, expect: firstGuess, parser: memcache.NewParser(&r.limits)}
	at.enter(k)
	c.Data = k
	c.Serve(k, true)
}

// prime connects to every host that the room may ask, when a worker's first
// client comes, so that no first command waits for a connect: a shared pool is
// always full. A host that comes later is connected to when it is first asked.
func (at *local) prime(w *loop.Worker) {
	at.primed = true
	for _, r := range at.routes {
		if r.cluster == nil {
			continue
		}
		cluster := r.cluster.On(w)
		for e := range r.cluster.Entries {
			if !e.Endpoint.Health.Usable() {
				continue
			}
			if _, o := sessionOf(cluster, e.Host.On(w), 0); o == outcome.OK {
				e.Host.On(w).Session.(*shard).want()
			}
		}
	}
}

// Drain closes the worker's connections that are idle now, and the others as
// soon as they are: memcached has no word to tell a client. It returns how many
// are still open. Worker only.
func (r *Room) Drain(w *loop.Worker) int {
	at := r.local[w.ID]
	at.draining = true
	for k := at.clients; k != nil; {
		next := k.next // finishing k may take it off the list
		k.settle()
		k = next
	}
	return int(at.count.active)
}

func (at *local) enter(k *client) {
	at.count.total++
	at.count.active++
	if k.next = at.clients; k.next != nil {
		k.next.prev = k
	}
	at.clients = k
}

func (at *local) leave(k *client) {
	at.count.active--
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		at.clients = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	}
	k.next, k.prev = nil, nil
}
