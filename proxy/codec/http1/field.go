// Which header names the proxy knows, and how a name in a message finds its number without a map.

package http1

import "encoding/binary"

// FieldID is a header name that the proxy knows; 0 is any other. The order has meaning to the methods below,
// the numbers have none outside the process.
type FieldID uint8

const (
	FieldOther FieldID = iota

	// Names that decide framing, routing or the life of the connection; the parser looks at these.
	FieldHost
	FieldContentLength
	FieldTransferEncoding
	FieldConnection
	FieldKeepAlive
	FieldProxyConnection
	FieldProxyAuthenticate
	FieldProxyAuthorization
	FieldTE
	FieldTrailer
	FieldUpgrade
	FieldExpect
	FieldHTTP2Settings

	// Names that a proxy behind us would believe: a look-alike with underscores is refused.
	FieldXForwardedFor
	FieldXForwardedProto
	FieldXForwardedHost
	FieldXForwardedPort
	FieldXForwardedClientCert
	FieldForwarded
	FieldXRequestID
	FieldXRealIP

	// Envoy's own.
	FieldXEnvoyAttemptCount
	FieldXEnvoyDecoratorOperation
	FieldXEnvoyDegraded
	FieldXEnvoyDownstreamServiceCluster
	FieldXEnvoyDownstreamServiceNode
	FieldXEnvoyExpectedRqTimeoutMs
	FieldXEnvoyExternalAddress
	FieldXEnvoyForceTrace
	FieldXEnvoyHedgeOnPerTryTimeout
	FieldXEnvoyImmediateHealthCheckFail
	FieldXEnvoyInternal
	FieldXEnvoyIPTags
	FieldXEnvoyMaxRetries
	FieldXEnvoyOriginalDstHost
	FieldXEnvoyOriginalHost
	FieldXEnvoyOriginalPath
	FieldXEnvoyOverloaded
	FieldXEnvoyRatelimited
	FieldXEnvoyRetriableHeaderNames
	FieldXEnvoyRetriableStatusCodes
	FieldXEnvoyRetryGrpcOn
	FieldXEnvoyRetryOn
	FieldXEnvoyUpstreamAltStatName
	FieldXEnvoyUpstreamCanary
	FieldXEnvoyUpstreamHealthcheckedCluster
	FieldXEnvoyUpstreamRqPerTryTimeoutMs
	FieldXEnvoyUpstreamRqTimeoutAltResponse
	FieldXEnvoyUpstreamRqTimeoutMs
	FieldXEnvoyUpstreamServiceTime
	FieldXEnvoyUpstreamStreamDurationMs
	FieldXEnvoyOther // any other x-envoy-*

	// Others that filters, logs and routes ask for.
	FieldAccept
	FieldAcceptEncoding
	FieldAcceptLanguage
	FieldAccessControlRequestMethod
	FieldAccessControlRequestHeaders
	FieldAccessControlAllowOrigin
	FieldAge
	FieldAllow
	FieldAuthorization
	FieldCacheControl
	FieldContentEncoding
	FieldContentLanguage
	FieldContentRange
	FieldContentType
	FieldCookie
	FieldDNT
	FieldDate
	FieldETag
	FieldExpires
	FieldGrpcStatus
	FieldGrpcMessage
	FieldGrpcTimeout
	FieldIfMatch
	FieldIfModifiedSince
	FieldIfNoneMatch
	FieldIfRange
	FieldIfUnmodifiedSince
	FieldLastModified
	FieldLink
	FieldLocation
	FieldOrigin
	FieldPragma
	FieldRange
	FieldReferer
	FieldRetryAfter
	FieldSecWebSocketKey
	FieldSecWebSocketAccept
	FieldSecWebSocketProtocol
	FieldSecWebSocketVersion
	FieldServer
	FieldSetCookie
	FieldStrictTransportSecurity
	FieldTraceparent
	FieldTracestate
	FieldUserAgent
	FieldVary
	FieldVia
	FieldWWWAuthenticate
	FieldXB3TraceID
	FieldXB3SpanID
	FieldXB3ParentSpanID
	FieldXB3Sampled
	FieldXB3Flags

	// FieldCount is how many numbers there are.
	FieldCount
)

const (
	lastCodecField   = FieldHTTP2Settings
	firstEnvoyField  = FieldXEnvoyAttemptCount
	lastTrustedField = FieldXEnvoyOther
)

// XEnvoy says that the name begins with x-envoy-, known or not.
func (f FieldID) XEnvoy() bool { return f >= firstEnvoyField && f <= FieldXEnvoyOther }

// trusted says that someone behind us decides by this header: framing, routing, identity.
func (f FieldID) trusted() bool { return f != FieldOther && f <= lastTrustedField }

// String is the name in lower case, or "" for FieldOther and FieldXEnvoyOther.
func (f FieldID) String() string { return fieldNames[f] }

