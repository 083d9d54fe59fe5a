// Package pool keeps connections to hosts: exclusive ones, which one request
// uses at a time, and lasting ones, which many requests share. It says how to
// ask; upstream says whom.
package pool

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Target is a host as the pools see it: where it is and how to connect. It is
// immutable and shared by all workers.
type Target struct {
	Address        config.Address
	ConnectTimeout time.Duration
	Keepalive      config.Keepalive
	Backoff        config.Backoff
	// IdleTimeout closes an unused connection; 0 never.
	IdleTimeout time.Duration
	// MaxConnecting bounds attempts in flight, by host and worker.
	MaxConnecting int
	// Preconnect is how many connections there should be for each request that
	// has or wants one; at most 1: only those that are needed.
	Preconnect float64
	// MaxUses ends a connection after so many requests; 0 never. MaxAge ends
	// it at the first release after that time; 0 never.
	MaxUses uint32
	MaxAge  time.Duration
	// MaxConnections bounds the host's connections, all workers together; 0: nothing
	// does. It needs Seen.
	MaxConnections uint32
	// Path is what is between the socket and the protocol; nil: nothing. TLVs are
	// the host's own in a PROXY header, Hostname is what it is called.
	Path     *transport.Path
	Hostname string
	TLVs     string
	// Handed goes along with connections to an internal listener; nil: nothing.
	Handed *Handed
	// Others are all addresses of a host that has several; nil: Address is the only one.
	Others *Addresses
	Order  config.EyeballOrder // of Others
	// From is where connections come from; nil: the kernel chooses.
	From *config.LocalAddresses
	// Seen counts the host's connections; nil: nobody asks.
	Seen *Seen
}

// Seen is what all pools of a host saw of it, whatever their worker. It changes
// once per connection, not per request. Any goroutine.
type Seen struct {
	Connections, ConnectFail atomic.Uint64
	Reached                  atomic.Uint64 // attempts that made a connection
	Active                   atomic.Int64
}

// Handed is metadata that whoever accepts a connection finds. Of is the cluster whose
// hosts have it.
type Handed struct {
	Of       *config.Cluster
	Metadata config.FilterMetadata
}

// To is what the connections of a host are handed.
func (h *Handed) To(e *config.Endpoint) *Handed {
	_, t := h.Of.TransportOf(e)
	own := &Handed{Of: h.Of, Metadata: config.FilterMetadata{}}
	for _, p := range t.Passes {
		from := h.Of.Metadata
		if p.Host {
			from = e.FilterMetadata
		}
		if m, ok := from[p.Name]; ok {
			own.Metadata[p.Name] = m
		}
	}
	return own
}

// Counters are what pools of one cluster counted on one worker.
type Counters struct {
	Connections, ConnectFail, ConnectTimeout uint64 // cx_total, cx_connect_fail, cx_connect_timeout
	Destroyed, IdleClosed, Unsolicited       uint64
	MaxRequests                              uint64 // ended by MaxUses
	PendingTotal, PendingOverflow            uint64
	ConnectionOverflow, BindErrors           uint64
	Active, PendingActive                    int64 // gauges
	// Slots are the requests that all connections can take at a time, those among them
	// that are being made.
	Slots int64
}

// ErrOverflow says that a circuit breaker is full.
var ErrOverflow = errors.New("circuit breaker overflow")

// ErrGone says that the host has left the cluster.
var ErrGone = errors.New("host removed")

// ErrWaited says that no connection came free in time.
var ErrWaited = errors.New("no connection came free in time")

// Want is what a request asks of its connection; the zero value asks nothing.
type Want struct {
	// ServerName is the SNI that the connection must have been made with, "" for
	// any (auto_sni). SAN, if not "", is what its certificate must be for
	// (auto_san_validation).
	ServerName, SAN string
	// H2 offers HTTP/2 by ALPN where the configuration says nothing.
	H2 bool
	// ALPN, if not "", is offered in place of what the configuration says: names
	// separated by commas.
	ALPN string
	// Client is the client's connection, whose own the connection is then; 0: anybody's.
	Client uint64
	// Origin is the client, for a PROXY header.
	Origin *transport.Origin
}

// like reports whether a connection that was made for w serves for x.
func (w *Want) like(x *Want) bool {
	return w.ServerName == x.ServerName && w.SAN == x.SAN && w.ALPN == x.ALPN && w.Client == x.Client
}

