package config

import "time"

// Cluster is a service and how to use it (Envoy cluster.v3.Cluster).
type Cluster struct {
	Name string
	// AltStatName replaces Name in statistics.
	AltStatName string
	Discovery   Discovery
	// ConnectTimeout bounds one connection attempt; default 5 s.
	ConnectTimeout time.Duration
	BufferLimit    uint32 // bytes per connection and direction; default 1 MiB
	Balance        Balance
	// PanicThreshold in percent of healthy hosts; default 50; 0 off.
	PanicThreshold     float64
	FailTrafficOnPanic bool
	// Zone prefers hosts that are near; nil: none is preferred.
	Zone *ZoneAware
	// OverrideHealth are the states in which a host may be that a request names by
	// itself: bit 1<<Health; 0: those that are Usable.
	OverrideHealth uint8
	// HostsFrom is where a request may list the addresses of the hosts that it wants,
	// the first for the first attempt; Balance has those that list none.
	HostsFrom []HostSource
	// Breakers by priority: [0] DEFAULT, [1] HIGH.
	Breakers [2]Breakers
	Outlier  *Outlier // nil: no outlier detection
	// Subsets divides the hosts by their metadata; nil: they are not divided.
	Subsets *Subsets
	// HealthCheck is how hosts are asked whether they are fit; nil: not at all.
	HealthCheck *HealthCheck
	// ExcludeNewHosts leaves hosts that come out of all reckoning until their first
	// check; EndOnFailure ends TCP's sessions with one that becomes unfit.
	// RemoveAtOnce lets a host go that is no longer listed; else it stays as long as
	// it passes its checks.
	ExcludeNewHosts, EndOnFailure, RemoveAtOnce bool
	// EndOnChange ends the connections of all hosts, when their requests are over, as soon as hosts come
	// or go.
	EndOnChange bool
	// PerClient gives each client's connection connections of its own to the hosts.
	PerClient bool
	// WarmInBackground lets the cluster be used before its names are known and its
	// hosts are checked.
	WarmInBackground bool
	Keepalive        Keepalive
	// From is where connections to the hosts come from; nil: the kernel chooses.
	From *LocalAddresses
	// Eyeballs is in which order a host's addresses are tried, if it has Others.
	Eyeballs EyeballOrder
	// TrackBudgets keeps how much of their time requests and attempts have used.
	TrackBudgets bool
	// PreconnectPerHost is how many connections there should be for each request
	// in progress, 1 to 3; 1 makes none ahead of need.
	PreconnectPerHost float64
	// PreconnectAhead is the same for all hosts together, made to those that will be
	// picked next; at most 1: none.
	PreconnectAhead float64
	HTTP            UpstreamHTTP
	// UpstreamTransport is what is between the socket and the protocol, unless one
	// of TransportMatches takes the host: see TransportOf.
	UpstreamTransport
	TransportMatches []TransportMatch
	// Backoff bounds the attempts to connect again to a host that refused.
	Backoff Backoff
	Pool    Pool

	// Endpoints of a static or DNS cluster. Those of an EDS cluster are here in
	// a Snapshot, and not before: EDSName names them, EDSSource is where they
	// come from.
	Endpoints Endpoints
	EDSName   string
	EDSSource Source
	// LoadReports is where the cluster's load is to be reported (LRS); nil for
	// nowhere.
	LoadReports *Source
	// LoadMetrics are those of the hosts' own reports (ORCA) that are told there:
	// "cpu_utilization", "named_metrics.x", "named_metrics.*" (lrs_report_endpoint_metrics).
	LoadMetrics []string
	// Metadata of the cluster, for access logs and expressions; nil: none.
	Metadata FilterMetadata
	// Required says that the program is not ready before a host of the cluster has
	// answered once; RoundTrip is how it is asked, nil: as its clients do.
	Required  bool
	RoundTrip *HealthCheck
	// DNS is read for DiscoveryStrictDNS and DiscoveryLogicalDNS.
	DNS DNS
	// OriginalDst is read for DiscoveryOriginalDst.
	OriginalDst OriginalDst
	// Aggregate names the clusters of DiscoveryAggregate, the preferred one first. A
	// name that no cluster has counts as one without hosts.
	Aggregate []string
	// Names is read for DiscoveryDynamic.
	Names NameCache
}

// HostSource is one place of a list of addresses (Envoy OverrideHost.OverrideHostSource):
// a header, in lower case, or a path in the dynamic metadata, its namespace first.
type HostSource struct {
	Header   string
	Metadata []string
}

// Discovery says where a cluster's hosts come from.
type Discovery uint8

// The kinds of discovery.
const (
	DiscoveryStatic Discovery = iota
	DiscoveryStrictDNS
	DiscoveryLogicalDNS
	DiscoveryEDS
	// DiscoveryOriginalDst has a host for each destination that is asked for.
	DiscoveryOriginalDst
	// DiscoveryAggregate has the hosts of other clusters, one cluster's after the
	// other's.
	DiscoveryAggregate
	// DiscoveryDynamic has a host for each name that is asked for.
	DiscoveryDynamic
)