var fieldNames = [FieldCount]string{
	FieldHost:                               "host",
	FieldContentLength:                      "content-length",
	FieldTransferEncoding:                   "transfer-encoding",
	FieldConnection:                         "connection",
	FieldKeepAlive:                          "keep-alive",
	FieldProxyConnection:                    "proxy-connection",
	FieldProxyAuthenticate:                  "proxy-authenticate",
	FieldProxyAuthorization:                 "proxy-authorization",
	FieldTE:                                 "te",
	FieldTrailer:                            "trailer",
	FieldUpgrade:                            "upgrade",
	FieldExpect:                             "expect",
	FieldHTTP2Settings:                      "http2-settings",
	FieldXForwardedFor:                      "x-forwarded-for",
	FieldXForwardedProto:                    "x-forwarded-proto",
	FieldXForwardedHost:                     "x-forwarded-host",
	FieldXForwardedPort:                     "x-forwarded-port",
	FieldXForwardedClientCert:               "x-forwarded-client-cert",
	FieldForwarded:                          "forwarded",
	FieldXRequestID:                         "x-request-id",
	FieldXRealIP:                            "x-real-ip",
	FieldXEnvoyAttemptCount:                 "x-envoy-attempt-count",
	FieldXEnvoyDecoratorOperation:           "x-envoy-decorator-operation",
	FieldXEnvoyDegraded:                     "x-envoy-degraded",
	FieldXEnvoyDownstreamServiceCluster:     "x-envoy-downstream-service-cluster",
	FieldXEnvoyDownstreamServiceNode:        "x-envoy-downstream-service-node",
	FieldXEnvoyExpectedRqTimeoutMs:          "x-envoy-expected-rq-timeout-ms",
	FieldXEnvoyExternalAddress:              "x-envoy-external-address",
	FieldXEnvoyForceTrace:                   "x-envoy-force-trace",
	FieldXEnvoyHedgeOnPerTryTimeout:         "x-envoy-hedge-on-per-try-timeout",
	FieldXEnvoyImmediateHealthCheckFail:     "x-envoy-immediate-health-check-fail",
	FieldXEnvoyInternal:                     "x-envoy-internal",
	FieldXEnvoyIPTags:                       "x-envoy-ip-tags",
	FieldXEnvoyMaxRetries:                   "x-envoy-max-retries",
	FieldXEnvoyOriginalDstHost:              "x-envoy-original-dst-host",
	FieldXEnvoyOriginalHost:                 "x-envoy-original-host",
	FieldXEnvoyOriginalPath:                 "x-envoy-original-path",
	FieldXEnvoyOverloaded:                   "x-envoy-overloaded",
	FieldXEnvoyRatelimited:                  "x-envoy-ratelimited",
	FieldXEnvoyRetriableHeaderNames:         "x-envoy-retriable-header-names",
	FieldXEnvoyRetriableStatusCodes:         "x-envoy-retriable-status-codes",
	FieldXEnvoyRetryGrpcOn:                  "x-envoy-retry-grpc-on",
	FieldXEnvoyRetryOn:                      "x-envoy-retry-on",
	FieldXEnvoyUpstreamAltStatName:          "x-envoy-upstream-alt-stat-name",
	FieldXEnvoyUpstreamCanary:               "x-envoy-upstream-canary",
	FieldXEnvoyUpstreamHealthcheckedCluster: "x-envoy-upstream-healthchecked-cluster",
	FieldXEnvoyUpstreamRqPerTryTimeoutMs:    "x-envoy-upstream-rq-per-try-timeout-ms",
	FieldXEnvoyUpstreamRqTimeoutAltResponse: "x-envoy-upstream-rq-timeout-alt-response",
	FieldXEnvoyUpstreamRqTimeoutMs:          "x-envoy-upstream-rq-timeout-ms",
	FieldXEnvoyUpstreamServiceTime:          "x-envoy-upstream-service-time",
	FieldXEnvoyUpstreamStreamDurationMs:     "x-envoy-upstream-stream-duration-ms",
	FieldAccept:                             "accept",
	FieldAcceptEncoding:                     "accept-encoding",
	FieldAcceptLanguage:                     "accept-language",
	FieldAccessControlRequestMethod:         "access-control-request-method",
	FieldAccessControlRequestHeaders:        "access-control-request-headers",
	FieldAccessControlAllowOrigin:           "access-control-allow-origin",
	FieldAge:                                "age",
	FieldAllow:                              "allow",
	FieldAuthorization:                      "authorization",
	FieldCacheControl:                       "cache-control",
	FieldContentEncoding:                    "content-encoding",
	FieldContentLanguage:                    "content-language",
	FieldContentRange:                       "content-range",
	FieldContentType:                        "content-type",
	FieldCookie:                             "cookie",
	FieldDNT:                                "dnt",
	FieldDate:                               "date",
	FieldETag:                               "etag",
	FieldExpires:                            "expires",
	FieldGrpcStatus:                         "grpc-status",
	FieldGrpcMessage:                        "grpc-message",
	FieldGrpcTimeout:                        "grpc-timeout",
	FieldIfMatch:                            "if-match",
	FieldIfModifiedSince:                    "if-modified-since",
	FieldIfNoneMatch:                        "if-none-match",
	FieldIfRange:                            "if-range",
	FieldIfUnmodifiedSince:                  "if-unmodified-since",
	FieldLastModified:                       "last-modified",
	FieldLink:                               "link",
	FieldLocation:                           "location",
	FieldOrigin:                             "origin",
	FieldPragma:                             "pragma",
	FieldRange:                              "range",
	FieldReferer:                            "referer",
	FieldRetryAfter:                         "retry-after",
	FieldSecWebSocketKey:                    "sec-websocket-key",
	FieldSecWebSocketAccept:                 "sec-websocket-accept",
	FieldSecWebSocketProtocol:               "sec-websocket-protocol",
	FieldSecWebSocketVersion:                "sec-websocket-version",
	FieldServer:                             "server",
	FieldSetCookie:                          "set-cookie",
	FieldStrictTransportSecurity:            "strict-transport-security",
	FieldTraceparent:                        "traceparent",
	FieldTracestate:                         "tracestate",
	FieldUserAgent:                          "user-agent",
	FieldVary:                               "vary",
	FieldVia:                                "via",
	FieldWWWAuthenticate:                    "www-authenticate",
	FieldXB3TraceID:                         "x-b3-traceid",
	FieldXB3SpanID:                          "x-b3-spanid",
	FieldXB3ParentSpanID:                    "x-b3-parentspanid",
	FieldXB3Sampled:                         "x-b3-sampled",
	FieldXB3Flags:                           "x-b3-flags",
}

