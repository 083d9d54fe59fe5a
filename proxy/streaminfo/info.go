// Package streaminfo is what is known of one request while it lives, and of the
// connection that it came on: times, addresses, route, cluster, host, how it
// ended, how much went, what filters have noted. Rooms fill it in, one field at a
// time as they learn it; format strings, matchers, expressions and access logs
// read it (Envoy envoy/stream_info/stream_info.h).
//
//	Conn (a connection's life) ◀── Info (a request's life) ◀── View: Info, heads and clock,
//	                                                            lent to whoever looks
//
// An Info is part of what the room keeps per request; it is reset, not made
// anew. It belongs to one worker, and so does all that it points to but
// configuration, which is immutable.
package streaminfo

import (
	"net/netip"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Info is what is known of a request. The zero value knows nothing. Worker only.
type Info struct {
	// Conn is the client's connection. It is not nil while a room serves.
	Conn *Conn
	// Remote is who the client is believed to be: by x-forwarded-for, with port 0,
	// or the connection's own peer.
	Remote   netip.AddrPort
	Protocol Protocol
	Times    Times

	// ID tells the request from others of its worker; RequestID is x-request-id.
	ID        uint64
	RequestID []byte

	// Route and VirtualHost are what was matched, nil until then.
	Route       *config.Route
	VirtualHost *config.VirtualHost
	// VirtualCluster is the name of the one that counts the request, "" for none.
	VirtualCluster string
	// Upgrade is the protocol that the request asked for, "" for none.
	Upgrade string

	Upstream Upstream

	// Outcome is how it ended, OK until then; Flags are all that is to be said of
	// that, Outcome's flag included.
	Outcome outcome.Outcome
	Flags   Flags
	// Details are RESPONSE_CODE_DETAILS where Outcome's own do not say it all: what
	// a filter answered with. Termination says why the connection was closed.
	Details     string
	Termination string
	// Status is the answer's, 0 if none was sent.
	Status int

	Bytes Bytes
	// Attempts counts how often the request was sent to a host.
	Attempts uint32

	// Metadata is what filters have noted, by namespace; State are their objects.
	Metadata Metadata
	State    State
	// HealthCheck says that the request is a health check of the client's.
	HealthCheck bool
	// CustomFlags are what %CUSTOM_FLAGS% says, joined by commas.
	CustomFlags string
}

// Reset makes i that of the next request. What it has allocated stays.
func (i *Info) Reset() {
	meta, state := i.Metadata, i.State
	meta.reset()
	state.reset()
	*i = Info{Metadata: meta, State: state}
}

// RouteName is the name of the route, "" if there is none.
func (i *Info) RouteName() string {
	if i.Route == nil {
		return ""
	}
	return i.Route.Name
}

// RouteMetadata is that of the route, nil if there is none.
func (i *Info) RouteMetadata() config.FilterMetadata {
	if i.Route == nil {
		return nil
	}
	return i.Route.Metadata
}

// RouteTyped is its typed metadata.
func (i *Info) RouteTyped() config.TypedMetadata {
	if i.Route == nil {
		return nil
	}
	return i.Route.Typed
}

// CodeDetails are RESPONSE_CODE_DETAILS; "" before the end.
func (i *Info) CodeDetails() string {
	switch {
	case i.Details != "":
		return i.Details
	case i.Outcome == outcome.OK && i.Status == 0:
		return ""
	}
	if _, details := i.Outcome.Because(i.Upstream.Failure); details != "" {
		return details
	}
	return i.Outcome.Details()
}

// Upstream is what is known of the host's side, of the last attempt.
type Upstream struct {
	// Cluster and Host are what was chosen, nil until then.
	Cluster *config.Cluster
	Host    *config.Endpoint
	// Address is where the host was reached; it differs from Host's own where that
	// is a name.
	Address config.Address
	// Remote and Local are the ends of the connection.
	Remote, Local netip.AddrPort
	// ConnID tells the connection from others of its worker, 0 if there was none.
	ConnID   uint64
	Protocol Protocol
	TLS      *transport.State // nil: plaintext
	// Failure is why the connection could not be made, in TLS's words or the
	// kernel's (pool.Failure); "" if it could, or there is nothing to say.
	Failure string
}

// Bytes counts what went, in both directions on both sides. Heads are counted as
// HTTP/1.1 would write them, Wire as it went over the wire.
type Bytes struct {
	// Received and Sent are of bodies, on the client's side.
	Received, Sent uint64
	// Heads and trailers of the client's side.
	RequestHead, ResponseHead, ResponseTrailers uint64
	// Wire is all of them.
	WireReceived, WireSent uint64
	// The same of the host's side.
	UpstreamHeadSent, UpstreamHeadReceived uint64
	UpstreamWireSent, UpstreamWireReceived uint64
}

// Protocol is what a side speaks.
type Protocol uint8

// The protocols.
const (
	NoProtocol Protocol = iota
	HTTP10
	HTTP11
	HTTP2
)

// String is the protocol's name, "" if there is none.
func (p Protocol) String() string {
	return [...]string{"", "HTTP/1.0", "HTTP/1.1", "HTTP/2"}[p]
}
