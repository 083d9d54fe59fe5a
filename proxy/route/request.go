package route

// What a table looks at: a view of a request that the room fills without copying.

import (
	"net/netip"

	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Header is one header line. Only its name and value are read.
type Header = streaminfo.Header

// Request is a view of one request. Every slice is borrowed for the call. Match and Cluster want it as the connection
// manager leaves it; AppendHost, AppendPath and Hash as it is after the header operations, as in Envoy.
type Request = streaminfo.Request

// Conn is what a hash policy may look at beside the request.
type Conn struct {
	// Remote and Local are the connection's own addresses: they make the value of a generated cookie.
	Remote, Local netip.AddrPort
	// Client is the trusted client address, after x-forwarded-for: it is what source_ip hashes. Invalid: nothing to hash.
	Client netip.Addr
}

// withoutQuery cuts query and fragment off (PathUtil::removeQueryAndFragment).
func withoutQuery(path []byte) []byte {
	for i, c := range path {
		if c == '?' || c == '#' {
			return path[:i]
		}
	}
	return path
}

// withoutParams cuts from the first ';' on.
func withoutParams(path []byte) []byte {
	for i, c := range path {
		if c == ';' {
			return path[:i]
		}
	}
	return path
}

// queryOf returns the part after the first '?'; a fragment stays in it, as in Envoy.
func queryOf(path []byte) []byte {
	for i, c := range path {
		if c == '?' {
			return path[i+1:]
		}
	}
	return nil
}

// queryValue returns the first value of a query parameter, undecoded (QueryParamsMulti::parseQueryString, getFirstValue).
func queryValue(path []byte, name string) (value []byte, ok bool) {
	for rest := queryOf(path); len(rest) > 0; {
		var param []byte
		param, rest = cut(rest, '&')
		key, value := cut(param, '=')
		if string(key) == name {
			return value, true
		}
	}
	return nil, false
}

// cut splits b at the first c; without one the second part is empty.
func cut(b []byte, c byte) (before, after []byte) {
	for i := range b {
		if b[i] == c {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}
