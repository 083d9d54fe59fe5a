package config

// When a request is sent again, and how (Envoy route.v3.RetryPolicy).

import (
	"bytes"
	"time"
)

// Retry is a retry policy. Nil stands for none; one whose On is 0 retries only
// what a request's own headers ask for, and its times still hold.
type Retry struct {
	On  RetryOn
	Num uint32 // retries, beside the first attempt; default 1
	// PerTry bounds one attempt, PerTryIdle a silence within it; 0: not. Both
	// are counted from when the whole request has come.
	PerTry, PerTryIdle time.Duration
	// Base and Max bound the back-off: the nth wait is uniform in
	// [0, min(Max, Base·2ⁿ)). Default 25 ms and ten times Base; at least 1 ms.
	Base, Max time.Duration
	// ResetHeaders of an answer say how long to wait instead, if that is at most
	// ResetMax.
	ResetHeaders []ResetHeader
	ResetMax     time.Duration

	Codes          []uint32      // RetryStatusCodes
	Headers        []HeaderMatch // RetryHeaders: of the answer; one is enough
	RequestHeaders []HeaderMatch // if there are any, one must hold or nothing is retried

	Hosts RetryHosts
	// PriorityEvery is update_frequency of previous_priorities: after so many
	// attempts the priorities tried are left out; 0: never.
	PriorityEvery uint32
}

// RetryHosts says which hosts a retry rather does not go to.
type RetryHosts struct {
	Previous bool // those of this request's attempts
	Canary   bool // canaries
	// Metadata are labels of envoy.lb: a host that has all of one entry is out.
	Metadata []map[string]string
	// Attempts is how often another host is picked instead before the last one
	// is taken anyway; default 1.
	Attempts uint32
}

// IsZero reports whether any host will do.
func (h *RetryHosts) IsZero() bool { return !h.Previous && !h.Canary && len(h.Metadata) == 0 }

// ResetHeader is an answer's header that says when to come again: in so many
// seconds, or at a time of the wall clock.
type ResetHeader struct {
	Name string // lower case
	Unix bool
}

// RetryOn is a set of conditions (Envoy router/retry_state_impl.cc).
type RetryOn uint32

// The conditions.
const (
	Retry5xx RetryOn = 1 << iota
	RetryGatewayError
	RetryReset
	RetryResetBeforeRequest
	RetryConnectFailure
	RetryRateLimited
	Retry4xx
	RetryRefusedStream
	RetryStatusCodes
	RetryHeaders
	RetryHTTP3 // no host is spoken to in HTTP/3
	RetryCancelled
	RetryDeadlineExceeded
	RetryInternal
	RetryResourceExhausted
	RetryUnavailable

	// RetryGRPC are those that look at grpc-status.
	RetryGRPC = RetryCancelled | RetryDeadlineExceeded | RetryInternal | RetryResourceExhausted | RetryUnavailable
)

// retryWords are the words of retry_on and x-envoy-retry-on.
var retryWords = [...]struct {
	word string
	on   RetryOn
}{
	{"5xx", Retry5xx},
	{"gateway-error", RetryGatewayError},
	{"reset", RetryReset},
	{"reset-before-request", RetryResetBeforeRequest},
	{"connect-failure", RetryConnectFailure},
	{"envoy-ratelimited", RetryRateLimited},
	{"retriable-4xx", Retry4xx},
	{"refused-stream", RetryRefusedStream},
	{"retriable-status-codes", RetryStatusCodes},
	{"retriable-headers", RetryHeaders},
	{"http3-post-connect-failure", RetryHTTP3},
}

// retryGRPCWords are the words of x-envoy-retry-grpc-on; retry_on takes them too.
var retryGRPCWords = [...]struct {
	word string
	on   RetryOn
}{
	{"cancelled", RetryCancelled},
	{"deadline-exceeded", RetryDeadlineExceeded},
	{"internal", RetryInternal},
	{"resource-exhausted", RetryResourceExhausted},
	{"unavailable", RetryUnavailable},
}

// ParseRetryOn reads the words of retry_on, separated by commas; known says that
// there is no other among them. Others are left out, as in Envoy.
func ParseRetryOn(words []byte) (on RetryOn, known bool) {
	known = true
	for word := range bytes.SplitSeq(words, []byte{','}) {
		one := retryWord(bytes.TrimSpace(word))
		on |= one
		known = known && (one != 0 || len(bytes.TrimSpace(word)) == 0)
	}
	return on, known
}

func retryWord(word []byte) RetryOn {
	for i := range retryWords {
		if string(word) == retryWords[i].word {
			return retryWords[i].on
		}
	}
	return 0
}

// ParseRetryGRPCOn is ParseRetryOn of the conditions of gRPC.
func ParseRetryGRPCOn(words []byte) (on RetryOn, known bool) {
	known = true
	for word := range bytes.SplitSeq(words, []byte{','}) {
		word = bytes.TrimSpace(word)
		one := RetryOn(0)
		for i := range retryGRPCWords {
			if string(word) == retryGRPCWords[i].word {
				one = retryGRPCWords[i].on
			}
		}
		on |= one
		known = known && (one != 0 || len(word) == 0)
	}
	return on, known
}

// Hedge sends a request more than once at a time; the first good answer counts
// (Envoy route.v3.HedgePolicy).
type Hedge struct {
	// OnPerTryTimeout sends another one when an attempt's time is over, and lets
	// the attempt go on.
	OnPerTryTimeout bool
	// Initial is how many go out at first, 1 to MaxInitial; Chance is that of one
	// more, Den 0 for none. Envoy knows both fields and has not built them.
	Initial uint32
	Chance  Fraction
}

// MaxInitial bounds how many requests go out at first.
const MaxInitial = 10

// InternalRedirect follows a redirect here instead of giving it to the client
// (Envoy route.v3.InternalRedirectPolicy).
type InternalRedirect struct {
	Max         uint32 // in a row; default 1
	Codes       []int  // of 301, 302, 303, 307 and 308; default 302
	CrossScheme bool   // the target may have another scheme than the request
	// CopyHeaders of the answer replace those of the request, absent ones too.
	// Lower case.
	CopyHeaders []string
	// The predicates: each must accept the target's route.
	AllowedRoutes   [][]string // its name must be in each of these lists
	PreviousRoutes  bool       // it must not have been the target of this route before
	SafeCrossScheme bool       // no way from http to https
}
