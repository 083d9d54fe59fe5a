package server

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// attache is the user agent of our own sidecar, node.user_agent_name.
const attache = "attache"

// loadInterval is between load reports if the options do not say.
const loadInterval = 10 * time.Second

// greetingTime is how long a stream may be open before its first request.
const greetingTime = 30 * time.Second

// Options are what a server is made of.
type Options struct {
	// Select names the group of a client; an error refuses the client with
	// PERMISSION_DENIED and the error's words. delta says that the stream is the
	// incremental one of all types, which alone can carry collections (LEDS). Any
	// goroutine calls it.
	Select func(node *core.Node, delta bool) (group string, err error)
	// Identify says whether the client with a SPIFFE identity (empty without a
	// client certificate) may be node; an error refuses it with
	// PERMISSION_DENIED. Nil: any client may be any node. See Identities.
	Identify func(spiffe string, node *core.Node) error
	// Inspect says whether the client with a SPIFFE identity may read what all
	// clients have (CSDS); an error refuses it. Nil: whoever can connect may.
	Inspect func(spiffe string) error
	// Load gets what clients report of their load (LRS), each LoadInterval
	// (default 10 s). Any goroutine calls it; the arguments are its own. Nil:
	// reports are taken and dropped.
	Load         func(node *core.Node, stats []*endpoint.ClusterStats)
	LoadInterval time.Duration
	// Beside puts other services on the ports of Serve, such as gRPC's health
	// service; nil: none.
	Beside func(grpc.ServiceRegistrar)
	// TLS secures the port; nil: plaintext. See TLS.
	TLS    credentials.TransportCredentials
	Limits Limits
	Events Events
	// Log gets a line for each quarantine and its end. Nil: no log.
	Log *slog.Logger
}

// Server serves groups of clients, each its published bundle. Any goroutine may
// call its methods.
type Server struct {
	options   Options
	limits    Limits
	events    Events
	log       *slog.Logger
	library   library
	admission *admission
	counters  counters

	mu       sync.Mutex
	groups   map[string]*group
	streams  map[*stream]struct{}
	stopping bool
	stopped  chan struct{}
	ports    []*grpc.Server
}

type counters struct {
	streams                 atomic.Uint64 // numbers them
	refused                 atomic.Uint64
	responses, acks, nacks  atomic.Uint64
	quarantines, publishing atomic.Uint64
}

// Counts are totals since the server was made, but for the two that say now.
type Counts struct {
	// Streams were begun and Refused not admitted, identified or selected;
	// Open and Waiting are open, and waiting to be admitted, now.
	Streams, Refused uint64
	// Admitted had a token of the bucket, CSDS's and LRS's streams among them.
	Admitted               uint64
	Open, Waiting          int
	Responses, Acks, Nacks uint64
	Quarantines, Publishes uint64
	// Shared is how many distinct resources there are in all groups now.
	Shared int
}

// caller is the peer of a connection.
type caller struct{ address, spiffe string }

// New makes a server; it serves once Serve or Register is called.
func New(o Options) *Server {
	s := &Server{
		options: o, limits: o.Limits.filled(), events: o.Events.filled(), log: o.Log,
		library: library{copies: map[content]*loan{}},
		groups:  map[string]*group{}, streams: map[*stream]struct{}{}, stopped: make(chan struct{}),
	}
	s.options.LoadInterval = cmp.Or(o.LoadInterval, loadInterval)
	s.admission = newAdmission(s.limits)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Publish makes b what the clients of a group get, and returns the generation's
// number: the group's first is 1, and content equal to what is published
// already makes no new one. Every client that lacks something of what changed
// is sent it; Publish does not wait for that.
func (s *Server) Publish(group string, b *Bundle) (generation uint64) {
	s.counters.publishing.Add(1)
	return s.group(group).publish(b)
}

// Serve answers on l until Stop, and returns why it ended. Open the port when
// something is published: until then clients wait.
func (s *Server) Serve(l net.Listener) error {
	port := grpc.NewServer(s.portOptions()...)
	s.Register(port)
	if s.options.Beside != nil {
		s.options.Beside(port)
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return grpc.ErrServerStopped
	}
	s.ports = append(s.ports, port)
	s.mu.Unlock()
	return port.Serve(l)
}

// Stop ends every stream with UNAVAILABLE and closes the ports; after grace
// what is still open is cut.
func (s *Server) Stop(grace time.Duration) {
	s.mu.Lock()
	if !s.stopping {
		close(s.stopped)
	}
	s.stopping = true
	ports, streams := s.ports, slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	for _, st := range streams {
		st.cancel(status.Error(codes.Unavailable, "the control plane is shutting down"))
	}
	for _, port := range ports {
		cut := time.AfterFunc(grace, port.Stop)
		port.GracefulStop()
		cut.Stop()
	}
}

// Counts are the server's totals.
func (s *Server) Counts() Counts {
	c := &s.counters
	s.mu.Lock()
	open := len(s.streams)
	s.mu.Unlock()
	waiting, granted := s.admission.state()
	return Counts{
		Streams: c.streams.Load(), Refused: c.refused.Load(), Admitted: granted, Open: open, Waiting: waiting,
		Responses: c.responses.Load(), Acks: c.acks.Load(), Nacks: c.nacks.Load(),
		Quarantines: c.quarantines.Load(), Publishes: c.publishing.Load(), Shared: s.library.size(),
	}
}

// begin admits a stream.
func (s *Server) begin(ctx context.Context, typeURL string, sotw bool) (*stream, error) {
	if err := s.admit(ctx, typeURL != resource.RuntimeType); err != nil {
		s.counters.refused.Add(1)
		return nil, err
	}
	st := &stream{
		server: s, number: s.counters.streams.Add(1), sotw: sotw, only: typeURL,
		from: callerOf(ctx), since: s.now(), watches: map[string]*watch{},
	}
	st.ctx, st.cancel = context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		st.cancel(nil)
		return nil, status.Error(codes.Unavailable, "the control plane is shutting down")
	case len(s.streams) >= s.limits.Streams:
		st.cancel(nil)
		s.counters.refused.Add(1)
		return nil, tryLater("too many streams", time.Minute)
	}
	s.streams[st] = struct{}{}
	st.life = s.lifeOf(st)
	st.greeting = time.AfterFunc(greetingTime, func() {
		st.cancel(status.Errorf(codes.DeadlineExceeded, "no request within %v", greetingTime))
	})
	return st, nil
}

