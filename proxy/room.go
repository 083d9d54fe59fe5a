package proxy

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/memproxy"
	"github.com/attache-mesh/attache/proxy/tcpproxy"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// server is what every room can do beside accepting. All of it is called on
// the worker that it is asked about.
type server interface {
	listener.Room
	// Drain ends connections as soon as it is polite: now if they are idle.
	Drain(w *loop.Worker)
	// Active is how many connections it has.
	Active(w *loop.Worker) int
	// Stats yields what it counted.
	Stats(w *loop.Worker, yield func(name string, value uint64))
}

// room is a room and the clusters that its tables point to.
type room struct {
	serves   server
	clusters map[string]*upstream.Cluster
}

// room builds what serves a filter chain. The one switch over the kinds of
// handler.
func (s *Server) room(h config.Handler) (room, error) {
	r := room{clusters: map[string]*upstream.Cluster{}}
	building := true // afterwards a table asks only for what a header names, from any worker
	resolve := func(name string) *upstream.Cluster {
		c := s.Cluster(name)
		if building {
			r.clusters[name] = c
		}
		return c
	}
	var err error
	switch h := h.(type) {
	case *config.HTTP:
		env := httpproxy.Env{Wall: s.o.Wall, Workers: len(s.workers)}
		r.serves, err = httpproxy.New(h, resolve, env)
	case *config.TCP:
		r.serves, err = tcpproxy.New(h, resolve, len(s.workers))
	case *config.Memcached:
		var m *memproxy.Room
		m, err = memproxy.New(h, resolve, len(s.workers))
		r.serves = mem{m}
	}
	building = false
	return r, err
}

// mem is the memcached room; how many connections a drain leaves open is asked
// for by Active.
type mem struct{ *memproxy.Room }

func (m mem) Drain(w *loop.Worker) { m.Room.Drain(w) }
