package config

import (
	"net/netip"
	"regexp"
	"time"
)

// RouteTable decides where a request goes (Envoy RouteConfiguration). Regular
// expressions arrive compiled; nothing in it can be refused any more except by
// naming an unknown cluster.
type RouteTable struct {
	Name         string
	VirtualHosts []*VirtualHost
	// IgnorePortInHost drops the port of Host before domains are searched.
	IgnorePortInHost bool
	// IgnorePathParameters cuts the path at its first ';' before it is matched.
	IgnorePathParameters bool
	// HeaderOps of the table; run after those of route and virtual host unless
	// MostSpecificWins.
	Headers          HeaderOps
	MostSpecificWins bool
	// Mirrors hold for virtual hosts that have none; theirs for routes that have
	// none.
	Mirrors []Mirror
	// ValidateClusters refuses a table that names an unknown cluster.
	ValidateClusters bool
	MaxDirectBody    uint32
	// Filters are the table's overrides; those of a virtual host, a route and a
	// weighted cluster go before them, the last first.
	Filters []FilterOverride
	// InternalOnly are headers, in lower case, that only internal requests may have.
	InternalOnly []string
	// VHDS is where virtual hosts come from when requests want them, beside those here;
	// nil: nowhere.
	VHDS *Source
	// Programs bounds the instructions of all regular expressions in the table: who
	// changes a few routes of it adds theirs.
	Programs int
}

// VirtualHost is a set of domains and the routes in order.
type VirtualHost struct {
	Name    string
	Domains []string
	// Routes are tried in order; with a Matcher only those of the action that it
	// leads to, Actions[action].
	Routes  []*Route
	Matcher *Matcher
	Actions []RouteSpan
	Headers HeaderOps
	TLS     RequireTLS
	Filters []FilterOverride
	Mirrors []Mirror
	// RateLimits are looked at as its routes and filters say.
	RateLimits []RateLimit
	// VirtualClusters: the first that a request belongs to names it.
	VirtualClusters []VirtualCluster
	// Metadata of the virtual host, for access logs; nil if there is none.
	Metadata FilterMetadata
	// Retry and Hedge are for routes that have none of their own; nil for none.
	Retry *Retry
	Hedge *Hedge
	// Body limits what is kept of a request's body; nil: see Forward.
	Body *BodyLimit
	// AttemptCount tells the host of the number of the attempt in
	// x-envoy-attempt-count, AttemptCountInResponse the client; TimeoutRetryHeader
	// tells the host in x-envoy-is-timeout-retry why a retry came.
	AttemptCount, AttemptCountInResponse, TimeoutRetryHeader bool
}

// RouteSpan is Routes[From:To].
type RouteSpan struct{ From, To int }

// BodyLimit is how many bytes of a request's body are kept at most so that it can
// go out again. Capped says that the listener's buffer limit holds too
// (per_request_buffer_limit_bytes; without it request_body_buffer_limit).
type BodyLimit struct {
	Bytes  uint64
	Capped bool
}

// RequireTLS is VirtualHost.TlsRequirementType.
type RequireTLS uint8

// The requirements.
const (
	TLSNone RequireTLS = iota
	TLSExternalOnly
	TLSAll
)

// Route is a match and what to do.
type Route struct {
	Name    string
	Match   RouteMatch
	Headers HeaderOps
	// StatPrefix names statistics of the route's own, "" for none.
	StatPrefix string
	// Metadata of the route, for filters and access logs; nil if there is none.
	Metadata FilterMetadata
	Typed    TypedMetadata // for services that filters ask
	Filters  []FilterOverride
	// Body replaces the virtual host's; nil takes that.
	Body *BodyLimit
	// Action is never nil.
	Action RouteAction
}

// RouteMatch is a conjunction: every condition given must hold.
type RouteMatch struct {
	Path       PathMatch
	Headers    []HeaderMatch
	Query      []QueryMatch
	GRPC       bool
	Runtime    *Fraction // nil: always
	Cookies    []CookieMatch
	TLS        *TLSMatch // nil: not looked at
	Metadata   []MetadataMatch
	State      []StateMatch
	IgnoreCase bool // prefix, exact and separated prefix only
}

// PathMatch is the path condition.
type PathMatch struct {
	Kind  PathKind
	Value string         // PathPrefix, PathExact, PathSeparatedPrefix
	Regex *regexp.Regexp // PathRegex: anchored at both ends
}

// PathKind is the kind of path condition.
type PathKind uint8

// The kinds of path condition.
const (
	PathPrefix PathKind = iota
	PathExact
	PathRegex
	PathSeparatedPrefix
	PathConnect // CONNECT requests only
)