// admit waits for the token bucket.
func (s *Server) admit(ctx context.Context, required bool) error {
	retry, err := s.admission.enter(ctx, required)
	switch {
	case err != nil:
		return status.FromContextError(err).Err()
	case retry > 0:
		return tryLater("too many new streams", retry)
	}
	return nil
}

// tryLater is UNAVAILABLE with the time after which another try makes sense.
func tryLater(why string, after time.Duration) error {
	st, err := status.New(codes.Unavailable, why).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if err != nil {
		return status.Error(codes.Unavailable, why)
	}
	return st.Err()
}

// lifeOf ends a stream some time after its connection was told to go (grpc's
// GOAWAY at ConnectionAge ± 10 %), each at its own moment.
func (s *Server) lifeOf(st *stream) *time.Timer {
	age := s.limits.ConnectionAge
	if age < 0 {
		return nil
	}
	return time.AfterFunc(age+age/10+rand.N(age/10+1), func() {
		st.cancel(status.Error(codes.Unavailable, "connection age reached: connect again"))
	})
}

// ended is what a stream's client is told at its end.
func (st *stream) ended(err error) error {
	if cause := context.Cause(st.ctx); cause != nil {
		if _, ours := status.FromError(cause); ours {
			return cause
		}
	}
	return err
}

func (s *Server) end(st *stream) {
	st.greeting.Stop()
	if st.life != nil {
		st.life.Stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// welcome checks that the caller may be node, and names its group.
func (s *Server) welcome(c caller, node *core.Node, delta bool) (group string, err error) {
	if err := s.limits.node(node); err != nil {
		return "", err
	}
	if s.options.Identify != nil {
		if err := s.options.Identify(c.spiffe, node); err != nil {
			s.counters.refused.Add(1)
			return "", status.Errorf(codes.PermissionDenied, "node %q: %v", node.GetId(), err)
		}
	}
	group, err = s.options.Select(node, delta)
	if err != nil {
		s.counters.refused.Add(1)
		return "", status.Errorf(codes.PermissionDenied, "node %q: %v", node.GetId(), err)
	}
	return group, nil
}

// group finds or begins a group.
func (s *Server) group(name string) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		g = &group{server: s, name: name, streams: map[*stream]struct{}{}, audiences: map[string]*audience{}}
		s.groups[name] = g
	}
	return g
}

func (s *Server) allGroups() []*group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.groups))
}

func (s *Server) quarantined(q Quarantine) {
	s.counters.quarantines.Add(1)
	s.events.Quarantined(q)
	s.log.Warn("resource refused by a client and held back",
		"group", q.Group, "client", q.Client, "node", q.Node, "type", q.TypeURL, "name", q.Name,
		"version", q.Version, "good", q.Good, "field", q.Field, "reason", q.Reason, "alone", q.Alone)
}

func (s *Server) released(q Quarantine, why string) {
	s.events.Released(q, why)
	s.log.Info("resource no longer held back", "group", q.Group, "client", q.Client, "type", q.TypeURL, "name", q.Name, "version", q.Version, "why", why)
}

func (s *Server) now() time.Time { return time.Now() }

func callerOf(ctx context.Context) caller {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}
	}
	c := caller{address: p.Addr.String()}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && info.SPIFFEID != nil {
		c.spiffe = info.SPIFFEID.String()
	}
	return c
}
