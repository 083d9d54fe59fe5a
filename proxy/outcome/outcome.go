// Package outcome is the one list of ways in which a request can end, with the
// text that each protocol's client is given and the flag that logs and
// statistics carry. Nothing else in attache words a failure for a client.
package outcome

import "strings"

// Outcome is how a request, a command or a session ended. The zero value is OK.
type Outcome uint8

// The outcomes. The comment gives Envoy's response flag.
const (
	OK                    Outcome = iota
	NoRoute                       // NR: nothing matched
	NoCluster                     // NC: the route names a cluster that is not there
	NoHost                        // UH: no host to pick
	ConnectRefused                // UF: the host refused the connection
	ConnectFailed                 // UF: the connection failed otherwise
	ConnectTimeout                // UF: the connection did not come in time
	TLSRefused                    // UF: the host's certificate was not accepted
	TLSFailed                     // UF: the TLS handshake failed otherwise
	ConnectionLost                // UC: the upstream connection ended before the answer
	LostMidway                    // UC: the upstream connection ended within the answer
	UpstreamReset                 // UR: the upstream reset the stream
	ProtocolError                 // UPE: the upstream's answer cannot be understood
	Overflow                      // UO: a circuit breaker is full
	Timeout                       // UT: the route's time is over
	IdleTimeout                   // SI: nothing moved for too long
	RequestTimeout                // the request itself took too long to come
	HeaderTimeout                 // the request's head took too long to come
	DurationTimeout               // the stream lived too long
	BadRequest                    // DPE: the request cannot be understood
	BodyTooLarge                  // the request's body is over a limit
	UpgradeRefused                // the protocol asked for is not allowed
	VersionTooLow                 // HTTP/1.0 is not accepted
	MissingHost                   // a request without a host
	BadPath                       // the path cannot be normalised
	AbsolutePath                  // a path that does not begin with a slash
	DownstreamGone                // DC: the client went away
	Draining                      // the server is going away
	RetriesExhausted              // URX: no retry is left; the client is given the last answer
	Overload                      // OM: attache itself is short of something
	AnswerTooLarge                // the answer's body is over a limit that a filter has
	RateLimited                   // RL: a filter has refused the request as one too many
	Denied                        // a filter has refused the request
	Unauthenticated               // a filter wants to know who asks
	FaultAbort                    // FI: a filter has ended the request as it was told to
	FilterFailed                  // a filter could not do its work
	PerTryTimeout                 // UT: an attempt took too long
	PerTryIdleTimeout             // UT: an attempt stood still for too long
	RetryBufferFull               // the request's body does not fit what is kept for a retry
	UpstreamStreamTooLong         // UMSDR: an attempt lived too long
	NameFailure                   // DF: the name that the request is for has no address
	NamesOverflow                 // there are too many names
	NamesPending                  // too many requests wait for a name
	OriginUnknown                 // who the client is could not be found out
	InvalidHeader                 // IH: a header that is checked strictly has no value that it can have
	Dropped                       // DO: the cluster has a part of its requests refused
	DropAll                       // UDO: it has all of them refused
	NoFilterConfig                // NFCF: the configuration of a filter has not come
	count
)

func (o Outcome) entry() *entry { return &entries[o] }

// String names the outcome as Envoy's RESPONSE_CODE_DETAILS do, without the
// part in braces; several outcomes can have one name.
func (o Outcome) String() string {
	name, _, _ := strings.Cut(o.entry().details, "{")
	return name
}

// Details are Envoy's RESPONSE_CODE_DETAILS in full, for logs.
func (o Outcome) Details() string { return o.entry().details }

// Flag is Envoy's short response flag, "" if there is none.
func (o Outcome) Flag() string { return o.entry().flag }

// HTTPStatus is the status of the local reply; 0: none is sent.
func (o Outcome) HTTPStatus() int { return int(o.entry().status) }

// HTTPStatusEarly is HTTPStatus for a request that had not wholly come yet:
// 408 where it is 504 because of a time of the client's
// (Envoy http/utility.cc, maybeRequestTimeoutCode).
func (o Outcome) HTTPStatusEarly() int {
	if o == IdleTimeout || o == DurationTimeout || o == UpstreamStreamTooLong {
		return 408
	}
	return o.HTTPStatus()
}

// GRPCStatus is the grpc-status of a local reply whose HTTP status is code
// (Envoy grpc/status.cc, httpToGrpcStatus).
func GRPCStatus(code int) int {
	switch code {
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 429, 502, 503, 504:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}

// HTTPBody is the body of the local reply, of type text/plain; "" for none.
func (o Outcome) HTTPBody() string { return o.entry().body }

// Retried is a body of HTTPBody or Because for a request that was sent more than
// once. It may allocate.
func Retried(body string) string {
	if why, ok := strings.CutPrefix(body, lostPrefix); ok {
		return lostPrefix + "retried and the latest " + why
	}
	return body
}

// Because is the local reply's body and the details of an outcome where a
// connection could not be made for a reason, the transport's own in Envoy's words
// (pool.Failure). "" and "" if the outcome is another, or there is no reason: then
// HTTPBody and Details say what there is.
func (o Outcome) Because(reason string) (body, details string) {
	switch o {
	case ConnectRefused, ConnectFailed, TLSRefused, TLSFailed:
		if reason != "" {
			e := lost("", 0, remoteFailure, reason, "")
			return e.body, e.details
		}
	}
	return "", ""
}

// DropHeader is the header of value "true" that goes with the reply of a request that
// its cluster has refused, unless the router is told to suppress such headers; "" for
// others.
func (o Outcome) DropHeader() string {
	switch o {
	case Dropped:
		return "x-envoy-drop-overload"
	case DropAll:
		return "x-envoy-unconditional-drop-overload"
	}
	return ""
}

// Overloaded reports whether "x-envoy-overloaded: true" goes with the local
// reply, unless the router is told to suppress such headers.
func (o Outcome) Overloaded() bool { return o == Overflow }

// Memcached is the line, without its end, that a command is answered with;
// the room adds the cluster's name in brackets behind it. "" if the client is not answered.
func (o Outcome) Memcached() string { return o.entry().memcached }

// All yields every outcome; for tables and tests.
func All(yield func(Outcome) bool) {
	for o := range count {
		if !yield(o) {
			return
		}
	}
}
