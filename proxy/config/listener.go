package config

import (
	"net/netip"
	"time"
)

// Listener is one place where the application's connections are accepted
// (Envoy listener.v3.Listener).
type Listener struct {
	Name    string
	Address Address
	// Additional are further addresses that serve the same chains.
	Additional []Address
	// AdditionalSockets is what each of Additional has in place of Socket.
	AdditionalSockets []Socket
	// BindToPort false means that the listener is described but accepts
	// nothing itself.
	BindToPort bool
	// Backlog of the listening socket, in connections; 0 is the kernel's limit.
	Backlog int
	// BufferLimit bounds, in bytes, what is held for one connection in each
	// direction; default 1 MiB.
	BufferLimit uint32
	Socket      Socket
	// Freebind allows binding to an address that is not there yet.
	Freebind bool
	// OneSocket has all workers accept from one socket (enable_reuse_port false).
	OneSocket bool
	// Multipath speaks MPTCP to clients that do (enable_mptcp).
	Multipath bool
	// AcceptsPerTurn bounds how many connections a worker takes before its others run;
	// 0: as it sees fit (max_connections_to_accept_per_socket_event).
	AcceptsPerTurn uint32
	// ModifyOnly lets its clients stay while the process fails health checks
	// (drain_type MODIFY_ONLY).
	ModifyOnly bool
	// Inbound says that it faces others, and not the application: it stops first
	// (traffic_direction INBOUND).
	Inbound bool
	// StatPrefix replaces the address in listener.<address>.* names.
	StatPrefix string

	// What looks at a connection before a chain is chosen, in this order; nil does
	// not. The TLS inspector is there wherever a chain needs it.
	ProxyProtocol *ProxyProtocol
	// OriginalDst asks the kernel where a redirected connection was going, first of
	// all; HandOff gives it to the listener of that address, if there is one.
	OriginalDst, HandOff bool
	TLSInspector         *TLSInspector
	// Limits bound how many connections come in a time, before all of that or, if they
	// are Late, after it.
	Limits []AcceptLimit
	// Unconfigured says that one of them has no configuration: connections are closed.
	Unconfigured bool
	// Filters are what they were read from, in their order, if one of them comes by
	// discovery, and nil if none does.
	Filters []ListenerFilter
	// FiltersTimeout bounds what they may take; 0 does not; default 15 s. Then the
	// connection is closed, or goes on without if ContinueOnTimeout.
	FiltersTimeout    time.Duration
	ContinueOnTimeout bool

	Chains []FilterChain
	// Matcher, unless it is nil, chooses the chain in place of their Match: an action
	// is an index in Chains, or NoChain.
	Matcher *Matcher
	// DefaultChain takes what no chain matched; nil closes such connections.
	DefaultChain *FilterChain

	// AccessLogs have an entry for each connection when it has ended.
	AccessLogs []AccessLog

	// Metadata is for access logs; nil: none.
	Metadata FilterMetadata
}

// NoChain is the action of a Matcher that names a chain that is not there: the
// connection is closed.
const NoChain = -1

// Keepalive holds the TCP keep-alive and user time-out of a socket; the zero
// value leaves the system's settings.
type Keepalive struct {
	Enabled  bool
	Idle     time.Duration // before the first probe; whole seconds; 0: system's
	Interval time.Duration // between probes; whole seconds; 0: system's
	Probes   int           // unanswered probes before the connection is dead; 0: system's
	// UserTimeout is TCP_USER_TIMEOUT: how long sent data may stay
	// unacknowledged; 0: system's.
	UserTimeout time.Duration
}

// FilterChain is a match and the one terminal filter that serves what matched.
type FilterChain struct {
	Name  string
	Match ChainMatch
	// TLS is nil for plaintext. With StartTLS it begins when the protocol says so.
	TLS      *DownstreamTLS
	StartTLS bool
	// HandshakeTimeout bounds the TLS handshake; 0 is 10 s, where Envoy has no bound
	// (transport_socket_connect_timeout).
	HandshakeTimeout time.Duration
	// Filters are passed before it, in their order.
	Filters []NetworkFilter
	// Handler is nil in a listener that is asked for with a Discovery, and nowhere else.
	Handler Handler
	// Discovery is where Handler comes from; nil: it stands here.
	Discovery *FilterDiscovery
}

// ChainMatch says which connections a chain takes (Envoy FilterChainMatch).
// Each empty list matches anything; the most specific value wins, criterion by
// criterion in the order of the fields, and there is no going back.
type ChainMatch struct {
	DestinationPort     uint32 // 0: any
	DestinationPrefixes []netip.Prefix
	// ServerNames are in lower case, and "*.example.com" takes names below
	// example.com; they match the SNI that the TLS inspector found.
	ServerNames []string
	// TransportProtocol is "tls", "raw_buffer", "" for any, or what no connection has.
	TransportProtocol string
	// ApplicationProtocols match one that ALPN offered, "http/1.1" or "h2" say.
	ApplicationProtocols []string
	DirectSourcePrefixes []netip.Prefix
	SourceType           SourceType
	SourcePrefixes       []netip.Prefix
	SourcePorts          []uint32
}

