package route

// Finding request headers and holding conditions against them.

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// headerName is a name to be looked up: a header line, or one of the pseudo-headers that are fields of Request.
type headerName struct {
	name  string // lower case
	field field
	yes   []byte // what inInternal yields
}

// field says where in a Request a name is found.
type field uint8

const (
	inHeaders field = iota
	inMethod
	inScheme
	inHost
	inPath
	inForwardedProto
	inInternal
)

func compileName(name string) headerName {
	name = strings.ToLower(name)
	h := headerName{name: name}
	switch name {
	case ":method":
		h.field = inMethod
	case ":scheme":
		h.field = inScheme
	case ":authority", "host": // one header to Envoy (header_map_impl.cc)
		h.field = inHost
	case ":path":
		h.field = inPath
	case "x-forwarded-proto":
		h.field = inForwardedProto
	case "x-envoy-internal":
		h.field, h.yes = inInternal, []byte("true")
	}
	return h
}

// first returns the value of the first line and how many lines there are.
func (h *headerName) first(r *Request) (value []byte, lines int) {
	switch h.field {
	case inHeaders:
		return h.firstLine(r.Headers)
	case inMethod:
		return one(r.Method)
	case inScheme:
		return one(r.Scheme)
	case inPath:
		return one(r.Path)
	case inForwardedProto:
		return one(r.ForwardedProto)
	case inHost:
		if r.Host == nil {
			return nil, 0
		}
		return r.Host, 1
	case inInternal:
		if !r.Internal {
			return nil, 0
		}
		return h.yes, 1
	}
	return nil, 0
}

// one is a field that is absent if it is empty.
func one(v []byte) ([]byte, int) { return v, min(len(v), 1) }

func (h *headerName) firstLine(headers []Header) (value []byte, lines int) {
	for i := range headers {
		if h.is(&headers[i]) {
			if lines == 0 {
				value = headers[i].Value
			}
			lines++
		}
	}
	return value, lines
}

func (h *headerName) is(line *Header) bool { return equalFold(line.Name, h.name) }

// values appends the values of all lines.
func (h *headerName) values(dst [][]byte, r *Request) [][]byte {
	if h.field != inHeaders {
		if v, n := h.first(r); n > 0 {
			dst = append(dst, v)
		}
		return dst
	}
	for i := range r.Headers {
		if h.is(&r.Headers[i]) {
			dst = append(dst, r.Headers[i].Value)
		}
	}
	return dst
}

// joined returns the values of all lines, joined by ',' (HeaderUtility::getAllOfHeaderAsString). Only several lines cost
// an allocation.
func (h *headerName) joined(r *Request) (value []byte, ok bool) {
	v, n := h.first(r)
	if n < 2 {
		return v, n > 0
	}
	return bytes.Join(h.values(nil, r), []byte{','}), true
}

// headerRule is a compiled config.HeaderMatch.
type headerRule struct {
	name     headerName
	kind     config.HeaderKind
	invert   bool
	missing  bool // a missing header counts as an empty one
	from, to int64
	text     text
}

func compileHeaderRule(m *config.HeaderMatch) headerRule {
	return headerRule{
		name: compileName(m.Name), kind: m.Kind, invert: m.Invert, missing: m.MissingAsEmpty,
		from: m.From, to: m.To, text: compileText(&m.String),
	}
}

// match decides (HeaderDataBaseImpl and HeaderDataPresentMatch, header_utility.h). A missing header fails every condition,
// inverted ones included, except those about presence.
func (h *headerRule) match(r *Request) bool {
	v, ok := h.name.joined(r)
	ok = ok || h.missing
	switch h.kind {
	case config.HeaderPresent:
		return ok != h.invert
	case config.HeaderAbsent:
		return ok == h.invert
	case config.HeaderString:
		return ok && h.text.match(v) != h.invert
	case config.HeaderRange:
		return ok && h.inRange(v) != h.invert
	}
	return false
}

func (h *headerRule) inRange(v []byte) bool {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
	return err == nil && h.from <= n && n < h.to
}
