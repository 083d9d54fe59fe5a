package httpproxy

// What a request's own headers ask of the router. Only internal requests are
// listened to.

import (
	"bytes"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
)

// asked is read while the head is there, and outlives it.
type asked struct {
	any     bool // of these headers there is one
	retries bool // x-envoy-retry-on or x-envoy-retry-grpc-on
	on      config.RetryOn
	hasMax  bool
	max     uint32
	codes   []uint32
	names   []byte // of headers, in lower case, each with a comma behind it

	hasTimeout, hasPerTry bool
	timeout, perTry       time.Duration
	hasExpected           bool // respect_expected_rq_timeout
	expected              time.Duration
	alt                   bool // a timeout is answered with 204
	hedge                 int8 // 1: hedge, -1: do not; 0: as the route says
}

func (a *asked) reset() {
	if a.any {
		*a = asked{codes: a.codes[:0], names: a.names[:0]}
	}
}

// note takes one header in; false if it is not the router's.
func (a *asked) note(h *http1.Header, internal bool) bool {
	switch h.ID {
	case http1.FieldXEnvoyUpstreamRqTimeoutMs, http1.FieldXEnvoyUpstreamRqPerTryTimeoutMs,
		http1.FieldXEnvoyRetryOn, http1.FieldXEnvoyRetryGrpcOn, http1.FieldXEnvoyMaxRetries,
		http1.FieldXEnvoyRetriableStatusCodes, http1.FieldXEnvoyRetriableHeaderNames,
		http1.FieldXEnvoyHedgeOnPerTryTimeout, http1.FieldXEnvoyUpstreamRqTimeoutAltResponse:
		if internal {
			a.any = true
			a.read(h)
		}
		return true
	}
	return false
}

// expects takes in what another proxy said that the host has.
func (a *asked) expects(v []byte) {
	a.any, a.hasExpected = true, true
	a.expected, _ = millis(v, 0, false)
}

func (a *asked) read(h *http1.Header) {
	switch h.ID {
	case http1.FieldXEnvoyUpstreamRqTimeoutMs:
		a.timeout, a.hasTimeout = millis(h.Value, a.timeout, a.hasTimeout)
	case http1.FieldXEnvoyUpstreamRqPerTryTimeoutMs:
		a.perTry, a.hasPerTry = millis(h.Value, a.perTry, a.hasPerTry)
	case http1.FieldXEnvoyRetryOn:
		on, _ := config.ParseRetryOn(h.Value)
		a.on, a.retries = a.on|on, true
	case http1.FieldXEnvoyRetryGrpcOn:
		on, _ := config.ParseRetryGRPCOn(h.Value)
		a.on, a.retries = a.on|on, true
	case http1.FieldXEnvoyMaxRetries:
		if n, err := strconv.ParseUint(string(h.Value), 10, 64); err == nil {
			a.max, a.hasMax = uint32(min(n, 1<<32-1)), true
		}
	case http1.FieldXEnvoyRetriableStatusCodes:
		for word := range bytes.SplitSeq(h.Value, []byte{','}) {
			if n, err := strconv.ParseUint(string(bytes.TrimSpace(word)), 10, 32); err == nil {
				a.codes = append(a.codes, uint32(n))
			}
		}
	case http1.FieldXEnvoyRetriableHeaderNames:
		for word := range bytes.SplitSeq(h.Value, []byte{','}) {
			if word = bytes.TrimSpace(word); len(word) > 0 {
				a.names = append(append(a.names, bytes.ToLower(word)...), ',')
			}
		}
	case http1.FieldXEnvoyHedgeOnPerTryTimeout:
		switch string(h.Value) {
		case "true":
			a.hedge = 1
		case "false":
			a.hedge = -1
		}
	case http1.FieldXEnvoyUpstreamRqTimeoutAltResponse:
		a.alt = true
	}
}

// millis reads a time in milliseconds; what is none changes nothing.
func millis(v []byte, was time.Duration, had bool) (time.Duration, bool) {
	if ms, err := strconv.ParseUint(string(v), 10, 32); err == nil {
		return time.Duration(ms) * time.Millisecond, true
	}
	return was, had
}

// named reports whether an answer has one of the headers that
// x-envoy-retriable-header-names lists.
func (a *asked) named(lines fields) bool {
	for rest := a.names; len(rest) > 0; {
		at := bytes.IndexByte(rest, ',')
		if lines.Has(string(rest[:at])) {
			return true
		}
		rest = rest[at+1:]
	}
	return false
}
