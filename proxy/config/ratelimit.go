package config

import "time"

// RateLimit makes a descriptor of a request: what a limit is asked about, by the
// local rate limit filter or by a service (Envoy route.v3.RateLimit).
type RateLimit struct {
	// Stage is that of the filters that look at it, 0 to 10.
	Stage uint32
	// Keyed says that there is a disable_key; Share is then the part of requests that
	// it lets the service be asked about; nil: all.
	Keyed bool
	Share *Fraction
	// Actions make an entry each; if one of them cannot, there is no descriptor.
	Actions []RateLimitAction
	// Override, unless nil, is where the request's metadata may have another limit.
	Override *MetadataPath
	// OnDone has the service told when the request is over, not asked before.
	OnDone bool
	// Hits is what the request costs; nil: what it always does.
	Hits *Hits
}

// Hits is a number, or the one that a format makes of the request.
type Hits struct {
	Number uint64
	Format Format
}

// MetadataPath is a place in metadata.
type MetadataPath struct {
	Namespace string
	Path      []string
}

// RateLimitAction makes one entry of a descriptor.
type RateLimitAction struct {
	Kind RateLimitKind
	// Key is the entry's; Value is that of LimitGeneric, LimitHeaderMatch and
	// LimitQueryMatch.
	Key, Value string
	// Name is the header's (lower case) or the query parameter's.
	Name string
	// SkipAbsent leaves the entry out, not the descriptor, if there is no such header,
	// parameter or metadata.
	SkipAbsent bool
	// Headers or Query are to hold, or not to if Invert.
	Headers []HeaderMatch
	Query   []QueryMatch
	Invert  bool
	// Metadata is the request's, or the route's if OfRoute; Default stands for it.
	Metadata MetadataPath
	OfRoute  bool
	Default  string
	// BitsV4 and BitsV6 are the lengths of the client's network.
	BitsV4, BitsV6 uint8
	// Expression is that of LimitExpression; SkipAbsent is for one that fails. Input is
	// that of LimitInput.
	Expression string
	Input      MatchInput
}

// RateLimitKind is the kind of an action.
type RateLimitKind uint8

// The kinds of action.
const (
	LimitGeneric       RateLimitKind = iota // a fixed value
	LimitDestination                        // the cluster
	LimitHeader                             // a header's first value
	LimitQuery                              // a query parameter's first value
	LimitRemote                             // the client's address
	LimitRemoteNetwork                      // the client's network
	LimitHeaderMatch                        // Value, if Headers hold
	LimitQueryMatch                         // Value, if Query holds
	LimitMetadata                           // a text in metadata
	LimitExpression                         // what a CEL expression says
	LimitInput                              // what a matcher's input is; nothing is left out
)

// HostLimits says what becomes of the virtual host's rate limits (VhRateLimits).
type HostLimits uint8

// The ways: only if the route has none, in addition, or never.
const (
	HostLimitsIfNone HostLimits = iota
	HostLimitsToo
	HostLimitsNever
)

// RateLimitFilter is the filter that asks a service whether a request is over a limit
// (Envoy extensions.filters.http.ratelimit.v3.RateLimit).
type RateLimitFilter struct {
	Domain   string
	Stage    uint32
	Internal bool // internal requests only
	External bool // external requests only
	Service  GRPCService
	// DenyOnFailure is the share of requests that are refused if the service does not
	// answer; nil: none.
	DenyOnFailure *Fraction
	Exhausted     bool // gRPC clients are told RESOURCE_EXHAUSTED, not UNAVAILABLE
	// Headers tells clients what is left (x-ratelimit-*), Quiet does not tell them
	// x-envoy-ratelimited.
	Headers, Quiet bool
	Status         int // default 429
	StatusOnError  int // default 500
	ResponseAdd    []HeaderValue
	StatPrefix     string
	// Enabled is the share of requests that the service is asked about, Enforced that
	// of those over a limit that are refused; nil: all.
	Enabled, Enforced *Fraction
	// Limits, if there are any, are looked at in place of the route's.
	Limits []RateLimit
}

// RateLimitRoute is what a route says of that filter.
type RateLimitRoute struct {
	Host   HostLimits
	Domain string // "" for the filter's
	Limits []RateLimit
}

// LocalDescriptor gives requests with a descriptor a bucket of their own
// (common.ratelimit.v3.LocalRateLimitDescriptor).
type LocalDescriptor struct {
	// Entries are the descriptor's; an empty value is that of any, and each has its own
	// bucket.
	Entries []LimitEntry
	Bucket  TokenBucket
}

// LimitEntry is a key and a value.
type LimitEntry struct{ Key, Value string }

// DefaultRateLimitTimeout bounds a question that says nothing of it
// (ratelimit/config.cc).
const DefaultRateLimitTimeout = 20 * time.Millisecond