// StringMatch is Envoy's StringMatcher.
type StringMatch struct {
	Kind       StringKind
	Value      string
	Regex      *regexp.Regexp // anchored
	IgnoreCase bool
}

// StringKind is the kind of string condition.
type StringKind uint8

// The kinds of string condition.
const (
	StringExact StringKind = iota
	StringPrefix
	StringSuffix
	StringContains
	StringRegex
)

// HeaderMatch is Envoy's HeaderMatcher.
type HeaderMatch struct {
	Name string // lower case; pseudo-headers as ":method"
	Kind HeaderKind
	// String is read for HeaderString, From and To (half-open) for HeaderRange.
	String         StringMatch
	From, To       int64
	Invert         bool
	MissingAsEmpty bool
}

// HeaderKind is the kind of header condition.
type HeaderKind uint8

// The kinds of header condition.
const (
	HeaderPresent HeaderKind = iota
	HeaderAbsent             // present_match: false
	HeaderString
	HeaderRange
)

// CookieMatch is Envoy's CookieMatcher.
type CookieMatch struct {
	Name   string
	String StringMatch
	Invert bool
}

// TLSMatch is RouteMatch.TlsContextMatchOptions; nil of either is not looked at.
type TLSMatch struct {
	// Presented: the client has shown a certificate; Validated: and it was verified.
	Presented, Validated *bool
}

// StateMatch is Envoy's FilterStateMatcher.
type StateMatch struct {
	Key string
	// Ranges, if any, make it a condition on an address; else String counts.
	Ranges []netip.Prefix
	String StringMatch
}

// VirtualCluster names requests for statistics and logs (Envoy VirtualCluster).
type VirtualCluster struct {
	Name    string
	Headers []HeaderMatch
}

// QueryMatch is Envoy's QueryParameterMatcher.
type QueryMatch struct {
	Name    string
	Present bool // present_match or none: the value does not matter
	Invert  bool // present_match: false
	String  StringMatch
}

// Fraction is a share of requests: Num of Den, Den one of 100, 10,000 and
// 1,000,000. Runtime values have been looked up.
type Fraction struct {
	Num, Den uint32
}

// RouteAction is one of *Forward, *Redirect, *Direct.
type RouteAction interface{ routeAction() }

func (*Forward) routeAction()  {}
func (*Redirect) routeAction() {}
func (*Direct) routeAction()   {}

// ClusterTree names the cluster of a request: that of the action that Tree leads to;
// none if there is no tree, or it leads to none
// (router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier).
type ClusterTree struct {
	Tree     *Matcher
	Clusters []string // by action
}

// Forward sends the request to a cluster (Envoy RouteAction).
type Forward struct {
	// Exactly one of Cluster, ClusterHeader, Weighted and Tree is given.
	Cluster       string
	ClusterHeader string // lower case
	Weighted      []WeightedRoute
	Tree          *ClusterTree
	// WeightHeader (lower case, may be empty) names a request header whose number
	// chooses among Weighted; WeightByHash lets the hash policies choose.
	WeightHeader string
	WeightByHash bool
	// NotFoundStatus answers an unknown cluster: 503, 404 or 500.
	NotFoundStatus int

	PrefixRewrite string
	HasPrefix     bool // PrefixRewrite was given, maybe empty
	RegexRewrite  *Rewrite

	HostRewrite     string
	HostFromHeader  string // lower case
	HostPathRegex   *Rewrite
	AutoHostRewrite bool
	// AppendXForwardedHost keeps the old host when it is rewritten.
	AppendXForwardedHost bool

	// Timeout of the whole request, counted from its end; 0 is off. Default 15 s.
	Timeout time.Duration
	// IdleTimeout of the stream; nil takes the connection manager's; 0 is off.
	IdleTimeout *time.Duration
	// FlushTimeout bounds how long an answer that is complete may wait for the client's window
	// in HTTP/2; nil takes the connection manager's; 0 is off.
	FlushTimeout *time.Duration
	// MaxStream bounds how long the stream lives; nil takes the connection
	// manager's; 0 is off. GRPCTimeoutMax, unless nil, lets a grpc-timeout header
	// bound it instead: at most at that, if it is not 0, and GRPCTimeoutOffset
	// earlier.
	MaxStream, GRPCTimeoutMax *time.Duration
	GRPCTimeoutOffset         time.Duration
	// MaxGRPC, unless nil or beside MaxStream or GRPCTimeoutMax, replaces Timeout by
	// grpc-timeout for gRPC, at most at that if it is not 0; OldGRPCOffset is taken
	// off before (max_grpc_timeout, grpc_timeout_offset).
	MaxGRPC       *time.Duration
	OldGRPCOffset time.Duration
	// NewTimeouts says that max_stream_duration was given: Timeout is then none.
	NewTimeouts bool

	// Retry and Hedge replace the virtual host's; nil takes those.
	Retry *Retry
	Hedge *Hedge
	// Redirects are followed here; nil gives them to the client.
	Redirects *InternalRedirect

	// Match is what the metadata of the host must have, in a cluster with subsets.
	Match    Criteria
	Hash     []HashPolicy
	Upgrades []UpgradeSwitch
	High     bool // priority HIGH
	Mirrors  []Mirror
	// RateLimits are the route's; HostLimits takes the virtual host's too, whatever
	// filters say.
	RateLimits []RateLimit
	HostLimits bool
	// Ends, unless nil, ends CONNECT here: what it carries goes to the host as bytes.
	Ends *ConnectEnd
}

