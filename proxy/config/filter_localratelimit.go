package config

import "time"

// LocalRateLimit is the local rate limit filter, and what a route says of it
// (Envoy extensions.filters.http.local_ratelimit.v3.LocalRateLimit).
type LocalRateLimit struct {
	StatPrefix string
	// Status is 429 unless it is said otherwise; one below 400 is 429 too.
	Status int
	// Bucket is nil if nothing is limited but what has a descriptor.
	Bucket *TokenBucket
	// Descriptors have buckets of their own. Those of requests are made by Limits or,
	// if there are none, by the rate limits of Stage, 0 to 10, of the route and, as
	// Host says, of its virtual host.
	Descriptors []LocalDescriptor
	Limits      []RateLimit
	Stage       uint32
	Host        HostLimits
	// Spare takes no token of Bucket for a request that has a descriptor.
	Spare bool
	// MaxDynamic bounds the buckets of one descriptor with an empty value; the least
	// recently used goes.
	MaxDynamic uint32
	// Enabled and Enforced are shares of requests; nil: none.
	Enabled, Enforced *Fraction
	// RequestAdd is added to requests that are let pass though there is no token,
	// ResponseAdd to the answers of those that are not.
	RequestAdd, ResponseAdd []HeaderValue
	// PerConnection gives each client's connection a bucket of its own.
	PerConnection bool
	// Headers tells clients what is left (x-ratelimit-*).
	Headers bool
	// Exhausted answers gRPC clients RESOURCE_EXHAUSTED, not UNAVAILABLE.
	Exhausted bool
}

// TokenBucket is a bucket that holds Max tokens, at least 1, and is given Tokens,
// at least 1, every Interval, at least 50 ms.
type TokenBucket struct {
	Max, Tokens uint32
	Interval    time.Duration
}
