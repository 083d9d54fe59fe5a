package extproc

// What the service is sent (envoy.service.ext_proc.v3.ProcessingRequest).

import (
	"strconv"

	"github.com/attache-mesh/attache/proxy/callout"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/match"
)

// Numbers of ProcessingRequest; those of the answer's messages follow the request's.
const (
	requestHeaders  = 2
	requestBody     = 4
	requestTrailers = 6
	metadataContext = 8
	attributesField = 9
	observability   = 10
	protocolConfig  = 11
)

func (s *side) number(n int) int {
	if s.request {
		return n
	}
	return n + 1
}

// headersMessage says what the head is; end says that there is no body.
func (s *side) headersMessage(end bool) []byte {
	b, at := wire.Begin(nil, s.number(requestHeaders))
	b, lines := wire.Begin(b, 1)
	if s.request {
		for _, name := range [...]string{":authority", ":path", ":method", ":scheme"} {
			if v, ok := s.r.Get(name); ok {
				b = s.appendLine(b, []byte(name), v)
			}
		}
	} else {
		b = s.appendLine(b, []byte(":status"), strconv.AppendInt(nil, int64(s.r.Status), 10))
	}
	b = wire.End(s.appendLines(b, s.lines()), lines)
	b = wire.AppendBool(b, 3, end)
	return s.complete(wire.End(b, at))
}

// bodyMessage is a piece; end says that nothing follows, not even trailers.
func (s *side) bodyMessage(p []byte, end bool) []byte {
	b, at := wire.Begin(nil, s.number(requestBody))
	b = wire.AppendBool(wire.AppendText(b, 1, p), 2, end)
	return s.complete(wire.End(b, at))
}

func (s *side) trailersMessage() []byte {
	b, at := wire.Begin(nil, s.number(requestTrailers))
	b, lines := wire.Begin(b, 1)
	b = wire.End(s.appendLines(b, s.tail()), lines)
	return s.complete(wire.End(b, at))
}

func (s *side) appendLines(b []byte, lines filter.Fields) []byte {
	lines.Each(func(name, value []byte) bool {
		b = s.appendLine(b, match.AppendLower(nil, name), value)
		return true
	})
	return b
}

// appendLine appends a line if it may be sent (MutationUtils::headerCanBeForwarded).
func (s *side) appendLine(b, name, value []byte) []byte {
	f := s.c.f
	if matches(f.disallowed, name) || len(f.allowed) > 0 && !matches(f.allowed, name) {
		return b
	}
	b, at := wire.Begin(b, 1)
	return wire.End(wire.AppendText(wire.AppendText(b, 1, name), 3, value), at)
}

func matches(of []match.String, name []byte) bool {
	for i := range of {
		if of[i].Match(name) {
			return true
		}
	}
	return false
}

// complete adds what all messages have, and the first one has alone.
func (s *side) complete(b []byte) []byte {
	c := s.c
	b = callout.AppendMetadata(b, metadataContext, s.r.Info, c.forward, c.forwardTyped)
	b = s.appendAttributes(b)
	b = wire.AppendBool(b, observability, c.f.cfg.Observe)
	if !c.told && !c.f.cfg.Observe {
		c.told = true
		var at int
		b, at = wire.Begin(b, protocolConfig)
		b = wire.AppendUint(b, 1, number(c.mode.RequestBody))
		b = wire.End(wire.AppendUint(b, 2, number(c.mode.ResponseBody)), at)
	}
	return b
}

// number is a body's mode on the wire: the values are ProcessingMode.BodySendMode's.
func number(m config.BodySend) uint64 { return uint64(m) }
