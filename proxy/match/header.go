// Package match holds conditions against what is known of a request: strings,
// headers, values, metadata (Envoy source/common/common/matchers.cc,
// source/common/http/header_utility.cc). Compiled once from package config;
// immutable; any goroutine. Nothing allocates but header values of several lines
// and regular expressions.
package match

// Finding request headers and holding conditions against them.

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Name is a name to be looked up: a header line, or one of the pseudo-headers that are fields of Request.
type Name struct {
	Name  string // lower case
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

// NewName compiles a name.
func NewName(name string) Name {
	name = strings.ToLower(name)
	h := Name{Name: name}
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

// First returns the value of the first line and how many lines there are.
func (h *Name) First(r *streaminfo.Request) (value []byte, lines int) {
	switch h.field {
	case inHeaders:
		return h.FirstLine(r.Headers)
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

// FirstLine is First of lines alone.
func (h *Name) FirstLine(headers []streaminfo.Header) (value []byte, lines int) {
	for i := range headers {
		if h.Is(&headers[i]) {
			if lines == 0 {
				value = headers[i].Value
			}
			lines++
		}
	}
	return value, lines
}

// Is reports whether a line has the name.
func (h *Name) Is(line *streaminfo.Header) bool { return EqualFold(line.Name, h.Name) }

// Values appends the values of all lines.
func (h *Name) Values(dst [][]byte, r *streaminfo.Request) [][]byte {
	if h.field != inHeaders {
		if v, n := h.First(r); n > 0 {
			dst = append(dst, v)
		}
		return dst
	}
	for i := range r.Headers {
		if h.Is(&r.Headers[i]) {
			dst = append(dst, r.Headers[i].Value)
		}
	}
	return dst
}

// Joined returns the values of all lines, joined by ',' (HeaderUtility::getAllOfHeaderAsString). Only several lines cost
// an allocation.
func (h *Name) Joined(r *streaminfo.Request) (value []byte, ok bool) {
	v, n := h.First(r)
	if n < 2 {
		return v, n > 0
	}
	return bytes.Join(h.Values(nil, r), []byte{','}), true
}

// JoinedIn is Joined of lines alone.
func (h *Name) JoinedIn(lines []streaminfo.Header) (value []byte, ok bool) {
	v, n := h.FirstLine(lines)
	if n < 2 {
		return v, n > 0
	}
	var all [][]byte
	for i := range lines {
		if h.Is(&lines[i]) {
			all = append(all, lines[i].Value)
		}
	}
	return bytes.Join(all, []byte{','}), true
}

// Header is a compiled config.HeaderMatch.
type Header struct {
	name     Name
	kind     config.HeaderKind
	invert   bool
	missing  bool // a missing header counts as an empty one
	from, to int64
	text     String
}

// NewHeader compiles a condition.
func NewHeader(m *config.HeaderMatch) Header {
	return Header{
		name: NewName(m.Name), kind: m.Kind, invert: m.Invert, missing: m.MissingAsEmpty,
		from: m.From, to: m.To, text: NewString(&m.String),
	}
}

// Match decides (HeaderDataBaseImpl and HeaderDataPresentMatch, header_utility.h). A missing header fails every condition,
// inverted ones included, except those about presence.
func (h *Header) Match(r *streaminfo.Request) bool {
	v, ok := h.name.Joined(r)
	ok = ok || h.missing
	switch h.kind {
	case config.HeaderPresent:
		return ok != h.invert
	case config.HeaderAbsent:
		return ok == h.invert
	case config.HeaderString:
		return ok && h.text.Match(v) != h.invert
	case config.HeaderRange:
		return ok && h.inRange(v) != h.invert
	}
	return false
}

func (h *Header) inRange(v []byte) bool {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
	return err == nil && h.from <= n && n < h.to
}
