package config

// CORS is the CORS filter; what is allowed, routes say
// (Envoy extensions.filters.http.cors.v3.Cors).
type CORS struct{}

// CORSPolicy is what a route says of it (cors.v3.CorsPolicy).
type CORSPolicy struct {
	Origins []StringMatch
	// What preflights are told; "" for nothing.
	Methods, Headers, MaxAge string
	Expose                   string
	// Enabled and Shadow are shares of requests; nil takes that of the level above,
	// in the end all, and none.
	Enabled, Shadow *Fraction
	// What is nil is the level above's to say, in the end false, false and true.
	// ForwardOther lets preflights of other origins go on.
	Credentials, PrivateNetwork, ForwardOther *bool
}

// CSRF is the CSRF filter, and what a route says of it
// (Envoy extensions.filters.http.csrf.v3.CsrfPolicy).
type CSRF struct {
	Enabled, Shadow *Fraction
	// Origins are the hosts that requests may come from beside their own.
	Origins []StringMatch
}
