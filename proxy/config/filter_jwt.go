package config

import "time"

// JWT is the filter that lets requests with good tokens pass
// (Envoy extensions.filters.http.jwt_authn.v3.JwtAuthentication).
type JWT struct {
	Providers []JWTProvider // by name
	Rules     []JWTRule     // the first that matches counts
	// Named are requirements that routes name.
	Named map[string]*JWTRequirement
	// ByState are those of requests that no rule matches, by the text of the object of
	// filter state that is called State; "": none.
	State   string
	ByState map[string]*JWTRequirement
	// BypassPreflight lets CORS preflights pass; StripFailure leaves the reason out
	// of a refusal.
	BypassPreflight, StripFailure bool
	StatPrefix                    string
}

// JWTRule says what requests that match must have; nil: nothing.
type JWTRule struct {
	Match    RouteMatch
	Requires *JWTRequirement
}

// JWTRequirement is what is asked of a request.
type JWTRequirement struct {
	Kind     JWTKind
	Provider int      // in JWT.Providers
	Audience []string // replace the provider's, if there are any
	Of       []*JWTRequirement
}

// JWTKind is the kind of a JWTRequirement.
type JWTKind uint8

// The kinds of requirement.
const (
	JWTNothing  JWTKind = iota
	JWTProvided         // a token of Provider
	JWTAny              // one of Of
	JWTAll              // all of Of
	JWTMayMiss          // no token, or a good one of any provider
	JWTMayFail          // anything
)

// JWTProvider says whose tokens are good and what is done with them.
type JWTProvider struct {
	Name, Issuer string
	Audiences    []string
	Subject      *StringMatch
	// RequireExpiration refuses tokens without exp, MaxLifetime those whose exp is
	// farther away; 0 does not.
	RequireExpiration bool
	MaxLifetime       time.Duration
	ClockSkew         time.Duration

	// Local are the keys, or Remote is where they are.
	Local  Data
	Remote *JWKS

	FromHeaders []JWTHeader // all three empty: the usual places
	FromParams  []string
	FromCookies []string

	Forward         bool   // the token stays in the request
	PayloadHeader   string // lower case; "" for none
	PadPayload      bool
	ClaimHeaders    []JWTClaim
	PayloadMetadata string
	HeaderMetadata  string
	FailedMetadata  string
	SpaceDelimited  []string // claims that are lists in the metadata
	ClearRoute      bool
	// Cache is how many verified tokens are remembered by worker; 0: none; of those
	// of at most CacheToken bytes.
	Cache, CacheToken int
}

// JWTHeader is a header that may hold a token, behind Prefix.
type JWTHeader struct{ Name, Prefix string }

// JWTClaim is copied to a header.
type JWTClaim struct{ Header, Claim string }

// JWKS is where keys are fetched from, over a cluster.
type JWKS struct {
	Cluster, Authority, Path string
	Timeout                  time.Duration
	Cache                    time.Duration // default 10 minutes
	Retry                    *ServiceRetry // nil: a fetch is made once
	// Async goes on with the old keys while new ones are fetched.
	Async bool
}

// JWTRoute is what a route says: Name names one of JWT.Named.
type JWTRoute struct {
	Disabled bool
	Name     string
}