// fieldHash spreads the known names over fieldIndex without a collision: length and four of the name's
// characters, lower-cased, times a multiplier found by trial (TestFieldIndexIsPerfect).
func fieldHash(name []byte) uint32 {
	n := uint(len(name))
	if n == 0 {
		return 0
	}
	f := uint32(name[0]) | uint32(name[n-1])<<8 | uint32(name[n>>1])<<16 | uint32(name[n*3>>2])<<24
	return ((f | 0x20202020) + uint32(n)*0x01000193) * 0x90941a27 >> (32 - fieldIndexBits)
}

const fieldIndexBits = 9

// fieldIndex is written once, here.
var fieldIndex = func() (t [1 << fieldIndexBits]FieldID) {
	for id, name := range fieldNames {
		if name != "" {
			t[fieldHash([]byte(name))] = FieldID(id)
		}
	}
	return t
}()

// LookupField finds a name in any case; name is a token. Any goroutine.
func LookupField(name []byte) FieldID {
	id := fieldIndex[fieldHash(name)]
	if want := fieldNames[id]; len(want) == len(name) && equalName(name, want) {
		return id
	}
	if len(name) > len(envoyPrefix) && equalName(name[:len(envoyPrefix)], envoyPrefix) {
		return FieldXEnvoyOther
	}
	return FieldOther
}

const envoyPrefix = "x-envoy-"

// equalName is equalFold for two of the same length, in words that may overlap.
func equalName(name []byte, lower string) bool {
	const fold = 0x2020202020202020
	n := len(lower)
	if n != len(name) {
		return false
	}
	if n < 8 {
		return equalShort(name, lower)
	}
	for i := 0; i+8 <= n; i += 8 {
		if load64(name, i)|fold != loadString64(lower, i) {
			return false
		}
	}
	return load64(name, n-8)|fold == loadString64(lower, n-8)
}

func equalShort(name []byte, lower string) bool {
	n := len(lower)
	if n < 4 || n != len(name) {
		return equalFold(name, lower)
	}
	const fold = 0x20202020
	return binary.LittleEndian.Uint32(name)|fold == loadString32(lower, 0) &&
		binary.LittleEndian.Uint32(name[n-4:])|fold == loadString32(lower, n-4)
}

func loadString32(s string, i int) uint32 {
	s = s[i : i+4]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func loadString64(s string, i int) uint64 {
	return uint64(loadString32(s, i)) | uint64(loadString32(s, i+4))<<32
}

// LooksTrusted says that name differs from one that a proxy believes by underscores only. name is a token with an
// underscore in it. Any goroutine.
func LooksTrusted(name []byte) bool { return lookupUnderscored(name).trusted() }

// FramesMessage says that the name frames, routes or directs a message or a connection: such a field has no
// place in a trailer section.
func (f FieldID) FramesMessage() bool { return f != FieldOther && f <= lastCodecField }

// LateInTrailer says that a field in a trailer section must not be passed on: someone decided by it already, or
// would now (RFC 9110 6.5.1).
func (f FieldID) LateInTrailer() bool { return f.trusted() || lateInTrailer(f) }

// lookupUnderscored finds the name that would be meant if underscores were dashes.
func lookupUnderscored(name []byte) FieldID {
	var dashed [64]byte
	n := copy(dashed[:], name) // what is longer can only be another x-envoy- one, and still is when cut
	for i := range n {
		if dashed[i] == '_' {
			dashed[i] = '-'
		}
	}
	return LookupField(dashed[:n])
}