// SourceType tells local peers from others.
type SourceType uint8

// The kinds of source (FilterChainMatch.ConnectionSourceType).
const (
	SourceAny SourceType = iota
	SourceSameIPOrLoopback
	SourceExternal
)

// Handler is what serves a connection: one of *HTTP, *TCP, *Memcached, *Echo and *DirectBytes, or
// *NoFilterConfig, which closes it. The set is closed: every switch over it is complete.
type Handler interface{ handler() }

func (*HTTP) handler()        {}
func (*TCP) handler()         {}
func (*Memcached) handler()   {}
func (*Echo) handler()        {}
func (*DirectBytes) handler() {}

// TCP copies bytes both ways (Envoy tcp_proxy.v3.TcpProxy).
type TCP struct {
	StatPrefix string
	// Clusters has one entry for a plain cluster, more for weighted ones.
	Clusters []WeightedCluster
	// IdleTimeout closes a session without bytes either way; 0 never.
	// Default 1 h.
	IdleTimeout time.Duration
	// MaxConnectAttempts is at least 1.
	MaxConnectAttempts int
	// Backoff is how long is waited between attempts; without a Base they follow at
	// once.
	Backoff Backoff
	// OnDemand is where clusters are asked for that are not there; nil: nowhere.
	OnDemand *ClusterDemand
	// OnData waits for the client's first bytes, or its end, before a host is
	// connected to.
	OnData bool
	// HashSourceIP gives a consistent-hashing cluster the hash of the peer's IP,
	// HashState that of an object of the connection's filter state; "": none.
	HashSourceIP bool
	HashState    string
	// MaxDuration closes a session whatever it does; 0 never. Up to Jitter, in
	// percent of it, is added at random.
	MaxDuration time.Duration
	Jitter      float64
	// TLVs go into the PROXY header to the host, if the client came without one.
	TLVs []FormattedTLV
	// AccessLogs are written when a connection has ended, and as LogOptions say.
	AccessLogs []AccessLog
	LogOptions AccessLogOptions
	// Tunnel, unless nil, carries the bytes to the host in HTTP.
	Tunnel *Tunnel
}

// Tunnel is an HTTP tunnel (Envoy TcpProxy.TunnelingConfig).
type Tunnel struct {
	// Host is where the tunnel goes: the target of CONNECT.
	Host Format
	// Post asks by POST for Path instead.
	Post bool
	Path string
	// Headers are added to the request.
	Headers []HeaderValue
	// KeepHeaders and KeepTrailers keep the answer's as filter state.
	KeepHeaders, KeepTrailers bool
	// IDHeader, unless "", names the field that carries a new request ID; it is noted
	// in the connection's metadata under IDKey.
	IDHeader, IDKey string
}

// FormattedTLV is a TLV whose value is Value or, unless that is nil, what Format
// makes of the connection.
type FormattedTLV struct {
	TLV
	Format *BodyFormat
}

// WeightedCluster is a share of traffic.
type WeightedCluster struct {
	Name   string
	Weight uint32
	// Match is what the host's metadata must have, in a cluster with subsets.
	Match Criteria
}

// Memcached shards memcached's text protocol
// (attache.filters.network.memcached_proxy.v1.MemcachedProxy).
type Memcached struct {
	StatPrefix string
	// OpTimeout bounds one command from its arrival to its answer; default 1 s.
	OpTimeout time.Duration
	// EnableHashtagging hashes only what is between the first '{' and the next
	// '}' of a key, if that is not empty.
	EnableHashtagging bool
	// MaxKeyBytes is 1 to 250, MaxValueBytes at most 1 GiB; defaults 250, 1 MiB.
	MaxKeyBytes   uint32
	MaxValueBytes uint32
	// MissOnFailure answers reads of a dead shard with a miss instead of an
	// error; writes always say that they failed.
	MissOnFailure bool
	// Routes are tried longest prefix first; CatchAll is "" if there is none.
	Routes   []PrefixRoute
	CatchAll string
}

// PrefixRoute sends keys that begin with Prefix to Cluster.
type PrefixRoute struct {
	Prefix       string
	RemovePrefix bool
	Cluster      string
}

// AllChains yields the chains, the default one last.
func (l *Listener) AllChains(yield func(*FilterChain) bool) {
	for i := range l.Chains {
		if !yield(&l.Chains[i]) {
			return
		}
	}
	if l.DefaultChain != nil {
		yield(l.DefaultChain)
	}
}

// Handlers yields what serves the connections of each chain.
func (l *Listener) Handlers(yield func(Handler) bool) {
	for i := range l.Chains {
		if !yield(l.Chains[i].Handler) {
			return
		}
	}
	if l.DefaultChain != nil {
		yield(l.DefaultChain.Handler)
	}
}
