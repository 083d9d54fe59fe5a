package config

import "time"

// StatefulSession is the filter that keeps a client at one host
// (Envoy extensions.filters.http.stateful_session.v3.StatefulSession).
type StatefulSession struct {
	// Kind says where the host's address is kept.
	Kind SessionKind
	// Name is the cookie's, or in lower case the header's.
	Name string
	// Path, TTL and Attributes are the cookie's; a path other than "" and "/" bounds the
	// requests that it is for.
	Path       string
	TTL        time.Duration
	Attributes []CookieAttribute
	// Strict has a request fail whose host is not there.
	Strict     bool
	StatPrefix string // "": nothing is counted
}

// SessionKind is where a session's host is kept.
type SessionKind uint8

// The kinds. SessionNone keeps nothing.
const (
	SessionNone SessionKind = iota
	SessionCookie
	SessionHeader
	// SessionEnvelope is a header of the host's own, with the host's address put in
	// front of it.
	SessionEnvelope
)

// StatefulSessionRoute is what a route says of it.
type StatefulSessionRoute struct {
	Disabled bool
	Session  *StatefulSession // in place of the filter's, unless Disabled; its StatPrefix is not looked at
}