// Outcome sorts an error of a pool or of Dial.
func Outcome(err error) outcome.Outcome {
	switch {
	case err == nil:
		return outcome.OK
	case errors.Is(err, ErrOverflow):
		return outcome.Overflow
	case errors.Is(err, ErrGone):
		return outcome.NoHost
	case errors.Is(err, ErrWaited):
		return outcome.Timeout
	case errors.Is(err, os.ErrDeadlineExceeded):
		return outcome.ConnectTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return outcome.ConnectRefused
	}
	if f, ok := errors.AsType[*transport.Failure](err); ok {
		if f.Verification() {
			return outcome.TLSRefused
		}
		return outcome.TLSFailed
	}
	return outcome.ConnectFailed
}

// Failure is why a connection could not be made, as Envoy says it
// (UPSTREAM_TRANSPORT_FAILURE_REASON; network/connection_impl.cc, onWriteReady;
// ssl_socket.cc): what TLS or the kernel has said. "" for what is neither.
func Failure(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*transport.Failure](err); ok {
		return f.Reason
	}
	if s, ok := errors.AsType[*os.SyscallError](err); ok && s.Syscall == "connect" {
		text := s.Err.Error() // glibc's, but for the first letter
		return "delayed connect error: " + strings.ToUpper(text[:1]) + text[1:]
	}
	return ""
}

// unbound says that the address to come from could not be taken, or its network namespace
// not be entered.
func unbound(err error) bool {
	if _, ok := errors.AsType[*loop.NamespaceError](err); ok {
		return true
	}
	s, ok := errors.AsType[*os.SyscallError](err)
	return ok && s.Syscall == "bind"
}

// backoffWait is full jitter: the wait before attempt n+1 after n failures is
// uniform in (0, min(cap, base·2ⁿ⁻¹)].
func backoffWait(b config.Backoff, failures int, rng *rand.Rand) time.Duration {
	limit := b.Base
	for i := 1; i < failures && limit < b.Cap; i++ {
		limit *= 2
	}
	limit = max(min(limit, b.Cap), time.Millisecond)
	return time.Duration(rng.Int64N(int64(limit))) + 1
}

// dial connects and counts.
func dial(w *loop.Worker, t *Target, n *Counters, x *Want) (*loop.Conn, error) {
	c, err := connect(w, t, n, x)
	n.Connections++
	switch {
	case err == nil:
		n.Active++
	case errors.Is(err, loop.ErrTimeout):
		n.ConnectTimeout++
		fallthrough
	case unbound(err):
		n.BindErrors++
		fallthrough
	default:
		n.ConnectFail++
	}
	if s := t.Seen; s != nil {
		s.dialled(err)
	}
	return c, err
}

// connect makes a connection that is ready for its protocol. The connect timeout
// holds for all of it, as in Envoy.
func connect(w *loop.Worker, t *Target, n *Counters, x *Want) (*loop.Conn, error) {
	if t.Others != nil {
		return t.race(w, n, x)
	}
	return t.reach(w, t.Address, t.ConnectTimeout, x, nil)
}

// reach is connect of one address; begun is as of DialFrom.
func (t *Target) reach(w *loop.Worker, a config.Address, timeout time.Duration, x *Want, begun func(*loop.Conn)) (*loop.Conn, error) {
	began := w.Now()
	var from *config.LocalAddress
	if t.From != nil && a.IP.IsValid() {
		from = t.From.For(a.IP)
	}
	c, err := w.DialFrom(from, a, timeout, t.Keepalive, begun)
	if err == nil && t.Handed != nil {
		c.PassOn(t.Handed.Metadata)
	}
	if err != nil || t.Path == nil {
		return c, err
	}
	left := timeout
	if left > 0 {
		left = max(left-time.Duration(w.Now()-began), time.Millisecond)
	}
	p := transport.Peer{Hostname: t.Hostname, ServerName: x.ServerName, SAN: x.SAN}
	if x.H2 {
		p.ALPN = []string{"h2"}
	}
	if x.ALPN != "" {
		p.Instead = strings.Split(x.ALPN, ",")
	}
	if err := t.Path.Dress(c, &p, x.Origin, t.TLVs, left); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// full reports whether the host has all the connections that it may have, those
// that a pool is making among them.
func (t *Target) full(dialing int) bool {
	return t.MaxConnections > 0 && t.Seen != nil && t.Seen.Active.Load()+int64(dialing) >= int64(t.MaxConnections)
}

func (s *Seen) dialled(err error) {
	s.Connections.Add(1)
	if err != nil {
		s.ConnectFail.Add(1)
		return
	}
	s.Active.Add(1)
	s.Reached.Add(1)
}

// ended counts the end of a connection that dial made.
func (t *Target) ended(n *Counters) {
	n.Destroyed++
	n.Active--
	if t.Seen != nil {
		t.Seen.Active.Add(-1)
	}
}
