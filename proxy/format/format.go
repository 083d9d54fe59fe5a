// Package format makes text and JSON of a request: Envoy's substitution format
// strings (config.Format), compiled once and appended to a buffer as often as
// wanted. Header values, bodies, redirects, access logs and local replies are
// worded by it.
//
//	config.Format ─Compile─▶ Text.Append(dst, *streaminfo.View) ─▶ dst
//
// It reproduces source/common/formatter of Envoy v1.36 and its built-in
// extensions (metadata, req_without_query, cel). What is compiled is immutable:
// any goroutine may append, each with a View of its own. Appending allocates
// nothing but for certificates, metadata as JSON and CEL.
package format

import (
	"os"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// CEL compiles an expression for %CEL()%: a function that appends its value as
// text, or as JSON, and says whether it has one. It reports no errors: config
// holds expressions that were checked.
type CEL func(expression string) func(dst []byte, v *streaminfo.View, json bool) ([]byte, bool)

// Text is a compiled format string. Immutable; any goroutine.
type Text struct {
	parts     []part
	omitEmpty bool
	needs     Needs
}

// Needs says what a format looks at, so that nothing else has to be kept for it.
type Needs uint8

// What a format may look at.
const (
	NeedsRequest   Needs = 1 << iota // the request's head, even after it was sent on
	NeedsResponse                    // the answer's head
	NeedsTrailers                    // its trailers
	NeedsLocal                       // the own end of the connection to the host
	NeedsSomething                   // anything at all
)

// part is one operator, ready to be evaluated.
type part struct {
	config.FormatPart
	name, other header
	fixed       string // the value of what never changes
	hasFixed    bool
	time        *layout
	cel         func(dst []byte, v *streaminfo.View, json bool) ([]byte, bool)
}

// Compile compiles a format string; cel may be nil if f has no CEL. omitEmpty
// leaves out what has no value, in place of "-".
func Compile(f config.Format, omitEmpty bool, cel CEL) *Text {
	t := &Text{omitEmpty: omitEmpty, parts: make([]part, len(f))}
	for i := range f {
		t.parts[i] = compilePart(f[i], cel)
		t.needs |= needsOf(&f[i])
	}
	return t
}

// Needs says what t looks at.
func (t *Text) Needs() Needs { return t.needs }

// Append appends the text.
func (t *Text) Append(dst []byte, v *streaminfo.View) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		if p.Op == config.FormatLiteral {
			dst = append(dst, p.Text...)
			continue
		}
		var ok bool
		if dst, ok = p.append(dst, v); !ok && !t.omitEmpty {
			dst = append(dst, '-')
		}
	}
	return dst
}

func compilePart(f config.FormatPart, cel CEL) part {
	p := part{FormatPart: f, name: compileHeader(f.Name), other: compileHeader(f.Other)}
	switch f.Op {
	case config.OpHostname:
		p.fixed, _ = os.Hostname() // "" if there is none
		p.hasFixed = p.fixed != ""
	case config.OpEnvironment:
		if p.fixed, p.hasFixed = os.LookupEnv(f.Text); !p.hasFixed {
			p.fixed, p.hasFixed = "-", true
		}
		p.fixed = cut(p.fixed, f.Max)
	case config.OpStartTime, config.OpStartTimeLocal, config.OpEmitTime, config.OpEmitTimeLocal,
		config.OpPeerCertStart, config.OpPeerCertEnd, config.OpUpstreamCertStart, config.OpUpstreamCertEnd:
		p.time = compileLayout(f.Text, f.Op == config.OpStartTimeLocal || f.Op == config.OpEmitTimeLocal)
	case config.OpCEL, config.OpTypedCEL:
		if cel != nil {
			p.cel = cel(f.Text)
		}
	}
	return p
}

func cut(s string, max int) string {
	if max >= 0 && len(s) > max {
		return s[:max]
	}
	return s
}

// needsOf is what one operator looks at.
func needsOf(p *config.FormatPart) Needs {
	switch p.Op {
	case config.OpReq, config.OpReqWithoutQuery, config.OpQueryParam, config.OpPath:
		return NeedsRequest
	case config.OpResp:
		return NeedsResponse
	case config.OpTrailer:
		return NeedsTrailers
	case config.OpGRPCStatus, config.OpGRPCStatusNumber, config.OpCEL, config.OpTypedCEL:
		return NeedsRequest | NeedsResponse | NeedsTrailers | NeedsLocal
	case config.OpUpstreamLocal, config.OpUpstreamLocalNoPort, config.OpUpstreamLocalPort:
		return NeedsLocal
	case config.FormatLiteral:
		return 0
	}
	return NeedsSomething
}

// needsOfTree is what any format in a tree looks at.
func needsOfTree(t *config.FormatTree) (n Needs) {
	for i := range t.Format {
		n |= needsOf(&t.Format[i])
	}
	for i := range t.List {
		n |= needsOfTree(&t.List[i])
	}
	for i := range t.Fields {
		n |= needsOfTree(&t.Fields[i])
	}
	return n
}

// lower is s in lower case.
func lower(s string) string { return strings.ToLower(s) }
