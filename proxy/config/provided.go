package config

import "time"

// OriginalDst says where requests of an ORIGINAL_DST cluster go, if not where their
// connection was going (Envoy Cluster.OriginalDstLbConfig).
type OriginalDst struct {
	// Header is a request header with an address and a port, in lower case; ""
	// for none. Metadata is a path in the dynamic metadata, its namespace first;
	// empty: none. It comes before the header.
	Header   string
	Metadata []string
	// Port replaces that of the address; 0 does not.
	Port uint16
	// Cleanup is how often hosts that nobody has asked for are let go; default 5 s.
	Cleanup time.Duration
}

// NameCache says how the names are looked up that requests ask for, and how long
// they are kept (Envoy dynamic_forward_proxy.v3.DnsCacheConfig).
type NameCache struct {
	Name   string // in statistics
	Family DNSFamily
	// Resolver is who is asked; nil: as the system is configured.
	Resolver *Resolver
	// Refresh is how long an answer without addresses is good for, default 60 s;
	// MinRefresh the least that one with a TTL is, default 5 s.
	Refresh, MinRefresh time.Duration
	// FailureBase and FailureMax bound the back-off after a failure; 0: Refresh.
	// Once says that a name that failed is not looked up again by itself.
	FailureBase, FailureMax time.Duration
	Once                    bool
	// TTL is how long a name stays that nobody asks for, default 5 min.
	TTL time.Duration
	// Timeout bounds one look-up; 0 does not; default 5 s.
	Timeout time.Duration
	// MaxNames bounds the names, default 1024; MaxPending the requests that wait for
	// one, default 1024.
	MaxNames, MaxPending uint32
	// Preresolve are looked up at the start, "example.com:443".
	Preresolve []string
}

// DynamicForward is the dynamic forward proxy filter
// (filters.http.dynamic_forward_proxy.v3.FilterConfig): requests wait for the name
// that they are for. The cache is the cluster's.
type DynamicForward struct {
	// SaveAddress leaves the address in the filter state; FromState takes host and
	// port from there, if they are.
	SaveAddress, FromState bool
}

// DynamicForwardRoute is what a route says of the filter: the host that the request
// is for, itself or in a header (lower case); "" for neither.
type DynamicForwardRoute struct{ Host, Header string }

// SNIForward is the network filter that has connections wait for the name in their
// SNI (filters.network.sni_dynamic_forward_proxy.v3.FilterConfig).
type SNIForward struct {
	Port uint16 // default 443
}
