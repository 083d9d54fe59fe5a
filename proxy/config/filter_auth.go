package config

// BasicAuth is the basic auth filter (Envoy extensions.filters.http.basic_auth.v3.
// BasicAuth).
type BasicAuth struct {
	// Users are the SHA-1 sums of passwords by name, in base64.
	Users map[string]string
	// ForwardHeader, if not empty, tells the host who it is; Header, lower case, is
	// where the credentials are, "authorization" if it is empty.
	ForwardHeader, Header string
}

// BasicAuthRoute is what a route says of it: other users.
type BasicAuthRoute struct{ Users map[string]string }

// APIKeyAuth is the API key filter, and what a route says of it
// (Envoy extensions.filters.http.api_key_auth.v3.ApiKeyAuth).
type APIKeyAuth struct {
	// Clients are the names of clients by their keys; nil: a route does not say.
	Clients map[string]string
	// Sources are where keys are looked for, in order; none: a route does not say.
	Sources []KeySource
	// Forward says what goes on; nil: a route does not say, or nothing is done.
	Forward *KeyForward
	// Allowed are the clients that a route is for; none: all.
	Allowed []string
}

// KeySource is where a key is: exactly one is given.
type KeySource struct{ Header, Query, Cookie string }

// KeyForward is what the host sees of a key.
type KeyForward struct {
	// Header, unless it is empty, names the client; Hide takes the key out.
	Header string
	Hide   bool
}
