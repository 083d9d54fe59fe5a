package format

// Finding header lines.

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// header is a name to be looked up: a line, or a pseudo-header.
type header struct {
	name  string // lower case, "" for none
	field field
}

// field says where in a Request a name is found.
type field uint8

const (
	inLines field = iota
	inMethod
	inScheme
	inHost
	inPath
	inForwardedProto
	inInternal
	inStatus
)

func compileHeader(name string) header {
	h := header{name: lower(name)}
	switch h.name {
	case ":method":
		h.field = inMethod
	case ":scheme":
		h.field = inScheme
	case ":authority", "host":
		h.field = inHost
	case ":path":
		h.field = inPath
	case "x-forwarded-proto":
		h.field = inForwardedProto
	case "x-envoy-internal":
		h.field = inInternal
	case ":status":
		h.field = inStatus
	}
	return h
}

// ofRequest is the value of the first line.
func (h *header) ofRequest(r *streaminfo.Request) ([]byte, bool) {
	if r == nil || h.name == "" {
		return nil, false
	}
	switch h.field {
	case inMethod:
		return r.Method, len(r.Method) > 0
	case inScheme:
		return r.Scheme, len(r.Scheme) > 0
	case inHost:
		return r.Host, r.Host != nil
	case inPath:
		return r.Path, len(r.Path) > 0
	case inForwardedProto:
		if len(r.ForwardedProto) > 0 {
			return r.ForwardedProto, true
		}
	case inInternal:
		return yes, r.Internal
	case inLines, inStatus:
	}
	return h.first(r.Headers)
}

var yes = []byte("true")

// first is the value of the first of lines of that name.
func (h *header) first(lines []streaminfo.Header) ([]byte, bool) {
	if h.name == "" {
		return nil, false
	}
	for i := range lines {
		if l := &lines[i]; !l.Hop && equalFold(l.Name, h.name) {
			return l.Value, true
		}
	}
	return nil, false
}

// equalFold reports whether b in lower case is s, which is.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// withoutQuery cuts the query off.
func withoutQuery(path []byte) []byte {
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		return path[:i]
	}
	return path
}

// queryParam is the first value of a query parameter, decoded.
func appendQueryParam(dst, path []byte, name string) ([]byte, bool) {
	at := bytes.IndexByte(path, '?')
	if at < 0 {
		return dst, false
	}
	rest := path[at+1:]
	if i := bytes.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	for len(rest) > 0 {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{'&'})
		key, value, _ := bytes.Cut(pair, []byte{'='})
		begin := len(dst)
		dst = http1.AppendDecoded(dst, key)
		same := string(dst[begin:]) == name
		dst = dst[:begin]
		if same {
			return http1.AppendDecoded(dst, value), true
		}
	}
	return dst, false
}
