package config

import "time"

// SetFilterState is the filter that leaves objects for others (Envoy
// extensions.filters.http.set_filter_state.v3.Config).
type SetFilterState struct{ Objects []StateObject }

// SetConnectionState is the network filter of that name: Greeted are left when a
// connection has come, Secured when its TLS handshake is over.
type SetConnectionState struct{ Greeted, Secured []StateObject }

// StateObject is an object to be made of a text.
type StateObject struct {
	Key  string
	Kind StateKind
	Text BodyFormat
	// ReadOnly keeps it from being set again; SkipEmpty sets nothing if the text is
	// empty.
	ReadOnly, SkipEmpty bool
	// Shared says with which connections to hosts it is shared: 0 none, 1 the next
	// one, 2 all behind it.
	Shared uint8
}

// StateKind is how an object reads its text: what cannot be read makes no object.
type StateKind uint8

// The kinds of object.
const (
	StateText    StateKind = iota // any text
	StateAddress                  // an IP address and a port
	StateIP                       // an IP address
	StateNumber                   // 0 to 2³²-1
	StatePort                     // 1 to 65535
)

// ConnectionRBAC is the network filter that lets connections pass whom a policy fits
// (filters.network.rbac.v3.RBAC).
type ConnectionRBAC struct {
	StatPrefix string
	RBAC
	// Delay is how long one that is denied is kept before it is closed; 0: not at all.
	Delay time.Duration
}

// ConnectionAuthz is the network filter that asks a service whether a connection may
// pass (filters.network.ext_authz.v3.ExtAuthz).
type ConnectionAuthz struct {
	StatPrefix              string
	Service                 GRPCService
	FailureAllow            bool
	Certificate, TLSSession bool
	// Metadata are the namespaces of what filters before it have noted that are sent.
	Metadata []string
	// EnabledIf, unless nil, is what their metadata must be for the service to be asked.
	EnabledIf *MetadataMatch
	// Labels are those of this program, which the service is told of.
	Labels []Metadata
}