// Provides reports whether the cluster chooses its hosts itself (CLUSTER_PROVIDED).
func (d Discovery) Provides() bool { return d >= DiscoveryOriginalDst }

// DNS tells how names are looked up.
type DNS struct {
	Refresh       time.Duration // default 5 s
	FailureBase   time.Duration // backoff after a failure; 0: Refresh
	FailureMax    time.Duration
	RespectTTL    bool
	Family        DNSFamily
	RefreshJitter time.Duration
	// Resolver is who is asked; nil: as the system is configured.
	Resolver *Resolver
}

// DNSFamily is Cluster.DnsLookupFamily.
type DNSFamily uint8

// The address families to look up.
const (
	DNSAuto DNSFamily = iota
	DNSV4Only
	DNSV6Only
	DNSV4Preferred
	DNSAll
)

// Balance is the load-balancing policy.
type Balance struct {
	Kind BalanceKind
	// RING_HASH
	MinRing, MaxRing uint64 // defaults 1024, 8 Mi
	RingHash         RingHash
	// MAGLEV
	MaglevTable uint64 // default 65537
	// consistent hashing
	UseHostname   bool
	BalanceFactor uint32 // percent, 0 off
	// LEAST_REQUEST
	ChoiceCount uint32  // default 2
	ActiveBias  float64 // default 1.0
	// FullScan looks at all hosts instead of drawing some.
	FullScan bool
	// SlowStart is how long a host that has come weighs less: by the time that it
	// has been there to the power of 1/Aggression, at least LeastWeight (0 to 1);
	// ROUND_ROBIN and LEAST_REQUEST. 0: never.
	SlowStart               time.Duration
	Aggression, LeastWeight float64
	// LocalityWeighted makes locality weights count.
	LocalityWeighted bool
	// Reported has the hosts of ROUND_ROBIN weigh what they report of themselves; nil:
	// what the configuration says (ClientSideWeightedRoundRobin).
	Reported *ReportedWeights
}

// ReportedWeights are weights made of the load that hosts report beside their answers (ORCA): requests
// a second by utilization. A host that reports none weighs as the median of the others.
type ReportedWeights struct {
	Blackout   time.Duration // a host reports for so long before it counts; default 10 s
	Expiration time.Duration // a report counts for so long; default 3 min
	Update     time.Duration // how often weights are made anew; default 1 s, at least 100 ms
	// ErrorPenalty times errors by requests is added to the utilization.
	ErrorPenalty float64
	// Metrics give the utilization, the largest of them, of a host that does not report
	// application_utilization; the last resort is cpu_utilization. Names as in LoadMetrics.
	Metrics []string
}

// HearsLoad reports whether anybody wants to know what hosts report of their load.
func (c *Cluster) HearsLoad() bool { return c.Balance.Reported != nil || len(c.LoadMetrics) > 0 }

// BalanceKind is the algorithm.
type BalanceKind uint8

// The algorithms. Rendezvous, Ketama and Libmemcached are ours.
const (
	RoundRobin BalanceKind = iota
	LeastRequest
	Random
	RingHashLB
	MaglevLB
	Rendezvous   // weighted rendezvous: no key moves between hosts that stay
	Ketama       // twemproxy's ketama, bit for bit
	Libmemcached // libmemcached's weighted ketama
)

// IsHash reports whether the algorithm maps a hash to a host.
func (k BalanceKind) IsHash() bool { return k >= RingHashLB }

// RingHash is the function that places hosts on Envoy's ring.
type RingHash uint8

// The functions of RingHashLbConfig.
const (
	RingXX RingHash = iota
	RingMurmur2
)

// Breakers are the limits of one priority (Envoy CircuitBreakers.Thresholds).
// A limit is refused when the count has reached it; 0 refuses all.
type Breakers struct {
	MaxConnections uint32 // default 1024
	MaxPending     uint32 // default 1024
	MaxRequests    uint32 // default 1024
	MaxRetries     uint32 // default 3
	// Budget replaces MaxRetries; nil for none.
	Budget *RetryBudget
	// TrackRemaining shows how much is left of each limit.
	TrackRemaining bool
	// PerHost bounds the connections to each host; 0: nothing does.
	PerHost uint32
}

// RetryBudget lets as many retries be under way as are Percent of the requests
// that are, or MinConcurrency if that is more (Envoy
// CircuitBreakers.Thresholds.RetryBudget).
type RetryBudget struct {
	Percent        float64 // default 20
	MinConcurrency uint32  // default 3
}

