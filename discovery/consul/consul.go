// Package consul follows services in Consul's catalog: one blocking query per
// service, prepared queries by polling, and the Connect CA's certificates.
//
//	Watch ─▶ follow ─▶ /v1/health/service ─▶ entries ─▶ discovery.Set
//	           │ index, wait, deadline, pace, back-off
//	Leaf  ─▶ follow ─▶ /v1/agent/connect/ca/leaf
//	Roots ─▶ follow ─▶ /v1/agent/connect/ca/roots
package consul

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// Config says where Consul is and how its answers are read. The zero value asks
// the agent on this machine. What is left out and has a CONSUL_* variable that
// Consul's own clients know is taken from there.
type Config struct {
	// Addresses are tried in turn, the next after each failure: "host:port",
	// "http://…", "https://…" (with a path if Consul is behind a prefix) or
	// "unix:///path". Default CONSUL_HTTP_ADDR, then 127.0.0.1:8500.
	Addresses []string
	// TokenFile holds the ACL token; it is read again for each query, so that a
	// token may be replaced. Default CONSUL_HTTP_TOKEN_FILE, then the token in
	// CONSUL_HTTP_TOKEN, then none.
	TokenFile string
	// TLS of https addresses. Client certificates are read again for each
	// connection.
	TLS api.TLSConfig

	Datacenter, Namespace, Partition string // for services that name none

	// Stale lets any server answer, not just the leader, as long as it heard from
	// the leader within MaxStale (default 10 s); else the leader is asked.
	Stale    bool
	MaxStale time.Duration
	// Wait is how long a query may be held; the wait asked for is up to an eighth
	// shorter, so that queries do not march in step. Default and at most what
	// Consul allows by default: 5 minutes; at least 1 s. It bounds how long a
	// change can stay unseen if a server hangs.
	Wait time.Duration
	// Timeout is how long an answer may take that is not held, and on top of the
	// wait one that is. Default 10 s.
	Timeout time.Duration
	// MaxBackoff caps the time between attempts after failures. Default 15 s.
	MaxBackoff time.Duration
	// Poll is how often a prepared query is executed, less up to an eighth.
	// Default 10 s, at least 1 s.
	Poll time.Duration
	// MaxQueries bounds the queries under way at a time. Consul's servers accept
	// 200 connections from one address (limits.http_max_conns_per_client); the
	// default is 160. With more services than that, queries are held shorter so
	// that each gets its turn.
	MaxQueries int
	// MaxBytes bounds an answer. Default 64 MiB.
	MaxBytes int64

	// Tagged names the tagged address that instances are reached at ("wan", "lan_ipv6"),
	// where they have it; the parameter "tagged" of a service goes before it.
	Tagged string
	// WarningByWeight takes an instance whose checks warn as healthy, with the
	// weight that it declares for that (0: draining). Otherwise it is degraded and
	// keeps its weight, so that its share of a ring does not move.
	WarningByWeight bool
	// The keys of service and node meta that hold where an instance is. Looked at
	// in turn until one says it: the service's locality (Consul's own field), its
	// meta, its node's locality, its node's meta. Defaults "region", "zone" and
	// "sub_zone".
	RegionKeys, ZoneKeys, SubZoneKeys []string
	// WeightKeys are service meta keys that hold a weight, before the weight that
	// Consul knows. None by default.
	WeightKeys []string

	// Log gets what is worth a line; default slog.Default().
	Log *slog.Logger
	// Transport replaces the connections to Consul, for tests.
	Transport http.RoundTripper
}

// Source is Consul as a source of instances and certificates. It watches
// nothing by itself. Any goroutine.
type Source struct {
	conf     Config
	clients  []*api.Client // one per address
	first    atomic.Uint32 // the address that answered last
	carriers []*http.Client
	token    token
	slots    chan struct{} // holds one per query under way
	watches  atomic.Int64
	// random gives a time below its argument: tests take the chance out.
	random func(time.Duration) time.Duration

	// Counters are what the queries of all watches came to.
	Counters Counters
}

// Counters count since the start. Any goroutine.
type Counters struct {
	Queries, Answers, Failures atomic.Uint64
	// Resets are indexes that went backwards or were 0.
	Resets atomic.Uint64
	// TooStale are answers older than MaxStale, for which the leader was asked.
	TooStale atomic.Uint64
	// LeftOut are instances, counted at each change, that cannot be used: no IP
	// address, no port.
	LeftOut atomic.Uint64
}

// New checks a configuration. It does not ask Consul anything, so that one that
// is away does not keep the control plane from starting. Errors name the field.
func New(conf Config) (*Source, error) {
	conf.fill()
	if err := conf.check(); err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	s := &Source{
		conf:   conf,
		token:  newToken(conf.TokenFile),
		slots:  make(chan struct{}, conf.MaxQueries),
		random: func(below time.Duration) time.Duration { return rand.N(max(below, 1)) },
	}
	if err := s.dial(); err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return s, nil
}

func (c *Config) fill() {
	c.MaxStale = cmp.Or(c.MaxStale, 10*time.Second)
	c.Wait = cmp.Or(c.Wait, maxWait)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 15*time.Second)
	c.Poll = cmp.Or(c.Poll, 10*time.Second)
	c.MaxQueries = cmp.Or(c.MaxQueries, 160)
	c.MaxBytes = cmp.Or(c.MaxBytes, 64<<20)
	if c.RegionKeys == nil {
		c.RegionKeys = []string{"region"}
	}
	if c.ZoneKeys == nil {
		c.ZoneKeys = []string{"zone"}
	}
	if c.SubZoneKeys == nil {
		c.SubZoneKeys = []string{"sub_zone"}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

func (c *Config) check() error {
	atLeast := func(name string, d, least time.Duration) error {
		if d < least {
			return fmt.Errorf("%s: %s is less than %s", name, d, least)
		}
		return nil
	}
	switch {
	case c.Wait > maxWait:
		return fmt.Errorf("wait: %s is more than the %s that Consul holds a query", c.Wait, maxWait)
	case c.MaxQueries < 1:
		return fmt.Errorf("max_queries: %d is less than 1", c.MaxQueries)
	case c.MaxBytes < 1:
		return fmt.Errorf("max_bytes: %d is less than 1", c.MaxBytes)
	}
	return cmp.Or(
		atLeast("max_stale", c.MaxStale, 0),
		atLeast("wait", c.Wait, time.Second),
		atLeast("timeout", c.Timeout, time.Millisecond),
		atLeast("max_backoff", c.MaxBackoff, minBackoff),
		atLeast("poll", c.Poll, time.Second),
	)
}

// Check refuses a service that Watch could not follow, naming the part of the
// reference that is wrong: to tell a configuration's author at once.
func (s *Source) Check(service discovery.Service) error {
	_, err := parseReference(service)
	return err
}

// Watch is discovery.Source's. A refused reference is reported once.
func (s *Source) Watch(ctx context.Context, service discovery.Service, report func(discovery.Report)) {
	ref, err := parseReference(service)
	if err != nil {
		report(discovery.Report{Err: err})
		<-ctx.Done()
		return
	}
	w := &watch{source: s, ref: ref, report: report}
	if ref.prepared {
		s.poll(ctx, w)
		return
	}
	s.follow(ctx, w)
}

// Close lets go of idle connections, once no watch runs any more.
func (s *Source) Close() {
	for _, c := range s.carriers {
		c.CloseIdleConnections()
	}
}
