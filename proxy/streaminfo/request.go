package streaminfo

import "github.com/attache-mesh/attache/proxy/codec/http1"

// Header is one header line. Only its name and value are read.
type Header = http1.Header

// Request is a view of a request's head that a room fills without copying. Every
// slice is borrowed: what holds it says for how long.
type Request struct {
	Method []byte
	Scheme []byte // :scheme, "http" or "https"
	Host   []byte // as received, port included; nil: none
	Path   []byte // with query; empty: none (plain CONNECT)

	// ForwardedProto is x-forwarded-proto: the client's scheme as far as it is trusted. Conditions on a header of that
	// name look here, not in Headers.
	ForwardedProto []byte
	// Internal is x-envoy-internal: true. Conditions on a header of that name look here, not in Headers.
	Internal bool

	// Info is what is known of the request beside its head; nil: nothing. Conditions on metadata, filter state and TLS
	// look there.
	Info *Info

	// Headers are the lines in order, without Host. Names may be in any case. Lines marked Hop are not there.
	Headers []Header
}