// UpgradeSwitch turns an upgrade on or off for one route; Type is lower case.
type UpgradeSwitch struct {
	Type    string
	Enabled bool
}

// ConnectEnd is how CONNECT is ended (Envoy UpgradeConfig.ConnectConfig).
type ConnectEnd struct {
	// Post ends POST too: its body is what is carried.
	Post bool
	// Header begins what the host gets; nil: none.
	Header *ProxyHeader
}

// WeightedRoute is one share of a weighted action.
type WeightedRoute struct {
	// Exactly one of Cluster and ClusterHeader (lower case) is given.
	Cluster       string
	ClusterHeader string
	Weight        uint32
	Headers       HeaderOps
	// HostRewrite is set before the action's own host rewrite, which wins if it
	// yields a host; "" for none.
	HostRewrite string
	Filters     []FilterOverride
	// Match goes with that of the action, and wins over it.
	Match Criteria
}

// Rewrite replaces every match of Regex by Substitution, where \1 names a group.
type Rewrite struct {
	Regex        *regexp.Regexp // not anchored
	Substitution string
}

// HashPolicy is one part of a request's hash (Envoy RouteAction.HashPolicy).
type HashPolicy struct {
	Kind     HashKind
	Name     string // header (lower case), cookie or query parameter
	Rewrite  *Rewrite
	Terminal bool
	// Cookie only.
	CookieTTL        time.Duration
	HasTTL           bool
	CookiePath       string
	CookieAttributes []CookieAttribute
}

// CookieAttribute is one more attribute of a generated cookie; Value may be "".
type CookieAttribute struct {
	Name, Value string
}

// HashKind is what a hash policy looks at.
type HashKind uint8

// The sources of a hash.
const (
	HashHeader HashKind = iota
	HashCookie
	HashSourceIP
	HashQuery
	HashState // an object of filter state
)

// Redirect answers with a location (Envoy RedirectAction).
type Redirect struct {
	Status        int // 301, 302, 303, 307 or 308
	HTTPS         bool
	Scheme        string
	Host          string
	Port          uint32
	Path          string
	HasPath       bool
	PrefixRewrite string
	HasPrefix     bool
	RegexRewrite  *Rewrite
	StripQuery    bool
}

// Direct answers by itself (Envoy DirectResponseAction).
type Direct struct {
	Status int
	Body   string
	// Format makes the body of the request; Body is then its LOCAL_REPLY_BODY. Nil:
	// Body as it is.
	Format *BodyFormat
}

// HeaderOps are the changes to request and response headers of one level.
type HeaderOps struct {
	RequestAdd     []HeaderValue
	RequestRemove  []string // lower case
	ResponseAdd    []HeaderValue
	ResponseRemove []string
}

// HeaderValue is one header to add. Value is literal text; Format, unless it is
// nil, makes it of the request.
type HeaderValue struct {
	Name   string
	Value  string
	Format Format
	Append AppendAction
	// KeepEmpty adds the header even if its value is empty.
	KeepEmpty bool
}

// AppendAction is HeaderValueOption.HeaderAppendAction.
type AppendAction uint8

// The ways to add a header.
const (
	AppendOrAdd AppendAction = iota
	AddIfAbsent
	OverwriteOrAdd
	OverwriteIfExists
)

// IsZero reports whether nothing is to be done.
func (o *HeaderOps) IsZero() bool {
	return len(o.RequestAdd) == 0 && len(o.RequestRemove) == 0 && len(o.ResponseAdd) == 0 && len(o.ResponseRemove) == 0
}
