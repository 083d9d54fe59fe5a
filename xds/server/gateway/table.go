package gateway

import "time"

// Table is what the routes say, by the ports of the Services that they are for.
// It is immutable; any goroutine.
type Table struct {
	// Frontends has an entry for each port of a Service that some route is for.
	Frontends map[Frontend]*Routed
	services  map[ID]Service // those that are parents
}

// Frontend is a port of a Service.
type Frontend struct {
	Service ID
	Port    uint16
}

// Routed is what goes for a frontend. It has at least one entry: what producers
// say, under "", and what consumers say in their namespaces, which goes there in
// its place.
type Routed struct{ Scopes map[string]*Scope }

// Scope is the routes of one kind that go together.
type Scope struct {
	Kind Kind
	// Matches are tried in this order; a request that none fits is not served.
	Matches []Match
}

// Match is one condition of a rule.
type Match struct {
	// Name is the rule's, for logs.
	Name    string
	Path    Path
	Method  string      // "" is any
	Headers []Condition // Host is written :authority
	Params  []Condition
	Rule    *Rule

	service, method int // characters of a gRPC match
}

// Path is a condition on the path without its query.
type Path struct {
	Kind  PathKind
	Value string
}

// PathKind is how a path is compared.
type PathKind uint8

// The kinds.
const (
	// PathPrefix is by whole elements: /a fits /a and /a/b, not /ab. The value has
	// no / at its end, and is empty if every path fits.
	PathPrefix PathKind = iota
	PathExact
	// PathRegex is RE2's, of the whole path.
	PathRegex
	// PathText is a prefix of characters.
	PathText
)

// Condition is one on a header or a parameter.
type Condition struct {
	Name, Value string
	Regex       bool // Value is RE2's, of the whole value
}

// Rule is what happens to a request.
type Rule struct {
	Request, Response Headers
	Redirect          *Redirect // no backends then
	Rewrite           Rewrite
	Mirrors           []Mirror
	CORS              *CORS
	Backends          []Backend // of weight 1 and more
	// Broken is the weight of backends that are invalid. It and Backends weigh
	// together at least 1, unless there is nowhere to go: then requests are
	// answered as those that are for an invalid one.
	Broken uint32
	// Timeout and TryTimeout are nil if they are not given, and 0 for none.
	Timeout, TryTimeout *time.Duration
	Retry               *Retry
}

// Headers changes some of them.
type Headers struct {
	Set, Add []Header
	Remove   []string
}

// Header is one.
type Header struct{ Name, Value string }

// Redirect is an answer that sends the client elsewhere. What is empty or 0 is as
// in the request.
type Redirect struct {
	Scheme, Host string
	Port         uint16
	Path         PathChange
	Status       uint32
}

// Rewrite changes a request on its way.
type Rewrite struct {
	Host string
	Path PathChange
}

// PathChange replaces the path, or the prefix that the match has found.
type PathChange struct {
	Kind  ChangeKind
	Value string
}

// ChangeKind is what of a path is replaced.
type ChangeKind uint8

// The kinds.
const (
	KeepPath ChangeKind = iota
	ReplacePath
	ReplacePrefix
)

// Mirror sends a copy of some requests.
type Mirror struct {
	To        Backend
	Millionth uint32 // of the requests
}

// CORS is the filter of that name.
type CORS struct {
	Origins                 []Origin
	Methods, Headers, Shown []string
	Credentials             bool
	MaxAge                  int64 // seconds
}

// Origin is one that is allowed: as it is, or as RE2 of the whole.
type Origin struct {
	Text  string
	Regex bool
}

// Backend is a port of a Service that requests are sent to.
type Backend struct {
	Frontend
	Protocol          Protocol
	Weight            uint32
	Request, Response Headers
	Host              string // in place of the request's
}

// Protocol is what a backend speaks.
type Protocol uint8

// The protocols.
const (
	AsPort Protocol = iota // as the sidecar's port
	HTTP1
	HTTP2
)

// Retry is tries after one that failed.
type Retry struct {
	Codes    []uint32
	Attempts uint32
	Backoff  time.Duration // 0: not given
}

// Routed finds what goes for a port of a Service, by its number or name, or "" for
// the only one; nil if there are no routes for it.
func (t *Table) Routed(service ID, port string) (Frontend, *Routed) {
	if t == nil {
		return Frontend{}, nil
	}
	known := t.services[service]
	if port == "" && len(known.Ports) != 1 {
		return Frontend{}, nil
	}
	for _, p := range known.Ports {
		if port == "" || port == p.Name || port == number(p.Number) {
			at := Frontend{service, p.Number}
			return at, t.Frontends[at]
		}
	}
	return Frontend{}, nil
}
