package config

import "time"

// ExtProc is the filter that has a service look at requests and answers, and change
// them (Envoy extensions.filters.http.ext_proc.v3.ExternalProcessor).
type ExtProc struct {
	GRPC *GRPCService
	// FailureAllow goes on without the service where it fails; else the client is
	// answered StatusOnError, or 504 if the service is late.
	FailureAllow  bool
	StatusOnError int
	Mode          ExtProcMode
	// ModeOverride lets the service choose another mode: one of Modes, if there are
	// any.
	ModeOverride bool
	Modes        []ExtProcMode
	// MessageTimeout bounds the wait for each answer of the service's. It may ask for
	// more time, up to MaxMessageTimeout; 0: it may not.
	MessageTimeout, MaxMessageTimeout time.Duration
	StatPrefix                        string
	Rules                             MutationRules
	// Allowed and Disallowed are the names of headers that are sent.
	Allowed, Disallowed []StringMatch
	// NoImmediate takes an immediate answer for a mistake of the service's.
	NoImmediate bool
	// Observe sends everything and waits for nothing; DeferredClose is how long the
	// stream lives on after the request then.
	Observe       bool
	DeferredClose time.Duration
	// Forward and Receive are the namespaces of metadata that the service is sent, and
	// may set; ForwardTyped are those of messages.
	Forward, Receive, ForwardTyped []string
	RouteCache                     RouteCacheAction
	// RequestAttributes and ResponseAttributes are CEL expressions, which were read: the
	// first message of either side has what they say, under their own text.
	RequestAttributes, ResponseAttributes []string
}

// RouteCacheAction is when a request that was changed is matched once more.
type RouteCacheAction uint8

// The actions: when the service says so, whenever it changes headers, never.
const (
	RouteCacheAsTold RouteCacheAction = iota
	RouteCacheClear
	RouteCacheRetain
)

// ExtProcMode is what the service sees of a message (ProcessingMode).
type ExtProcMode struct {
	RequestHeaders, ResponseHeaders, RequestTrailers, ResponseTrailers HeaderSend
	RequestBody, ResponseBody                                          BodySend
}

// HeaderSend is whether headers or trailers are sent; the default is the place's.
type HeaderSend uint8

// The values (ProcessingMode.HeaderSendMode).
const (
	HeaderSendDefault HeaderSend = iota
	HeaderSendSend
	HeaderSendSkip
)

// BodySend is how a body is sent.
type BodySend uint8

// The values (ProcessingMode.BodySendMode): not; in pieces as it comes; whole; whole up
// to the buffer's limit; as it comes, while what there is in its place comes back.
const (
	BodySendNone BodySend = iota
	BodySendStreamed
	BodySendBuffered
	BodySendPartial
	BodySendDuplex
)

// ExtProcRoute is what a route says of it; nil fields say nothing.
type ExtProcRoute struct {
	Disabled         bool
	Mode             *ExtProcMode
	GRPC             *GRPCService
	Metadata         []Metadata // for the service, beside or in place of its own
	FailureAllow     *bool
	Forward, Receive *[]string
	ForwardTyped     []string // with Forward
}
