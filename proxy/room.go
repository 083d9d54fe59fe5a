package proxy

import (
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/memproxy"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/standalone"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/tcpproxy"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// server is what every room can do beside accepting. All of it is called on
// the worker that it is asked about.
type server interface {
	listener.Room
	// Drain ends connections as soon as it is polite: now if they are idle.
	Drain(w *loop.Worker)
	// Active is how many connections it has that are in use, Connections how many
	// it has.
	Active(w *loop.Worker) int
	Connections(w *loop.Worker) int
	// Stats yields what it counted.
	Stats(w *loop.Worker, yield func(name string, value uint64))
}

// room is a room and what it was built from. Server.mu guards what changes.
type room struct {
	chain    string // see chainKey
	serves   server
	asked    config.Handler
	clusters map[string]*upstream.Cluster // that it points to by itself
	routes   *routes                      // of an HTTP room
	chains   httpproxy.Chains             // of an HTTP room
	secure   bool                         // behind TLS
	place    *streaminfo.Place            // where its clients come in
	logs     *accesslog.Log
	// upstreamLogs are the router's, of an HTTP room.
	upstreamLogs *accesslog.Log
	before       []config.NetworkFilter          // that filters were compiled from
	filters      atomic.Pointer[netfilter.Chain] // nil: none
	by           *config.FilterDiscovery         // where asked comes from; nil: from its listener
	// outlives says that what came by discovery has another room now: connections that are
	// there stay as long as they like.
	outlives bool
	empty    bool // it outlives, and no connection was there when it was last looked at
}

// stats yields what the room and the filters before it have counted on worker w.
func (r *room) stats(w *loop.Worker, yield func(name string, value uint64)) {
	r.serves.Stats(w, yield)
	if f := r.filters.Load(); f != nil {
		f.Stats(w, yield)
	}
}

// take gives an HTTP room another table: requests from now on follow it.
func (r *room) take(t *routes) {
	if r.routes != t {
		r.routes = t
		r.serves.(*httpproxy.Room).Use(t.table)
	}
}

// refilter gives it other filters, and a table.
func (r *room) refilter(c httpproxy.Chains, t *routes) {
	r.routes = t
	r.chains = c
	r.serves.(*httpproxy.Room).Refilter(c, t.table)
}

// filteredRoom builds what serves a filter chain, and the filters before that.
func (a *update) filteredRoom(c *config.FilterChain, secure bool, place *streaminfo.Place) (*room, error) {
	r, err := a.room(c.Handler, secure, place)
	if err != nil {
		return nil, err
	}
	r.before, r.by = c.Filters, c.Discovery
	f, _, err := a.netFilters(c.Filters, place, nil, nil)
	r.filters.Store(f)
	return r, err
}

// room builds what serves a filter chain. The one switch over the kinds of
// handler.
func (a *update) room(h config.Handler, secure bool, place *streaminfo.Place) (*room, error) {
	r := &room{asked: h, secure: secure, place: place, clusters: map[string]*upstream.Cluster{}}
	resolve, built := a.resolver(r.clusters)
	defer built()
	var err error
	switch h := h.(type) {
	case *config.HTTP:
		if r.routes, err = a.routesOf(h, nil); err != nil {
			return nil, err
		}
		chains, err := a.chains(h, compiled{})
		if err != nil {
			return nil, err
		}
		r.chains = chains
		if r.logs, err = accesslog.New(h.AccessLogs, a.logs); err != nil {
			return nil, err
		}
		if r.upstreamLogs, err = accesslog.New(h.UpstreamLogs, a.logs); err != nil {
			r.logs.Close()
			return nil, err
		}
		env := httpproxy.Env{
			Wall: a.o.Wall, Workers: len(a.workers), Secure: secure, Chains: chains, Place: place, Logs: r.logs, UpstreamLogs: r.upstreamLogs,
		}
		if !place.Stays {
			env.Leaving = &a.failing
		}
		r.serves = httpproxy.New(h, r.routes.table, env)
	case *config.TCP:
		if r.logs, err = accesslog.New(h.AccessLogs, a.logs); err != nil {
			return nil, err
		}
		r.serves, err = tcpproxy.New(h, resolve, tcpproxy.Env{Workers: len(a.workers), Wall: a.o.Wall, Place: place, Logs: r.logs, Desk: a.desk})
	case *config.Memcached:
		var m *memproxy.Room
		m, err = memproxy.New(h, resolve, len(a.workers))
		r.serves = mem{m}
	case *config.Echo:
		r.serves = standalone.NewEcho(len(a.workers))
	case *config.DirectBytes:
		r.serves = standalone.NewDirect(h.Text, len(a.workers))
	case *config.NoFilterConfig: // no connection comes here
		r.serves = standalone.NewDirect("", len(a.workers))
	}
	return r, err
}

// mem is the memcached room; how many connections a drain leaves open is asked
// for by Active.
type mem struct{ *memproxy.Room }

func (m mem) Drain(w *loop.Worker) { m.Room.Drain(w) }

// Connections are those that Active counts.
func (m mem) Connections(w *loop.Worker) int { return m.Active(w) }
