// Package proxy is the data plane put together: workers, clusters, listeners
// and the rooms behind them. Server.Apply is the update, from a snapshot to
// what serves; Server.Drain is the way out.
package proxy

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/proxy/accesslog"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/demand"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/transport"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Options are what a server is made with.
type Options struct {
	// Concurrency is the number of workers, at least 1.
	Concurrency int
	// Workers are those of a world that its owner turns, such as loop.Sim's, in
	// place of Concurrency new ones; their IDs are their indices. Methods that ask
	// a worker wait until it is turned.
	Workers []*loop.Worker
	Log     *slog.Logger
	// Resolver looks up the names of DNS clusters.
	Resolver upstream.Resolver
	// Wall is the time of day, for date headers.
	Wall func() time.Time
	// HandshakesPerTurn bounds the pieces of TLS handshake work that a worker does
	// between two looks at its other connections; MaxHandshakes how many handshakes
	// it has under way. 0: the defaults of package transport.
	HandshakesPerTurn, MaxHandshakes int
	// Demand asks a control plane for what a request lacks, see package demand; nil:
	// there is none to be asked.
	Demand func(d config.Demand, done func(found bool))
	// Inherited are the listening sockets of the process before; nil: there is none.
	Inherited *listener.Inherited
	// Version is what the program calls itself.
	Version string
}

// Server owns the workers and all that lives on them. Its methods are for any
// goroutine.
type Server struct {
	o       Options
	workers []*loop.Worker
	ended   sync.WaitGroup
	// clusters by name; the map is replaced, never changed.
	clusters atomic.Pointer[map[string]*upstream.Cluster]
	draining atomic.Bool
	failing  atomic.Bool // see FailHealthChecks
	// applying is the snapshot that is, or was last, made live: contexts find their
	// secrets in it.
	applying atomic.Pointer[config.Snapshot]
	applied  atomic.Pointer[config.Snapshot] // the last one whose Apply has ended
	env      *transport.Env
	security *upstream.Security
	logs     *accesslog.Files
	tallies  *route.Tallies
	// directory finds listeners by address, for those that hand connections on.
	directory listener.Directory

	mu        turn // guards what follows; one update at a time
	listeners map[string]*serving
	tables    map[string]*routes // those that listeners name
	retired   []*room            // no new connection comes to them
	leaving   []leaving
	begun     []filter.Living   // filters that were told that they live
	past      map[string]uint64 // counted by rooms that are gone
	tidying   bool              // tidy will run
	unopened  bool              // a cluster could not be brought to what is asked
	buckets   buckets
	desk      *demand.Desk
	shut      bool // CloseListeners was called: none is opened any more
	// shutInbound: no listener is opened any more that faces others.
	shutInbound bool
	stopped     bool
}

// turn is a lock. Whoever has it may wait for workers, and in a world whose owner turns them
// (testing/synctest) it is seen that the others wait: of a sync.Mutex it is not.
type turn chan struct{}

// Lock waits for its turn.
func (t turn) Lock() { t <- struct{}{} }

// Unlock gives it to the next one.
func (t turn) Unlock() { <-t }

// serving is a listener and what it was built from.
type serving struct {
	*listener.Listener
	asked *config.Listener
	rooms []*room
	// contexts are those of TLS by chain; tally is what all of them count.
	contexts map[string]*tlsContext
	tally    *transport.Tally
	closed   bool // its sockets, while an update moves them
}

// New makes a server and starts its workers; nothing is served yet.
func New(o Options) (*Server, error) {
	s := &Server{o: o, mu: make(turn, 1), listeners: map[string]*serving{}, past: map[string]uint64{}}
	s.clusters.Store(&map[string]*upstream.Cluster{})
	if err := s.hire(); err != nil {
		return nil, err
	}
	s.desk = demand.New(len(s.workers), o.Demand)
	s.logs = accesslog.NewFiles(len(s.workers), s.Cluster)
	s.tallies = route.NewTallies(len(s.workers))
	s.env = &transport.Env{Wall: o.Wall, Queues: transport.NewQueues(s.workers, o.HandshakesPerTurn, o.MaxHandshakes)}
	s.security = &upstream.Security{Env: s.env, Secrets: s.secrets}
	if len(o.Workers) == 0 {
		for _, w := range s.workers {
			s.ended.Go(w.Run)
		}
	}
	return s, nil
}

// hire takes the workers that were given, or makes them.
func (s *Server) hire() error {
	s.workers = s.o.Workers
	if len(s.workers) > 0 {
		return nil
	}
	for id := range max(s.o.Concurrency, 1) {
		w, err := loop.New(id, s.o.Log)
		if err != nil {
			return fmt.Errorf("worker %d: %w", id, err)
		}
		s.workers = append(s.workers, w)
	}
	return nil
}

// secrets are what those of a context say now.
func (s *Server) secrets(c *config.TLS) *config.Material { return s.applying.Load().Material(c) }

// Cluster finds a living cluster by name; nil if there is none.
func (s *Server) Cluster(name string) *upstream.Cluster { return (*s.clusters.Load())[name] }

// Workers are the event loops.
func (s *Server) Workers() []*loop.Worker { return s.workers }

// Snapshot is what was last applied; nil before the first. It waits for nothing.
func (s *Server) Snapshot() *config.Snapshot { return s.applied.Load() }

// each runs f on every worker, one after the other, and waits for it.
func (s *Server) each(f func(w *loop.Worker)) {
	for _, w := range s.workers {
		done := make(chan struct{})
		w.Post(func() {
			defer close(done)
			f(w)
		})
		<-done
	}
}

// Stop ends at once: listeners, connections, workers.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, l := range s.listeners {
		l.Close()
	}
	for _, l := range s.leaving {
		l.Close()
	}
	for _, c := range *s.clusters.Load() {
		c.Close()
	}
	for _, w := range s.workers {
		w.Stop()
	}
	s.ended.Wait()
	s.logs.Close()
}

// FailHealthChecks makes the health check filters say that the process is not to
// be asked any more, or takes that back (/healthcheck/fail and /healthcheck/ok).
func (s *Server) FailHealthChecks(fail bool) { s.failing.Store(fail) }

// ReopenLogs makes access logs be opened anew, as after they were moved away.
func (s *Server) ReopenLogs() { s.logs.Reopen() }