// UpstreamHTTP are the HTTP settings towards the hosts.
type UpstreamHTTP struct {
	IdleTimeout    time.Duration // default 1 h; 0 off
	MaxRequests    uint32        // per connection; 0 unlimited
	MaxHeaders     uint32        // response header lines; default 100
	MaxHeadersKB   uint32        // response header KiB; default 60
	MaxConnAge     time.Duration // max_connection_duration; 0 off
	EnableTrailers bool
	// ProperCase writes header names Like-This, FullURL the whole URL in the request
	// line; to hosts that speak HTTP/1.1.
	ProperCase, FullURL bool
	// MaxStream bounds an attempt's life (max_stream_duration); 0 off.
	MaxStream time.Duration
	// Errors say which answers are a host's failures for outlier detection; nil: those of a status of
	// 500 and above.
	Errors *AnswerTest
	// Retry replaces that of every route; nil for none.
	Retry *Retry
	// Filters are passed by each request to a host, once for each attempt
	// (HttpProtocolOptions.http_filters); they take the place of HTTP.TryFilters.
	Filters []HTTPFilter
	// Protocol is HTTP/1.1 by default. HTTP2 is read for the others.
	Protocol UpstreamProtocol
	HTTP2    H2Options
	// AutoSNI sends the request's host as SNI, or the value of SNIHeader if that is
	// there; AutoSANValidation wants the certificate to be for it.
	AutoSNI, AutoSANValidation bool
	SNIHeader                  string // lower case; "" for the host
}

// AnswerTest is a condition on the head of an answer (Envoy MatchPredicate). One of the fields is
// set; none: it never holds.
type AnswerTest struct {
	Any     []AnswerTest // one of them holds
	All     []AnswerTest // each of them does
	Not     *AnswerTest
	Always  bool
	Headers []HeaderMatch // all match; :status is one
}

// Backoff is full-jitter exponential: the nth wait is uniform in
// [0, min(Cap, Base·2ⁿ)).
type Backoff struct {
	Base time.Duration // default 25 ms
	Cap  time.Duration // default 1 s
}

// Pool bounds connections of one host and worker.
type Pool struct {
	// Connections of a pipelined pool (memcached, Redis); default 1.
	Connections uint32
	// MaxConnecting bounds attempts in flight to one host; default 8 for
	// exclusive pools.
	MaxConnecting uint32
}

// Endpoints are the hosts of a cluster by priority and locality
// (Envoy ClusterLoadAssignment). Cluster is the name that a cluster's EDSName
// asks for.
type Endpoints struct {
	Cluster    string
	Localities []Locality
	// OverprovisioningFactor in percent; default 140.
	OverprovisioningFactor uint32
	// StaleAfter is how long the list holds unless it comes again; then there are no
	// endpoints. 0: for ever.
	StaleAfter time.Duration
	// Drop is the part of the requests that are refused, whatever hosts there are.
	Drop         Fraction
	DropCategory string // of Drop, in load reports
	// WeighHealth has the weights of hosts count in how healthy a priority is, not
	// how many there are.
	WeighHealth bool
}

// Locality is a group of hosts in one place with one priority.
type Locality struct {
	Region, Zone, SubZone string
	Priority              uint32
	Weight                uint32 // 0: not given
	// Collection names the list that Endpoints come from, one resource each
	// (LEDS), "" if they are given with the locality; CollectionSource is where
	// they come from. Endpoints are then here in a Snapshot, and not before.
	Collection       string
	CollectionSource Source
	Endpoints        []*Endpoint // of those that did not change, the same pointers as before
}

// Collection is a list of endpoints of which each is a resource of its own
// (Envoy's LbEndpoint collections). Whoever makes one keeps the order of those
// that stay.
type Collection struct {
	Name      string
	Endpoints []*Endpoint
}

// Endpoint is one host.
type Endpoint struct {
	Address  Address
	Others   []Address // of the same host: whichever answers first, see EyeballOrder
	Hostname string
	Weight   uint32 // at least 1; default 1
	Health   Health
	// HashKey is metadata envoy.lb/hash_key; "" if none.
	HashKey string
	Canary  bool
	// Metadata of the namespace envoy.lb as text, for subset keys and display.
	Metadata map[string]string
	// FilterMetadata is all of it, for access logs and expressions; nil: none.
	FilterMetadata FilterMetadata
	// SocketLabels are those of the namespace envoy.transport_socket_match, which
	// TransportMatches compare; values are JSON.
	SocketLabels map[string]string
	Check        *EndpointCheck // nil: as the others
	// AddedTLVs are added to the PROXY header of a connection to this host.
	AddedTLVs []TLV
}

// Health is what the configuration says of an endpoint.
type Health uint8

// The states (Envoy core.v3.HealthStatus). Unknown counts as healthy.
const (
	HealthUnknown Health = iota
	HealthHealthy
	HealthUnhealthy
	HealthDraining
	HealthTimeout
	HealthDegraded
)

// Usable reports whether a host of this state is offered work at all.
func (h Health) Usable() bool {
	return h == HealthUnknown || h == HealthHealthy || h == HealthDegraded
}
